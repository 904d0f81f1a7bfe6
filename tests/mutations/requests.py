"""Odd requests to `hpo dashboard`: each gets an answer, and the next one does, too."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.export.tiny import WINE, run
from tests.mutations.damage import ODD_TEXTS, change_tree, damaged, odd_value
from tests.mutations.kinds import Answer, Kind

LIMIT = 60.0
"""Seconds after which a request counts as stuck."""
PATHS = (
    "/",
    "/dashboard",
    "/dashboard/studies/1",
    "/api/studies",
    "/api/studies/1?after=0",
    "/api/studies/1",
    "/api/meta",
    "/api/studies/1/param_importances",
    "/api/studies/99",
    "/api/studies/1/rename",
    "/api/trials/1/tell",
    "/api/1/csv",
    "/api/trials/1/user-attrs",
    "/api/studies/1/note",
    "/api/studies/1/1/note",
    "/static/app.js",
    "/favicon.ico",
    "/csv/1",
    "/artifacts/1/1/x",
    "/api/artifacts/1/1",
    "/%00",
    "/%ff%fe",
    "/../../etc/passwd",
    "//",
    "/" + "a" * 5000,
    "*",
    "http://x/",
)
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "", "G\0T", "x" * 3000)
BODY = {
    "study_name": "new",
    "directions": ["maximize"],
    "state": "Complete",
    "values": [0.5],
    "body": "text",
    "version": 1,
    "user_attrs": {"a": 1},
    "dst_study_name": "other",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """A dashboard that serves a study with one trial of every state."""

    pid: int
    port: int
    said: Path
    """What the server writes to its standard error."""


def prepare(folder: Path, stack: ExitStack) -> Inputs:
    home, said = run(WINE, folder), folder / "said"
    words = [sys.executable, "-c", "from hpo.cli import main; main()", "dashboard", "--port", "0", "--home", str(home)]
    error = stack.enter_context(said.open("wb"))
    process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
    stack.callback(process.kill)
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(rb"http://127.0.0.1:(\d+)", first)
    assert found, first + process.stderr.read()
    pump = subprocess.Popen(["cat"], stdin=process.stderr, stdout=error)
    stack.callback(pump.kill)
    return Inputs(pid=process.pid, port=int(found[1]), said=said)


def attempt(inputs: Inputs, random: Random, folder: Path) -> list[Answer]:
    before = inputs.said.stat().st_size
    answers = [
        _sent(inputs, _request(random)),
        _sent(inputs, b"GET /api/studies HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % inputs.port),
    ]
    assert answers[-1].code in (2, 3, 4), f"the next request is not answered: {answers[-1]}"
    said = inputs.said.read_bytes()[before:].decode(errors="replace")
    return [*answers, *([Answer(code=5, text=said)] if said else [])]


def _request(random: Random) -> bytes:
    method, path = random.choice(METHODS), random.choice(PATHS)
    if random.random() < 0.3:
        path += random.choice(("?", "/", "#")) + random.choice(ODD_TEXTS).replace("\n", "%0a")[:2000]
    headers = {
        "Host": "127.0.0.1",
        "Content-Type": random.choice(("application/json", "text/plain", "multipart/form-data", "")),
    }
    body = dict(BODY)
    change_tree(body, random)
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    if random.random() < 0.3:
        content = damaged(content, random)
    if random.random() < 0.9:
        headers["Content-Length"] = str(len(content))
    for _ in range(random.choice((0, 0, 1, 2))):
        name = random.choice(
            ("Host", "Origin", "Content-Length", "Range", "Cookie", "If-Modified-Since", "Expect", "X" * 300)
        )
        value = str(odd_value(random)).replace("\n", " ").replace("\r", " ")
        if (
            name != "Content-Length" or value.startswith("-") or not value.isdecimal()
        ):  # more than is sent is waited for
            headers[name] = value[:3000]
    lines = [f"{method} {path} {random.choice(('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/9', '', 'x'))}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + content
    return damaged(request, random) if random.random() < 0.2 else request


def _sent(inputs: Inputs, request: bytes) -> Answer:
    """The class of the status; 4 where the connection was closed without one, as for what is no request at all."""
    received = b""
    with socket.create_connection(("127.0.0.1", inputs.port), timeout=LIMIT) as connection:
        try:
            connection.sendall(request)
            with suppress(OSError):  # the server may have answered and left before it read all
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
    found = re.match(rb"HTTP/\d\.\d (\d)", received)
    return Answer(code=int(found[1]) if found else 4, text=received[:300].decode(errors="replace"))


REQUESTS = Kind(name="requests", full=500, share=20, prepare=prepare, attempt=attempt)
