"""The decisions of an explanation: which configurations between the default one and the winner are trained, with how
many seeds, and what follows from their values. Pure functions; the training is in `hpo.runtime.explanation`, the method
in docs/explain.md.

The changes from the default configuration to the winner are numbered from 0 by importance. A configuration is named by
the set of changes that it has: the empty set is the default one, the full set the winner. Values have the sign that
makes more better. Repeats of the same number have the same seeds in all configurations, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from hpo.conclusions import Interval
from hpo.conclusions.explanation import Verdict
from hpo.search.explanation.paired import Values, difference, filled, interval_of, is_worse, lost, uncertain
from hpo.search.explanation.plan import FIRST, SCOUT, Plan, Taken, Wanted

MOST_PAIRED = 3
"""Steps whose pairs are tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairOutcome:
    """Two steps, alone and together, from the default configuration."""

    first: Taken
    second: Taken
    alone: tuple[Interval, Interval]
    both: Interval
    interaction: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutcome:
    """One step: what it changes, what it gains, and what setting it back does to the winner."""

    changes: Taken
    after: Taken
    """The configuration after the step."""
    gain: Interval
    verdict: Verdict
    loss: Interval | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What follows from all values."""

    steps: tuple[StepOutcome, ...]
    gain: Interval
    """The winner less the default configuration."""
    pairs: tuple[PairOutcome, ...]
    """The strongest interaction first."""
    simpler: Taken
    loss: Interval
    """The winner less the simpler configuration."""
    means: Mapping[Taken, Interval]
    """Of every measured configuration."""
    lost: Mapping[Taken, int]
    """Repeats of each that diverged or failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Trainings that are done at once."""

    what: str
    """What they are for, in words."""
    wanted: tuple[Wanted, ...]


class _Missing(Exception):
    def __init__(self, round: Round) -> None:
        self.round = round


def proceed(
    plan: Plan, values: Mapping[Taken, Mapping[int, float | None]], possible: Callable[[Taken], bool]
) -> Round | Outcome:
    """The next trainings, or what follows from all of them. `values`: of the repeats of each configuration, by their
    number; None for one that diverged or failed. `possible`: whether a configuration does not contradict itself."""
    try:
        return _Explained(plan, values, possible).outcome()
    except _Missing as missing:
        return missing.round


class _Explained:
    """Goes through an explanation from its beginning; `_Missing` is raised where values are missing. Each decision
    depends on the values of its own round and of those before, so that it is the same whenever it is taken again."""

    def __init__(
        self, plan: Plan, values: Mapping[Taken, Mapping[int, float | None]], possible: Callable[[Taken], bool]
    ) -> None:
        self.plan = plan
        self.values = values
        self.possible = possible
        self.repeats = range(FIRST, FIRST + plan.seeds)

    def outcome(self) -> Outcome:
        order = self._order()
        ladder = [frozenset[int]().union(*order[:place]) for place in range(len(order) + 1)]
        self._measure("the steps", ladder)
        paired = self._pairs(order, ladder) if self.plan.pairs else []
        verdicts, simpler = self._backwards(order, ladder)
        return self._concluded(order, ladder, paired, verdicts, simpler)

    def _order(self) -> list[Taken]:
        """The units in the order of the steps: at each step the best of those tried."""
        left, taken, order = list(self.plan.units), frozenset[int](), list[Taken]()
        while left:
            able = [unit for unit in left if self.possible(taken | unit)][: self.plan.width]
            if len(able) > 1:
                self._need(f"the order, step {len(order) + 1}", [taken | unit for unit in able], [SCOUT])
            elif not able:  # none of them can be made without another
                able = [frozenset[int]().union(*left)]
            best = max(able, key=lambda unit: self._scouted(taken | unit)) if len(able) > 1 else able[0]
            order.append(best)
            taken |= best
            left = [unit for unit in left if not unit <= best]
        return order

    def _scouted(self, taken: Taken) -> float:
        value = self.values[taken][SCOUT]
        return -math.inf if value is None else value

    def _pairs(self, order: Sequence[Taken], ladder: Sequence[Taken]) -> list[tuple[Taken, Taken]]:
        worst = self._worst(ladder)
        gains = {unit: self._gain(ladder[i], ladder[i + 1], worst).mean for i, unit in enumerate(order)}
        leading = sorted(order, key=lambda unit: -gains[unit])[:MOST_PAIRED]
        pairs = [
            (first, second)
            for first, second in combinations(leading, 2)
            if all(map(self.possible, (first, second, first | second)))
        ]
        self._measure("the pairs", [taken for a, b in pairs for taken in (a, b, a | b)])
        return pairs

    def _backwards(
        self, order: Sequence[Taken], ladder: Sequence[Taken]
    ) -> tuple[dict[Taken, tuple[Verdict, Taken]], Taken]:
        """For each unit the verdict and the configuration that was tried without it, and what is left of the winner:
        from the last step to the first one, each is set back unless that is worse than the winner."""
        winner = kept = ladder[-1]
        found: dict[Taken, tuple[Verdict, Taken]] = {}
        left = self.plan.backwards
        for unit in reversed(order):
            without = kept - unit
            if not self.possible(without):
                continue
            if without not in ladder:
                if left == 0:
                    continue
                left -= 1
            self._measure("setting changes back", [without])
            repeats, best = self._repeats(without), self._repeats(winner)
            if not is_worse(repeats, best) and not uncertain(repeats, best):
                found[unit] = "set back", without
                kept = without
            else:
                # What was set back before may have cost something that is within noise: it is not this unit's.
                found[unit] = "mattered" if is_worse(repeats, self._repeats(kept)) else "uncertain", without
        return found, kept

    def _concluded(
        self,
        order: Sequence[Taken],
        ladder: Sequence[Taken],
        paired: Sequence[tuple[Taken, Taken]],
        verdicts: Mapping[Taken, tuple[Verdict, Taken]],
        simpler: Taken,
    ) -> Outcome:
        tried = {without for _, without in verdicts.values()}
        alone = {taken for a, b in paired for taken in (a, b, a | b)}
        worst = self._worst({*ladder, *tried, *alone})
        steps = []
        for place, unit in enumerate(order):
            verdict: Verdict
            verdict, without = verdicts.get(unit, ("untried", None))
            steps.append(
                StepOutcome(
                    changes=unit,
                    after=ladder[place + 1],
                    gain=self._gain(ladder[place], ladder[place + 1], worst),
                    verdict=verdict,
                    loss=None if without is None else self._gain(without, ladder[-1], worst),
                )
            )
        pairs = [self._pair(first, second, worst) for first, second in paired]
        shown = {*ladder, simpler}
        return Outcome(
            steps=tuple(steps),
            gain=self._gain(ladder[0], ladder[-1], worst),
            pairs=tuple(sorted(pairs, key=lambda pair: -abs(pair.interaction.mean))),
            simpler=simpler,
            loss=self._gain(simpler, ladder[-1], worst),
            means={taken: interval_of(filled(self._repeats(taken), worst)) for taken in shown},
            lost={taken: lost(self._repeats(taken)) for taken in shown},
        )

    def _pair(self, first: Taken, second: Taken, worst: float) -> PairOutcome:
        configurations = (frozenset[int](), first, second, first | second)
        none, one, other, both = (filled(self._repeats(taken), worst) for taken in configurations)
        return PairOutcome(
            first=first,
            second=second,
            alone=(difference(one, none), difference(other, none)),
            both=difference(both, none),
            interaction=interval_of([d - b - c + a for a, b, c, d in zip(none, one, other, both, strict=True)]),
        )

    def _gain(self, before: Taken, after: Taken, worst: float) -> Interval:
        return difference(filled(self._repeats(after), worst), filled(self._repeats(before), worst))

    def _repeats(self, taken: Taken) -> Values:
        known = self.values.get(taken, {})
        return [known[repeat] for repeat in self.repeats]

    def _worst(self, configurations: Iterable[Taken]) -> float:
        """The worst value of these."""
        return min((v for taken in configurations for v in self._repeats(taken) if v is not None), default=0.0)

    def _measure(self, what: str, configurations: Sequence[Taken]) -> None:
        self._need(what, configurations, self.repeats)

    def _need(self, what: str, configurations: Sequence[Taken], repeats: Sequence[int]) -> None:
        wanted = {
            (taken, repeat): None
            for taken in configurations
            for repeat in repeats
            if repeat not in self.values.get(taken, {})
        }
        if wanted:
            raise _Missing(Round(what=what, wanted=tuple(wanted)))
