"""The default configuration of a study."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo import space
from hpo.space.default import default_configuration, middle
from hpo.studyfile.file import read_study_file
from tests.runtime.small import small_study

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (CategoricalDistribution(("b", "a")), "b"),
        (FloatDistribution(0.0, 1.0), 0.5),
        (FloatDistribution(1e-4, 1e-2, log=True), pytest.approx(1e-3)),
        (FloatDistribution(0.0, 0.4, step=0.1), 0.2),
        (IntDistribution(1, 8), 4),
        (IntDistribution(16, 64, log=True), 32),
        (IntDistribution(0, 10, step=5), 5),
    ],
)
def test_the_middle(distribution: BaseDistribution, value: object) -> None:
    assert middle(distribution) == value


def test_values_of_the_program_come_before_the_middle() -> None:
    found = default_configuration(small_study())
    assert found is not None
    params, config = found
    assert params["optimizer.learning_rate"] == 0.001
    assert params["optimizer.momentum"] == 0.0
    assert (params["model.hidden"], params["norm.kind"], params["dropout.p"]) == ("8", "none", 0.0)
    assert space.config_of(small_study(), params) == config


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_has_one(path: Path) -> None:
    spec = read_study_file(path)
    found = default_configuration(spec)
    assert found is not None
    assert space.config_of(spec, found[0]) == found[1]
