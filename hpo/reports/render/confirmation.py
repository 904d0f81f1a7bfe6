"""What the repeats of the leading configurations say, in sentences and as a table; and how the winner was trained again
on all rows, in a sentence. Computes no facts."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.conclusions import Interval
from hpo.conclusions.confirmation import Confirmation
from hpo.conclusions.refit import Refit
from hpo.printable import listed
from hpo.registry.repeats import Repeat
from hpo.reports.render.csv import csv_text
from hpo.reports.text import format_duration, format_number, label, plural
from hpo.seeds import DEFAULT_CONFIGURATION

COLUMNS = ("configuration", "repeat", "value", "valid_loss", "epochs", "best_epoch", "ended", "seconds")
MOST_NAMED = 10
"""Trials that a sentence names."""


def sentences(found: Confirmation, metric: str) -> list[str]:
    """The result first, then how sure it is, and what it cost."""
    return [_result(found, metric), _leaders(found), *_gain(found), _cost(found)]


def expected_sentence(winner: int, ahead: int) -> str:
    """Of a winner that was not confirmed. `ahead`: the trial that ranks first in the search."""
    return (
        f"Trial {ahead} scored better in the search, but by what similar trials scored, more is expected of trial "
        f"{winner} if both are trained again: it is the winner."
    )


def refit_sentence(found: Refit, *, tested: bool) -> str:
    """`tested`: the study has a test part."""
    models = f" ({found.models} models, one for each repeat)" if found.models > 1 else ""
    return (
        f"The winner was trained again on the {found.examples:,} training and validation rows together, for "
        f"{plural(found.epochs, 'epoch')}{models}: these weights are {'scored on the test part and ' if tested else ''}"
        "exported."
    )


def _result(found: Confirmation, metric: str) -> str:
    value, searched = format_number(found.value.mean), format_number(found.searched)
    off = f"{format_number(abs(found.optimism), 2)} {'better' if found.optimism > 0 else 'worse'}"
    searched = f"in the search, it was {searched}, {'too' if searched == value else off}"
    return (
        f"Trained again {plural(found.repeats, 'time')} with other seeds, the winner has a validation {label(metric)} "
        f"of {value} on average (95 % interval {_ends(found.value)}, standard deviation "
        f"{format_number(found.spread, 2)}); {searched}."
    )


def _leaders(found: Confirmation) -> str:
    near = [number for number in found.leaders if number != found.winner]
    told = f"{_trials(near)} cannot be told from it" if near else "no other repeated configuration comes close to it"
    untried = f"; {_trials(found.others)}, not repeated, may be as good" if found.others else ""
    return f"Of {plural(found.configurations, 'repeated configuration')}, {told}{untried}."


def _gain(found: Confirmation) -> list[str]:
    gain, default = found.gain, found.default
    if gain is None:
        return ["The winner is the default configuration."] if default == found.winner else []
    name = "the default configuration" + ("" if default in (None, DEFAULT_CONFIGURATION) else f", trial {default},")
    by = f"by {format_number(abs(gain.mean), 3)}"
    if gain.low > 0:
        return [f"It is better than {name} {by} (95 % interval {_ends(gain)})."]
    if gain.high < 0:
        worse = Interval(mean=-gain.mean, low=-gain.high, high=-gain.low)
        return [f"It is worse than {name} {by} (95 % interval {_ends(worse)})."]
    better = "better" if gain.mean >= 0 else "worse"
    return [f"It cannot be told from {name}: {better} {by} (95 % interval of the gain {_ends(gain)})."]


def _cost(found: Confirmation) -> str:
    return (
        f"The repeats trained {plural(found.epochs, 'epoch')} beside those of the search "
        f"({format_duration(found.seconds)} of training)."
    )


def confirmation_csv(repeats: Sequence[Repeat], *, spreadsheet: bool = False) -> str:
    """One row per repeat, by configuration: the number of its trial, or `default`."""
    rows = (
        ["default" if one.number == DEFAULT_CONFIGURATION else one.number]
        + [getattr(one, column) for column in COLUMNS[1:]]
        for one in sorted(repeats, key=lambda one: (one.number == DEFAULT_CONFIGURATION, one.number))
    )
    return csv_text(COLUMNS, rows, spreadsheet=spreadsheet)


def _ends(interval: Interval) -> str:
    return f"{format_number(interval.low)} to {format_number(interval.high)}"


def _trials(numbers: Sequence[int]) -> str:
    if len(numbers) > MOST_NAMED:
        return f"{len(numbers)} other finished trials"
    return f"{'trials' if len(numbers) > 1 else 'trial'} {listed(map(str, numbers))}"
