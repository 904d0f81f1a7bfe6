"""Baselines are fitted once for a study, when its trials have ended, and noted with its winner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo.registry.facts import StudyFacts
from hpo.runtime import winner
from hpo.runtime.setup.submission import submit_study
from hpo.storage.open import sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import in_session, small_study, with_trials
from tests.service.working import row_of, run_as_the_command_does, wait_for, working

NAMES = ["majority", "logistic", "boosting"]


def with_baselines(asked: bool = True, trials: int = 3) -> StudySpec:
    study = f'name = "small"\nseed = 3\nbaselines = {str(asked).lower()}'
    return with_trials(small_study(study=study), trials)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of studies whose baselines are fitted."""
    fitted, found = winner.fitted, []

    def counted(study: Any, *arguments: Any) -> Any:
        found.append(study.name)
        return fitted(study, *arguments)

    monkeypatch.setattr(winner, "fitted", counted)
    return found


def noted(home: Path) -> list[str]:
    return [one.name for one in row_of(home).facts.baselines]


def test_a_run_fits_them_once(tmp_path: Path, fits: list[str]) -> None:
    run_as_the_command_does(with_baselines(), tmp_path)
    assert noted(tmp_path) == NAMES
    assert "logistic regression" in (tmp_path / "reports" / "small" / "summary.md").read_text(encoding="utf-8")
    before = row_of(tmp_path).facts.baselines
    run_as_the_command_does(with_baselines(trials=4), tmp_path)
    assert fits == ["small"]
    assert row_of(tmp_path).facts.baselines == before


def test_a_study_that_has_none_gets_them_when_it_is_run_again(tmp_path: Path, fits: list[str]) -> None:
    run_as_the_command_does(with_baselines(False), tmp_path)
    assert (noted(tmp_path), fits) == ([], [])
    run_as_the_command_does(with_baselines(), tmp_path)  # the setting is no change of the study
    assert noted(tmp_path) == NAMES


def test_an_interrupted_run_fits_them_when_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(winner, "fitted", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_as_the_command_does(with_baselines(), tmp_path)
    assert (noted(tmp_path), row_of(tmp_path).finished_at) == ([], None)
    run_as_the_command_does(with_baselines(), tmp_path)
    row = row_of(tmp_path)
    assert noted(tmp_path) == NAMES
    assert row.finished_at is not None
    assert len(row.facts.test_looks) == 1, "an interrupted run has shown nobody what the winner scores"


def test_a_reason_to_end_stops_them_between_two_fits(tmp_path: Path) -> None:
    calls = 0

    def ends() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        in_session(with_baselines(), tmp_path, lambda session: winner.beside(session, ends))


def test_a_worker_notes_them(tmp_path: Path) -> None:
    submit_study(with_baselines(), sqlite_url(tmp_path), tmp_path, priority=0)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).state == "finished")
    assert noted(tmp_path) == NAMES


def test_they_are_kept_by_other_facts() -> None:
    stored = {"baselines": [{"name": "mean", "validation": {"r2": 0.0, "mae": None}, "note": "", "seconds": 0.5}]}
    facts = StudyFacts.of(stored)
    assert facts.baselines[0].validation == {"r2": 0.0, "mae": None}
    assert StudyFacts.of(facts.as_dict()) == facts
    assert facts.updated(StudyFacts(budget=4)).baselines == facts.baselines
