"""Retention: which checkpoints of ended trials are kept.

The best trials keep their best weights and their last state. Trials that a budget ended keep their last state, from
which they continue when the budget is raised; these are at most `search.concurrency` trials. Of the trials that have
paused, the best at each rung keep their last state, as many as `search.concurrency`."""

from __future__ import annotations

from collections.abc import Collection

from optuna.trial import FrozenTrial

from hpo import endings
from hpo.checkpoints.study import StudyCheckpoints
from hpo.endings import Ending


def best_trials(study: StudyCheckpoints) -> list[FrozenTrial]:
    """The trials whose best weights are kept, the best first."""
    return study.searcher.ranking()[: study.keep]


def worth_keeping(study: StudyCheckpoints, ended: Collection[int]) -> set[int]:
    """Those of the trials that have just `ended` whose best weights are kept."""
    return {trial.number for trial in best_trials(study) if trial.number in ended} if ended else set()


def trials_with_ends(study: StudyCheckpoints) -> dict[int, FrozenTrial]:
    """The trials whose last state is kept, by number."""
    ended = (trial for trial in study.searcher.all_trials() if trial.state.is_finished())
    cut = (trial for trial in ended if endings.of(trial.user_attrs).why is Ending.BUDGET)
    return {trial.number: trial for trial in (*best_trials(study), *cut, *study.searcher.paused())}
