"""The Python door: what `hpo.run` and `hpo.load` give is what the commands, the report and the export give."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import hpo
from hpo.cli import hpo as command
from hpo.errors import DataError, InputError, StorageError, StudyFileError, StudyStateError
from hpo.runtime.progress import Progress

STUDY: dict[str, Any] = {
    "study": {"name": "wines", "seed": 3},
    "data": {"dataset": "wines.csv", "target": "grower", "test": 0.2, "folds": 2},
    "model": {"family": "mlp", "hidden": (8,)},
    "norm": {"choice": [{"kind": "none"}, {"kind": "batch"}]},
    "optimizer": {"name": "adam", "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}},
    "training": {"epochs": 2},
    "search": {"trials": 4, "concurrency": 2, "sampler": "random", "pruner": "none"},
    "checkpoints": {"keep": 1},
}


def wines() -> pd.DataFrame:
    from sklearn.datasets import load_wine

    data = load_wine(as_frame=True)
    return data.frame.rename(columns={"target": "grower"}).assign(grower=[f"grower {k}" for k in data.target])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("door")
    wines().to_csv(folder / "wines.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def seen() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def study(folder: Path, seen: list[Progress]) -> hpo.Study:
    """Of a dict, whose data lie in the working directory."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = hpo.run(STUDY, home=folder / "runs", progress=seen.append)
    assert torch.get_num_threads() == threads
    return found


def as_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """What is left of a frame that went through a CSV file."""
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def test_the_frames_are_the_tables_of_the_report(study: hpo.Study, folder: Path) -> None:
    page = study.report(folder / "report")
    assert page == folder / "report" / "index.html"
    for name, frame in (("trials", study.trials), ("epochs", study.epochs)):
        table = pd.read_csv(page.parent / f"{name}.csv")
        assert list(table.columns) == list(frame.columns)
        pd.testing.assert_frame_equal(as_csv(frame), table, check_exact=False)
    assert (page.parent / "summary.md").read_text(encoding="utf-8") == study.summary
    assert study.trials["number"].tolist() == [0, 1, 2, 3]
    assert str(study.trials["best_epoch"].dtype) == "Int64"
    assert len(study.epochs) == 4 * 2 * 2


def test_the_best_is_the_winner(study: hpo.Study) -> None:
    best = study.best
    assert best is not None
    assert best.value == study.trials["value"].max()
    assert set(best.params) == {"norm.kind", "optimizer.learning_rate"}
    assert 0 < (best.test["accuracy"] or 0) <= 1
    assert best.test_ensemble.keys() == best.test.keys()
    with pytest.raises(dataclasses.FrozenInstanceError):
        best.number = 1  # type: ignore[misc]


def test_progress_is_told(study: hpo.Study, seen: list[Progress]) -> None:
    assert (seen[-1].ended, seen[-1].budget) == (4, 4)


def test_a_model_predicts_what_the_export_does(study: hpo.Study, folder: Path) -> None:
    export = study.export(folder / "export")
    rows = wines().sample(20, random_state=0).drop(columns="grower")
    found = hpo.Predictor.load(export).predict(rows)
    assert list(found.columns) == ["prediction", *(f"p(grower {k})" for k in range(3))]
    assert found.index.equals(rows.index)
    probabilities = []
    for replica in range(2):
        model, preprocess = study.predictor(replica=replica)
        assert not model.training
        plain = study.model(replica=replica)
        with torch.no_grad():
            assert torch.equal(model(preprocess(rows)), plain(preprocess(rows)))
            probabilities.append(model(preprocess(rows)).double().softmax(1))
    mean = torch.stack(probabilities).mean(0)
    np.testing.assert_allclose(found.iloc[:, 1:].to_numpy(), mean.numpy())
    assert found["prediction"].tolist() == [f"grower {k}" for k in mean.argmax(1).tolist()]

    rows.to_csv(folder / "rows.csv", index=False)
    told = CliRunner().invoke(command, ["predict", str(export), str(folder / "rows.csv")], catch_exceptions=False)
    table = pd.read_csv(io.StringIO(told.stdout))
    assert table.columns.tolist() == ["row", *found.columns]
    assert table["prediction"].tolist() == found["prediction"].tolist()
    np.testing.assert_allclose(table.iloc[:, 2:].to_numpy(), found.iloc[:, 1:].to_numpy(), rtol=1e-5)


