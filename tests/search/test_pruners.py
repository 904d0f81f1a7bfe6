"""Pruners by name spare the epochs they promise, and end what is worse."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from hpo.search.pruning.by_name import PRUNERS, pruner_for
from hpo.search.pruning.optunas import CachedPercentile
from tests.runtime.small import small_study

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


@pytest.mark.parametrize(
    ("epoch", "conventions", "pruned"), [("best", 2, False), ("last", 2, True), ("last", 1, False)]
)
@pytest.mark.parametrize("pruner", ['"median"', '{ name = "percentile", percentile = 50.0 }'])
def test_what_counts_is_what_is_judged(pruner: str, epoch: str, conventions: int, pruned: bool) -> None:
    """A trial that was good and no longer is; a study of the first conventions goes on by the best value."""
    tables = {"search": f"pruner = {pruner}", "study": f'name = "s"\nepoch = "{epoch}"'}
    made = pruner_for(replace(small_study(**tables), conventions=conventions), EPOCHS)
    study = optuna.create_study(direction="maximize", pruner=made)
    for _ in range(6):
        trial = study.ask()
        for step in (1, 2):
            trial.report(0.5, step)
        study.tell(trial, 0.5)
    fallen = study.ask()
    fallen.report(0.9, 1)
    assert not fallen.should_prune()
    fallen.report(0.1, 2)
    assert fallen.should_prune() == pruned


def test_a_last_value_that_is_no_number_is_pruned() -> None:
    study = optuna.create_study(pruner=CachedPercentile(50.0, startup_trials=0, warmup_steps=0, last=True))
    good = study.ask()
    good.report(0.5, 1)
    good.report(0.5, 2)
    study.tell(good, 0.5)
    lost = study.ask()
    lost.report(0.1, 1)
    lost.report(float("nan"), 2)
    assert lost.should_prune()
