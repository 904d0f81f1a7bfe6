"""`--watch`: reads and shows the status repeatedly. A terminal is cleared each time; otherwise one line is printed for
each change, because printed output stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from hpo.cli.terminal.output import json_text, redraws, say, write_data

if TYPE_CHECKING:
    from hpo.registry.summaries import StudySummary

T = TypeVar("T")

WATCH_SECONDS = 2.0
"""Time between two readings."""


def follow(
    look: Callable[[], T], *, over: Callable[[T], bool], show: Callable[[T], None], lines: Callable[[T], dict[str, str]]
) -> T:
    """Calls `look` repeatedly until `over` holds for its result, and returns the last result. `show` prints a result on
    a cleared terminal; `lines` gives one line per study, by name."""
    told: dict[str, str] = {}
    for found in _looks(look, over):
        if redraws():
            click.clear()
            show(found)
        else:
            now = lines(found)
            for name in told.keys() - now.keys():
                say(f"{name}: deleted")
            for line in (line for name, line in now.items() if told.get(name) != line):
                say(line)
            told = now
    return found


def follow_json(look: Callable[[], T], *, over: Callable[[T], bool]) -> None:
    """Writes each result of `look` that differs from the one before as JSON, until `over` holds for it."""
    told = None
    for found in _looks(look, over):
        if (now := json_text(found)) != told:
            write_data(now)
            told = now


def _looks(look: Callable[[], T], over: Callable[[T], bool]) -> Iterator[T]:
    while True:
        found = look()
        yield found
        if over(found):
            return
        time.sleep(WATCH_SECONDS)


def line_of(study: StudySummary) -> str:
    """A study's status in a line, without the figures that change all the time."""
    from hpo.reports.text import format_number, plural

    waiting = ("waiting",) if study.waiting else ()
    counts = ", ".join(
        f"{getattr(study, count)} {count}" for count in ("finished", "pruned", "failed", "running", *waiting)
    )
    found = "" if study.best is None else f"; best {study.objective} {format_number(study.best)}"
    at_work = f"; {plural(study.workers, 'worker')}" if study.workers else ""
    return f"{study.name}: {study.state}; {counts}{found}{at_work}"
