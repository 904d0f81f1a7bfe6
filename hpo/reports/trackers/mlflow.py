"""A study on an MLflow server, or in a folder of its files: an experiment with a run per trial, below one of the study.

The study's run has the report as artifacts. What is there already stays: only trials that are new or went on are
written, so that the same command brings an experiment up to date.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hpo.errors import InputError, MachineError
from hpo.reports.render.build import write_report
from hpo.reports.trackers.runs import Run, runs_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from hpo.storage.store import Store

T = TypeVar("T")

STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
"""Optuna's state -> MLflow's status; other trials are RUNNING."""
VERSION, NUMBER = "hpo.version", "hpo.trial"
"""Tags of a run: what is written of its trial, and the trial's number."""
METRICS_AT_ONCE, PARAMS_AT_ONCE = 1000, 100
"""Largest numbers that MLflow takes in one request."""
LONGEST = 6000
"""Characters of a parameter's value that MLflow takes."""


def write(store: Store, name: str, place: str) -> int:
    """Writes the trials of the study `name` to the tracking address `place`, or the folder of this path, and returns
    the number of those that were new or had gone on. Raises `InputError` where the package is missing, `MachineError`
    where the server refuses."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a study is sent to nobody but this address
    if "://" not in place:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise InputError("MLflow's runs need its package: pip install mlflow-skinny (or mlflow)") from None
    runs = runs_of(store, name)
    try:
        client = MlflowClient(tracking_uri=place if "://" in place else Path(place).absolute().as_uri())
        return _write(client, store, name, runs)
    except MlflowException as error:
        raise MachineError(f"MLflow at {place} refuses: {error.message}") from error


def _write(client: MlflowClient, store: Store, name: str, runs: tuple[Run, ...]) -> int:
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    there = {run.data.tags[NUMBER]: run for run in _all(client, experiment) if NUMBER in run.data.tags}
    new = [run for run in runs if str(run.number) not in there or _changed(there[str(run.number)], run)]
    if "study" in there:
        parent = there["study"].info.run_id
    else:
        parent = client.create_run(experiment, tags={NUMBER: "study"}, run_name=name).info.run_id
    for run in new:
        if old := there.get(str(run.number)):
            client.delete_run(old.info.run_id)
        _write_run(client, experiment, parent, run)
    if new:
        with tempfile.TemporaryDirectory() as folder:
            write_report(store, name, Path(folder))
            client.log_artifacts(parent, folder, "report")
    over = all(run.completed for run in runs)
    client.update_run(parent, status="FINISHED" if over else "RUNNING")
    return len(new)


def _write_run(client: MlflowClient, experiment: str, parent: str, run: Run) -> None:
    from mlflow.entities import Metric, Param, RunTag

    tags = {"mlflow.parentRunId": parent, NUMBER: str(run.number), "hpo.ended": run.ended or run.state}
    made = client.create_run(experiment, _time(run.started), tags, f"trial {run.number}").info.run_id
    params = [Param(key, str(value)[:LONGEST]) for key, value in run.params.items()]
    last = run.points[-1] if run.points else None
    metrics = [
        Metric(metric, value, _time(point.at), point.epoch)
        for point in run.points
        for metric, value in point.values.items()
    ]
    if run.value is not None:
        metrics.append(Metric("result", run.value, _time(run.completed or run.started), last.epoch if last else 0))
    for some in _parts(params, PARAMS_AT_ONCE):
        client.log_batch(made, params=some)
    for part in _parts(metrics, METRICS_AT_ONCE):
        client.log_batch(made, metrics=part)
    client.log_batch(made, tags=[RunTag(VERSION, _version(run))])  # the last: a run with it is whole
    if run.completed:
        client.set_terminated(made, STATUS.get(run.state, "FAILED"), _time(run.completed))


def _changed(there: Any, run: Run) -> bool:
    return bool(there.data.tags.get(VERSION) != _version(run))


def _version(run: Run) -> str:
    """What changes when a trial has gone on."""
    return f"{run.state}, {len(run.points)} epochs"


def _all(client: MlflowClient, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], page_token=token)
        yield from page
        if not (token := page.token):
            return


def _time(at: datetime) -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(at.timestamp() * 1000)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = list(items)
    for begin in range(0, len(rest), size):
        yield rest[begin : begin + size]
