"""Values on the grid of a range with steps: as a person would write them, whatever draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search.sampling.by_name import SAMPLERS, sampling_for
from hpo.space import config_of, draw
from hpo.space.distributions import contains, count_values, on_grid, value_at
from hpo.studyfile.file import parse_study
from tests.runtime.small import small_text

TENTHS = FloatDistribution(0.1, 1.0, step=0.3)


def test_values_are_decimal_numbers() -> None:
    assert [value_at(TENTHS, turn) for turn in range(count_values(TENTHS))] == [0.1, 0.4, 0.7, 1.0]
    assert 0.1 + 3 * 0.3 != 1.0, "else there is nothing to round"
    assert on_grid(TENTHS, 0.1 + 3 * 0.3) == 1.0
    assert on_grid(FloatDistribution(0.0, 0.4, step=0.1), 3 * 0.1) == 0.3


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (FloatDistribution(0.1, 1.0), 0.1 + 3 * 0.3),
        (FloatDistribution(1e-4, 1.0, log=True), 0.30000000000000004),
        (IntDistribution(1, 9, step=2), 3),
        (IntDistribution(1, 100, log=True), 7),
        (CategoricalDistribution((0.1, 0.30000000000000004)), 0.30000000000000004),
        (TENTHS, 0.5),
        (TENTHS, 1.3),
        (TENTHS, "much"),
    ],
)
def test_what_has_no_decimal_steps_or_lies_outside_stays(distribution: BaseDistribution, value: Any) -> None:
    assert on_grid(distribution, value) is value


@given(
    st.decimals(-1000, 1000, places=3),
    st.decimals("0.001", 10, places=3),
    st.integers(1, 1000).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps))),
    st.sampled_from([0, 10**9, -(10**12)]),
)
def test_every_place_on_a_grid_is_found_again(low: Any, step: Any, places: tuple[int, int], far: int) -> None:
    """Also where the steps are small beside the numbers."""
    steps, place = places
    low += far
    distribution = FloatDistribution(float(low), float(low + steps * step), step=float(step))
    exact = float(low + place * step)
    computed = min(max(float(low) + place * float(step), distribution.low), distribution.high)
    assert contains(distribution, exact)
    assert contains(distribution, computed)
    assert on_grid(distribution, computed) == on_grid(distribution, exact) == exact


# --- drawing ------------------------------------------------------------------------------------------------

STEPPED = {
    "dropout": "p = { low = 0.1, high = 0.7, step = 0.1 }\ninput = { low = 0.0, high = 0.9, step = 0.3 }",
    "optimizer": 'name = "adam"\nlearning_rate = 0.1\nweight_decay = { low = 0.05, high = 0.35, step = 0.05 }',
}
WRITTEN = {
    "dropout.p": {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7},
    "dropout.input": {0.0, 0.3, 0.6, 0.9},
    "optimizer.weight_decay": {0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35},
}


def drawn_from(sampler: str, trials: int, prepare: Callable[[optuna.Study], None] = lambda study: None) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    startup = "" if sampler in ("qmc", "random", "grid", "nsga2") else ", startup_trials = 5"
    spec = parse_study(
        small_text(**STEPPED, search=f'trials = 40\nsampler = {{ name = "{sampler}"{startup} }}'), "s.toml"
    )
    study = optuna.create_study()
    prepare(study)
    sampling = sampling_for(spec, study)
    for number in range(trials):
        storage = study._storage
        waiting = study.get_trials(states=[optuna.trial.TrialState.WAITING])
        trial_id = waiting[0]._trial_id if waiting else storage.create_new_trial(study._study_id)
        if waiting:
            storage.set_trial_state_values(trial_id, optuna.trial.TrialState.RUNNING)
        (suggest,) = sampling.draws([storage.get_trial(trial_id)])
        config = draw(spec, suggest)
        stored = storage.get_trial(trial_id).params
        assert config == config_of(spec, stored)
        assert config.dropout.p == stored["dropout.p"]
        study.tell(number, (config.dropout.p - 0.4) ** 2)
    return study


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_numbers_that_a_person_would_write(sampler: str) -> None:
    study = drawn_from(sampler, 20)
    for name, written in WRITTEN.items():
        assert {trial.params[name] for trial in study.trials} <= written


def test_enqueued_values_are_written_so_too() -> None:
    def enqueue(study: optuna.Study) -> None:
        study.enqueue_trial({"dropout.p": 3 * 0.1})

    (trial,) = drawn_from("random", 1, enqueue).trials
    assert trial.params["dropout.p"] == 0.3


def test_numbers_of_earlier_versions_stay_and_are_understood() -> None:
    spec = parse_study(small_text(**STEPPED), "s.toml")
    fixed = {"model.hidden": "8", "norm.kind": "none"}
    stored = fixed | {"dropout.p": 3 * 0.1, "dropout.input": 0.3, "optimizer.weight_decay": 0.05 + 0.05 * 2}
    assert config_of(spec, stored).dropout.p == 3 * 0.1
    assert config_of(spec, stored | {"dropout.p": 0.3}).dropout.p == 0.3
