"""The best so far over a search: its steps, thresholds and the area under it."""

from __future__ import annotations

import pytest

from hpo.reports.comparison.incumbent import Incumbents, Step, incumbents_of, reached, span_of, thresholds_of
from hpo.reports.comparison.measures import Measure
from tests.reports.factory import small, trial

UP, DOWN = Measure(name="accuracy", minimized=False), Measure(name="loss", minimized=True)


def curve(*points: tuple[int, float], end: int = 100) -> Incumbents:
    """Of (epochs, value)."""
    steps = tuple(Step(trials=n, epochs=e, seconds=float(e), value=v) for n, (e, v) in enumerate(points, 1))
    return Incumbents(steps=steps, epochs=end)


def test_only_better_trials_are_steps_and_all_epochs_count() -> None:
    report = small([trial(0, 0.7, epochs=10), trial(1, 0.6, epochs=8), trial(2, 0.9, epochs=5)])
    made = incumbents_of(report, UP)
    assert [(step.trials, step.epochs, step.value) for step in made.steps] == [(1, 10, 0.7), (3, 23, 0.9)]
    assert (made.epochs, made.final) == (23, 0.9)


def test_less_is_better_where_the_objective_is_a_loss() -> None:
    report = small([trial(0, 0.7), trial(1, 0.9), trial(2, 0.5)], objective="loss")
    assert [step.value for step in incumbents_of(report, DOWN).steps] == [0.7, 0.5]


def test_the_area_is_the_mean_of_the_steps() -> None:
    made = curve((10, 0.5), (30, 0.7), (80, 0.9))
    assert made.area(20, 100) == pytest.approx((10 * 0.5 + 50 * 0.7 + 20 * 0.9) / 80)
    assert made.area(5, 100) is None
    assert span_of([[made], [curve((20, 0.1), end=90)]]) == (20, 90)
    assert span_of([[made], [curve((20, 0.1), end=9)]]) is None


def test_thresholds() -> None:
    rows = [[curve((10, 0.5), (30, 0.8))], [curve((10, 0.6), (50, 0.9))]]
    found = thresholds_of(rows, [0.4, 0.5, 0.6], UP)
    assert (found.first, found.all) == (0.8, 0.8)
    assert found.close == pytest.approx(0.5 + 0.95 * 0.4)
    step = reached(rows[1], found.first, UP)
    assert step is not None
    assert (step.trials, step.epochs, step.seconds) == (2, 50, 50.0)
    assert reached(rows[0], found.close, UP) is None


def test_a_row_of_several_studies_has_their_median() -> None:
    row = [curve((10, 0.8)), curve((20, 0.8)), curve((30, 0.5))]
    step = reached(row, 0.8, UP)
    assert step is not None
    assert step.epochs == 20
    assert reached(row[1:], 0.8, UP) is None, "half of them did not reach it"
