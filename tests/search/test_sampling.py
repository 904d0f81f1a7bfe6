"""The two ways of drawing, on a study in memory: what is stored, what is taken as it is, when the model begins."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from hpo.search.sampling.batch import AtOnce, OneByOne, Sampling
from hpo.search.sampling.parzen import Domain, Floats, Kernels, fit
from hpo.search.sampling.tpe import TpeSampler
from hpo.seeds import sampler_seed

X, Y = FloatDistribution(0.0, 1.0), FloatDistribution(1e-3, 1.0, log=True)
STARTUP = 6


def made(kind: str, study: Study) -> Sampling:
    if kind == "one by one":
        return OneByOne(study, lambda number: RandomSampler(sampler_seed(0, number)))
    return AtOnce(study, TpeSampler([{"x": X, "y": Y}], seed=0, maximize=False), seed=0, startup_trials=STARTUP)


def asked(study: Study, count: int) -> list[FrozenTrial]:
    return [study._storage.get_trial(study._storage.create_new_trial(study._study_id)) for _ in range(count)]


def answers(sampling: Sampling, trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    return [{"x": suggest("x", X), "y": suggest("y", Y)} for suggest in sampling.draws(trials)]


@pytest.fixture
def study() -> Study:
    return optuna.create_study()


both = pytest.mark.parametrize("kind", ["one by one", "at once"])


def test_seeds_differ_by_trial_and_by_study() -> None:
    seeds = {sampler_seed(study, trial) for study in range(20) for trial in range(500)}
    assert len(seeds) == 20 * 500
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert sampler_seed(0, 0) == sampler_seed(0, 0)


@both
def test_what_is_drawn_is_stored(kind: str, study: Study) -> None:
    drawn = answers(made(kind, study), asked(study, 3))
    assert [trial.params for trial in study.get_trials()] == drawn
    assert study.get_trials()[2].distributions == {"x": X, "y": Y}
    assert len({params["x"] for params in drawn}) == 3


@both
def test_what_a_trial_has_already_is_taken_as_it_is(kind: str, study: Study) -> None:
    trials = asked(study, 2)
    study._storage.set_trial_param(trials[0]._trial_id, "x", 0.25, X)
    whole = answers(made(kind, study), [study._storage.get_trial(trial._trial_id) for trial in trials])
    assert whole[0]["x"] == 0.25
    again = answers(made(kind, study), study.get_trials())
    assert again == whole == [trial.params for trial in study.get_trials()]


def test_the_model_begins_when_enough_trials_have_ended(study: Study) -> None:
    sampling = made("at once", study)
    for trial in range(STARTUP + 3):
        (frozen,) = asked(study, 1)
        (drawn,) = answers(sampling, [frozen])
        random = RandomSampler(sampler_seed(0, trial)).sample_independent(study, frozen, "x", X)
        assert (drawn["x"] == random) == (trial < STARTUP), trial
        study.tell(trial, drawn["x"])


def test_a_model_is_fitted_once_for_a_batch(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = made("at once", study)
    for trial, drawn in zip(trials := asked(study, STARTUP), answers(sampling, trials), strict=True):
        study.tell(trial.number, drawn["x"])
    fits: list[Domain] = []

    def counted(domain: Domain, points: Floats, weights: Floats) -> Kernels:
        fits.append(domain)
        return fit(domain, points, weights)

    monkeypatch.setattr("hpo.search.sampling.tpe.fit", counted)
    assert len({drawn["x"] for drawn in answers(sampling, asked(study, 16))}) == 16
    assert len(fits) == 2, "of the best and of the others"
