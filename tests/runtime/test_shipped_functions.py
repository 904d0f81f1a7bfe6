"""The shipped studies whose trials a training function trains run, and what they save goes on."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import hpo

STUDIES = Path(__file__).parent.parent.parent / "studies"


@pytest.mark.parametrize(("name", "least"), [("digits_loop", 0.8), ("breast_cancer_boosting", 0.95)])
def test_it_runs(name: str, least: float, tmp_path: Path) -> None:
    found = hpo.run(STUDIES / f"{name}.toml", home=tmp_path, trials=1, workers=1)
    assert set(found.trials["state"]) == {"COMPLETE"}, found.trials["ended"].tolist()
    assert found.best is not None
    assert found.best.value is not None
    assert found.best.value > least
    export = found.export(tmp_path / "export")
    assert (export / f"{name}.py").read_bytes() == (STUDIES / f"{name}.py").read_bytes()
    if name == "breast_cancer_boosting":
        state = pickle.loads((export / "state.pickle").read_bytes())
        assert (state["epoch"], state["model"].n_iter_) == (20, 200)
