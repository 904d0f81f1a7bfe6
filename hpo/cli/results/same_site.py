"""Refuses requests to `hpo dashboard` from pages of other sites: it answers requests for its own names only, and
accepts changes from its own pages only.

The dashboard has no users and passwords. A page of another site can make a browser send requests to it: by a form or
script (cross-site request forgery), or by a host name of that site which suddenly resolves to 127.0.0.1 (DNS
rebinding). The first kind is recognised by the Origin, Referer or Sec-Fetch-Site header, the second by the Host header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_PAGES = ("same-origin", "none")
"""Values of Sec-Fetch-Site of requests that come from the same address, or from no page at all."""
DEFAULT_PORTS = {"http": "80", "https": "443"}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: str
    text: str


def only_same_site(application: Application, names: Collection[str], named: Collection[str]) -> Application:
    """The WSGI application with the check in front. `names`: hosts under which it is served, in the spelling of
    `host_name`; `named`: those among them whose pages may have any port, because a proxy is in front."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ = {"HTTP_ACCEPT_ENCODING": "", **_with_origin_form(environ)}  # optuna-dashboard fails without it
        refusal = check_request(environ, names, named)
        if refusal is None:
            return application(environ, start_response)
        body = f"{refusal.text}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        start_response(refusal.status, [*headers.items(), ("X-Content-Type-Options", "nosniff")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return checked


def check_request(environ: dict[str, Any], names: Collection[str], named: Collection[str]) -> Refusal | None:
    """Why the request is refused; None if it may be answered."""
    host = _authority(environ.get("HTTP_HOST", ""))
    if host is None:
        return Refusal(status="421 Misdirected Request", text="The request names no host, or none that can be read.")
    if host[0] not in names:
        return Refusal(
            status="421 Misdirected Request",
            text=f"This dashboard is not served under the name {host[0]}. If that is one of its names, start it with "
            f"`hpo dashboard --allow-host {host[0]}`.",
        )
    if environ["REQUEST_METHOD"] in SAFE_METHODS or _is_from_its_own_pages(environ, host, named):
        return None
    return Refusal(
        status="403 Forbidden",
        text="Changes are accepted from the dashboard's own pages only, but a page of another site sent this request. "
        "If that is the dashboard behind a proxy, start it with `hpo dashboard --allow-host NAME`.",
    )


def host_name(text: str) -> str | None:
    """The canonical spelling of a host, by which hosts are compared, e.g. of `[::1]` or `LOCALHOST.`; None if the text
    is no host."""
    bare = text.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        name = text.lower().removesuffix(".")
        return name if re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name) else None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _authority(text: str) -> tuple[str, str] | None:
    """Host and port of `HOST:PORT`; the port is empty if there is none. None if the text is not of this form."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(\d*))?", text.strip())
    name = host_name(found[1]) if found else None
    return (name, found[2] or "") if found and name else None


def _is_from_its_own_pages(environ: dict[str, Any], host: tuple[str, str], named: Collection[str]) -> bool:
    """Whether the headers allow a change: they name the dashboard's own pages, or are missing, as in requests of
    programs other than browsers."""
    if environ.get("HTTP_SEC_FETCH_SITE", "none") not in OWN_PAGES:
        return False
    page = environ.get("HTTP_ORIGIN", environ.get("HTTP_REFERER"))
    if page is None:
        return True
    scheme, separator, rest = page.partition("://")
    origin = _authority(rest.partition("/")[0]) if separator else None
    if origin is None:
        return False
    default = DEFAULT_PORTS.get(scheme.lower(), "")
    return origin[0] in named or (origin[0], origin[1] or default) == (host[0], host[1] or default)


def _with_origin_form(environ: dict[str, Any]) -> dict[str, Any]:
    """Turns a request in absolute form (`GET http://HOST/PATH`) into one for a path, with the host of the address."""
    found = re.fullmatch(r"(?i:https?)://([^/]*)(/.*)?", environ.get("PATH_INFO", ""), re.DOTALL)
    return environ if found is None else {**environ, "HTTP_HOST": found[1], "PATH_INFO": found[2] or "/"}
