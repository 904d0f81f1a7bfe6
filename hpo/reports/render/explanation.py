"""What `hpo explain` found, in sentences and tables. Computes no facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.conclusions import Interval
from hpo.conclusions.explanation import Explanation, Pair, Step, Verdict
from hpo.printable import listed
from hpo.reports.render.csv import csv_text
from hpo.reports.text import format_duration, format_number, format_share, label, plural

COLUMNS = ("kind", "parameters", "value", "low", "high", "lost", "gain", "gain_low", "gain_high", "set_back", "loss")
COLUMNS_OF_LOSS = ("loss_low", "loss_high")
WORDS: dict[Verdict, str] = {
    "mattered": "worse",
    "set back": "no worse",
    "uncertain": "may be worse",
    "untried": "not tried",
}
"""What the winner becomes where a step is set back to the default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rung:
    """A line of the table: the configuration after a step."""

    title: str
    """The parameter, or the first of several."""
    details: tuple[str, ...]
    """What is switched, with the values."""
    value: Interval
    lost: int
    gain: Interval | None
    set_back: str
    """What the winner becomes without the step; empty for the default configuration."""


def rungs(found: Explanation) -> list[Rung]:
    """From the default configuration to the winner."""
    default = found.default
    first = Rung(
        title="default configuration", details=(), value=default.value, lost=default.lost, gain=None, set_back=""
    )
    return [
        first,
        *(
            Rung(
                title=_short(step.changes),
                details=tuple(_switched(found, name) for name in step.changes),
                value=step.measured.value,
                lost=step.measured.lost,
                gain=step.gain,
                set_back=WORDS[step.verdict],
            )
            for step in found.steps
        ),
    ]


def sentences(found: Explanation, objectives: Sequence[str]) -> list[str]:
    """The result first, then what it can do without, what works together, and what it cost. `objectives`: those of the
    study, by the first of which all is measured."""
    metric, *further = objectives
    return [
        _result(found, metric),
        _simpler(found),
        *_further(metric, further),
        *_together(found),
        *_lost(found),
        _cost(found),
    ]


def _result(found: Explanation, metric: str) -> str:
    steps = plural(len(found.steps), "step")
    return (
        f"In {steps}, the default configuration becomes the winner, trial {found.winner}: the mean validation "
        f"{label(metric)} goes from {format_number(found.default.value.mean)} to "
        f"{format_number(found.steps[-1].measured.value.mean)}, {_better(found.gain)}."
    )


def _simpler(found: Explanation) -> str:
    simpler = found.simpler
    back = [name for step in found.steps if step.verdict == "set back" for name in step.changes]
    if not back:
        told = "; ".join(f"{listed(names)}: {WORDS[verdict]}" for verdict, names in _by_verdict(found))
        return f"None of its changes is set back to the default. What it is without each: {told}."
    verb = "does" if len(back) == 1 else "do"
    what = f"only {listed(simpler.changes)} changed" if simpler.changes else "the default configuration itself"
    loss = Interval(mean=-simpler.loss.mean, low=-simpler.loss.high, high=-simpler.loss.low)
    return (
        f"{listed(back)} {verb} not matter beyond noise. The simpler configuration, {what}, has "
        f"{format_number(simpler.measured.value.mean)} on average, {_better(loss, 'than the winner')}."
    )


def _further(metric: str, further: Sequence[str]) -> list[str]:
    if not further:
        return []
    others = listed(map(label, further))
    return [f"All of this is about {label(metric)}: what does not matter for it may matter for {others}."]


def _together(found: Explanation) -> Iterator[str]:
    for pair in found.pairs:
        beyond = pair.interaction
        first, second = map(listed, pair.changes)
        ends = f"(95 % interval {_ends(beyond)})"
        amount = format_number(abs(beyond.mean), 3)
        if beyond.low > 0:
            yield f"{first} and {second} together gain {amount} more than the sum of each alone {ends}."
        elif beyond.high < 0:
            yield f"{first} and {second} together gain {amount} less than the sum of each alone {ends}."


def _lost(found: Explanation) -> list[str]:
    count = sum(rung.lost for rung in rungs(found))
    if not count:
        return []
    return [f"{plural(count, 'training')} of the steps diverged or failed; each counts as the worst value of all."]


def _order(found: Explanation) -> str:
    if len(found.steps) == 1:
        return ""
    if found.tried == 1:
        return "Steps are in the order of the study's importances, as the budget does not pay for trying others. "
    tried = "all" if found.tried >= len(found.steps) else f"the {found.tried} most important"
    return f"Each step is the best of {tried} that were left, by one repeat, which is in no other figure. "


