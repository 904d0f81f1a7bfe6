"""Exports of trials of a training function: what it saved, its folder, and how both are loaded without the package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import hpo
from hpo.cli import hpo as command
from hpo.errors import InputError, StudyStateError
from hpo.export.reading import read_export
from tests.runtime.functions import study

CODE = """
{imports}

def train(trial):
    (trial.folder / "curves").mkdir(exist_ok=True)
    for epoch in range(1, trial.epochs + 1):
        trial.report(epoch, {{"score": trial.params["x"] + epoch}})
        (trial.folder / "curves" / f"{{epoch}}.txt").write_text(str(epoch))
        trial.save({{"epoch": epoch, "weights": {weights}}})
"""
PLAIN = CODE.format(imports="", weights="[epoch, trial.number]")
TENSORS = CODE.format(imports="import torch\n", weights="torch.tensor([epoch, trial.number])")
LOADING = (
    "import load, json; s = load.state(); "
    "print(json.dumps([load.params(), s['epoch'], [int(n) for n in s['weights']], "
    "sorted(p.name for p in (load.folder() / 'curves').iterdir())]))"
)
TRIAL = 'function = "train.py:train"\narguments = { x = { low = 0.0, high = 1.0 }, sizes = [1, 2] }'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    study(tmp_path, trial=TRIAL, search="trials = 3", checkpoints="keep = 1", training="epochs = 2")
    return tmp_path


def loaded(export: Path) -> Any:
    """What `load.py` gives in a program of its own, far from this package."""
    done = subprocess.run([sys.executable, "-c", LOADING], cwd=export, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("code", "state"), [(PLAIN, "state.pickle"), (TENSORS, "state.pt")])
def test_what_the_best_trial_saved(folder: Path, code: str, state: str) -> None:
    (folder / "train.py").write_text(code)
    found = hpo.run(folder / "own.toml", home=folder / "home")
    assert found.best is not None
    export = found.export(folder / "export")
    assert {path.name for path in export.iterdir()} == {state, "train.py", "load.py", "config.json", "files"}
    params, epoch, weights, curves = loaded(export)
    assert params == {"x": found.best.params["trial.arguments.x"], "sizes": [1, 2]}
    assert (epoch, weights, curves) == (2, [2, found.best.number], ["1.txt", "2.txt"]), "also after the last report"
    about = json.loads((export / "config.json").read_text())
    assert (about["trial"], about["value"], about["state_epoch"]) == (found.best.number, found.best.value, 2)
    assert ("weights_only=True" in (export / "load.py").read_text()) == (state == "state.pt")
    with pytest.raises(InputError, match=r"training function train\.py:train trained.* load\.py beside it"):
        read_export(export)
    with pytest.raises(StudyStateError, match=r"no model of it is known\. `hpo export own -o DIR`"):
        found.model()


def test_other_trials_have_their_folder_or_nothing(folder: Path) -> None:
    (folder / "train.py").write_text(PLAIN)
    found = hpo.run(folder / "own.toml", home=folder / "home")
    assert found.best is not None
    other = str(next(number for number in found.trials["number"] if number != found.best.number))
    options = ["export", "own", "--home", str(folder / "home"), "-o", str(folder / "export"), "--force", "--trial"]
    CliRunner().invoke(command, [*options, str(found.best.number)], catch_exceptions=False)
    (folder / "train.py").write_text(PLAIN + "# changed\n")
    done = CliRunner().invoke(command, [*options, other], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"Nothing is kept that trial {other} of 'own' saved" in done.stderr
    assert "train.py:train has changed since the study began" in done.stderr
    assert f"Trial {other} of own, score " in done.stderr
    names = {path.name for path in (folder / "export").iterdir()}
    assert names == {"train.py", "load.py", "config.json", "files"}, "a file of code stays, a state does not"
    assert "def state" not in (folder / "export" / "load.py").read_text()
