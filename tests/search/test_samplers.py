"""A sampler of its own for each trial: its draws follow from the study's seed and the trial's number."""

from __future__ import annotations

import warnings

import pytest

from hpo.search.samplers import SAMPLERS, sampler_for, seed_of
from hpo.spec.study import StudySpec
from tests.workers.small import small_study


def test_seeds_differ_by_trial_and_by_study() -> None:
    seeds = {seed_of(study, trial) for study in range(20) for trial in range(500)}
    assert len(seeds) == 20 * 500
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seed_of(0, 0) == seed_of(0, 0)


def study(name: str) -> StudySpec:
    step = ", step = 0.1" if name == "grid" else ""
    return small_study(
        norm='kind = "none"',
        dropout=f"p = {{ low = 0.0, high = 0.4{step} }}",
        optimizer='name = "adam"',
        search=f'sampler = "{name}"',
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_name_of_a_study_file_has_a_sampler_that_is_made_without_warnings(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = {
            type(sampler_for(study(name), trial, conditional=conditional)) for trial in (0, 7) for conditional in (0, 1)
        }
    assert len(made) == 1
