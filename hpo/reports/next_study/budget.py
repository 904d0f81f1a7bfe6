"""The budget of the next study: epochs of each trial, and the number of trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo.endings import Ending
from hpo.reports.checks.search.trials import FEW_FINISHED
from hpo.reports.next_study.change import Wish, wish
from hpo.reports.text import format_number
from hpo.studyfile.study import trial_epochs

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.health import Check
    from hpo.studyfile.study import StudySpec

LONGER = 2
"""Factor of the epochs where the winner still improved at its last one."""
MORE = 1.5
"""Factor of the trials where the best one came late."""
MOST_AT_ONCE = 4
"""Largest factor of the trials."""


def budget_changes(spec: StudySpec, e: Evidence, found: Mapping[str, Check], *, wider: bool) -> list[Wish]:
    """Changes of epochs and trials. `wider`: ranges were moved, which leaves as much to be searched."""
    return [*_epochs(spec, e, found), *_trials(spec, e, found, wider)]


def _epochs(spec: StudySpec, e: Evidence, found: Mapping[str, Check]) -> list[Wish]:
    """Longer trials where the winner still improved; a budget of epochs grows with them."""
    budget = spec.search.epochs
    if not found["still_improving"].raised or e.winner is None or spec.function is not None:
        return []
    if e.winner.ended.why is Ending.BUDGET:
        why = "The winner was still improving when this budget was spent."
        return [] if budget is None else [_set("search.epochs", budget, LONGER * budget, why)]
    epochs = trial_epochs(spec)
    why = f"The winner was still improving at its last epoch ({e.winner.epochs})."
    longer = [_set("training.epochs", epochs, LONGER * epochs, why)]
    if budget is not None:
        longer.append(_set("search.epochs", budget, LONGER * budget, f"Each trial has {LONGER} times the epochs."))
    return longer


def _trials(spec: StudySpec, e: Evidence, found: Mapping[str, Check], wider: bool) -> list[Wish]:
    """More trials where too few finished or the best came late; fewer where the best value was there early."""
    if e.grid or not e.trials or e.counts.running:
        return []
    before = spec.search.trials
    begun = e.trials[-1].number + 1
    trials, few = max(before, begun), found["few_trials"]
    if few.raised and few.figure:
        wanted = _ten(min(MOST_AT_ONCE * trials, begun * FEW_FINISHED / few.figure))
        why = f"{format_number(few.figure)} of {begun} trials could be compared; {FEW_FINISHED} should be."
        return [_set("search.trials", before, wanted, why)] if wanted > before else []
    if found["found_late"].raised:
        return [_set("search.trials", before, _ten(MORE * trials), found["found_late"].sentence)]
    enough = _enough(e)
    if wider or few.raised or enough is None or e.noise is None:
        return []
    fewer = _ten(max(2 * enough, trials / 2))
    if fewer >= before:
        return []
    error = format_number(e.noise.error, 2)
    why = f"The first {enough} trials came within one standard error ({error}) of the best value."
    return [_set("search.trials", before, fewer, why)]


def _enough(e: Evidence) -> int | None:
    """Number of trials, from the first, whose best value is within one standard error of that of all."""
    if e.noise is None or e.winner is None or len(e.best_first) < FEW_FINISHED:
        return None
    enough = max(e.values) - e.noise.error
    near = (t.number for t in e.best_first if t.value is not None and e.sign * t.value >= enough)
    return min(near, default=0) + 1


def _ten(count: float) -> int:
    """Rounded up to a multiple of ten."""
    return 10 * math.ceil(count / 10)


def _set(path: str, before: Any, after: Any, why: str) -> Wish:
    return wish(path, str(before), str(after), why, lambda written, node: after)
