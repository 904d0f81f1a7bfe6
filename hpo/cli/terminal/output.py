"""Output of the commands: messages, tables and data. Nothing else in `hpo.cli` writes to a stream.

Messages may contain texts from other sources, so characters that would act on a terminal are escaped, and long texts
are shortened. Data for programs is written unchanged.
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

from hpo.printable import LONGEST_TRACEBACK, on_one_line, printable, shortened

if TYPE_CHECKING:
    from hpo.cli.terminal.console import Terminal

PLAIN = str.maketrans({"–": "-", "−": "-", "…": "~", "²": "2", "±": "~"})
"""Replacements for an ASCII terminal of the non-ASCII characters in this program's own texts."""


def say(text: object = "", *, err: bool = False) -> None:
    """Print a message."""
    stream = sys.stderr if err else sys.stdout
    click.echo(for_terminal(shortened(str(text)), stream.encoding), err=err)


def for_terminal(text: str, encoding: str | None) -> str:
    """The text, escaped so that a terminal of this encoding can show all of it and interprets nothing."""
    encoding = encoding or "utf-8"
    return printable(text if encoding.lower().startswith("utf") else text.translate(PLAIN), encoding)


def write_data(data: str) -> None:
    """Write data for a program: unchanged, unless standard output is a terminal."""
    if sys.stdout.isatty():
        click.echo(for_terminal(data, sys.stdout.encoding), nl=False)
        return
    if not hasattr(sys.stdout, "buffer"):  # a text stream that another program has put in its place
        sys.stdout.write(data)
        return
    try:
        click.echo(data.encode(sys.stdout.encoding or "utf-8"), nl=False)
    except UnicodeEncodeError:
        click.echo(data.encode("utf-8", "surrogateescape"), nl=False)


def write_path(path: Path) -> None:
    """Write a path for a program, on a line of its own."""
    write_data(f"{path}\n")


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
    """Ask a yes-or-no question. `click.Abort` if nobody answers."""
    return click.confirm(for_terminal(on_one_line(question), sys.stderr.encoding), err=True)


def redraws() -> bool:
    """Whether standard output is a terminal that can be cleared and written again."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def console() -> Terminal:
    """A console on standard output, for tables and wrapped text."""
    from hpo.cli.terminal.console import Terminal

    return Terminal()


def show_mistake(error: click.ClickException) -> None:
    """Print a message about a mistake in the command line."""
    told = io.StringIO()
    error.show(told)
    say(told.getvalue().rstrip("\n"), err=True)


class Shown(logging.Formatter):
    """Formats log messages safely for a terminal. Further lines of a message are indented, so that none looks like a
    message of its own."""

    def format(self, record: logging.LogRecord) -> str:
        return for_terminal(shortened(super().format(record), LONGEST_TRACEBACK), sys.stderr.encoding).replace(
            "\n", "\n  "
        )


def guard_stderr() -> None:
    """Makes the output of Python itself to standard error safe: tracebacks, warnings, and logs without a handler."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # otherwise output that the encoding lacks would raise an error
            stream.reconfigure(errors="backslashreplace")
    sys.excepthook = _show_traceback
    warnings.formatwarning = _warning
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Shown())


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    told = "".join(traceback.format_exception(kind, error, trace)).rstrip("\n")
    click.echo(for_terminal(shortened(told, LONGEST_TRACEBACK), sys.stderr.encoding), err=True)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return for_terminal(shortened(f"{filename}:{lineno}: {category.__name__}: {message}"), sys.stderr.encoding) + "\n"
