"""Repeated trainings of a study's configurations, in `hpo_repeats`. What is repeated is decided in
`hpo.search.confirmation` and `hpo.search.explanation`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter
from sqlalchemy import select

from hpo.database.decoding import formed
from hpo.database.tables import hpo_repeats
from hpo.storage.store import Store


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
