"""Studies whose trials a function of the user's own trains, in this process and with processes of its own for them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hpo
from hpo.errors import InputError, StudyFileError
from hpo.runtime.local_run import run_study
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.file import read_study_file
from tests.runtime.functions import TRAIN, study


def run(path: Path, **options: Any) -> pd.DataFrame:
    """The trials of a study that is run, with the folder of its file as home."""
    return hpo.run(path, home=path.parent / "home", **options).trials


MODES = ("fine", "dies_once", "dies", "hangs", "silent", "raises", "exits", "short", "eats", "leaps", "misnames")


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A trial of each mode by its mode, of one study; and its epochs."""
    folder = tmp_path_factory.mktemp("modes")
    names = ", ".join(f'"{mode}"' for mode in MODES)
    path = study(
        folder,
        trial=f'function = "train.py:train"\narguments = {{ mode = {{ choice = [{names}] }} }}\nseconds = 25.0\n'
        "resources = { cpus = 0.2, memory_gib = 0.4 }",
        search='trials = 11\nsampler = "grid"\npruner = "none"\nconcurrency = 11',
    )
    found = hpo.run(path, home=folder / "home", workers=11)
    rows = found.trials.set_index("trial.arguments.mode")
    return {"trials": rows, "epochs": found.epochs, "folder": folder}


def ended(modes: dict[str, Any], mode: str) -> tuple[str, int, str]:
    row = modes["trials"].loc[mode]
    return row["state"], row["epochs"], row["ended"]


