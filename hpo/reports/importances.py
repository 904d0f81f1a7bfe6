"""Which searched parameters decide between good and bad trials. No plotting.

PED-ANOVA (Watanabe et al., IJCAI 2023; with conditional parameters: KDD 2026) compares the density of each parameter
among the best trials with its density among all.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow

FEWEST_FINISHED = 10
"""Finished trials below which no importance is stated."""
FEWEST_BEST = 5
BEST_SHARE = 0.2
"""Size of the group of best trials: this share of all, at least FEWEST_BEST, at most half of the finished ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Importances:
    """Shares of importance, largest first, and one sentence on how to read them."""

    shares: tuple[tuple[str, float], ...]
    """(parameter, share); the shares add up to 1. Empty where too little is known."""
    note: str


def importances(trials: Sequence[TrialRow], minimized: bool) -> Importances:
    """Importance for belonging to the best trials, among all trials that finished or were pruned.

    A pruned trial is evidence too, of what does not lead to the top; its value at the epoch where it was stopped is
    not comparable, so it ranks behind every finished one.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    finished = [trial for trial in trials if trial.state == "COMPLETE" and _finite(trial.value)]
    pruned = [trial for trial in trials if trial.state == "PRUNED" and trial.params]
    if len(finished) < FEWEST_FINISHED:
        return Importances(
            shares=(),
            note=f"Importances need at least {FEWEST_FINISHED} finished trials; this study has {len(finished)}.",
        )
    if len({name for trial in finished for name in trial.params}) < 2:
        return Importances(shares=(), note="Importances compare parameters; fewer than two were searched.")
    values = [trial.value for trial in finished if trial.value is not None]
    if min(values) == max(values):
        return Importances(shares=(), note="All finished trials have the same value: nothing sets them apart.")

    behind = max(values) if minimized else min(values)
    considered = len(finished) + len(pruned)
    best = min(max(FEWEST_BEST, math.ceil(BEST_SHARE * considered)), len(finished) // 2)
    direction = optuna.study.StudyDirection.MINIMIZE if minimized else optuna.study.StudyDirection.MAXIMIZE
    storage = optuna.storages.InMemoryStorage()
    with quiet():
        study_id = storage.create_new_study([direction], "importances")
    for trial in [*finished, *pruned]:
        template = optuna.trial.create_trial(
            value=trial.value if trial.state == "COMPLETE" else behind,
            params=dict(trial.params),
            distributions=dict(trial.distributions),
        )
        storage.create_new_trial(study_id, template_trial=template)
    study = optuna.Study("importances", storage)
    with quiet():
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=best / considered))
    shares = tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))
    if not all(math.isfinite(value) for _, value in shares):
        return Importances(shares=(), note="The importances could not be computed from these trials.")
    return Importances(
        shares=shares,
        note=(
            f"Share of what sets the best {plural(best, 'trial')} apart from all {considered} that finished or were "
            "pruned (PED-ANOVA). A hint, not a proof: a parameter the sampler hardly varied looks unimportant."
        ),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No word from Optuna about the study made here, nor about rarely drawn choices: the note says as much."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
