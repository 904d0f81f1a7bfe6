"""Draws parts of rows that must stay together: each unit, the rows of a group or those with the same features, goes to
one part. Classes are balanced as well as the units allow.

Units of several rows are dealt out, the largest first, each to the part where it brings the counts nearest to their
shares; single rows then fill up what is lacking. A few units are also exchanged while that improves the balance.

Dimensions: N rows, U units, G strata, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.parts.strata import IndexArray

FEW = 200
"""Up to so many units are exchanged after they were dealt out."""
TRIES = 5
"""Draws of which the best is taken where there are very few units, or a stratum has not reached every part."""
VERY_FEW = 50
"""Units of which single draws often miss the best balance."""
LACK = 1e9
"""What a stratum costs that lacks a unit in a part: more than any imbalance."""


def units_of(*ids: IndexArray) -> IndexArray:
    """[N] The unit of each row, named by the position of its first row: rows that are alike in any of the ids, directly
    or through other rows, are of one unit."""
    if len(ids) == 1:
        _, first_U, unit_N = np.unique(ids[0], return_index=True, return_inverse=True)
        return np.asarray(first_U[unit_N], np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(ids[0])
    codes = [np.unique(id_N, return_inverse=True)[1] for id_N in ids]
    starts = size + np.cumsum([0, *(int(code_N.max()) + 1 for code_N in codes)])
    nodes = np.concatenate([code_N + start for code_N, start in zip(codes, starts, strict=False)])
    rows = np.tile(np.arange(size), len(ids))
    graph = coo_array((np.ones(len(rows), np.int8), (rows, nodes)), shape=(int(starts[-1]),) * 2)
    _, first_U, unit_N = np.unique(
        connected_components(graph, directed=False)[1][:size], return_index=True, return_inverse=True
    )
    return np.asarray(first_U[unit_N], np.int64)


def draw_together(
    unit_N: IndexArray, stratum_N: IndexArray, shares: Sequence[float], least: Sequence[int], seed: int
) -> tuple[IndexArray, IndexArray]:
    """[N] The part of each row, and the strata that are not in every part, most often none.

    `shares`: of each part, in all 1; `least`: units of each stratum that each part needs, so that it can be divided
    further. A pure function of its arguments.
    """
    units, unit_N = np.unique(unit_N, return_inverse=True)
    counts_UG = np.zeros((len(units), int(stratum_N.max()) + 1))
    np.add.at(counts_UG, (unit_N, stratum_N), 1)
    counts_UG = counts_UG[:, counts_UG.any(axis=0)]
    best: tuple[float, IndexArray, IndexArray] | None = None
    for attempt in range(TRIES):
        dealt = _Deal.of(counts_UG, np.asarray(shares), np.asarray(least), np.random.default_rng([seed, attempt]))
        lacking = np.unique(stratum_N)[dealt.lacking_PG.any(axis=0)]
        if best is None or dealt.cost < best[0]:
            best = dealt.cost, dealt.part_U[unit_N], lacking
        if not len(lacking) and len(units) > VERY_FEW:
            break
    assert best is not None
    return best[1], best[2]


@dataclass(kw_only=True, slots=True)
class _Deal:
    """Units as they are dealt out to parts."""

    counts_UG: NDArray[np.float64]
    """Rows of each stratum; the last column has those of all."""
    target_PG: NDArray[np.float64]
    """Rows that each part should have."""
    least_P: IndexArray
    part_U: IndexArray
    """-1 while a unit is not dealt out."""
    held_PG: NDArray[np.float64]
    """Rows that each part has."""
    units_PG: NDArray[np.float64]
    """Units with rows of each stratum that each part has."""

    @classmethod
    def of(
        cls, counts_UG: NDArray[np.float64], share_P: NDArray[np.float64], least_P: IndexArray, rng: np.random.Generator
    ) -> _Deal:
        """Deals all units out."""
        size_U = counts_UG.sum(axis=1)
        counts_UG = np.column_stack([counts_UG, size_U])
        target_PG = share_P[:, None] * counts_UG.sum(axis=0)
        empty = np.zeros_like(target_PG)
        deal = cls(
            counts_UG=counts_UG,
            target_PG=target_PG,
            least_P=least_P,
            part_U=np.full(len(counts_UG), -1),
            held_PG=empty.copy(),
            units_PG=empty.copy(),
        )
        order = rng.permutation(len(size_U))
        order = order[np.argsort(-size_U[order], kind="stable")]
        several = int((size_U > 1).sum())
        for unit in order[:several].tolist():
            deal.put(unit, int(deal.change_P(unit).argmin()))
        deal.fill(order[several:])
        deal.improve(rng)
        return deal

    @property
    def lacking_PG(self) -> NDArray[np.bool_]:
        """Whether a part lacks units of a stratum."""
        return self.units_PG[:, :-1] < self.least_P[:, None]

    @property
    def cost(self) -> float:
        """How far the counts are from their shares, and what strata cost that lack a unit."""
        return float(self._cost_of(self.held_PG, self.units_PG, np.arange(len(self.least_P))).sum())

    def put(self, unit: int, part: int) -> None:
        """Moves a unit to a part, from the one where it is; -1: to none."""
        for place, sign in ((int(self.part_U[unit]), -1), (part, 1)):
            if place >= 0:
                self.held_PG[place] += sign * self.counts_UG[unit]
                self.units_PG[place] += sign * (self.counts_UG[unit] > 0)
        self.part_U[unit] = part

    def change_P(self, unit: int) -> NDArray[np.float64]:
        """What the imbalance grows by where the unit is put into each part."""
        rows_G = self.counts_UG[unit]
        change: NDArray[np.float64] = (rows_G * (rows_G + 2 * (self.held_PG - self.target_PG)) / self.target_PG).sum(
            axis=1
        )
        return change

    def fill(self, singles: IndexArray) -> None:
        """Deals out units of one row: of each stratum as many to a part as it lacks, then the remainders."""
        stratum_S = self.counts_UG[singles, :-1].argmax(axis=1)
        remainders: list[int] = []
        for stratum in np.unique(stratum_S):
            members = singles[stratum_S == stratum]
            lack_P = np.maximum(self.target_PG[:, stratum] - self.held_PG[:, stratum], 0.0)
            total = lack_P.sum()
            quota_P = np.floor(lack_P * min(1.0, len(members) / total) + 1e-9).astype(int) if total else lack_P * 0
            ends = np.cumsum(quota_P).astype(int)
            for part, chosen in enumerate(np.split(members[: ends[-1]], ends[:-1])):
                self.part_U[chosen] = part
                self.held_PG[part] += self.counts_UG[chosen].sum(axis=0)
                self.units_PG[part] += self.counts_UG[chosen].sum(axis=0)
            remainders += members[ends[-1] :].tolist()
        for unit in remainders:
            self.put(unit, int(self.change_P(unit).argmin()))

    def improve(self, rng: np.random.Generator) -> None:
        """Moves and exchanges units while that lowers the cost: few units, or those of strata that lack some."""
        few = len(self.part_U) <= FEW
        if not few and not self.lacking_PG.any():
            return
        for _ in range(TRIES):
            before = self.cost
            units = rng.permutation(len(self.part_U))
            for unit in (units if few else self._holders(units)).tolist():
                self._best_move(unit)
                if few:
                    self._best_exchange(unit)
            if self.cost >= before - 1e-9:
                return

    def _holders(self, units: IndexArray) -> IndexArray:
        lacking_G = self.lacking_PG.any(axis=0)
        return units[(self.counts_UG[units, :-1] > 0)[:, lacking_G].any(axis=1)][: 10 * FEW]

    def _best_move(self, unit: int) -> None:
        """Moves the unit to the part where it lowers the cost most, if it does in any."""
        home = int(self.part_U[unit])
        costs = []
        for part in range(len(self.least_P)):
            self.put(unit, part)
            costs.append(self.cost + 1e-9 * (part != home))
        self.put(unit, int(np.argmin(costs)))

    def _best_exchange(self, first: int) -> None:
        """Exchanges the unit with the one of another part that lowers the cost most, if any does."""
        home = int(self.part_U[first])
        others = np.flatnonzero(self.part_U != home)
        if not len(others):
            return
        away = self.part_U[others]
        rows = self.counts_UG[others] - self.counts_UG[first]
        units = (self.counts_UG[others] > 0).astype(float) - (self.counts_UG[first] > 0)
        change = np.zeros(len(others))
        for part, sign in ((np.full(len(others), home), 1), (away, -1)):
            held, had = self.held_PG[part], self.units_PG[part]
            after = self._cost_of(held + sign * rows, had + sign * units, part)
            change += after - self._cost_of(held, had, part)
        best = int(change.argmin())
        if change[best] < -1e-9:
            other = int(away[best])
            self.put(first, other)
            self.put(int(others[best]), home)

    def _cost_of(self, held: NDArray[np.float64], units: NDArray[np.float64], part: IndexArray) -> NDArray[np.float64]:
        """What parts cost that hold these rows and units of each stratum."""
        target = self.target_PG[part]
        lacking = np.maximum(self.least_P[part, None] - units[:, :-1], 0)
        cost: NDArray[np.float64] = ((held - target) ** 2 / target).sum(axis=1) + LACK * lacking.sum(axis=1)
        return cost
