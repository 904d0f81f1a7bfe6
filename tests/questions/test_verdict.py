"""The rule of verdicts, by simulation: what is called supported or contradicted where there is nothing, an effect, its
reverse, or one too small to matter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpo.questions.verdict import Expectation, Verdict, corrected, estimate, judge, judge_cases, together

LEVEL = corrected(0.05, 20, 1)
BY = 0.01
SILENT = {Verdict.UNDECIDED, Verdict.NEGLIGIBLE}


def simulated(
    effect: float,
    expectation: Expectation,
    *,
    seeds: int = 6,
    spread: float = 0.005,
    digits: int = 9,
    level: float = LEVEL,
) -> list[Verdict]:
    """The verdicts of 200 questions with two cases, of which one scatters three times as much."""
    draw = np.random.default_rng(round(1e6 * abs(effect)) + seeds + digits)
    found = []
    for _ in range(200):
        by_case = {
            name: np.round(effect + scale * spread * draw.standard_t(5, seeds), digits).tolist()
            for name, scale in (("calm", 1.0), ("wild", 3.0))
        }
        found.append(judge_cases(by_case, expectation, BY, level)[0])
    return found


@pytest.mark.parametrize("digits", [9, 2])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_without_an_effect_nothing_is_decided(seeds: int, digits: int) -> None:
    """Also of scores that are rounded so far that seeds often agree."""
    found = simulated(0.0, "above", seeds=seeds, digits=digits)
    assert sum(verdict in SILENT for verdict in found) >= 190


def test_a_difference_at_the_margin_is_not_called_none() -> None:
    """Of claims that there is no difference, or no loss, the null is one that just matters."""
    for expectation, effect in (("near", BY), ("near", -BY), ("not_below", -BY)):
        found = simulated(effect, expectation)
        assert sum(verdict is Verdict.SUPPORTED for verdict in found) <= 10


def test_a_clear_effect_is_supported_and_its_reverse_contradicted() -> None:
    for expectation in ("above", "not_below"):
        assert set(simulated(0.05, expectation, seeds=8)) == {Verdict.SUPPORTED}
        assert set(simulated(-0.05, expectation, seeds=8)) == {Verdict.CONTRADICTED}
    assert set(simulated(0.05, "near", seeds=8)) == {Verdict.CONTRADICTED}


def test_an_effect_too_small_to_matter_does_not_support() -> None:
    found = simulated(0.2 * BY, "above", seeds=30, spread=0.001)
    assert set(found) == {Verdict.NEGLIGIBLE}
    assert set(simulated(0.2 * BY, "near", seeds=30, spread=0.001)) == {Verdict.SUPPORTED}
    assert set(simulated(-0.2 * BY, "not_below", seeds=30, spread=0.001)) == {Verdict.SUPPORTED}


def test_fewer_than_three_seeds_decide_nothing() -> None:
    verdict, reason = judge_cases({"one": [0.5, 0.5]}, "above", BY, 0.05)
    assert (verdict, reason) == (Verdict.UNDECIDED, "fewer than 3 seeds")
    assert judge_cases({"one": [0.5] * 3, "none": []}, "above", BY, 0.05)[1] == "nothing was measured"


def test_seeds_that_agree_leave_no_doubt() -> None:
    assert judge_cases({"one": [1.0, 1.0, 1.0]}, "above", BY, LEVEL)[0] is Verdict.SUPPORTED
    assert judge_cases({"one": [0.0, 0.0, 0.0]}, "above", BY, LEVEL)[0] is Verdict.NEGLIGIBLE


def test_cases_that_disagree_decide_nothing() -> None:
    found = {"for": [0.30, 0.31, 0.29, 0.30], "against": [-0.10, -0.11, -0.09, -0.10]}
    assert judge(estimate(found), "above", BY, LEVEL) is Verdict.SUPPORTED
    verdict, reason = judge_cases(found, "above", BY, LEVEL)
    assert verdict is Verdict.UNDECIDED
    assert reason == "the cases disagree: against alone is contradicted"


def test_the_estimate_is_a_paired_t_test_where_there_is_one_case() -> None:
    from scipy.stats import ttest_1samp

    values = [0.1, 0.3, -0.05, 0.2, 0.15]
    found = estimate({"one": values})
    wanted = ttest_1samp(values, 0.0)
    assert found is not None
    assert found.value / found.error == pytest.approx(wanted.statistic)
    assert found.interval() == pytest.approx(tuple(wanted.confidence_interval()))


def test_cases_count_alike_whatever_their_seeds() -> None:
    found = estimate({"few": [0.0, 0.2], "many": [0.9, 1.1] * 10})
    assert found is not None
    assert found.value == pytest.approx(0.55)
    assert found.seeds == 2
    alone = estimate({"few": [0.1], "many": [1.0, 1.0]})
    assert alone is not None
    assert alone.interval() == (-math.inf, math.inf)


def test_a_claim_of_several_effects() -> None:
    yes, no, none, unknown = Verdict.SUPPORTED, Verdict.CONTRADICTED, Verdict.NEGLIGIBLE, Verdict.UNDECIDED
    assert together([yes, yes]) is yes
    assert together([yes, none]) is none
    assert together([yes, unknown, none]) is unknown
    assert together([yes, unknown, no]) is no
    assert together([]) is unknown
