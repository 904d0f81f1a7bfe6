"""Values of trials that were trained again with new seeds, where the database has the table `hpo_repeats`."""

from __future__ import annotations

import math

from pydantic import TypeAdapter
from sqlalchemy import column, inspect, select, table

from hpo.database.decoding import formed
from hpo.registry.studies import study_row
from hpo.storage.store import Store

REPEATS = "hpo_repeats"
_REPEATS = table(REPEATS, *map(column, ("study_id", "number", "length", "repeat", "value")))
_FORM = TypeAdapter(list[tuple[int, float | None]])


def repeated_values(store: Store, name: str, number: int) -> tuple[float, ...]:
    """The objective of each new training of a study's trial, in the order of the repeats, those of the longest
    trainings alone; empty where it was not trained again. One that diverged or failed has no value and is left out."""
    study_id = study_row(store, name).study_id
    with store.reading() as connection:
        if not inspect(connection).has_table(REPEATS):
            return ()
        of_trial = (_REPEATS.c.study_id == study_id) & (_REPEATS.c.number == number)
        wanted = select(_REPEATS.c.length, _REPEATS.c.value).where(of_trial).order_by(_REPEATS.c.repeat)
        rows = [tuple(row) for row in connection.execute(wanted)]
    found = formed(rows, _FORM, f"{REPEATS}, study {name!r},")
    longest = max((length for length, _ in found), default=0)
    return tuple(value for length, value in found if length == longest and value is not None and math.isfinite(value))