def test_another_trial_can_be_had(study: hpo.Study, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert study.best is not None
    other = next(number for number in range(4) if number != study.best.number)
    study.model(trial=other)
    assert "it is trained again" in caplog.text


@pytest.mark.parametrize("replica", [-1, 2])
def test_a_replica_that_is_not_there_is_refused(study: hpo.Study, replica: int) -> None:
    with pytest.raises(InputError, match=r"replica must be from 0 to 1"):
        study.model(replica=replica)


def test_an_export_is_replaced_only_if_asked(study: hpo.Study, tmp_path: Path) -> None:
    study.export(tmp_path / "export")
    with pytest.raises(InputError, match="is not empty"):
        study.export(tmp_path / "export")
    study.export(tmp_path / "export", force=True)


def test_a_study_is_loaded_without_torch(study: hpo.Study, folder: Path) -> None:
    script = (
        "import sys, hpo; s = hpo.load('wines', home='runs'); s.trials, s.epochs, s.best, s.summary, s.report('r');"
        "assert 'torch' not in sys.modules; print(s.best.number)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert study.best is not None
    assert done.stdout == f"{study.best.number}\n"


def test_the_environment_says_where_studies_are(
    study: hpo.Study, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="no database at"):
        hpo.load("wines")
    monkeypatch.setenv("HPO_HOME", str(folder / "runs"))
    assert hpo.load("wines").best == study.best
    assert hpo.load("wines", home=tmp_path, storage=f"sqlite:///{folder}/runs/hpo.db").best == study.best
    with pytest.raises(StudyStateError, match="wines"):
        hpo.load("wine")


def test_a_file_with_the_text_of_a_dict_continues_it(study: hpo.Study, folder: Path, tmp_path: Path) -> None:
    """And the commands that tell how a study goes on name no file that is not there."""
    show = CliRunner().invoke(command, ["show", "wines", "--home", str(folder / "runs")], catch_exceptions=False)
    assert "<dict>" not in show.output
    page = (study.report(folder / "page")).read_text(encoding="utf-8")
    assert "hpo.run(STUDY)" in page
    (folder / "wines.toml").write_text(study.text, encoding="utf-8")
    home = shutil.copytree(folder / "runs", tmp_path / "runs")
    longer = hpo.run(folder / "wines.toml", trials=5, home=home)
    assert len(longer.trials) == 5
    assert len(study.trials) == 4, "it is as it was loaded"


def test_processes_train_without_a_main_file(tmp_path: Path) -> None:
    """As in a notebook: the code comes from standard input."""
    script = f"""
import hpo
study = {STUDY | {"data": {"dataset": "wine"}}!r}
seen = []
hpo.run(study, workers=2, progress=seen.append)
assert {{now.workers for now in seen}} == {{2}}
print(len(hpo.load("wines").trials))
"""
    done = subprocess.run(
        [sys.executable, "-"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4\n"
    assert (tmp_path / "runs" / "reports" / "wines" / "index.html").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be a whole number of at least 1, but got 0"),
        ({"workers": 1.5}, 'workers must be a whole number of at least 1 or "auto", but got 1.5'),
        ({"lanes": None}, 'lanes must be a whole number of at least 1 or "auto", but got None'),
        ({"threads": "auto"}, "threads must be a whole number of at least 1, but got 'auto'"),
        ({"compile": True}, 'compile must be "auto", "on" or "off", but got True'),
        ({"device": "tpu"}, "no such device"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        hpo.run({**STUDY, "data": {"dataset": "wine"}}, home=tmp_path / "runs", **options)
    assert not (tmp_path / "runs" / "hpo.db").exists()


def test_mistakes_of_a_dict_are_those_of_a_file(tmp_path: Path) -> None:
    wrong = {**STUDY, "optimizer": {"name": "adam", "learning_rat": 0.1}}
    with pytest.raises(StudyFileError, match=r'<dict>: optimizer.learning_rat: .*Did you mean "learning_rate"'):
        hpo.run(wrong, home=tmp_path / "runs")
    with pytest.raises(StudyFileError, match="no such study file"):
        hpo.run("nowhere", home=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_study_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    hopeless = {"name": "threshold", "upper": 0.0}
    study = {**STUDY, "data": {"dataset": "wine"}, "search": {**STUDY["search"], "pruner": hopeless}}
    found = hpo.run(study, home=tmp_path / "runs")
    assert found.best is None
    assert set(found.trials["state"]) == {"PRUNED"}
    with pytest.raises(StudyStateError, match=r"has finished. Give it more trials: `hpo.run\(STUDY, trials=N\)`"):
        found.model()


def test_data_may_be_an_object(tmp_path: Path) -> None:
    """Here a frame; nothing of it is stored, and another one is recognised."""
    frame, home = wines(), tmp_path / "runs"
    given = {**STUDY, "data": {"dataset": frame, "target": "grower", "folds": 2}}
    found = hpo.run(given, home=home, workers=2)
    assert found.best is not None
    assert 'dataset = "<object>"' in found.text
    assert found.epochs.equals(hpo.run({**given, "data": {**given["data"], "dataset": frame.copy()}}, home=home).epochs)
    found.export(tmp_path / "export")
    answers = hpo.Predictor.load(tmp_path / "export").predict(frame)
    model, preprocess = found.predictor()
    assert model(preprocess(frame)).shape == (len(frame), answers.shape[1] - 1)
    with pytest.raises(StudyFileError, match="data"):
        hpo.run({**given, "data": {**given["data"], "dataset": frame.assign(ash=0.5)}}, home=home)
    with pytest.raises(DataError, match=r"given its data as an object.*hpo\.run\(STUDY\)"):
        hpo.load("wines", home=home).export(tmp_path / "other")
    (tmp_path / "s.toml").write_text(found.text)
    for arguments in (["submit", tmp_path / "s.toml"], ["export", "wines", "-o", tmp_path / "other"]):
        refused = CliRunner().invoke(command, [*map(str, arguments), "--home", str(home)])
        assert isinstance(refused.exception, DataError)


def test_arrays_data_sets_and_a_test_part_may_be_objects(tmp_path: Path) -> None:
    table = wines()
    x, y = table.drop(columns="grower").to_numpy(), table["grower"].to_numpy()
    few = {**STUDY, "search": {**STUDY["search"], "trials": 1}, "training": {"epochs": 1}}

    def best(name: str, **data: Any) -> float | None:
        found = hpo.run({**few, "study": {"name": name}, "data": data}, home=tmp_path / "runs").best
        assert found is not None
        return found.test["accuracy"]

    classes = torch.from_numpy(pd.factorize(y)[0])
    items = torch.utils.data.TensorDataset(torch.tensor(x), classes)
    for number, given in enumerate([(x, y), {"X": x, "y": y}, items]):
        assert best(f"s{number}", dataset=given) is not None
    assert best("parts", dataset=table.iloc[::2], test=table.iloc[1::2], target="grower") is not None
    with pytest.raises(DataError, match="found a list; must be a pandas DataFrame"):
        best("list", dataset=[1, 2, 3])
    with pytest.raises(DataError, match=r"data\.dataset"):
        best("ragged", dataset={"X": [[1], [1, 2]], "y": [0, 1]})


def test_studies_are_compared_as_by_the_command(study: hpo.Study, folder: Path) -> None:
    assert study.best is not None
    found = hpo.compare(["wines", "wines"], metric="macro_f1", home=study.home)
    assert found.frame["best"].tolist() == [study.best.value] * 2
    assert found.frame["method"].tolist() == [None, "paired, 2 folds"]
    arguments = ["compare", "wines", "wines", "--metric", "macro_f1", "--csv", "-", "--home", str(study.home)]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).stdout == found.csv()
    with pytest.raises(InputError, match="names of at least one study"):
        hpo.compare("wines", home=study.home)
