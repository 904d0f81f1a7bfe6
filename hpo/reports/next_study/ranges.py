"""Moves ranges beyond an edge at which the best values lie, where there is room."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hpo.reports.checks.search.edges import Side, limits
from hpo.reports.checks.search.effects import place
from hpo.reports.next_study.change import Wish, wish
from hpo.studyfile.searched import searched
from hpo.studyfile.tree import Range, toml

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.health import Check
    from hpo.studyfile.study import StudySpec

BEST = 10
"""Best trials within whose reach the other end of a range stays."""
BEYOND = 0.5
"""Share of a range, on its scale, that is added beyond the edge, and taken away at the other end."""
DIGITS = 2
"""Significant digits of a new end."""


def moved_ranges(spec: StudySpec, e: Evidence, edges: Check) -> list[Wish]:
    """The ranges that the check of edges names, moved."""
    if not edges.raised or e.winner is None:
        return []
    parameters = searched(spec.tree)
    changes = []
    for name in edges.about:
        node = parameters[name].node if name in parameters else None
        distribution = e.winner.distributions.get(name)
        if not isinstance(node, Range) or distribution is None:
            continue
        side: Side = "upper" if place(e.winner, name) > 0.5 else "lower"
        best = [t for t in e.best_first[:BEST] if name in t.params]
        kept = any((place(trial, name) > 0.5) != (side == "upper") for trial in best)
        wider = moved(node, name, side, cut=not kept)
        if wider is None:
            continue
        other = "" if kept else ", and none of them in the half that is left out"
        several = (
            f"The best values lie towards the {side} edge" if len(best) > 1 else f"The best lies at the {side} edge"
        )
        changes.append(wish(name, toml(node), toml(wider), f"{several}{other}.", _put(wider)))
    return changes


def moved(node: Range, name: str, side: Side, *, cut: bool) -> Range | None:
    """The range with `BEYOND` of its width more at this side and, with `cut`, less at the other one; None where there
    is no room. Where the parameter is bounded, it ends half-way between its edge and the bound at most."""
    whole = isinstance(node.low, int) and isinstance(node.high, int)
    least, most = limits(name, node.low, whole=whole)
    if node.step is not None:
        return _by_steps(node, node.step, side, cut, least, most)
    log = node.log
    low, high = (math.log(end) if log else float(end) for end in (node.low, node.high))
    reach = BEYOND * (high - low)

    def end(at: float) -> float:
        value = float(f"{math.exp(at) if log else at:.{DIGITS}g}")
        return round(value) if whole else value

    if side == "upper":
        new = end(high + reach)
        new = new if new < most else _towards(node.high, most, whole)
        ends = (end(low + reach) if cut else node.low, new)
        return Range(low=ends[0], high=ends[1], log=log) if new > node.high and ends[0] < node.high else None
    new = end(low - reach)
    new = new if new > least else _towards(node.low, least, whole)
    ends = (new, end(high - reach) if cut else node.high)
    return Range(low=ends[0], high=ends[1], log=log) if new < node.low and ends[1] > node.low else None


def _towards(edge: float, bound: float, whole: bool) -> float:
    """Half-way to the bound. Of whole numbers, one step past the edge at least, which may be the bound."""
    if whole:
        return int(edge + math.copysign(math.ceil(abs(bound - edge) / 2), bound - edge))
    return float(f"{(edge + bound) / 2:.{DIGITS + 2}g}")


def _by_steps(node: Range, step: float, side: Side, cut: bool, least: float, most: float) -> Range | None:
    """The same of a range of steps, by whole steps."""
    low, high, one = (Decimal(repr(value)) for value in (node.low, node.high, step))
    steps = int((high - low) / one)
    more, less = max(1, round(BEYOND * steps)), (int(BEYOND * steps) if cut else 0)
    kind: Any = int if isinstance(node.low, int) and isinstance(step, int) else float
    sign = 1 if side == "upper" else -1
    edge = high if side == "upper" else low
    while more and not least < float(edge + sign * more * one) < most:
        more -= 1
    if not more:
        return None
    if side == "upper":
        low, high = low + less * one, high + more * one
    else:
        low, high = low - more * one, high - less * one
    return Range(low=kind(low), high=kind(high), step=node.step)


def _put(node: Range) -> Any:
    return lambda written, known: node
