"""Every sampler that a study file may name, on a study in memory."""

from __future__ import annotations

import warnings

import optuna
import pytest
from optuna.trial import TrialState

from hpo import space
from hpo.search.objective import direction
from hpo.search.samplers import SAMPLERS, sampling_for
from hpo.spec.study import StudySpec
from tests.workers.small import small_study


def study(name: str) -> StudySpec:
    step = ", step = 0.1" if name == "grid" else ""
    return small_study(
        norm='kind = "none"',
        dropout=f"p = {{ low = 0.0, high = 0.4{step} }}",
        optimizer='name = "adam"',
        search=f'sampler = "{name}"',
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_name_of_a_study_file_draws_without_warnings(name: str) -> None:
    spec = study(name)
    trials = optuna.create_study(direction=direction(spec.study.objective))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampling = sampling_for(spec, trials)
        for _ in range(8):
            storage = trials._storage
            asked = [storage.get_trial(storage.create_new_trial(trials._study_id)) for _ in range(2)]
            for suggest in sampling.draws(asked):
                space.draw(spec, suggest)
            for trial in asked:
                storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    drawn = [trial.params["dropout.p"] for trial in trials.trials]
    assert len(drawn) == 16
    assert len(set(drawn)) >= 5, "a grid has no more, and a Gaussian process returns to where it was"
