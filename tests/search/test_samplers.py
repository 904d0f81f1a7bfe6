"""Every sampler that a study file may name, on a study in memory."""

from __future__ import annotations

import warnings

import optuna
import pytest
from optuna.trial import TrialState

from hpo import space
from hpo.search.objective import direction
from hpo.search.sampling.by_name import SAMPLERS, sampling_for
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study


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
    trials = optuna.create_study(direction=direction(spec.study))
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


SPACES = {
    "nothing": "",
    "a choice of one": "learning_rate = { choice = [0.1] }",
    "a category": "learning_rate = { choice = [0.1, 0.2] }",
    "a number": "learning_rate = { low = 0.25, high = 0.5, step = 0.25 }",
    "two neighbours": "learning_rate = { low = 1.0, high = 1.0000000000000002, log = true }",
    "all numbers": "learning_rate = { low = 1e-300, high = 1e300, log = true }",
}


@pytest.mark.parametrize(
    ("name", "table"),
    [(name, table) for name in SAMPLERS for table in SPACES.values() if name != "grid" or "log" not in table],
)
def test_the_smallest_and_the_oddest_spaces_can_be_drawn_from(name: str, table: str) -> None:
    spec = small_study(
        model='family = "mlp"',
        norm='kind = "none"',
        dropout="p = 0.1",
        optimizer=f'name = "adam"\n{table}',
        search=f'sampler = {{ name = "{name}" }}',
    )
    trials = optuna.create_study(direction="maximize")
    sampling = sampling_for(spec, trials)
    storage = trials._storage
    for count in (1, 3, 12):
        asked = [storage.get_trial(storage.create_new_trial(trials._study_id)) for _ in range(count)]
        for suggest in sampling.draws(asked):
            space.draw(spec, suggest)
        for trial in asked:
            storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    assert len(trials.trials) == 16
