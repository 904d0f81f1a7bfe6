"""Headless Chromium for tests of pages, over its debugging protocol. Needs nothing but the browser."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
COMPLAINTS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


class Tab:
    """One page of a running browser."""

    def __init__(self, address: str) -> None:
        host, path = address.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self._socket = socket.create_connection((name, int(port)), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        asked = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(f"{asked}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        while self._file.readline().strip():
            pass
        self._calls = 0
        self.complaints: list[dict[str, Any]] = []
        """Errors and all that scripts print."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer of one call of the protocol."""
        self._calls += 1
        data = json.dumps({"id": self._calls, "method": method, "params": params}).encode()
        size = struct.pack(">BQ", 0xFF, len(data))  # the longest form of a size; its first bit says that a mask follows
        self._socket.sendall(b"\x81" + size + bytes(4) + data)  # a mask of zeros leaves the data as they are
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found
            if answer.get("method") in COMPLAINTS:
                self.complaints.append(answer["params"])

    def _message(self) -> bytes:
        found = b""
        while True:
            first, size = self._file.read(2)
            if size > 125:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8))
            found += self._file.read(size)
            if first & 0x80:
                return found

    def open(self, page: Path, *, width: int, dark: bool) -> None:
        """Load a file in a window of this width, and wait until its scripts have run."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + 60
        while self.run("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.1)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def barriers(self) -> list[str]:
        """What axe-core finds on the page that keeps people out, as a line for each element."""
        self.run(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8") + "; 0")
        return self.run(
            "axe.run(document).then((found) => found.violations.flatMap("
            "(rule) => rule.nodes.map((node) => rule.impact + ' ' + rule.id + ': ' + node.html.slice(0, 200))))"
        )


@contextmanager
def browser() -> Iterator[Tab]:
    """A tab of a browser, which is ended afterwards. Without a browser the test is skipped, but fails in CI."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        assert not os.environ.get("CI"), "CI needs Chromium or Chrome for this test"
        pytest.skip("needs Chromium or Chrome")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([program, *options, f"--user-data-dir={folder}", "about:blank"], **quiet)
        try:
            noted, deadline = Path(folder) / "DevToolsActivePort", time.monotonic() + 60
            while not (noted.exists() and noted.read_text().strip()):
                assert time.monotonic() < deadline, "the browser does not start"
                time.sleep(0.1)
            port = noted.read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=60) as answer:
                tabs = json.load(answer)
            yield Tab(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
        finally:
            process.terminate()
            process.wait(30)
