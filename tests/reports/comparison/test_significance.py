"""Intervals, p values and probabilities, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.compare import METHODS, rates
from hpo.reports.comparison.significance import Scores, difference, holm, interval
from hpo.studyfile.records import BOUNDS, METRICS, possible

A, B = (0.91, 0.93, 0.90, 0.94, 0.92), (0.88, 0.92, 0.89, 0.90, 0.91)


def seeds(*values: float) -> Scores:
    """New trainings on one split."""
    return Scores(blocks={"split": values})


def splits(*values: float) -> Scores:
    """Studies of several seeds."""
    return Scores(blocks={f"split {n}": (value,) for n, value in enumerate(values)})


def folds(*values: float) -> Scores:
    return Scores(blocks={f"fold {n}": (value,) for n, value in enumerate(values)}, folds=True)


def test_scores_of_one_split_are_compared_by_welch() -> None:
    found, known = difference(seeds(*A), seeds(*B), minimized=False), stats.ttest_ind(A, B, equal_var=False)
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.method == "unpaired, 5 and 5 scores"


def test_shared_splits_are_paired_whatever_their_order() -> None:
    first, known = splits(*A), stats.ttest_rel(A, B)
    found = difference(first, Scores(blocks=dict(reversed(splits(*B).blocks.items()))), minimized=False)
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.method == "paired, 5 splits"


def test_folds_are_corrected_for_the_examples_that_they_share() -> None:
    """Nadeau and Bengio: the variance of the mean is that of a fold times 1 / k + 1 / (k - 1)."""
    differences = np.subtract(A, B)
    t = differences.mean() / (differences.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4))
    found = difference(folds(*A), folds(*B), minimized=False)
    assert found.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert found.method == "paired, 5 folds"


def test_repeats_of_a_fold_count_as_one_score() -> None:
    repeated = Scores(blocks={f"fold {n}": (value - 0.1, value + 0.1) for n, value in enumerate(A)}, folds=True)
    assert interval(repeated) == pytest.approx(interval(folds(*A)))


def test_rows_that_share_only_some_splits_are_not_paired() -> None:
    found = difference(splits(*A), Scores(blocks={"split 0": (0.9,), "split 7": (0.8,)}), minimized=False)
    assert found.method == "unpaired, 5 and 2 scores"


def test_one_score_gives_no_p_value() -> None:
    found = difference(seeds(0.9), seeds(*B), minimized=False)
    assert found.value == pytest.approx(0.0)
    assert (found.p, found.low, found.beats, found.method) == (None, None, None, "none")
    assert interval(seeds(0.9)) is None
    assert difference(Scores(blocks={}), seeds(*B), minimized=False).value is None


def test_the_same_scores_are_equal_and_scores_without_spread_tell_nothing() -> None:
    same = difference(folds(*A), folds(*A), minimized=False)
    assert (same.p, same.beats, same.low, same.high) == (1.0, 0.5, 0.0, 0.0)
    assert difference(splits(0.9, 0.9), splits(0.8, 0.8), minimized=False).p is None


def test_what_beats_depends_on_the_direction() -> None:
    up, down = (difference(splits(*A), splits(*B), minimized=minimized).beats for minimized in (False, True))
    assert up is not None
    assert down is not None
    assert up > 0.8
    assert up + down == pytest.approx(1.0)


def test_holm() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("method", METHODS)
def test_equal_methods_are_rarely_called_different_and_better_ones_often(method: str) -> None:
    """A small form of the benchmark: 300 comparisons, whose rates have a standard error of 1.3 percentage points."""
    found = rates(method, comparisons=300, seed=1)
    assert 0.02 * METHODS[method].exact <= found.equal <= 0.09
    assert found.power > 0.4


def test_studies_of_one_split_count_as_one_among_several_splits():
    alike = Scores(blocks={"a": (0.9, 0.92), "b": (0.8,)})
    assert alike.units == pytest.approx((0.91, 0.8))
    assert Scores(blocks={"a": (0.9, 0.92)}).units == (0.9, 0.92)
    assert Scores(blocks={"a": (0.9,), "b": (0.92,)}).units == (0.9, 0.92)


def test_every_metric_has_bounds_and_intervals_end_there():
    assert BOUNDS.keys() == METRICS.keys()
    assert possible("accuracy", 0.9, 1.1) == (0.9, 1.0)
    assert possible("rmse", -1.0, 3.0) == (0.0, 3.0)
    assert possible("own", -1.0, 3.0) == (-1.0, 3.0)
