"""What `search.sampler = "auto"` chooses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo.conventions import FEWER_IN_FLIGHT
from hpo.studyfile.settings import fingerprint
from hpo.studyfile.study import StudySpec, with_budget
from tests.studyfile.texts import study

NUMBER = "learning_rate = { low = 1e-4, high = 1e-1, log = true }"
TWO_NUMBERS = f"{NUMBER}\nweight_decay = {{ low = 0.0, high = 0.1 }}"
CATEGORY = 'activation = { choice = ["relu", "tanh"] }'
CONDITIONAL = 'choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }, { name = "adam" }]'
STEPS = "p = { low = 0.0, high = 0.4, step = 0.1 }"


def auto(search: str = "", **tables: str) -> StudySpec:
    return study(search=f'sampler = "auto"\n{search}', **tables)


@pytest.mark.parametrize(
    ("search", "tables", "expected"),
    [
        ("", {"optimizer": NUMBER}, "gp"),
        ("", {"optimizer": TWO_NUMBERS, "model": CATEGORY}, "gp"),
        ("trials = 200", {"optimizer": NUMBER}, "gp"),
        ("trials = 201", {"optimizer": NUMBER}, "tpe"),
        ("concurrency = 8", {"optimizer": NUMBER}, "gp"),
        ("concurrency = 9", {"optimizer": NUMBER}, "tpe"),
        ("", {"optimizer": NUMBER, "model": CATEGORY}, "tpe"),
        ("", {"optimizer": f"{NUMBER}\n{CONDITIONAL}"}, "tpe"),
        ("trials = 10", {"model": CATEGORY, "dropout": STEPS}, "grid"),
        ("trials = 9", {"model": CATEGORY, "dropout": STEPS}, "tpe"),
        ("trials = 2", {"model": CATEGORY}, "grid"),
        ("", {}, "tpe"),
    ],
)
def test_the_sampler_follows_from_space_budget_and_concurrency(
    search: str, tables: dict[str, str], expected: str
) -> None:
    assert auto(search, **tables).sampler.name == expected


def test_several_objectives_get_a_sampler_that_takes_them() -> None:
    several = 'objective = ["accuracy", "parameters"]'
    assert auto(optimizer=NUMBER, study=f'name = "small"\n{several}').sampler.name == "tpe"


def test_a_named_sampler_is_taken_as_it_is() -> None:
    assert study(search='sampler = "qmc"', optimizer=NUMBER).sampler.name == "qmc"
    assert study(optimizer=NUMBER).sampler.name == "tpe"


def test_a_budget_that_changes_later_changes_no_sampler() -> None:
    spec = auto("trials = 200", optimizer=NUMBER)
    assert with_budget(spec, trials=5000).sampler.name == "gp"
    assert fingerprint(with_budget(spec, trials=5000)) == fingerprint(spec)


def test_trials_in_flight_follow_from_the_chosen_sampler() -> None:
    assert auto("trials = 30", optimizer=NUMBER).concurrency == 6
    assert auto("trials = 10", model=CATEGORY).concurrency == 16, "a grid learns nothing from results"
    begun = replace(auto("trials = 100", optimizer=NUMBER), conventions=FEWER_IN_FLIGHT - 1)
    assert (begun.concurrency, begun.sampler.name) == (16, "tpe")
