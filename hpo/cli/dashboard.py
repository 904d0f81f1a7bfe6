"""`hpo dashboard`: optuna-dashboard on the studies' database."""

from __future__ import annotations

import contextlib
import errno
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

from hpo.cli.place import Place, place_options
from hpo.cli.terminal import say
from hpo.errors import MachineError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one."
)
@place_options
@click.pass_obj
def dashboard(place: Place, host: str, port: int) -> None:
    """Browse all studies in optuna-dashboard, also while they run.

    The dashboard has no passwords and can change and delete studies: keep it on an address that only you reach.

    \b
    Examples:
      hpo dashboard
      hpo dashboard --port 9000
    """
    from hpo.storage.connect import parse_url
    from hpo.storage.engine import open_store

    open_store(place.storage_url, readonly=True).close()
    import optuna_dashboard

    app = optuna_dashboard.wsgi(parse_url(place.storage_url).render_as_string(hide_password=False))
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        way_out = (
            "Choose another --port." if error.errno in (errno.EADDRINUSE, errno.EACCES) else "Choose another --host."
        )
        raise MachineError(f"cannot listen on {host}:{port}: {error.strerror}. {way_out}") from None
    with server:
        say(f"optuna-dashboard on http://{host}:{server.server_port} (Ctrl-C ends it)", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request: one that computes importances does not hold up the others."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The page asks for news every few seconds: a line for each would bury the address."""
