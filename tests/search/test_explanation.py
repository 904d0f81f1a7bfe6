"""Decisions of an explanation: what it may cost, the order of the steps, what is set back, and how far it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from benchmarks.explanation import rates
from hpo.search.explanation import Outcome, Round, proceed
from hpo.search.explanation.paired import interval_of, is_worse, uncertain
from hpo.search.explanation.plan import SCOUT, Plan, Taken, fewest, plan_of, trainings

Table = dict[Taken, dict[int, float | None]]


def trained(
    plan: Plan,
    value: Callable[[Taken], float | None],
    possible: Callable[[Taken], bool] = lambda taken: True,
    known: Mapping[Taken, Mapping[int, float | None]] = {},
) -> tuple[Outcome, Table, list[str]]:
    """The outcome where seeds add almost nothing, all values, and what each round was for."""
    table: Table = {taken: dict(repeats) for taken, repeats in known.items()}
    rounds = []
    while isinstance(found := proceed(plan, table, possible), Round):
        rounds.append(found.what)
        assert len(set(found.wanted)) == len(found.wanted) > 0
        for taken, repeat in found.wanted:
            assert repeat not in table.get(taken, {})
            mean = value(taken)
            noise = ((7 * repeat + 3 * len(taken)) % 5 - 2) / 1000
            table.setdefault(taken, {})[repeat] = None if mean is None else mean + noise
    return found, table, rounds


def plan(changes: int, count: int) -> Plan:
    found = plan_of(changes, count)
    assert found is not None
    return found


def added(*gains: float) -> Callable[[Taken], float]:
    return lambda taken: sum(gains[change] for change in taken)


def names(*changes: int) -> Taken:
    return frozenset(changes)


@pytest.mark.parametrize("changes", range(1, 15))
@pytest.mark.parametrize("count", [8, 12, 13, 30, 31, 50, 100, 300])
def test_a_plan_stays_within_its_trainings(changes: int, count: int) -> None:
    found = plan_of(changes, count)
    assert (found is None) == (count < fewest(changes))
    if found is not None:
        assert found.trainings <= count
        assert frozenset[int]().union(*found.units) == frozenset(range(changes))
        assert sum(map(len, found.units)) == changes
        _, table, _ = trained(found, added(*range(changes)))
        assert sum(map(len, table.values())) <= found.trainings


def test_there_is_no_plan_without_changes() -> None:
    assert plan_of(0, 100) is None


@pytest.mark.parametrize(
    ("share", "searched", "length", "expected"),
    [(None, 3000, 10, 30), (None, 360, 10, 12), (None, 350, 10, 3), (0.1, 360, 10, 3), (0.5, 240, 10, 12)],
)
def test_an_explanation_has_its_share_or_the_least_that_explains(
    share: float | None, searched: int, length: int, expected: int
) -> None:
    assert trainings(share, searched, length, changes=5) == expected


def test_the_order_is_that_of_the_gains_where_all_changes_are_tried() -> None:
    found, _, rounds = trained(plan(4, 200), added(0.0, 1.0, 3.0, 2.0))
    assert [step.changes for step in found.steps] == [names(2), names(3), names(1), names(0)]
    assert [round(step.gain.mean) for step in found.steps] == [3, 2, 1, 0]
    assert rounds[:4] == ["the order, step 1", "the order, step 2", "the order, step 3", "the steps"]
    assert [step.verdict for step in found.steps] == ["mattered"] * 3 + ["set back"]
    assert found.simpler == names(1, 2, 3)
    assert found.gain.mean == pytest.approx(6.0, abs=0.01)


def test_the_order_is_that_of_the_importances_where_few_trainings_are_paid_for() -> None:
    found, _, rounds = trained(plan(4, 20), added(1.0, 0.0, 3.0, 2.0))
    assert [step.changes for step in found.steps] == [names(0), names(1), names(2), names(3)]
    assert rounds == ["the steps"]
    assert [step.verdict for step in found.steps] == ["untried"] * 3 + ["mattered"]
    assert found.simpler == names(0, 1, 2, 3)


def test_the_least_important_changes_are_made_together_where_there_are_too_many() -> None:
    found, _, _ = trained(plan(6, 12), added(3.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert [step.changes for step in found.steps] == [names(0), names(1, 2, 3, 4, 5)]
    assert found.simpler == names(0)


def test_pairs_show_what_two_changes_do_together() -> None:
    def value(taken: Taken) -> float:
        return added(3.0, 2.0, 0.0)(taken) + (1.5 if names(0, 1) <= taken else 0.0)

    found, _, rounds = trained(plan(3, 200), value)
    assert "the pairs" in rounds
    first = found.pairs[0]
    assert first.first | first.second == names(0, 1)
    assert first.interaction.mean == pytest.approx(1.5, abs=0.02)
    assert first.both.mean == pytest.approx(6.5, abs=0.02)
    assert [round(one.mean) for one in first.alone] in ([3, 2], [2, 3])
    assert len(found.pairs) == 3


def test_a_change_that_only_helps_where_another_is_missing_is_set_back() -> None:
    """Either of two changes gains all there is."""
    found, _, _ = trained(plan(2, 60), lambda taken: 3.0 if taken else 0.0)
    assert len(found.simpler) == 1


def test_what_diverges_counts_as_worst() -> None:
    found, _, _ = trained(plan(3, 200), lambda taken: None if names(0) <= taken < names(0, 1, 2) else float(len(taken)))
    assert [step.changes for step in found.steps][-1] == names(0)
    assert found.simpler == names(0, 1, 2)
    assert found.lost[names()] == 0
    everywhere, _, _ = trained(plan(2, 60), lambda taken: None if len(taken) < 2 else 1.0)
    assert everywhere.lost[names()] == plan(2, 60).seeds
    assert everywhere.gain.mean == pytest.approx(0.0, abs=0.01), "the worst of all values is the winner's own"


def test_a_change_that_contradicts_the_others_waits_for_them() -> None:
    def possible(taken: Taken) -> bool:
        return 0 not in taken or 1 in taken

    found, table, _ = trained(plan(3, 200), added(5.0, 0.0, 1.0), possible)
    assert [step.changes for step in found.steps] == [names(2), names(1), names(0)]
    assert all(possible(taken) for taken in table)
    assert found.simpler == names(0, 1, 2), "1 gains nothing, and 0 cannot be without it"
    together, table, _ = trained(plan(2, 60), added(1.0, 1.0), lambda taken: len(taken) != 1)
    assert [step.changes for step in together.steps] == [names(0, 1)]
    assert len(table) == 2


def test_a_decision_is_the_same_whatever_is_known_beyond_it() -> None:
    """As where an explanation was interrupted, or had a larger share before."""
    value = added(0.0, 1.0, 3.0, 2.0)
    _, more, _ = trained(plan(4, 300), value)
    alone, _, _ = trained(plan(4, 100), value)
    after, _, rounds = trained(plan(4, 100), value, known=more)
    assert rounds == []
    assert after == alone
    half = {taken: {SCOUT: repeats[SCOUT]} for taken, repeats in more.items() if SCOUT in repeats}
    assert trained(plan(4, 100), value, known=half)[0] == alone


def test_worse_and_uncertain() -> None:
    assert is_worse([0.90, 0.91, 0.90, 0.92], [0.95, 0.96, 0.94, 0.96])
    assert not is_worse([0.95, 0.91, 0.96, 0.92], [0.95, 0.92, 0.94, 0.93])
    assert is_worse([0.99, None, 0.99, 0.99], [0.95, 0.96, 0.94, 0.96])
    assert not is_worse([0.5, 0.5], [0.9, None])
    collapses = [0.95, 0.94, 0.60, 0.95], [0.96, 0.95, 0.955, 0.96]
    assert not is_worse(*collapses)
    assert uncertain(*collapses)
    alike = interval_of([0.9, 0.9])
    assert (alike.low, alike.high) == (0.9, 0.9)


@pytest.mark.parametrize(("count", "unsteady"), [(48, 1.0), (96, 5.0)])
def test_it_holds_on_simulated_winners(count: int, unsteady: float) -> None:
    """A small form of `python -m benchmarks.explanation`."""
    found = rates(300, count, unsteady=unsteady)
    assert found["nothing: mattered"] <= 0.06
    assert found["nothing: set back"] >= 0.88
    assert found["much: set back"] <= 0.01
    assert found["gain covers"] >= 0.93
    assert found["loss covers"] >= 0.93
    assert found["order"] >= 0.9
    assert found["simpler is worse"] <= 0.01
    assert found["trainings"] <= count
