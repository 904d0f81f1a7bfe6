"""The rule by which an effect is judged. Pure functions of numbers.

An effect is measured once for each case (e.g. data set) and seed. Cases are fixed and count alike: the effect is the
mean of the cases' means. Its variance is that of the seeds within each case, and its degrees of freedom are those of
Welch and Satterthwaite, so that cases may differ in how much seeds scatter there. Arms share case and seed, and with
them the split of the data, so this is the paired t test where there is one case.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, variance
from typing import Literal

CONFIDENCE = 0.95
"""Of the intervals that are shown."""
LEAST_SEEDS = 3
"""Fewer seeds of a case decide nothing: their scatter is not known."""

Expectation = Literal["above", "not_below", "near"]
"""What a claim says of its effect: it matters (`above`); it is no loss that matters (`not_below`); it is no difference
that matters (`near`)."""


class Verdict(StrEnum):
    """What the measurements say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NEGLIGIBLE = "no difference that matters"
    """The claim says that there is an effect; if there is one, it is smaller than the smallest effect of interest."""
    UNDECIDED = "undecided"


OPPOSITE = {Verdict.SUPPORTED: Verdict.CONTRADICTED, Verdict.CONTRADICTED: Verdict.SUPPORTED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """An effect over cases and seeds."""

    value: float
    """Mean over the cases of their means over seeds."""
    error: float
    """Standard error; 0 where all seeds of each case agree, infinite where a case has one seed."""
    freedom: float
    """Degrees of freedom of the error."""
    seeds: int
    """Of the case with the fewest."""

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The two-sided interval of Student's t; infinite where the scatter is not known."""
        if not math.isfinite(self.error):
            return -math.inf, math.inf
        if self.error == 0.0:
            return self.value, self.value
        from scipy.special import stdtrit  # scipy.stats takes ten times as long to import

        reach = self.error * float(stdtrit(self.freedom, (1.0 + confidence) / 2.0))
        return self.value - reach, self.value + reach


def estimate(effects: Mapping[str, Sequence[float]]) -> Estimate | None:
    """The effect from its measurements by case, one for each seed; None where a case has none."""
    if not effects or not all(effects.values()):
        return None
    value = fmean(fmean(found) for found in effects.values())
    fewest = min(map(len, effects.values()))
    if fewest < 2:
        return Estimate(value=value, error=math.inf, freedom=0.0, seeds=fewest)
    parts = [(variance(found) / len(found), len(found) - 1) for found in effects.values()]
    total = math.fsum(part for part, _ in parts)
    if total <= (1e-9 * value) ** 2 * len(parts) ** 2:  # they differ by rounding alone
        return Estimate(value=value, error=0.0, freedom=math.inf, seeds=fewest)
    freedom = total**2 / math.fsum(part**2 / left for part, left in parts)
    return Estimate(value=value, error=math.sqrt(total) / len(parts), freedom=freedom, seeds=fewest)


def judge(found: Estimate | None, expectation: Expectation, by: float, level: float) -> Verdict:
    """The verdict on one effect. `by`: the smallest effect of interest, above 0; `level`: of the test, corrected for
    the number of effects that are judged together.

    The interval at confidence 1 - level decides. `above`: supported where it lies above 0 and the effect is at least
    `by`; contradicted where it lies below 0 and the effect is at most -`by`; no difference that matters where it lies
    between -`by` and `by`. `not_below`: supported where it lies above -`by`; contradicted as for `above`. `near`:
    supported where it lies between -`by` and `by`; contradicted where it excludes 0 and the effect is `by` or more,
    either way. Else undecided, as with fewer than three seeds.
    """
    if found is None or found.seeds < LEAST_SEEDS:
        return Verdict.UNDECIDED
    low, high = found.interval(1.0 - level)
    above = low > 0.0 and found.value >= by
    below = high < 0.0 and found.value <= -by
    within = -by < low and high < by
    if expectation == "above":
        outcomes = {Verdict.SUPPORTED: above, Verdict.CONTRADICTED: below, Verdict.NEGLIGIBLE: within}
    elif expectation == "not_below":
        outcomes = {Verdict.SUPPORTED: low > -by, Verdict.CONTRADICTED: below}
    else:
        outcomes = {Verdict.SUPPORTED: within, Verdict.CONTRADICTED: above or below}
    return next((verdict for verdict, holds in outcomes.items() if holds), Verdict.UNDECIDED)


def judge_cases(
    effects: Mapping[str, Sequence[float]], expectation: Expectation, by: float, level: float
) -> tuple[Verdict, str]:
    """The verdict on an effect from its measurements by case, and why it is undecided, else an empty text. Where a case
    alone says the opposite, corrected for the number of cases, the cases disagree and nothing is decided."""
    found = estimate(effects)
    verdict = judge(found, expectation, by, level)
    if found is None:
        return verdict, "nothing was measured"
    if found.seeds < LEAST_SEEDS:
        return verdict, f"fewer than {LEAST_SEEDS} seeds"
    opposite = OPPOSITE.get(verdict)
    for case, values in effects.items():
        if opposite and judge(estimate({case: values}), expectation, by, level / len(effects)) is opposite:
            return Verdict.UNDECIDED, f"the cases disagree: {case} alone is {opposite}"
    return verdict, "the interval is too wide" if verdict is Verdict.UNDECIDED else ""


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim that says several things: contradicted where one is; supported where all are; no
    difference that matters where that is all that keeps it from being supported; else undecided."""
    found = set(verdicts)
    if Verdict.CONTRADICTED in found:
        return Verdict.CONTRADICTED
    if Verdict.UNDECIDED in found or not found:
        return Verdict.UNDECIDED
    return Verdict.NEGLIGIBLE if Verdict.NEGLIGIBLE in found else Verdict.SUPPORTED


def corrected(alpha: float, family: int, effects: int) -> float:
    """The level of one test, so that the chance of any false verdict among all questions of a family is at most `alpha`
    (Bonferroni): questions times effects of this one."""
    return alpha / (family * effects)
