"""What two parameters explain together, beyond what each explains by itself.

A pair's effect is the product of two curves (of up to DEGREE, or of levels of options) without what either parameter
explains alone, among the trials that have both. It is fitted to what the additive model of `effects` leaves. Only pairs
that stand out from chance, counted over all pairs that were tried, are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.reports.importance.effects import (
    TRIALS_A_TERM,
    Array,
    Block,
    Explained,
    Fit,
    orthonormal,
    share_of,
    terms_of,
)

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow

DEGREE = 2
MOST_PARAMETERS = 16
"""Parameters whose pairs are tried, those that explain most by themselves first."""
MOST_PAIRS = 6
CHANCE = 0.05
"""Probability that any pair is told where none has an effect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two parameters that explain something together."""

    names: tuple[str, str]
    trials: int
    """Trials that have both."""
    explained: Explained


def pairs_of(trials: Sequence[TrialRow], of: Fit, names: Sequence[str], resampled: Array) -> list[Pair]:
    """The pairs among the parameters `names` that stand out from chance, largest share first. `trials` in the order of
    `of`; `resampled` as `Fit.resampled` gives it."""
    from scipy.special import fdtrc

    blocks = {block.name: block for block in of.blocks if block.name in names}
    curves = {name: _curve(trials, block) for name, block in blocks.items()}
    found: list[tuple[float, tuple[str, str], int, Array]] = []
    tried = 0
    for first, second in combinations(blocks, 2):
        rows = blocks[first].rows & blocks[second].rows
        terms = _terms(rows, curves[first], curves[second], blocks[first], blocks[second])
        if terms is None:
            continue
        tried += 1
        count, size = terms.shape
        coefficients = terms.T @ of.rests[rows] / count
        ratio = count * float(coefficients @ coefficients) / size / max(of.noise, 1e-300)
        chance = float(fdtrc(size, max(1.0, of.freedom - size), ratio))
        wide = np.zeros((len(rows), size))
        wide[rows] = terms
        found.append((chance, (first, second), count, wide))
    told = [
        Pair(names=pair, trials=count, explained=share_of(_operator(wide, count, of), count, of, resampled))
        for chance, pair, count, wide in found
        if chance * tried <= CHANCE
    ]
    told.sort(key=lambda pair: (-pair.explained.share, pair.names))
    return told[:MOST_PAIRS]


def _operator(terms: Array, count: int, of: Fit) -> Array:
    """Shape [terms, trials]: standings -> coefficients of a pair's terms in what the model leaves."""
    return (terms.T - terms.T @ of.terms @ of.solver) / count


def _curve(trials: Sequence[TrialRow], block: Block) -> Array | None:
    """The terms of a parameter in its pairs, shape [trials that have it, terms]."""
    values: list[Any] = [trial.params[block.name] for trial in trials if block.name in trial.params]
    return terms_of(values, DEGREE)


def _terms(rows: Any, first: Array | None, second: Array | None, one: Block, other: Block) -> Array | None:
    """Terms of the two together, shape [trials that have both, terms], uncorrelated with the terms of each."""
    if first is None or second is None:
        return None
    one_terms, other_terms = first[rows[one.rows]], second[rows[other.rows]]
    count = int(rows.sum())
    if count < TRIALS_A_TERM * one_terms.shape[1] * other_terms.shape[1]:
        return None
    products = (one_terms[:, :, None] * other_terms[:, None, :]).reshape(count, -1)
    alone = np.hstack([np.ones((count, 1)), one.terms[rows], other.terms[rows]])
    left = products - alone @ np.linalg.lstsq(alone, products, rcond=None)[0]
    return orthonormal(left)
