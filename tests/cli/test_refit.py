"""A winner that is trained again on all rows: a real kill meanwhile, and what the commands say of it."""

from __future__ import annotations

import json
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.cli.runs import Project
from tests.runtime.small import TABLES

pytestmark = pytest.mark.slow

STUDY = f'{TABLES["study"]}\nfinal = "refit"'
KILL = """
import os, signal
from hpo.runtime import refit

train_again = refit.train_again

def killed(executor, past, go_on):
    epochs = []

    def count():
        epochs.append(1)
        if len(epochs) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        go_on()

    return train_again(executor, past, count)

refit.train_again = killed
"""
"""Ends the process before the third epoch of the winner's last training."""


def left(project: Project) -> tuple[object, ...]:
    """The winner and its scores, and the files of its weights, whose names follow from their content."""
    with sqlite3.connect(project.folder / "runs" / "hpo.db") as database:
        [row] = database.execute("SELECT winner_number, test_json, finished_at IS NOT NULL FROM hpo_studies").fetchall()
    files = sorted(path.name for path in (project.folder / "runs" / "checkpoints" / "small").glob("refit-*.pt"))
    return (*row, files)


def test_killed_while_the_winner_is_trained_again(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = Project(folder=tmp_path_factory.mktemp("whole"))
    for one in (whole, project):
        one.write(study=STUDY)
    said = whole.run()
    assert "The winner was trained again on the 142 training and validation rows together, for " in said
    assert project.hpo("run", "small.toml", before=KILL).returncode == -signal.SIGKILL
    assert left(project) == (None, None, 0, [])
    assert "Winner" in project.run()
    assert left(project) == left(whole)
    assert left(whole)[-1] != []
    assert (project.table(), project.epochs()) == (whole.table(), whole.epochs())
    shown = whole.hpo("show", "small")
    assert "Trained again, trial " in shown.stdout, shown
    refit = json.loads(whole.hpo("show", "small", "--json").stdout)["refit"]
    assert (refit["examples"], refit["models"]) == (142, 1)
    assert whole.hpo("export", "small", "-o", "model").returncode == 0
    assert json.loads(Path(whole.folder / "model" / "config.json").read_text())["refit"] == refit
