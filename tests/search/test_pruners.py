"""Pruners by name spare the epochs they promise, and end what is worse."""

from __future__ import annotations

import optuna
import pytest

from hpo.search.pruners import PRUNERS, pruner_for
from tests.workers.small import small_study

EPOCHS = 27


def epochs_of_a_bad_trial(pruner: str, direction: str = "maximize") -> int:
    """How long a trial trains that is worse than thirty others at every epoch."""
    spec = small_study(search=f"pruner = {pruner}", training=f"epochs = {EPOCHS}")
    made = pruner_for(spec, EPOCHS)
    study = optuna.create_study(study_name="s", direction=direction, pruner=made)
    sign = 1.0 if direction == "maximize" else -1.0
    for number in range(31):
        trial = study.ask()
        for epoch in range(1, EPOCHS + 1):
            trial.report(sign * (0.1 if number == 30 else 0.5 + 0.01 * number), epoch)
            if trial.should_prune():
                break
        else:
            study.tell(trial, sign)
            continue
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return epoch


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(
    ("pruner", "trained"),
    [
        ('{ name = "median", startup_trials = 5 }', 1),
        ('{ name = "median", startup_trials = 5, warmup_epochs = 4 }', 4),
        ('{ name = "median", startup_trials = 100 }', EPOCHS),
        ('{ name = "percentile", percentile = 50.0, warmup_epochs = 2 }', 2),
        ('{ name = "successive_halving", min_epochs = 3 }', 3),
        ('{ name = "none" }', EPOCHS),
    ],
)
def test_the_worst_trial_gets_the_epochs_that_all_get(pruner: str, trained: int, direction: str) -> None:
    assert epochs_of_a_bad_trial(pruner, direction) == trained


def test_hyperband_gives_at_least_the_least_and_ends_the_worst() -> None:
    assert 2 <= epochs_of_a_bad_trial('{ name = "hyperband", min_epochs = 2 }') < EPOCHS


def test_thresholds_are_about_the_value_alone() -> None:
    assert epochs_of_a_bad_trial('{ name = "threshold", lower = 0.2, warmup_epochs = 3 }') == 3
    assert epochs_of_a_bad_trial('{ name = "threshold", lower = 0.05 }') == EPOCHS


@pytest.mark.parametrize("name", PRUNERS)
def test_every_name_of_a_study_file_has_a_pruner(name: str) -> None:
    bound = ", lower = 0.5" if name == "threshold" else ""
    spec = small_study(search=f'pruner = {{ name = "{name}"{bound} }}')
    assert isinstance(pruner_for(spec, EPOCHS), optuna.pruners.BasePruner)
