"""The repeats of a study's leading configurations, in `hpo_repeats`, and the record of what they say, which is among
the facts of the study. Which configurations are repeated is decided in `hpo.search.confirmation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from sqlalchemy import select

from hpo.database.decoding import formed
from hpo.database.tables import hpo_repeats
from hpo.storage.store import Store

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """One more training of a configuration, with seeds of its own."""

    number: int
    """The trial with this configuration, or `seeds.DEFAULT_CONFIGURATION`."""
    repeat: int
    """From 1."""
    length: int
    """Epochs that it was to have."""
    epochs: int
    """Epochs trained."""
    best_epoch: int | None
    """The epoch that counts, from 1; None where it has no value."""
    value: float | None
    """Its objective by the study's own rule, the mean over its models; None where it diverged or failed."""
    valid_loss: float | None
    """The validation loss at that epoch."""
    ended: str
    """Why it ended, in the words of `hpo.endings`."""
    seconds: float
    """Time of its lanes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean and the 95 % interval around it, in the unit of the objective."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """What the repeats of a study say, in the unit of the objective."""

    winner: int
    """Number of the trial whose configuration has the best mean."""
    value: Interval
    """Of the winner, over its repeats."""
    spread: float
    """Standard deviation of the winner's own repeats."""
    repeats: int
    """Number of the winner's repeats."""
    configurations: int
    """Number of configurations that were repeated, the default one included."""
    leaders: tuple[int, ...]
    """Trials whose configurations were repeated and cannot be told from the winner's, the winner included."""
    others: tuple[int, ...]
    """Finished trials whose configurations were not repeated, and that may be as good by their values in the search."""
    searched: float
    """The winner's value in the search."""
    optimism: float
    """How much better than its mean that was; negative where it was worse."""
    gain: Interval | None
    """How much better the winner is than the default configuration; None where that one has no mean, or is the
    winner."""
    default: int | None
    """The trial with the default configuration, or `seeds.DEFAULT_CONFIGURATION` where no trial has it; None where it
    was not repeated."""
    epochs: int
    """Epochs of all repeats."""
    seconds: float
    """Wall time of all repeats."""


def confirmed(study: StudyRow) -> Confirmation | None:
    """What the repeats say of a study's winner; None where it was not confirmed, or the study goes on and may get
    another winner."""
    found = study.facts.confirmation
    return found if found and study.finished_at is not None and found.winner == study.winner_number else None


_REPEATS = TypeAdapter(list[Repeat])


def repeats_of(store: Store, study_id: int) -> list[Repeat]:
    """The repeats of a study by configuration, length and number."""
    columns = [hpo_repeats.c[name] for name in Repeat.__dataclass_fields__]
    order = (hpo_repeats.c.number, hpo_repeats.c.length, hpo_repeats.c.repeat)
    statement = select(*columns).where(hpo_repeats.c.study_id == study_id).order_by(*order)
    with store.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(statement)]
    return formed(rows, _REPEATS, "hpo_repeats")


def values_of(repeats: Iterable[Repeat], number: int) -> tuple[float, ...]:
    """The objective of each repeat of a trial's configuration, in their order, those of the longest trainings alone.
    One that diverged or failed has no value and is left out."""
    found = [repeat for repeat in repeats if repeat.number == number]
    longest = max((repeat.length for repeat in found), default=0)
    values = ((repeat.repeat, repeat.value) for repeat in found if repeat.length == longest)
    return tuple(value for _, value in sorted(values) if value is not None and math.isfinite(value))


def add_repeats(store: Store, study_id: int, repeats: Sequence[Repeat]) -> None:
    """Write repeats, in the place of those with the same key."""
    store.put(hpo_repeats, [{"study_id": study_id, **asdict(repeat)} for repeat in repeats])
