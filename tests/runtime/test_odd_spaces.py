"""Every sampler runs a whole study that searches nothing, one number or only categories: trials, confirmation, winner
and summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

import hpo
from hpo.studyfile.records import Sampler
from hpo.studyfile.study import LEARNING

SAMPLERS = [record().name for record in get_args(get_args(Sampler)[0])]
SPACES: dict[str, Mapping[str, Any]] = {
    "nothing": {},
    "one number": {"optimizer": {"name": "sgd", "learning_rate": {"low": 0.01, "high": 0.06, "step": 0.01}}},
    "categories": {
        "model": {"family": "mlp", "hidden": [4], "activation": {"choice": ["relu", "tanh"]}},
        "optimizer": {"choice": [{"name": "sgd", "learning_rate": 0.1}, {"name": "adam"}]},
    },
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_whole_study(sampler: str, space: str, tmp_path: Path) -> None:
    soon = {"startup_trials": 3} if sampler in LEARNING and sampler != "nsga2" else {}
    study = hpo.run(
        {
            "study": {"name": "odd", "baselines": False},
            "data": {"dataset": "wine"},
            "model": {"family": "mlp", "hidden": [4]},
            "optimizer": {"name": "sgd", "learning_rate": 0.1},
            "training": {"epochs": 1},
            "search": {"trials": 8, "concurrency": 3, "sampler": {"name": sampler, **soon}},
            **SPACES[space],
        },
        home=tmp_path,
        device="cpu",
    )
    combinations = {"nothing": 1, "one number": 6, "categories": 4}[space]
    every = sampler == "grid" or (sampler == "auto" and space != "nothing")
    assert len(study.trials) == (combinations if every else 8)
    assert study.best is not None
    assert "odd" in study.summary
