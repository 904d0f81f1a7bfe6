"""Requests to the dashboard: under which names it answers, and from whose pages it takes changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hpo.cli.results.same_site import LOOPBACK, host_name, only_same_site

NAMED = {"studies.example.org"}
NAMES = {*LOOPBACK, *NAMED, "192.168.1.5"}
FORMS = {"host": "HTTP_HOST", "origin": "HTTP_ORIGIN", "referer": "HTTP_REFERER", "site": "HTTP_SEC_FETCH_SITE"}


def asked(method: str = "GET", path: str = "/", **headers: str) -> tuple[int, str]:
    """Status and text of the answer; the dashboard's own is `served PATH`."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [f"served {environ['PATH_INFO']}".encode()]

    status: list[str] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path} | {FORMS[name]: text for name, text in headers.items()}
    body = only_same_site(application, NAMES, NAMED)(environ, lambda line, headers: status.append(line))
    return int(status[0].split()[0]), b"".join(body).decode()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST:8080",
        "localhost.:8080",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:8080",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]:80",
        "192.168.1.5:8080",
        "Studies.Example.org",
        " localhost ",
    ],
)
def test_its_own_names(host: str) -> None:
    assert asked(host=host) == (200, "served /")
    assert asked("DELETE", "/api/studies/1", host=host) == (200, "served /api/studies/1"), "a client that is no browser"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "192.168.1.6",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "[::2]",
        "::1",
        "[::1",
        "[localhost]",
        "localhost,evil.example",
        "localhost@evil.example",
        "localhost:80:80",
        "localhost:http",
        "local host",
        "localhost/evil",
        "localhost..",
        "..",
        "",
        "ä",
        "<script>",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_other_names(host: str, method: str) -> None:
    """One of them may have been made to resolve to this machine."""
    status, text = asked(method, host=host)
    assert status == 421
    assert "served /" not in text
    assert "<" not in text
    assert text == "" if method == "HEAD" else text.endswith(".\n")


def test_no_name_at_all() -> None:
    assert asked()[0] == 421


def test_the_refusal_names_the_way_out() -> None:
    assert "hpo dashboard --allow-host evil.example`" in asked(host="evil.example:99")[1]


@pytest.mark.parametrize("path", ["/", "/api/studies", "//evil.example/api", "/http://evil.example/"])
def test_paths_are_handed_on(path: str) -> None:
    assert asked(path=path, host="localhost") == (200, f"served {path}")


def test_a_request_for_a_whole_address_is_one_for_its_host() -> None:
    assert asked(path="http://localhost:8080/api", host="localhost:8080") == (200, "served /api")
    assert asked(path="HTTP://localhost", host="evil.example") == (200, "served /")
    assert asked(path="http://evil.example/api", host="localhost")[0] == 421
    assert asked(path="http://localhost@evil.example/api", host="localhost")[0] == 421
    assert asked("DELETE", "http://localhost:1/api", host="localhost:2", origin="http://localhost:2")[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "delete", "ANYTHING"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8080"},
        {"origin": "HTTP://LOCALHOST.:8080"},
        {"referer": "http://localhost:8080/dashboard/studies/1"},
        {"origin": "http://localhost:8080", "site": "same-origin"},
        {"origin": "https://studies.example.org", "site": "same-origin"},
        {"origin": "https://studies.example.org:8443"},
        {"site": "none"},
    ],
)
def test_changes_from_its_own_pages(method: str, headers: dict[str, str]) -> None:
    assert asked(method, host="localhost:8080", **headers)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "delete", "ANYTHING"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:8080.evil.example"},
        {"origin": "http://localhost:8080@evil.example"},
        {"origin": "http://127.0.0.1:8080"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:8080,http://evil.example"},
        {"origin": "http://evil.example", "referer": "http://localhost:8080/"},
        {"referer": "http://evil.example/?http://localhost:8080/"},
        {"referer": "http://evil.example/", "site": "same-origin"},
        {"site": "cross-site"},
        {"site": "same-site"},
        {"origin": "http://localhost:8080", "site": "cross-site"},
    ],
)
def test_changes_from_pages_of_others(method: str, headers: dict[str, str]) -> None:
    status, text = asked(method, host="localhost:8080", **headers)
    assert status == 403
    assert text.startswith("Changes are accepted from the dashboard's own pages only")
    assert asked(host="localhost:8080", **headers)[0] == 200, "a link to it is none"


def test_a_default_port_need_not_be_given() -> None:
    assert asked("POST", host="localhost", origin="http://localhost:80")[0] == 200
    assert asked("POST", host="localhost:443", origin="https://localhost")[0] == 200
    assert asked("POST", host="localhost:443", origin="http://localhost")[0] == 403


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Studies.Example.org.", "studies.example.org"),
        ("[::1]", "::1"),
        ("::0001", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("my_host", "my_host"),
        ("http://host", None),
        ("host:80", None),
        ("host/path", None),
        ("*", None),
        ("", None),
    ],
)
def test_names_are_compared_in_one_spelling(text: str, name: str | None) -> None:
    assert host_name(text) == name


def test_a_request_need_not_say_what_compression_it_takes() -> None:
    """optuna-dashboard takes for granted that it does."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"packed" if "gzip" in environ["HTTP_ACCEPT_ENCODING"] else b"plain"]

    def served(**headers: str) -> bytes:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "localhost", **headers}
        return b"".join(only_same_site(application, NAMES, NAMED)(environ, lambda line, headers: None))

    assert served() == b"plain"
    assert served(HTTP_ACCEPT_ENCODING="gzip, br") == b"packed"
