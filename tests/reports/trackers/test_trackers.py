"""Studies as runs of TensorBoard and MLflow, read back with their own readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpo.cli import hpo
from hpo.errors import InputError
from hpo.reports.trackers import tensorboard
from hpo.reports.trackers.runs import Run, runs_of
from hpo.runtime.local_run import run_study
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.runtime.small import small_study, with_trials

SPEC = small_study()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    run_study(SPEC, sqlite_url(folder), folder, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def store(home: Path) -> Iterator[Store]:
    with closing(open_store(sqlite_url(home))) as found:
        yield found


@pytest.fixture(scope="module")
def runs(store: Store) -> tuple[Run, ...]:
    return runs_of(store, "small")


def exported(home: Path, target: str, place: object, *more: str) -> Result:
    return CliRunner().invoke(hpo, ["export", "small", "--to", target, "-o", str(place), "--home", str(home), *more])


def test_runs_are_the_trials_with_means_over_replicas(store: Store, runs: tuple[Run, ...]) -> None:
    trials = store.own_trials(store.get_study_id_from_name("small"))
    assert [run.number for run in runs] == [trial.number for trial in trials]
    for run, trial in zip(runs, trials, strict=True):
        curve = {point.epoch: point.values["objective"] for point in run.points}
        assert curve == pytest.approx(trial.intermediate_values, abs=1e-6)
        assert run.params == trial.params
        assert all(early.at <= late.at for early, late in zip(run.points, run.points[1:], strict=False))
        assert run.ended


def test_tensorboard_reads_curves_and_hyperparameters(home: Path, runs: tuple[Run, ...], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    said = exported(home, "tensorboard", tmp_path / "logs")
    assert said.exit_code == 0, said.output
    assert [path.name for path in sorted((tmp_path / "logs").iterdir())] == [f"trial-{run.number}" for run in runs]
    for run in runs:
        log = EventAccumulator(str(tmp_path / "logs" / f"trial-{run.number}"))
        log.Reload()
        read = [(event.step, event.value) for event in log.Scalars("train_loss")]
        assert read == [(p.epoch, pytest.approx(p.values["train_loss"])) for p in run.points]
        data = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        shown = HParamsPluginData.FromString(data).session_start_info.hparams
        assert set(shown) == set(run.params)
        rate = run.params["optimizer.learning_rate"]
        assert shown["optimizer.learning_rate"].number_value == pytest.approx(rate)
    again = exported(home, "tensorboard", tmp_path / "logs")
    assert isinstance(again.exception, InputError)
    assert "choose a new or empty folder" in str(again.exception)


def test_mlflow_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    run_study(with_trials(SPEC, 3), sqlite_url(tmp_path), tmp_path, lambda _: None)
    place = tmp_path / "mlruns"
    assert "3 trials of small written for mlflow" in exported(tmp_path, "mlflow", place).output
    assert "0 trials of small" in exported(tmp_path, "mlflow", place).output
    run_study(with_trials(SPEC, 5), sqlite_url(tmp_path), tmp_path, lambda _: None)
    assert "2 trials of small" in exported(tmp_path, "mlflow", place).output

    client = MlflowClient(tracking_uri=place.as_uri())
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found = {run.data.tags["hpo.trial"]: run for run in client.search_runs([experiment.experiment_id])}
    assert found.keys() == {"study", *"01234"}
    artifacts = client.list_artifacts(found["study"].info.run_id, "report")
    assert "report/index.html" in {artifact.path for artifact in artifacts}
    with closing(open_store(sqlite_url(tmp_path))) as store:
        runs = runs_of(store, "small")
    for run in runs:
        there = found[str(run.number)]
        assert there.data.params == {key: str(value) for key, value in run.params.items()}
        history = client.get_metric_history(there.info.run_id, "train_loss")
        assert [(m.step, m.value) for m in history] == [(p.epoch, p.values["train_loss"]) for p in run.points]
        assert there.data.metrics["result"] == run.value
        assert there.info.status == {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}[run.state]
        assert there.data.tags["mlflow.parentRunId"] == found["study"].info.run_id


@pytest.mark.parametrize("option", [("--trial", "1"), ("--force",), ("--checkpoints", "x")])
def test_options_of_one_model_are_refused(home: Path, tmp_path: Path, option: tuple[str, ...]) -> None:
    said = exported(home, "mlflow", tmp_path / "mlruns", *option)
    assert said.exit_code == 2
    assert f"{option[0]} goes with --to files only" in said.output


def test_a_missing_package_is_named(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        tensorboard.write(store, "small", str(tmp_path / "logs"))
