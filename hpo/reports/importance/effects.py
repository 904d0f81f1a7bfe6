"""How much of the differences in standing each parameter explains by itself: an additive model of all parameters.

A parameter's effect is a curve over its values: a polynomial of up to DEGREE in the order of a number's values, or one
level for each option of a choice. A parameter that only some trials have has an effect among these alone, around their
mean; what sets them apart from the others belongs to the choice that gives them the parameter.

All effects are fitted together by ridge regression, each shrunk as much as its own size asks for. Then each is fitted
once more without shrinking to what the others leave. So a parameter gets no credit for what a sampler did to another
one at the same time, and the estimate of an effect is not drawn towards 0.

The error of an effect comes from a bootstrap over trials (of the trials' influence on it, which needs no new fits). The
interval has all sizes of the effect under which an estimate as large, and one as small, is not rarer than 2.5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow

Array = NDArray[np.floating[Any]]

DEGREE = 4
"""Highest degree of an effect's polynomial."""
TRIALS_A_TERM = 8
"""Fewest trials that each term of an effect is fitted to."""
FEWEST_OF_OPTION = 3
"""Options that fewer trials have are taken together."""
RESAMPLES, FEWEST_RESAMPLES = 1000, 200
MOST_NUMBERS = 4_000_000
"""Numbers that the resamples of all trials together have, so that memory stays small."""
ROUNDS = 3
"""Fits, each with the shrinking that follows from the effects of the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """The terms of one parameter's effect."""

    name: str
    rows: NDArray[np.bool_]
    """Shape [trials]: those that have the parameter."""
    terms: Array
    """Shape [trials, terms]: 0 for trials without the parameter; else with mean 0, mean square 1 and no correlation
    among `rows`."""

    @property
    def count(self) -> int:
        """Trials that have the parameter."""
        return int(self.rows.sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """The share of the variance of standings that an effect explains."""

    share: float
    low: float
    high: float
    """Bounds of the 95 % interval."""
    chance: float
    """Probability that without an effect, as much would be found."""


def standings(sizes: Sequence[int]) -> Array:
    """The standing of each trial, shape [trials], given the sizes of the tiers, worst first: the share of trials that
    it beats, those of its own tier counted half."""
    total = sum(sizes)
    starts = np.cumsum([0, *sizes[:-1]])
    return np.repeat((starts + np.asarray(sizes) / 2) / total, sizes)


def block(trials: Sequence[TrialRow], name: str) -> Block | None:
    """The terms of a parameter's effect; None if it did not vary, or too few trials have it."""
    rows = np.array([name in trial.params for trial in trials])
    found: list[Array] = []
    places: dict[int, list[int]] = {}
    kinds: dict[int, Any] = {}  # most trials share one object, and comparing objects takes long
    for i, trial in enumerate(trials):
        if name in trial.params:
            kinds[id(trial.distributions[name])] = trial.distributions[name]
            places.setdefault(id(trial.distributions[name]), []).append(i)
    for distribution in dict.fromkeys(kinds.values()):
        among = sorted(i for key, ones in places.items() if kinds[key] == distribution for i in ones)
        terms = terms_of([trials[i].params[name] for i in among])
        if terms is not None:
            wide = np.zeros((len(trials), terms.shape[1]))
            wide[among] = terms
            found.append(wide)
    if not found:
        return None
    terms = np.hstack(found)
    return Block(name=name, rows=rows, terms=terms * np.sqrt(rows.sum() / (terms**2).sum(axis=0)))


def is_numeric(values: Sequence[Any]) -> bool:
    """Whether all values are numbers, not booleans."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def terms_of(values: Sequence[Any], degree: int = DEGREE) -> Array | None:
    """Columns with mean 0, mean square 1 and no correlation, shape [values, terms]."""
    distinct = len(set(map(repr, values)))
    most = min(degree, distinct - 1, len(values) // TRIALS_A_TERM)
    if most < 1:
        return None
    if is_numeric(values) and distinct > most + 1:
        _, codes, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
        place = (np.cumsum(counts) - counts / 2)[codes] / len(values)
        raw = np.polynomial.legendre.legvander(2 * place - 1, most)[:, 1:]
    else:
        options, codes, counts = np.unique(list(map(repr, values)), return_inverse=True, return_counts=True)
        codes = np.where(counts[codes] < FEWEST_OF_OPTION, len(options), codes)
        kept = np.unique(codes)
        raw = (codes[:, None] == kept[None, 1:]).astype(float)
    return orthonormal(raw)


def orthonormal(raw: Array) -> Array | None:
    """The same space of columns around their means, each with mean square 1 and no correlation; None if it is empty."""
    centred = raw - raw.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    kept = left[:, sizes > 1e-8 * max(1.0, float(sizes.max(initial=0.0)))]
    return kept * np.sqrt(len(raw)) if kept.shape[1] else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The additive model of all parameters."""

    blocks: tuple[Block, ...]
    terms: Array
    """Shape [trials, all terms]."""
    owners: NDArray[np.intp]
    """Shape [all terms]: the block of each."""
    centred: Array
    """Shape [trials]: standings around their mean."""
    solver: Array
    """Shape [all terms, trials]: standings -> shrunken coefficients."""
    operator: Array
    """Shape [all terms, trials]: standings -> unshrunken coefficients."""
    leverage: Array
    """Shape [trials]: share of a trial's own standing in what the model says of it."""

    @property
    def rests(self) -> Array:
        """Shape [trials]: what the model leaves of the standings."""
        return self.centred - self.terms @ (self.solver @ self.centred)

    @property
    def freedom(self) -> float:
        """Degrees of freedom that the model leaves."""
        return max(1.0, len(self.centred) - float(self.leverage.sum()))

    @property
    def noise(self) -> float:
        """Variance of standings that the model does not explain."""
        return float((self.rests**2).sum()) / self.freedom

    def resampled(self) -> Array:
        """How often each trial is drawn more than once, shape [resamples, trials]; the same each time."""
        count = len(self.centred)
        times = max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_NUMBERS // count))
        drawn = np.random.default_rng(0).integers(0, count, (times, count))
        drawn += count * np.arange(times)[:, None]
        return np.bincount(drawn.ravel(), minlength=times * count).reshape(times, count) - 1.0


def fit(blocks: Sequence[Block], standing: Array) -> Fit:
    """Fit the effects of all parameters together. `standing`: shape [trials]."""
    terms = np.hstack([one.terms for one in blocks])
    owners = np.repeat(np.arange(len(blocks)), [one.terms.shape[1] for one in blocks])
    counts = np.array([one.count for one in blocks], float)[owners]
    centred = standing - standing.mean()
    least = 1e-3 * float((centred**2).mean())
    products = terms.T @ terms
    penalty = np.full(len(owners), float(len(owners)))
    for _ in range(ROUNDS):
        solver = np.linalg.solve(products + np.diag(penalty), terms.T)
        found = Fit(
            blocks=tuple(blocks),
            terms=terms,
            owners=owners,
            centred=centred,
            solver=solver,
            # The terms of one parameter are not correlated: its own shrunken part is added back as it is.
            operator=(terms.T - products @ solver) / counts[:, None] + solver,
            leverage=np.einsum("np,pn->n", terms, solver) + 1 / len(standing),
        )
        coefficients = found.operator @ centred
        for index, one in enumerate(blocks):
            mine = owners == index
            size = float((coefficients[mine] ** 2).mean()) - found.noise / one.count
            penalty[mine] = found.noise / max(size, least / mine.sum())
    return found


def explained(of: Fit, index: int, resampled: Array) -> Explained:
    """What the parameter of a block explains; `resampled` as `Fit.resampled` gives it."""
    return share_of(of.operator[of.owners == index], of.blocks[index].count, of, resampled)


def share_of(operator: Array, count: int, of: Fit, resampled: Array) -> Explained:
    """The variance among `count` trials that terms explain, as a share of the variance over all trials. `operator`:
    shape [terms, trials], standings -> coefficients."""
    from scipy.special import stdtrit  # scipy.stats takes ten times as long to import

    coefficients = operator @ of.centred
    # Divided by 1 - leverage, what is left of a trial is as if the model had not been fitted to it.
    errors = resampled @ (operator * (of.rests / np.maximum(1.0 - of.leverage, 0.1))).T
    errors *= stdtrit(of.freedom, 0.975) / stdtrit(np.inf, 0.975)
    square = float(coefficients @ coefficients)
    along = errors @ coefficients / (np.sqrt(square) or 1.0)
    norms = (errors**2).sum(axis=1)
    under = along**2 + square - norms
    sizes = np.where(under > 0.0, np.maximum(np.sqrt(np.maximum(under, 0.0)) - along, 0.0) ** 2, 0.0)
    low, high = np.quantile(sizes, (0.025, 0.975))
    scale = count / len(of.centred) / float((of.centred**2).mean())
    return Explained(
        share=min(1.0, scale * max(0.0, square - float(norms.mean()))),
        low=min(1.0, scale * float(low)),
        high=min(1.0, scale * float(high)),
        chance=float((1 + (norms >= square).sum()) / (1 + len(norms))),
    )
