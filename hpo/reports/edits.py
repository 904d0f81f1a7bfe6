"""The edits of a study in its report and in `hpo show`, and its trials where edits changed their ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError
from hpo.printable import listed
from hpo.reports.text import plural
from hpo.studyfile.edits import number_of, outside
from hpo.studyfile.file import parse_study

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from hpo.registry.edits import Edit
    from hpo.reports.trials import TrialRow

NAMED = 20
"""Most trials that a sentence names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditLine:
    """One edit."""

    number: int
    """From 1."""
    edited_at: datetime
    """Naive UTC."""
    editor: str
    """User and machine."""
    source: str
    """Path of the study file."""
    changes: tuple[str, ...]
    """One line for each setting."""
    trials: int | None
    """Trials asked for when it took effect; None: it waits."""
    epochs: int | None
    """Trial-epochs trained when it took effect; None: it waits."""
    outside: tuple[int, ...]
    """Trials from before whose values it does not allow."""

    def __str__(self) -> str:
        when = f"{self.edited_at.replace(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M}"
        place = (
            "which waits for its place"
            if self.trials is None
            else f"after {plural(self.trials, 'trial')} and {plural(self.epochs or 0, 'epoch')}"
        )
        text = f"edit {self.number} by {self.editor}, {when}, {place}: {'; '.join(self.changes)}"
        if not self.outside:
            return text
        more = f" and {len(self.outside) - NAMED} more" if len(self.outside) > NAMED else ""
        return f"{text}. Outside of it: {plural(len(self.outside), 'trial')}, {listed(self.outside[:NAMED])}{more}"


def edit_lines(log: Sequence[Edit], trials: Sequence[FrozenTrial]) -> tuple[EditLine, ...]:
    """The edits of a log, in their order, without the file that the study began with."""
    return tuple(
        EditLine(
            number=edit.number,
            edited_at=edit.edited_at,
            editor=edit.editor,
            source=edit.spec_source,
            changes=edit.changes,
            trials=edit.trials,
            epochs=edit.epochs,
            outside=_outside(edit, [t for t in trials if number_of(t.system_attrs, len(log)) < edit.number]),
        )
        for edit in log[1:]
    )


def edit_sentences(edits: Sequence[EditLine], winner: int | None) -> list[str]:
    """One for each edit, and one where the winner lies outside of what the study searches now. `winner`: its number."""
    found = [str(edit) for edit in edits]
    if edits and winner in edits[-1].outside:
        found.append(f"The winner, trial {winner}, lies outside of what the study searches now.")
    return found


def _outside(edit: Edit, before: Sequence[FrozenTrial]) -> tuple[int, ...]:
    try:
        spec = parse_study(edit.spec_text, edit.spec_source)
    except HpoError:  # another version wrote it
        return ()
    return tuple(trial.number for trial in before if outside(spec, trial.params))


def unified(rows: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
    """The trials with one range or choice for each parameter, which holds all that it was drawn from."""
    drawn: dict[str, dict[BaseDistribution, None]] = {}
    for row in rows:
        for name, distribution in row.distributions.items():
            drawn.setdefault(name, {})[distribution] = None
    widest = {name: whole for name, found in drawn.items() if (whole := _union(list(found))) is not None}
    return tuple(replace(row, distributions=_replaced(row.distributions, widest)) for row in rows)


def _replaced(
    own: Mapping[str, BaseDistribution], widest: Mapping[str, BaseDistribution]
) -> Mapping[str, BaseDistribution]:
    return {name: widest.get(name, distribution) for name, distribution in own.items()}


def _union(found: Sequence[BaseDistribution]) -> BaseDistribution | None:
    """The distribution that holds all of these; None for one alone, and where a number became a choice."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if len(found) == 1 or len({type(one) for one in found}) > 1:
        return None
    if isinstance(found[0], CategoricalDistribution):
        options: list[Any] = [choice for one in found for choice in getattr(one, "choices", ())]
        return CategoricalDistribution(list({repr(option): option for option in options}.values()))
    numbers = [one for one in found if isinstance(one, FloatDistribution | IntDistribution)]
    low, high = min(one.low for one in numbers), max(one.high for one in numbers)
    log = numbers[-1].log and low > 0
    if isinstance(found[0], IntDistribution):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)
