"""Known configurations: what a study takes of them, and when it takes none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo import space
from hpo.search import known_starts as module
from hpo.search.enqueued import contradiction
from hpo.search.known_starts import KNOWN, known_starts
from hpo.studyfile.file import read_study_file
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
RATE = "learning_rate = { low = 1e-3, high = 3e-1, log = true }"


def of(spec: StudySpec) -> list[dict[str, Any]]:
    spec = replace(spec, search=spec.search.model_copy(update={"known_starts": True}))
    return known_starts(spec, space.parameters(spec))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module,
        "KNOWN",
        (
            {"optimizer.name": "sgd", "optimizer.learning_rate": 0.1, "optimizer.momentum": 0.9, "dropout.p": 0.3},
            {"optimizer.name": "adam", "optimizer.learning_rate": 0.002, "dropout.p": 0.1, "norm.kind": "batch"},
        ),
    )


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_can_draw_what_they_take(path: Path) -> None:
    spec = read_study_file(path)
    found = of(spec)
    assert len(found) <= min(4, spec.search.trials // 10)
    for values in found:
        assert contradiction(values, space.parameters(spec)) is None
        assert any(name.endswith("learning_rate") for name in values)


def test_the_list_has_no_configuration_twice_and_begins_with_the_best() -> None:
    assert len(KNOWN) == len({repr(one) for one in KNOWN}) >= 4
    assert len(of(read_study_file(next(path for path in STUDIES if path.stem == "digits")))) == 4


@pytest.mark.usefixtures("known")
def test_a_study_takes_what_it_searches_and_what_is_in_its_ranges() -> None:
    assert of(small_study(search="trials = 20")) == list(module.KNOWN)
    narrow = of(small_study(search="trials = 20", dropout="p = { low = 0.2, high = 0.4 }"))
    assert [one.get("dropout.p") for one in narrow] == [0.3, None]


@pytest.mark.usefixtures("known")
def test_ranges_of_each_optimizer_are_found() -> None:
    apart = 'choice = [{ name = "adamw", learning_rate = { low = 1e-4, high = 1e-2, log = true } }, '
    apart += '{ name = "rmsprop", learning_rate = { low = 1e-4, high = 1e-1, log = true } }]'
    (only,) = of(small_study(search="trials = 20", optimizer=apart))
    assert (only["optimizer.name"], only["optimizer.adamw.learning_rate"]) == ("adamw", 0.002)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        (f'name = "adamw"\n{RATE}', [0.002]),
        (f'name = "sgd"\nmomentum = 0.9\n{RATE}', [0.1]),
        (f'name = "sgd"\n{RATE}', []),  # without momentum, other rates are good
        (f'name = "rmsprop"\n{RATE}', []),
        ('name = "adam"\nlearning_rate = 0.01', []),
        ('name = "adam"\nlearning_rate = { low = 0.1, high = 0.5, log = true }', []),
    ],
)
def test_a_rate_is_used_for_optimizers_that_are_alike(optimizer: str, rates: list[float]) -> None:
    found = of(small_study(search="trials = 20", optimizer=optimizer))
    assert [values["optimizer.learning_rate"] for values in found] == rates


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("search", "count"),
    [
        ("trials = 9", 0),
        ("trials = 10", 1),
        ("trials = 20", 2),
        ('trials = 20\nsampler = "gp"', 2),
        ('trials = 20\nsampler = "random"', 0),
    ],
)
def test_how_many_a_study_takes(search: str, count: int) -> None:
    assert len(of(small_study(search=search))) == count


def test_a_study_asks_for_them() -> None:
    spec = small_study(search="trials = 20")
    assert known_starts(spec, space.parameters(spec)) == []
