"""Repeats of configurations in the database."""

from __future__ import annotations

from hpo.registry.repeats import Repeat, add_repeats, repeats_of, values_of
from hpo.storage.store import Store
from tests.registry.test_studies import register


def repeat(number: int, length: int, count: int, value: float | None) -> Repeat:
    return Repeat(
        number=number,
        repeat=count,
        length=length,
        epochs=length,
        best_epoch=None if value is None else 1,
        value=value,
        valid_loss=None,
        ended="finished",
        seconds=0.5,
    )


def test_values_are_those_of_the_longest_trainings_in_the_order_of_the_repeats(store: Store) -> None:
    study_id = register(store)
    assert values_of(repeats_of(store, study_id), 3) == ()
    rows = ((3, 20, 2, 0.7), (3, 20, 1, 0.8), (3, 20, 3, None), (3, 10, 1, 0.1), (4, 20, 1, 0.2))
    written = [repeat(*row) for row in rows]
    add_repeats(store, study_id, written)
    found = repeats_of(store, study_id)
    assert sorted(found, key=lambda r: (r.number, r.length, r.repeat)) == found
    assert {one.seconds for one in found} == {0.5}
    assert len(found) == len(written)
    assert values_of(found, 3) == (0.8, 0.7)
    assert values_of(found, 5) == ()
