"""`hpo dashboard`: serves optuna-dashboard for the database of the studies."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Sequence
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from hpo.cli.results.same_site import LOOPBACK, host_name, only_same_site
from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options
from hpo.errors import InputError, MachineError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one."
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Also answer requests for this name, e.g. that of a proxy; may be repeated.",
)
@place_options
@click.pass_obj
def dashboard(place: Place, host: str, port: int, allowed: Sequence[str]) -> None:
    """Browse all studies in optuna-dashboard, also while they run.

    The dashboard has no passwords and can change and delete studies: keep it on an address that only you can reach. It
    answers requests for localhost and the address of --host only, and accepts changes from its own pages only, so that
    no other page in your browser can use it.

    \b
    Examples:
      hpo dashboard
      hpo dashboard --port 9000
      hpo dashboard --host 0.0.0.0 --allow-host studies.example.org
    """
    named = {_name(name) for name in allowed}
    names = {*LOOPBACK, *named, host_name(host) or host}
    from hpo.database.connect import parse_url
    from hpo.storage.open import open_store

    open_store(place.storage_url, readonly=True).close()
    import optuna_dashboard

    app = only_same_site(
        optuna_dashboard.wsgi(parse_url(place.storage_url).render_as_string(hide_password=False)), names, named
    )
    try:
        kind = _ServerOfIPv6 if ":" in host else _Server
        server = make_server(host, port, app, server_class=kind, handler_class=_Handler)
    except OSError as error:
        way_out = (
            "Choose another --port." if error.errno in (errno.EADDRINUSE, errno.EACCES) else "Choose another --host."
        )
        raise MachineError(f"cannot listen on {host}:{port}: {error.strerror}. {way_out}") from None
    with server:
        address = f"[{host}]" if ":" in host else host
        say(f"optuna-dashboard on http://{address}:{server.server_port} (Ctrl-C ends it)", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _name(text: str) -> str:
    name = host_name(text)
    if name is None:
        raise InputError(
            f"--allow-host {text}: this is not a host's name or address. Give one like studies.example.org or "
            "192.168.1.5, without http:// and port."
        )
    return name


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread, so that a slow one, e.g. for importances, does not delay the others."""

    daemon_threads = True


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the page sends a request every few seconds, so the printed address would scroll away."""