def test_a_function_trains_to_the_end_or_returns_earlier(modes: dict[str, Any]) -> None:
    assert ended(modes, "fine") == ("COMPLETE", 5, "finished")
    assert ended(modes, "short") == ("COMPLETE", 3, "finished")
    number = modes["trials"].loc["fine", "number"]
    printed = modes["folder"] / "home" / "trials" / "own" / f"{number:06d}" / "output.txt"
    assert printed.read_text().splitlines() == [f"epoch {epoch}" for epoch in range(1, 6)]
    mine = modes["epochs"][modes["epochs"]["number"] == number]
    assert mine["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert mine["objective"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert mine["valid_loss"].tolist() == [1 / epoch for epoch in range(1, 6)]


def test_a_killed_process_continues_from_what_it_saved(modes: dict[str, Any]) -> None:
    assert ended(modes, "dies_once") == ("COMPLETE", 5, "finished")
    mine = modes["epochs"][modes["epochs"]["number"] == modes["trials"].loc["dies_once", "number"]]
    assert mine["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert mine["begun"].tolist() == [1, 1, 1, 2, 2]


def test_a_function_that_fails_ends_its_trial_alone(modes: dict[str, Any]) -> None:
    state, epochs, why = ended(modes, "dies")
    assert (state, epochs) == ("FAIL", 2)
    assert "died 3 times in a row (signal 9, Killed), after epoch 2" in why
    assert ended(modes, "hangs") == ("FAIL", 1, "failed: its function took longer than trial.seconds = 25")
    assert ended(modes, "silent") == ("FAIL", 0, "failed: the function returned without a report")
    assert ended(modes, "raises") == ("FAIL", 1, "failed: RuntimeError: no more")
    assert ended(modes, "exits") == ("FAIL", 0, "failed: SystemExit: 3")
    state, epochs, why = ended(modes, "eats")
    assert (state, epochs) == ("FAIL", 1)
    assert "more than trial.resources.memory_gib = 0.4" in why


def test_a_wrong_report_says_what_is_wrong(modes: dict[str, Any]) -> None:
    assert "report(4, ...): expected epoch 3" in ended(modes, "leaps")[2]
    assert "found 'precision', but study.objective is 'score'" in ended(modes, "misnames")[2]


def test_on_every_database(tmp_path: Path, url: str) -> None:
    pruner = 'pruner = { name = "threshold", lower = 3.5, warmup_epochs = 3 }'
    path = study(tmp_path, search=f'trials = 6\nsampler = "tpe"\n{pruner}\nconcurrency = 2')
    found = run(path, storage=url)
    assert found["number"].tolist() == list(range(6))
    assert set(found["state"]) <= {"COMPLETE", "PRUNED"}
    for row in found.itertuples():
        assert (row.state == "PRUNED") == (row.value < 3.5 if row.epochs == 3 else False)


def test_in_lock_step_a_study_repeats(tmp_path: Path) -> None:
    search = 'trials = 8\nsampler = { name = "tpe", startup_trials = 3 }\npace = "lockstep"\nconcurrency = 3'
    tables = []
    for name, workers in (("one", 1), ("three", 3)):
        (tmp_path / name).mkdir()
        run(study(tmp_path / name, search=search), workers=workers)
        tables.append((tmp_path / name / "home" / "reports" / "own" / "trials.csv").read_bytes())
    assert tables[0] == tables[1]


def test_a_function_gets_the_studys_data(tmp_path: Path) -> None:
    path = study(tmp_path, data='dataset = "wine"\ntest = 0.2\nvalidation = 0.2', search="trials = 1")
    (tmp_path / "train.py").write_text(
        "def train(trial):\n"
        "    data = trial.data\n"
        "    assert data.x_train.shape[1:] == data.x_valid.shape[1:] == (13,), data.x_train.shape\n"
        "    share = len(data.y_valid) / (len(data.y_train) + len(data.y_valid))\n"
        '    trial.report(1, {"score": round(share, 2)})\n'
    )
    found = run(path)
    assert found["value"].tolist() == [0.25]


def test_changed_code_is_refused(tmp_path: Path) -> None:
    path = study(tmp_path, search="trials = 1")
    run(path)
    (tmp_path / "train.py").write_text(TRAIN + "\n# changed\n")
    with pytest.raises(StudyFileError, match=r"train\.py has changed since study 'own' began"):
        run(path, trials=2)


def test_code_that_cannot_be_loaded_leaves_nothing(tmp_path: Path) -> None:
    path = study(tmp_path)
    (tmp_path / "train.py").write_text("def train(trial:\n")
    with pytest.raises(StudyFileError, match=r"own\.toml: trial\.function .*train\.py:train: .*SyntaxError"):
        run(path)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lanes": 8}, r"--lanes 8: each trial .* leave it out\. --workers N trains N"),
        ({"compile": "on"}, r"--compile on: each trial .* torch\.compile in the function"),
        ({"threads": 2}, r"--threads 2: each trial .* cpus = 2` in the study file"),
        ({"engine": "ray"}, r"--engine ray: training functions .* leave it out"),
    ],
)
def test_options_of_models_are_refused_with_the_way_out(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    spec, home = read_study_file(study(tmp_path)), tmp_path / "home"
    with pytest.raises(InputError, match=reason):
        run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu", **options)
    assert not home.exists()


def test_a_function_knows_how_many_reports_it_may_make(tmp_path: Path) -> None:
    path = study(tmp_path, search="trials = 1")
    code = '    for epoch in range(1, trial.epochs + 1):\n        trial.report(epoch, {"score": trial.epochs})\n'
    (tmp_path / "train.py").write_text(f"def train(trial):\n{code}")
    found = run(path)
    assert (found["epochs"].tolist(), found["value"].tolist()) == ([5], [5.0])


def test_a_study_with_more_trials_goes_on(tmp_path: Path) -> None:
    path = study(tmp_path, search='trials = 2\nsampler = "random"')
    run(path)
    found = run(path, trials=3)
    assert found["state"].tolist() == ["COMPLETE"] * 3
    with closing(open_store(f"sqlite:///{tmp_path}/home/hpo.db", readonly=True)) as store:
        kept = [(row.kind, row.epoch) for row in store.checkpoints(1)]
    assert kept == [("final", 5)] * 3, "also what was saved after the last report"
