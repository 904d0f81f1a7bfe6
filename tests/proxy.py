"""A TCP proxy before the PostgreSQL server of the tests, which cuts the connections that go through it."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading

from sqlalchemy import make_url

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing a socket resets its connection, as a machine that restarts does."""


class Proxy:
    """Takes connections at 127.0.0.1 and hands what is said to the server and back, until they are cut."""

    def __init__(self, url: str) -> None:
        """`url` of a database on the server, which listens at a Unix socket."""
        folder = re.search(r"host=([^&]+)", url)
        assert folder is not None
        self._server = f"{folder[1].replace('%2F', '/')}/.s.PGSQL.5432"
        self.behind = url
        """The same database without the proxy."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self.cuts = 0
        """Connections cut so far."""
        port = self._listener.getsockname()[1]
        self.url = make_url(url).set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Resets every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.cuts += 1
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            with self._lock:
                self._pairs.append((client, server))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
