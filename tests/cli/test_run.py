"""`hpo run` as a user has it: real data, real processes, real signals. What needs no process is in tests/workers."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo import endings
from hpo.reports.text import format_number as written
from tests.cli.runs import LIMIT, Project

pytestmark = pytest.mark.slow

SCORE = r"test accuracy: ([\d.]+)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small study, run once without a stop; tests only read it."""
    made = Project(folder=tmp_path_factory.mktemp("whole"))
    made.write()
    (made.folder / "output").write_text(made.run("--lanes", 2))
    return made


def equal(project: Project, whole: Project, home: str = "runs") -> bool:
    return project.table(home) == whole.table() and project.epochs(home) == whole.epochs()


def test_what_a_run_prints(whole: Project) -> None:
    lines = (whole.folder / "output").read_text().splitlines()
    assert lines[0] == "Study small begins: wine, accuracy, 8 trials, sampler tpe, pruner median"
    assert sum(line.startswith("8 trials ended: ") for line in lines) == 1
    (winner,) = [line for line in lines if line.startswith("Winner: trial ")]
    assert sum("test accuracy" in line for line in lines) == 1
    number = winner.removeprefix("Winner: trial ")
    finished = {trial["number"]: trial for trial in whole.trials() if trial["state"] == "COMPLETE"}
    best = finished[number]
    assert float(best["value"]) == max(float(trial["value"]) for trial in finished.values())
    assert f"  validation accuracy: {written(float(best['value']))}" in lines
    assert f"  optimizer.name = {best['optimizer.name']}" in lines
    assert lines[-1] == "Report: runs/reports/small/index.html"


def test_what_a_run_leaves(whole: Project) -> None:
    home = whole.folder / "runs"
    assert {file.name for file in (home / "reports" / "small").iterdir()} == {
        "index.html",
        "trials.csv",
        "epochs.csv",
        "importances.csv",
        "summary.json",
        "summary.md",
    }
    kept = sorted(file.name for file in (home / "checkpoints" / "small").glob("*.pt"))
    assert [name.partition("-")[0] for name in kept] == ["best"] * 3 + ["final"] * 3, "of the three best, nothing else"
    with sqlite3.connect(home / "hpo.db") as database:
        (winner, test), *_ = database.execute("SELECT winner_number, test_json FROM hpo_studies").fetchall()
        epochs = dict(database.execute("SELECT number, COUNT(*) FROM hpo_epochs NATURAL JOIN trials GROUP BY number"))
        attributes: dict[int, dict[str, Any]] = defaultdict(dict)
        for number, key, value in database.execute(
            "SELECT number, key, value_json FROM trial_user_attributes NATURAL JOIN trials"
        ):
            attributes[number][key] = json.loads(value)
    assert winner is not None
    assert 0.0 <= json.loads(test)["accuracy"] <= 1.0
    assert epochs == {int(trial["number"]): int(trial["epochs"]) for trial in whole.trials()}
    words = {number: str(endings.of(about)) for number, about in attributes.items()}
    assert words == {int(trial["number"]): trial["ended"] for trial in whole.trials()}


@pytest.mark.parametrize("lanes", [1, 32])
def test_lanes_change_nothing_but_the_speed(lanes: int, project: Project, whole: Project) -> None:
    project.run("--lanes", lanes)
    assert equal(project, whole)


def test_killed_again_and_again(project: Project, whole: Project) -> None:
    assert project.stop_at((project.folder / "runs" / "hpo.db").exists, signal.SIGKILL)[0] == -signal.SIGKILL
    for ticks in (1, 4, 9):
        code, _ = project.stop_at(lambda ticks=ticks: project.ticks() >= ticks, signal.SIGKILL)
        assert code == -signal.SIGKILL
    assert project.run().startswith("Study small continues after")
    assert equal(project, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number: signal.Signals, project: Project, whole: Project) -> None:
    options = ["--lanes", "auto", "--trials", "8", "--device", "cpu", "--threads", "1", "--compile", "off"]
    code, err = project.stop_at(lambda: project.ticks("my runs") >= 2, number, "--home", "my runs", *options)
    assert code == 130
    assert "Traceback" not in err
    command = err.strip().splitlines()[-1].strip()
    assert set(shlex.split(command)) == {"hpo", "run", "small.toml", "--home", "my runs", *options}
    assert "--home 'my runs'" in command
    project.run("--home", "my runs")
    assert equal(project, whole, "my runs")


def test_more_trials_continue_an_ended_study(project: Project, whole: Project) -> None:
    project.run("--trials", 5)
    first = project.trials()
    assert len(first) == 5
    output = project.run()
    assert output.startswith("Study small continues after 5 ended trials")
    assert project.trials()[:5] == first
    assert len(project.trials()) == 8


def test_an_ended_study_is_not_scored_again(project: Project, whole: Project) -> None:
    project.run()
    database = project.folder / "runs" / "hpo.db"
    with sqlite3.connect(database) as connection:
        connection.execute("""UPDATE hpo_studies SET test_json = '{"accuracy": 0.125}'""")
    connection.close()
    output = project.run()
    assert "Study small has its 8 trials already" in output
    assert "test accuracy: 0.125" in output
    assert equal(project, whole)


def test_a_second_run_of_the_same_study_is_refused(project: Project, whole: Project) -> None:
    process = project.start("run", "small.toml")
    while project.ticks() < 1:
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    second = project.hpo("run", "small.toml")
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert second.returncode == 2
    assert f"already being run by process {process.pid}" in second.stderr
    assert equal(project, whole)


def test_a_damaged_best_checkpoint_is_trained_again(project: Project, whole: Project) -> None:
    project.run()
    expected = re.findall(SCORE, (whole.folder / "output").read_text())
    assert len(expected) == 1
    for file in (project.folder / "runs" / "checkpoints" / "small").glob("best-*.pt"):
        file.write_bytes(file.read_bytes()[:100])
    database = project.folder / "runs" / "hpo.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE hpo_studies SET winner_number = NULL, test_json = NULL")
    connection.close()
    assert re.findall(SCORE, project.run()) == expected


def test_when_no_trial_finishes_the_run_has_failed(project: Project) -> None:
    project.write(
        model='family = "mlp"',
        norm='kind = "none"',
        optimizer='name = "sgd"\nlearning_rate = { low = 1e30, high = 1e35, log = true }',
    )
    done = project.hpo("run", "small.toml")
    assert done.returncode == 1
    assert "No trial finished" in done.stdout
    assert {trial["state"] for trial in project.trials()} == {"PRUNED"}
    assert all("diverged at epoch" in trial["ended"] for trial in project.trials())


def test_postgresql_gives_the_same_table(
    project: Project, whole: Project, new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    code, err = project.stop_at(lambda: project.ticks() >= 2, signal.SIGTERM, "--storage", url)
    assert code == 130, err
    assert shlex.split(err.strip().splitlines()[-1]) == ["hpo", "run", "small.toml", "--storage", url]
    project.run("--storage", url)
    assert equal(project, whole)
    assert not (project.folder / "runs" / "hpo.db").exists()
    shown = project.hpo("studies", "--json", "--storage", url)
    assert [study["name"] for study in json.loads(shown.stdout)] == ["small"]