def _cost(found: Explanation) -> str:
    return (
        f"{_order(found)}{plural(found.trainings, 'training')} of up to {plural(found.length, 'epoch')}, "
        f"{found.seeds} for each configuration with the same seeds in all, took {plural(found.epochs, 'epoch')}, "
        f"{format_share(found.epochs / found.searched, 0)} of those of the search "
        f"({format_duration(found.seconds)} of training)."
    )


def pair_cells(pair: Pair) -> list[str]:
    """Both steps, the gain of each alone and of both, and the interaction, for a table."""
    return [
        " x ".join(map(_short, pair.changes)),
        *(format_number(one.mean, 3) for one in (*pair.alone, pair.both)),
        f"{format_number(pair.interaction.mean, 3)} ({_ends(pair.interaction)})",
    ]


PAIR_HEADER = ("pair", "first alone", "second alone", "both", "beyond the sum (95 % interval)")


def rung_cells(rung: Rung) -> list[str]:
    """The value, the gain with its interval, and what setting the step back does, for a table."""
    gain = "" if rung.gain is None else f"{format_number(rung.gain.mean, 3)} ({_ends(rung.gain)})"
    return [format_number(rung.value.mean), gain, rung.set_back]


def rung_header(metric: str) -> list[str]:
    """Of these cells."""
    return [label(metric), "gain (95 % interval)", "without it"]


def explanation_csv(found: Explanation, *, spreadsheet: bool = False) -> str:
    """A row for the default configuration, each step, each pair, and the simpler configuration; see docs/explain.md."""
    rows = [
        _row("default", (), measured=found.default),
        *(_step_row(step) for step in found.steps),
        *(row for pair in found.pairs for row in _pair_rows(pair)),
        _row("simpler", found.simpler.changes, measured=found.simpler.measured, loss=found.simpler.loss),
    ]
    return csv_text((*COLUMNS, *COLUMNS_OF_LOSS), rows, spreadsheet=spreadsheet)


def _step_row(step: Step) -> list[Any]:
    return _row("step", step.changes, measured=step.measured, gain=step.gain, verdict=step.verdict, loss=step.loss)


def _pair_rows(pair: Pair) -> Iterator[list[Any]]:
    both = (*pair.changes[0], *pair.changes[1])
    for changes, gain in zip(pair.changes, pair.alone, strict=True):
        yield _row("alone", changes, gain=gain)
    yield _row("together", both, gain=pair.both)
    yield _row("interaction", both, gain=pair.interaction)


def _row(
    kind: str,
    changes: Sequence[str],
    *,
    measured: Any = None,
    gain: Interval | None = None,
    verdict: str | None = None,
    loss: Interval | None = None,
) -> list[Any]:
    def ends(interval: Interval | None) -> tuple[float | None, ...]:
        return (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)

    value, lost = (measured.value, measured.lost) if measured else (None, None)
    return [kind, " + ".join(changes), *ends(value), lost, *ends(gain), verdict, *ends(loss)]


def _switched(found: Explanation, name: str) -> str:
    switch = next(one for one in found.switches if one.name == name)
    along = [f"{key} = {format_number(value)}" for key, value in switch.along.items()]
    more = f", with {listed(along)}" if along else ""
    return f"{name}: {format_number(switch.default)} to {format_number(switch.winner)}{more}"


def _by_verdict(found: Explanation) -> list[tuple[Verdict, list[str]]]:
    """The parameters with each verdict, in the order of the steps."""
    names: dict[Verdict, list[str]] = {}
    for step in found.steps:
        names.setdefault(step.verdict, []).extend(step.changes)
    return list(names.items())


def _short(changes: Sequence[str]) -> str:
    return changes[0] if len(changes) == 1 else f"{changes[0]} and {len(changes) - 1} more"


def _better(difference: Interval, than: str = "") -> str:
    """How much better, or worse, something is."""
    than = f" {than}" if than else ""
    if difference.mean >= 0:
        return f"better{than} by {format_number(difference.mean, 3)} (95 % interval {_ends(difference)})"
    worse = Interval(mean=-difference.mean, low=-difference.high, high=-difference.low)
    return f"worse{than} by {format_number(worse.mean, 3)} (95 % interval {_ends(worse)})"


def _ends(interval: Interval) -> str:
    return f"{format_number(interval.low, 3)} to {format_number(interval.high, 3)}"
