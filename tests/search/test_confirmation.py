"""Decisions of a confirmation: what it may cost, whom it drops, and how far its intervals hold."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.confirmation import rates
from hpo.conclusions.confirmation import Confirmation
from hpo.search.confirmation import (
    DEFAULT,
    ENOUGH,
    FEWEST,
    MOST_REPEATS,
    conclude,
    configurations,
    next_round,
    standing,
    trainings,
)

Table = dict[int, list[float | None]]


@pytest.mark.parametrize(
    ("share", "searched", "count"),
    [
        (0.0, 10_000, 0),
        (0.1, 1_000, 10),
        (0.1, 900, 9),
        (0.1, 500, ENOUGH),
        (0.1, 239, 0),  # eight trainings were more than a third of it
        (0.5, 100, 0),  # pays for five
        (0.6, 100, 6),
    ],
)
def test_what_the_share_pays_for(share: float, searched: int, count: int) -> None:
    assert trainings(share, searched, length=10) == count


@given(st.integers(FEWEST, 100_000))
def test_every_configuration_can_have_its_first_repeats(count: int) -> None:
    assert 3 <= configurations(count) <= count // 2


@given(st.floats(0.01, 100.0), st.integers(1, 10**6), st.integers(1, 1_000))
def test_a_confirmation_stays_within_its_share_or_the_least(share: float, searched: int, length: int) -> None:
    spent = trainings(share, searched, length) * length
    assert spent <= max(share * searched * (1 + 1e-9), searched / 3)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=10), st.integers(FEWEST, 80), st.integers(0, 10**9))
def test_rounds_end_within_the_budget_whatever_the_values(means: list[float], count: int, seed: int) -> None:
    numbers = [*range(configurations(count) - 1), DEFAULT]
    values: Table = {number: [] for number in numbers}
    lengths, spent, random = dict.fromkeys(numbers, 3), 0, Random(seed)
    while missing := next_round(values, DEFAULT, lengths, 3 * count - spent):
        assert len(set(missing)) == len(missing)
        for number, repeat in missing:
            assert repeat == len(values[number]) + 1, "repeats are counted without gaps"
            values[number].append(means[number % len(means)] + random.gauss(0, 1))
            spent += 3
    assert spent <= 3 * count
    assert all(2 <= len(found) <= MOST_REPEATS for found in values.values())
    outcome = conclude(values, dict.fromkeys(numbers[:-1], 0.0), {}, DEFAULT)
    assert outcome is not None
    assert outcome.winner in outcome.leaders
    assert set(outcome.leaders) <= set(standing(values, DEFAULT))
    assert outcome.value.low <= outcome.value.mean <= outcome.value.high


def concluded(values: Table, default: int | None = DEFAULT, **others: float) -> Confirmation:
    searched = dict.fromkeys((number for number in values if number != DEFAULT), 1.0)
    outcome = conclude(values, searched, {int(key[1:]): value for key, value in others.items()}, default)
    assert outcome is not None
    return outcome


def test_the_winner_is_the_best_by_its_repeats_and_not_by_the_search() -> None:
    outcome = concluded({4: [0.90, 0.92], 7: [0.93, 0.95], DEFAULT: [0.5, 0.6]}, n9=0.94, n3=0.1)
    assert (outcome.winner, outcome.leaders, outcome.others) == (7, (4, 7), (9,))
    assert outcome.value.mean == pytest.approx(0.94)
    assert outcome.optimism == pytest.approx(0.06)
    assert outcome.gain is not None
    assert outcome.gain.mean == pytest.approx(0.39)
    assert outcome.spread == pytest.approx(0.0141421, rel=1e-4)


def test_what_is_far_behind_is_dropped_and_gets_no_more_repeats() -> None:
    values: Table = {4: [0.90, 0.901], 7: [0.902, 0.903], 8: [0.3, 0.301], DEFAULT: [0.1, 0.101]}
    assert standing(values, DEFAULT) == [4, 7]
    assert next_round(values, DEFAULT, dict.fromkeys(values, 1), 100) == [(4, 3), (4, 4), (7, 3), (7, 4)]
    assert next_round(values, DEFAULT, dict.fromkeys(values, 1), 3) == [(4, 3), (7, 3)]
    assert next_round(values, DEFAULT, dict.fromkeys(values, 1), 1) == []


def test_one_repeat_that_diverged_is_enough_to_lose() -> None:
    values: Table = {4: [0.99, None], 7: [0.5, 0.52]}
    assert concluded(values, None).winner == 7
    assert conclude({4: [None, None], DEFAULT: [0.5, 0.5]}, {4: 1.0}, {}, DEFAULT) is None


def test_repeats_that_are_all_alike_give_an_interval_of_no_width() -> None:
    outcome = concluded({4: [0.9, 0.9], DEFAULT: [0.9, 0.9]})
    assert (outcome.value.low, outcome.value.high) == (0.9, 0.9)
    assert outcome.gain is not None
    assert outcome.gain.mean == 0.0


def test_the_default_configuration_may_be_a_trial_and_may_win() -> None:
    outcome = concluded({4: [0.90, 0.92], 7: [0.98, 0.99]}, default=7)
    assert outcome.winner == 7
    assert outcome.gain is None


def test_a_new_leader_of_an_extended_study_always_gets_its_first_repeats() -> None:
    values: Table = {9: [], 4: [0.90, 0.92, 0.91, 0.9], DEFAULT: [0.9, 0.91, 0.92, 0.9]}
    assert next_round(values, DEFAULT, dict.fromkeys(values, 10), 0) == [(9, 1), (9, 2)]


def test_intervals_hold_on_simulated_studies() -> None:
    """A small form of `python -m benchmarks.confirmation`."""
    found = rates(200, 12, 2.0)
    assert 0.92 <= found["covers"] <= 0.995
    assert found["gain covers"] >= 0.92
    assert found["best is in"] >= 0.95
    assert found["overlap"] >= 0.95
    assert found["worse"] <= 0.01
    assert found["given up"] < found["given up, search"]
