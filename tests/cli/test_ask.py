"""`hpo ask` in processes of its own, with the question of docs/ask.md."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.runs import LIMIT, Project

PAGE = Path("docs/ask.md").read_text(encoding="utf-8")


@pytest.fixture
def asked(project: Project) -> Project:
    """With the question in `norm.toml`, of one case and two trials an arm."""
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    text = text.replace('tumours = { data.dataset = "breast_cancer" }\n', "")
    text = text.replace("[0.01, 0.03, 0.1]", "[0.01, 0.1]").replace("trials = 3", "trials = 2")
    (project.folder / "norm.toml").write_text(text, encoding="utf-8")
    return project


def ended(home: Path) -> int:
    """Studies whose winner was found."""
    if not (home / "hpo.db").exists():
        return 0
    with closing(sqlite3.connect(home / "hpo.db")) as database:
        try:
            return int(database.execute("SELECT COUNT(winner_number) FROM hpo_studies").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are being made
            return 0


def test_a_question_that_was_killed_ends_with_the_same_values(asked: Project) -> None:
    process = asked.start("ask", "norm.toml", "--jobs", 2)
    deadline = time.monotonic() + LIMIT
    while not ended(asked.folder / "runs"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=LIMIT)
    time.sleep(2.0)  # its processes end by themselves
    done = asked.hpo("ask", "norm.toml", "--jobs", 1, "--page", "page.md")
    assert done.returncode == 0, done.stderr
    assert not done.stderr.startswith("norm: 0 of 6")
    once = asked.hpo("ask", "norm.toml", "--jobs", 1, "--home", "once")
    assert once.returncode == 0, once.stderr
    folders = [asked.folder / home / "questions" / "norm" for home in ("runs", "once")]
    for file in ("values.csv", "answer.json", "figure.svg"):
        first, second = ((folder / file).read_bytes() for folder in folders)
        assert first == second

    assert once.stdout == done.stdout
    assert done.stdout.startswith("norm: ")
    assert "batch - none of test.objective is above 0, by 0.01 or more: " in done.stdout
    page = (asked.folder / "page.md").read_text(encoding="utf-8")
    assert "hpo ask norm.toml --page page.md" in page
    assert (asked.folder / "page" / "norm.svg").read_bytes() == (folders[0] / "figure.svg").read_bytes()

    again = asked.hpo("ask", "norm.toml", "--json")
    assert again.stderr == ""  # nothing is left to run
    (answer,) = json.loads(again.stdout)
    assert answer == json.loads((folders[0] / "answer.json").read_text())
    assert (answer["ended"], answer["seeds"], answer["cases"]) == (6, 3, ["wine"])


def test_a_plan_and_a_judgement_run_nothing(asked: Project) -> None:
    plan = asked.hpo("ask", "norm.toml", "--plan")
    assert plan.stdout.splitlines()[1] == "  6 studies of 12 trials in all"
    judged = asked.hpo("ask", "norm.toml", "--no-run")
    assert judged.stdout.startswith("norm: not run yet. ")
    assert not (asked.folder / "runs").exists()


def test_mistakes_are_told(asked: Project) -> None:
    wrong = asked.hpo("ask", "absent.toml")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "hpo: absent.toml: no question file. Give a TOML file, or a folder with some\n",
    )
    path = asked.folder / "norm.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("batch - none", "batch - non"), encoding="utf-8")
    wrong = asked.hpo("ask", "norm.toml")
    assert wrong.returncode == 2
    assert 'effects#1.effect: there is no arm "non". Did you mean "none"? There are: none, batch' in wrong.stderr
