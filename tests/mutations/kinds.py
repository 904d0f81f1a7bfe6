"""What a kind of input is, and the commands of the real program in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from hpo.cli import main

ALLOWED = frozenset({0, 1, 2})


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How one command, or one request, was answered."""

    code: int
    """Exit code; for a request the class of its status, e.g. 2 for 200."""
    text: str
    """All that was printed."""


Try = Callable[[Any, Random, Path], Sequence[Answer]]
"""Of the prepared material, the input's random numbers and a folder of its own: makes the input and hands it in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of input."""

    name: str
    full: int
    """Inputs of a full run."""
    share: int
    """Inputs of every ordinary run of the tests."""
    prepare: Callable[[Path, contextlib.ExitStack], Any]
    """Makes the valid inputs that are damaged, once, in a folder; what has to end goes onto the stack."""
    attempt: Try


def command(*arguments: object) -> Answer:
    """The command line's own entry. Whatever is not an answer of the program is raised."""
    out = io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
    assert code in ALLOWED, f"exit code {code} of {arguments}: {out.getvalue()}"
    return Answer(code=code, text=out.getvalue())
