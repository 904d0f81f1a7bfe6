"""Which requests `hpo dashboard` answers: those for its own names, and changes only from its own pages.

The dashboard has no users and passwords. A page of another site can make a browser send it requests: by a form or
script (cross-site request forgery), or under a name of that site which suddenly resolves to 127.0.0.1 (DNS rebinding).
The first kind shows by the Origin, Referer or Sec-Fetch-Site header, the second by the Host header.
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
"""Values of Sec-Fetch-Site that say that a request comes from the same address, or from no page at all."""
DEFAULT_PORTS = {"http": "80", "https": "443"}

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: str
    text: str


def only_same_site(application: Application, names: Collection[str], named: Collection[str]) -> Application:
    """The WSGI application behind the check. `names`: hosts under which it is served, as `host_name` writes them;
    `named`: those of them whose pages may come from any port, because a proxy stands before them."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ = _with_origin_form(environ)
        refusal = refused(environ, names, named)
        if refusal is None:
            return application(environ, start_response)
        body = f"{refusal.text}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        start_response(refusal.status, [*headers.items(), ("X-Content-Type-Options", "nosniff")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return checked


def refused(environ: dict[str, Any], names: Collection[str], named: Collection[str]) -> Refusal | None:
    """Why the request is refused; None to answer it."""
    host = _authority(environ.get("HTTP_HOST", ""))
    if host is None:
        return Refusal(status="421 Misdirected Request", text="The request names no host, or none that can be read.")
    if host[0] not in names:
        return Refusal(
            status="421 Misdirected Request",
            text=f"This dashboard is not served under the name {host[0]}. If that is a name of its own, begin it with "
            f"`hpo dashboard --allow-host {host[0]}`.",
        )
    if environ["REQUEST_METHOD"] in SAFE_METHODS or _is_from_its_own_pages(environ, host, named):
        return None
    return Refusal(
        status="403 Forbidden",
        text="Changes are taken from the dashboard's own pages only, and this one was asked for by a page of another "
        "site. If that is the dashboard behind a proxy, begin it with `hpo dashboard --allow-host NAME`.",
    )


def host_name(text: str) -> str | None:
    """A host in the one spelling in which hosts are compared: `[::1]`, `LOCALHOST.`; None if it is none."""
    bare = text.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        name = text.lower().removesuffix(".")
        return name if re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name) else None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _authority(text: str) -> tuple[str, str] | None:
    """Host and port (empty: none is given) of `HOST:PORT`."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(\d*))?", text.strip())
    name = host_name(found[1]) if found else None
    return (name, found[2] or "") if found and name else None


def _is_from_its_own_pages(environ: dict[str, Any], host: tuple[str, str], named: Collection[str]) -> bool:
    """Whether the headers allow a change: they name the dashboard's own pages, or are missing, as for other
    programs."""
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
    """A request for a whole address (`GET http://HOST/PATH`) as one for its path: the address is what counts then."""
    found = re.fullmatch(r"(?i:https?)://([^/]*)(/.*)?", environ.get("PATH_INFO", ""), re.DOTALL)
    return environ if found is None else {**environ, "HTTP_HOST": found[1], "PATH_INFO": found[2] or "/"}
