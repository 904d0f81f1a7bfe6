"""`hpo show` tells the signs of trouble of a study and of one of its trials, and what the trial cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hpo import load
from hpo.cli import hpo
from hpo.errors import StudyStateError
from hpo.reports.facts import gather
from hpo.reports.render.json import summary_of
from hpo.storage.open import reading, url_of
from tests.export import tiny

ZEROS = tiny.WINE.replace('[norm]\nkind = "batch"\n', '[init]\nscheme = "zeros"\n')


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.run(ZEROS, tmp_path_factory.mktemp("zeros"))


def printed(home: Path, *arguments: str) -> str:
    done = CliRunner().invoke(hpo, ["show", "tiny", *arguments, "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def as_json(home: Path, *arguments: str) -> Any:
    return json.loads(printed(home, "--json", *arguments))


def test_of_a_study(home: Path) -> None:
    found = as_json(home)
    (identical,) = (sign for sign in found["signs"] if sign["code"] == "identical_units")
    assert identical["trials"] == [0, 1, 2, 3]
    assert identical["way_out"] == "take an init.scheme that draws weights at random"
    assert all("identical_units" in trial["signs"] for trial in found["best_trials"])
    lines = printed(home).splitlines()
    line = f"  identical units in 4 trials, e.g. 0: {identical['example']}; {identical['way_out']}"
    assert line in lines[lines.index("Signs of trouble") :]


def test_of_one_trial(home: Path) -> None:
    best = as_json(home)["best_trials"][0]
    found = as_json(home, "--trial", str(best["number"]))
    same = ("number", "value", "epochs", "best_epoch", "seconds", "params")
    assert {key: found[key] for key in same} == {key: best[key] for key in same}
    assert (found["state"], found["reason"]) == ("finished", "finished")
    assert found["optimizer_state_bytes"] > 4 * found["parameters"] > 0
    assert [sign["code"] for sign in found["signs"] if sign["code"] == "identical_units"]
    text = printed(home, "--trial", str(best["number"]))
    assert text.startswith(f"Trial {best['number']} of tiny: finished, 2 epochs\nvalidation accuracy ")
    assert f"{found['parameters']} parameters of the model" in text
    assert "Signs of trouble\n  identical units: units of " in text


def test_the_weights_that_a_trial_ended_with(tmp_path: Path) -> None:
    learns = tiny.run(tiny.WINE, tmp_path)
    winner = as_json(learns)["winner"]
    layers = as_json(learns, "--trial", str(winner))["weights"]
    model = load("tiny", home=learns).model()
    matrices = {name: p for name, p in model.named_parameters() if p.dim() >= 2}
    assert {f"{layer['name']}.weight": layer["count"] for layer in layers} == {
        name: matrix.numel() for name, matrix in matrices.items()
    }
    for layer in layers:
        assert 0.0 <= layer["near_zero"] < 0.2
        assert 0.3 < layer["variation"] < 1.0
        assert 1e-5 < layer["update_ratio"] < 1.0
    lines = printed(learns, "--trial", str(winner)).splitlines()
    told = lines[lines.index("Weights") + 1 :]
    first = layers[0]
    assert [line.partition(":")[0].strip() for line in told] == [layer["name"] for layer in layers]
    assert f"{first['count']} weights, " in told[0]
    assert f", updates {first['update_ratio']:.2g} of their size, " in told[0]
    assert told[0].endswith(f" near zero, sizes vary by {first['variation']:.2g} of their mean")
    with reading(url_of(None, learns)) as store:
        summary = summary_of(gather(store, "tiny"))
    assert summary.winner is not None
    assert [line.model_dump() for line in summary.winner.weights] == layers


def test_a_trial_that_does_not_exist(home: Path) -> None:
    with pytest.raises(StudyStateError, match="the study 'tiny' has no trial 4: its trials are 0 to 3"):
        printed(home, "--trial", "4")
    done = CliRunner().invoke(hpo, ["show", "tiny", "--watch", "--trial", "1", "--home", str(home)])
    assert done.exit_code == 2
