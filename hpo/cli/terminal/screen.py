"""Output of `hpo run`: a live view on a terminal, plain lines elsewhere, and the conclusion at the end."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from hpo import space
from hpo.cli.terminal.console import GAP, Terminal, plain_table
from hpo.cli.terminal.output import console, redraws
from hpo.printable import few
from hpo.reports.foreign import sentences
from hpo.reports.render import confirmation
from hpo.reports.text import describe_training, format_duration, format_number, plural, scores_on_test
from hpo.studyfile.file import StudySpec

if TYPE_CHECKING:
    from hpo.runtime.local_run import Result
    from hpo.runtime.progress import Progress, Running

SHOWN = 12
"""Largest number of running trials in the live view; on a small terminal fewer, because more would scroll away."""
BAR = 40
"""Largest width of the progress bar, in columns."""
LINE_SECONDS = 5.0
"""Least time between two plain lines."""
QUIET_SECONDS = 60.0
"""Time after which a plain line is printed even if no trial has ended."""


class Screen:
    """A live view that follows the progress of one study."""

    def __init__(self, spec: StudySpec, console: Terminal, *, live: bool) -> None:
        self.spec = spec
        self.console = console
        self.live = Live(console=console, refresh_per_second=8, transient=True) if live else None
        self.epochs = max(config.training.epochs for config in space.alternatives(spec, "training"))
        self.start: Progress | None = None
        self.last_line = time.monotonic()
        self.last_ended = -1
        self.concluding = ""

    def progress(self, now: Progress) -> None:
        """Shows the progress of the study."""
        if self.start is None:
            self.start = now
            self._announce(now)
        if self.live:
            self.live.update(self._view(now))
        elif now.running or now.concluding:
            waited = time.monotonic() - self.last_line
            if (what := now.concluding.partition(":")[0]) != self.concluding:
                waited, self.concluding = math.inf, what
            if waited > (LINE_SECONDS if now.ended != self.last_ended else QUIET_SECONDS):
                self.last_line, self.last_ended = time.monotonic(), now.ended
                self.console.say(self._headline(now))

    def begin(self) -> None:
        if self.live:
            self.live.start()

    def stop(self) -> None:
        if self.live:
            self.live.stop()

    def _announce(self, now: Progress) -> None:
        spec = self.spec
        about = spec.data.dataset if spec.function is None and spec.data else spec.function
        if now.ended >= now.budget and not now.running:
            text = f"has its {plural(max(now.ended, now.budget), 'trial')} already; --trials gives it more"
        else:
            begun = now.ended or any(trial.epoch for trial in now.running)
            verb = f"continues after {plural(now.ended, 'ended trial')}" if begun else "begins"
            text = (
                f"{verb}: {about}, {', '.join(spec.study.objectives)}, {plural(now.budget, 'trial')}, "
                f"sampler {spec.sampler.name}, pruner {spec.pruner.name}"
            )
        self.console.say(f"Study {spec.study.name} {text}")

    def _headline(self, now: Progress) -> str:
        if now.concluding:
            return now.concluding
        found = (f"best {format_number(now.best[1])} (trial {now.best[0]})",) if now.best else ()
        ahead = self._ahead(now)
        so_far = (f"best in training {format_number(ahead.best)} (trial {ahead.number})",) if ahead else ()
        best = ", ".join((*found, *so_far)) or "no score yet"
        left = self._time_left(now)
        soon = f"; about {left} left" if left else ""
        return (
            f"{now.ended}/{now.budget} trials: {now.finished} finished, {now.pruned} pruned, {now.failed} failed; "
            f"{len(now.running)} running{self._depth(now)}{_workers(now)}; {best}{soon}"
        )

    def _ahead(self, now: Progress) -> Running | None:
        """The best trial in training, unless a finished one is better."""
        first = now.running[0] if now.running and now.running[0].best is not None else None
        if first is None or now.best is None:
            return first
        sign = 1 if self.spec.study.minimized else -1
        return first if sign * (first.best or 0.0) < sign * now.best[1] else None

    @staticmethod
    def _depth(now: Progress) -> str:
        """The epochs of the running trials, in words."""
        epochs = [trial.epoch for trial in now.running]
        return f" (epoch {min(epochs)} to {max(epochs)})" if epochs else ""

    def _time_left(self, now: Progress) -> str | None:
        assert self.start is not None
        ended = now.ended - self.start.ended
        if ended <= 0 or now.ended >= now.budget:
            return None
        seconds = now.wall_seconds / ended * (now.budget - now.ended)
        return format_duration(round(seconds))

    def _view(self, now: Progress) -> Group:
        count, time = f"{now.ended}/{now.budget}", format_duration(now.wall_seconds)
        width = max(min(BAR, self.console.width - len(count) - len(time) - 4), 1)
        head = Table.grid(padding=(0, 2))
        head.add_row(ProgressBar(total=now.budget, completed=now.ended, width=width), count, time)
        text = self._headline(now)
        lines = self.console.render_lines(text)
        shown = max(min(SHOWN, self.console.height - len(lines) - 4), 1)
        table = plain_table(header_style="dim")
        first, objective = now.running[:shown], self.spec.study.metric
        columns = [
            ("trial", [str(trial.number) for trial in first]),
            ("epoch", [f"{trial.epoch}/{self.epochs}" for trial in first]),
            (objective, [_cell(trial.value) for trial in first]),
        ]
        left = self.console.width - sum(map(_width, columns))
        for column in [("best", [_cell(trial.best) for trial in first]), *_differences(first)]:
            if (left := left - _width(column)) >= 0:
                columns.append(column)
        for name, _ in columns:
            table.add_column(name, justify="right", no_wrap=True)
        for row in zip(*(cells for _, cells in columns), strict=True):
            table.add_row(*row)
        hidden = len(now.running) - shown
        more = [f"and {hidden} more"] if hidden > 0 else []
        return Group(head, text, table, *more)


def _differences(running: Sequence[Running]) -> list[tuple[str, list[str]]]:
    """The parameters in which trials differ, by as much of their names as tells them apart, and their values."""
    params = list(dict.fromkeys(name for trial in running for name in trial.params))
    ends = {name: name.removesuffix(".name").removesuffix(".kind").rpartition(".")[2] for name in params}
    count = Counter(ends.values())
    columns = [(name, [_cell(trial.params.get(name)) for trial in running]) for name in params]
    return [(ends[n] if count[ends[n]] == 1 else n, cells) for n, cells in columns if len(set(cells)) > 1]


def _cell(value: Any) -> str:
    return "" if value is None else format_number(value)


def _width(column: tuple[str, list[str]]) -> int:
    """The columns of a terminal that a column of a table takes."""
    return max(map(cell_len, (column[0], *column[1]))) + GAP


@contextmanager
def screen(spec: StudySpec) -> Iterator[Screen]:
    """Yields a screen, which is removed when the block ends, also by an error."""
    shown = Screen(spec, console(), live=redraws())
    shown.begin()
    try:
        yield shown
    finally:
        shown.stop()


def conclusion(spec: StudySpec, result: Result) -> None:
    """Prints the winner's configuration and scores, and the path of the report."""
    out = console()
    now, winner = result.progress, result.winner
    for note in (*few(result.notes), *sentences(result.foreign)):
        out.say(f"Note: {note}")
    spent = (
        f" ({format_duration(now.wall_seconds)}, {describe_training(now.train_seconds, now.wall_seconds)})"
        if now.epochs
        else ""
    )
    out.say(
        f"{plural(now.ended, 'trial')} ended: {now.finished} finished, {now.pruned} pruned, {now.failed} failed{spent}"
    )
    if winner is None:
        out.say("No trial finished, so there is no winner. The report says how each trial ended.")
        if result.failure:
            out.say(f"The first one {result.failure}")
    else:
        out.say(f"Winner: trial {winner.number}")
        for name, value in winner.params.items():
            out.entry(f"{name} = {format_number(value, 6)}")
        objective = spec.study.metric
        part = "validation " if spec.function is None else ""
        out.entry(f"{part}{objective}: {format_number(winner.value)}")
        for name, value in winner.further.items():
            out.entry(f"{name}: {format_number(value)}")
        if winner.test is None and spec.function is None:
            out.entry("no test part (data.test = 0)")
        elif winner.test is not None:
            again = f" (look {len(winner.looks)} at the test part: no longer unseen)" if len(winner.looks) > 1 else ""
            scores = scores_on_test(objective, winner.test, winner.ensemble, winner.models, name=objective)
            for name, value in scores:
                out.entry(f"{name}: {value}{again}")
        if winner.confirmation is not None:
            for sentence in confirmation.sentences(winner.confirmation, objective):
                out.say(sentence)
        elif winner.ahead is not None:
            out.say(confirmation.expected_sentence(winner.number, winner.ahead))
        if winner.refit is not None:
            out.say(confirmation.refit_sentence(winner.refit, tested=winner.test is not None))
    out.say_command(f"Report: {result.report}")


def _workers(now: Progress) -> str:
    """The number of workers in words; empty if one process does everything."""
    replaced = f", {now.deaths} replaced" if now.deaths else ""
    return f" on {now.workers} workers{replaced}" if now.workers > 1 or replaced else ""
