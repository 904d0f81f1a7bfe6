"""How sure a mean and a difference of means are: intervals, p values and probabilities. Pure functions of scores.

All rest on Student's t. Folds of one cross-validation are not independent, because they share examples to train on:
their variance is corrected (Nadeau and Bengio 2003, Inference for the Generalization Error).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

CONFIDENCE = 0.95
"""Of all intervals."""
ALPHA = 0.05
"""A p value below this counts as significant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What one row of a comparison was measured to be, several times."""

    blocks: Mapping[str, tuple[float, ...]]
    """Scores by what two rows may share: the fold, or the split of the data. At least one score for each."""
    folds: bool = False
    """Whether the blocks are the folds of one cross-validation."""
    source: str = ""
    """What the scores are, a key of `hpo.reports.comparison.scores.SOURCES`."""

    @property
    def all(self) -> tuple[float, ...]:
        """Every score."""
        return tuple(value for values in self.blocks.values() for value in values)

    @property
    def units(self) -> tuple[float, ...]:
        """The scores that count as separate measurements: the means of folds, or of splits where studies share some,
        else all."""
        means = self.folds or self.clustered
        return tuple(fmean(values) for values in self.blocks.values()) if means else self.all

    @property
    def clustered(self) -> bool:
        """Whether there are several blocks, some with several scores, which have luck with their examples in common and
        are not independent."""
        return len(self.blocks) > 1 and len(self.all) > len(self.blocks)

    @property
    def mean(self) -> float | None:
        """None without scores."""
        return fmean(self.units) if self.units else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The difference of two rows, first minus second. What the scores do not tell is None."""

    value: float | None
    low: float | None = None
    """Of the 95 % interval."""
    high: float | None = None
    p: float | None = None
    """Two-sided: the probability of a difference at least as large where the rows are equally good."""
    beats: float | None = None
    """Probability that one new score of the first row is better than one of the second."""
    method: str = "none"
    """How it was computed, as `paired, 5 folds` or `unpaired, 5 and 8 scores`; `none` where a row has one score."""


def interval(scores: Scores) -> tuple[float, float] | None:
    """The 95 % interval of the mean; None where there are fewer than two separate scores."""
    values, mean = scores.units, scores.mean
    if len(values) < 2 or mean is None:
        return None
    reach = _quantile(len(values) - 1) * math.sqrt(variance(values) * _share(len(values), folds=scores.folds))
    return mean - reach, mean + reach


def difference(first: Scores, second: Scores, *, minimized: bool) -> Difference:
    """Compares two rows: over the blocks that they share where there are at least two, so that what the blocks have in
    common cancels out; else by Welch's test. `minimized`: less is better."""
    sign = -1.0 if minimized else 1.0
    shared = [block for block in first.blocks if block in second.blocks]
    fewer = min(len(first.blocks), len(second.blocks))
    if len(shared) == fewer >= 2 and first.folds == second.folds:
        return _paired([fmean(first.blocks[b]) - fmean(second.blocks[b]) for b in shared], first.folds, sign)
    return _unpaired(first, second, sign)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P values adjusted so that the chance of any false one among all is at most that of one alone (Holm 1979)."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def _paired(differences: Sequence[float], folds: bool, sign: float) -> Difference:
    count = len(differences)
    method = f"paired, {count} {'folds' if folds else 'splits'}"
    share = _share(count, folds=folds)
    of_one = variance(differences)
    return _told(fmean(differences), of_one * share, of_one * (1.0 + share), count - 1.0, sign, method)


def _unpaired(first: Scores, second: Scores, sign: float) -> Difference:
    a, b = first.units, second.units
    if not a or not b:
        return Difference(value=None)
    value = fmean(a) - fmean(b)
    if min(len(a), len(b)) < 2:
        return Difference(value=value)
    variances = [(variance(scores.units), len(scores.units)) for scores in (first, second)]
    errors = [v * _share(n, folds=of.folds) for (v, n), of in zip(variances, (first, second), strict=True)]
    total = math.fsum(errors)
    parts = math.fsum(error**2 / (n - 1) for error, (_, n) in zip(errors, variances, strict=True))
    freedom = total**2 / parts if parts else 1.0  # Welch and Satterthwaite
    method = f"unpaired, {len(a)} and {len(b)} {'folds' if first.folds and second.folds else 'scores'}"
    return _told(value, total, total + math.fsum(v for v, _ in variances), freedom, sign, method)


def _told(value: float, error: float, spread: float, freedom: float, sign: float, method: str) -> Difference:
    """`error`: variance of the difference of means; `spread`: of the difference of one new score each."""
    from scipy.special import stdtr  # scipy.stats takes ten times as long to import

    if value == 0.0 and error == 0.0:  # the same scores
        return Difference(value=0.0, low=0.0, high=0.0, p=1.0, beats=0.5, method=method)
    if error <= (1e-9 * value) ** 2:  # scores that differ by rounding alone have no spread to compare with
        return Difference(value=value)
    reach = _quantile(freedom) * math.sqrt(error)
    return Difference(
        value=value,
        low=value - reach,
        high=value + reach,
        p=2.0 * float(stdtr(freedom, -abs(value) / math.sqrt(error))),
        beats=float(stdtr(freedom, sign * value / math.sqrt(spread))),
        method=method,
    )


def _share(count: int, *, folds: bool) -> float:
    """The variance of a mean as a share of that of one score."""
    return 1.0 / count + (1.0 / (count - 1) if folds else 0.0)


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1.0 + CONFIDENCE) / 2.0))
