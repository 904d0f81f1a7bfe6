"""How text leaves the commands: messages, tables and data. Nothing else in `hpo.cli` writes to a stream.

Messages may hold what others wrote, so what would act on a terminal is escaped, and what is too long is shortened.
Data for programs leaves as it is.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from hpo.printable import on_one_line, printable, shortened

if TYPE_CHECKING:
    from hpo.cli.terminal.console import Terminal

LONGEST_TRACEBACK = 12_000
"""Characters of a traceback; its ends tell the most."""
PLAIN = str.maketrans({"–": "-", "−": "-", "…": "~", "²": "2", "±": "~"})
"""What a terminal of ASCII gets for the signs of our own texts."""


def say(text: object = "", *, err: bool = False) -> None:
    """Print a message."""
    stream = sys.stderr if err else sys.stdout
    click.echo(fit(shortened(str(text)), stream.encoding), err=err)


def fit(text: str, encoding: str | None) -> str:
    """The text as a terminal of this encoding can show it without acting on it."""
    encoding = encoding or "utf-8"
    return printable(text if encoding.lower().startswith("utf") else text.translate(PLAIN), encoding)


def give(data: str) -> None:
    """Write data for a program: exact, but on a terminal."""
    if sys.stdout.isatty():
        click.echo(fit(data, sys.stdout.encoding), nl=False)
        return
    if not hasattr(sys.stdout, "buffer"):  # a text stream that another program has put in its place
        sys.stdout.write(data)
        return
    try:
        click.echo(data.encode(sys.stdout.encoding or "utf-8"), nl=False)
    except UnicodeEncodeError:
        click.echo(data.encode("utf-8", "surrogateescape"), nl=False)


def give_path(path: Path) -> None:
    """Write a path for a program, on a line of its own."""
    give(f"{path}\n")


def json_text(value: Any) -> str:
    """JSON in ASCII: exact in every encoding, and harmless on a terminal. Records are objects of their fields; times,
    which are naive UTC in them, have their zone. It has no infinity and no NaN: null instead."""
    return json.dumps(_plain(value), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat(timespec="seconds")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def ask(question: str) -> bool:
    """Ask for a yes; `click.Abort` where nobody answers."""
    return click.confirm(fit(on_one_line(question), sys.stderr.encoding), err=True)


def redraws() -> bool:
    """Whether standard output can be cleared and written again: a terminal that knows more than lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def console() -> Terminal:
    """Where tables and wrapped text go: standard output."""
    from hpo.cli.terminal.console import Terminal

    return Terminal()


def show_mistake(error: click.ClickException) -> None:
    """Print what is wrong with a command line."""
    told = io.StringIO()
    error.show(told)
    say(told.getvalue().rstrip("\n"), err=True)


class Shown(logging.Formatter):
    """Lines of a log as they may be shown; the further lines of a message are indented, so that none looks like the
    beginning of another."""

    def format(self, record: logging.LogRecord) -> str:
        return fit(shortened(super().format(record), LONGEST_TRACEBACK), sys.stderr.encoding).replace("\n", "\n  ")


def guard() -> None:
    """What Python itself writes to standard error: tracebacks, warnings, and logs that have no handler."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or file in ASCII is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _show_traceback
    warnings.formatwarning = _warning
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Shown())


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    told = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    click.echo(fit(shortened(told, LONGEST_TRACEBACK), sys.stderr.encoding), err=True)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return fit(shortened(f"{filename}:{lineno}: {category.__name__}: {message}"), sys.stderr.encoding) + "\n"
