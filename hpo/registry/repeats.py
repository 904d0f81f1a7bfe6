"""Repeated trainings of a study's configurations, in `hpo_repeats`. What is repeated is decided in
`hpo.search.confirmation` and `hpo.search.explanation`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, select

from hpo.database.decoding import formed
from hpo.database.patience import one_transaction
from hpo.database.tables import hpo_configurations, hpo_repeats
from hpo.seeds import DEFAULT_CONFIGURATION, FIRST_OF_EXPLANATIONS
from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """One more training of a configuration, with other seeds than in the search."""

    number: int
    """The trial with this configuration, `seeds.DEFAULT_CONFIGURATION`, or that of a configuration which an explanation
    trains."""
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
_NUMBERS = TypeAdapter(list[tuple[str, int]])


def repeats_of(store: Store, study_id: int) -> list[Repeat]:
    """The repeats of a study's trials and of its default configuration, by configuration, length and number."""
    return _repeats(store, study_id, hpo_repeats.c.number >= DEFAULT_CONFIGURATION)


def repeats_between(store: Store, study_id: int) -> list[Repeat]:
    """The repeats of the configurations that explanations of the study trained, in the same order."""
    return _repeats(store, study_id, hpo_repeats.c.number < DEFAULT_CONFIGURATION)


def _repeats(store: Store, study_id: int, which: ColumnElement[bool]) -> list[Repeat]:
    columns = [hpo_repeats.c[name] for name in Repeat.__dataclass_fields__]
    order = (hpo_repeats.c.number, hpo_repeats.c.length, hpo_repeats.c.repeat)
    statement = select(*columns).where(hpo_repeats.c.study_id == study_id, which).order_by(*order)
    with store.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(statement)]
    return formed(rows, _REPEATS, "hpo_repeats")


def configurations_of(store: Store, study_id: int) -> dict[str, int]:
    """The numbers of the configurations that explanations of the study trained, by `configuration_key`."""
    columns = hpo_configurations.c
    statement = select(columns.params_json, columns.number).where(columns.study_id == study_id)
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    found = formed(rows, _NUMBERS, "hpo_configurations")
    return dict(found)


def configuration_key(params: Mapping[str, Any]) -> str:
    """A text for searched parameters, the same for equal ones."""
    return json.dumps(params, sort_keys=True)


@one_transaction
def add_configurations(store: Store, study_id: int, keys: Iterable[str]) -> dict[str, int]:
    """Give a number to each configuration, by `configuration_key`, that has none yet, and return the numbers of all."""
    with store.transaction() as transaction:
        transaction.lock_study(study_id)
        known = configurations_of(store, study_id)
        lowest = min(known.values(), default=FIRST_OF_EXPLANATIONS + 1)
        new = {key: lowest - place for place, key in enumerate((k for k in keys if k not in known), start=1)}
        rows = [{"study_id": study_id, "number": number, "params_json": key} for key, number in new.items()]
        store.put(hpo_configurations, rows)
    return known | new


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
