"""A worker confirms a winner as `hpo run` does, and leaves a study that is stopped meanwhile."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hpo.database.tables import hpo_workers
from hpo.registry import control
from hpo.registry.conclusions import confirmed
from hpo.registry.repeats import repeats_of
from hpo.runtime.local_run import run_study
from hpo.service import attempt
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.test_confirmation import plain, study
from tests.service.working import row_of, serve, submit, wait_for, working


def table(home: Path) -> list[dict[str, Any]]:
    with closing(open_store(sqlite_url(home))) as store:
        return plain(repeats_of(store, row_of(home).study_id))


@pytest.fixture
def spec() -> StudySpec:
    return study()


def test_a_worker_confirms_as_a_run_does(spec: StudySpec, tmp_path: Path) -> None:
    home, other = tmp_path / "worker", tmp_path / "run"
    submit(spec, home)
    serve(home)
    run_study(spec, sqlite_url(other), other, lambda now: None)
    assert table(home) == table(other) != []
    row = row_of(home)
    found = confirmed(row)
    assert found is not None
    assert row.winner_number == found.winner
    assert row.epochs_spent == 16, "repeats do not count towards the budget of the search"


def test_a_study_stopped_meanwhile_is_left_and_confirmed_later(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spec, tmp_path)
    keep = attempt.Attempt._keep

    def stopped(self: attempt.Attempt) -> None:
        monkeypatch.setattr(attempt.Attempt, "_keep", keep)
        raise attempt.Changed

    monkeypatch.setattr(attempt.Attempt, "_keep", stopped)
    serve(tmp_path)
    assert confirmed(row_of(tmp_path)) is not None, "the worker came back to it"


def test_stopping_is_seen(spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(spec, tmp_path)
    watch = attempt.Attempt._watch

    def stops(self: attempt.Attempt, text: str) -> None:
        if row_of(tmp_path).stopped_at is None:
            with closing(open_store(sqlite_url(tmp_path))) as store:
                control.stop(store, "small")
        watch(self, text)

    monkeypatch.setattr(attempt.Attempt, "_watch", stops)
    with working(tmp_path) as worker:
        wait_for(lambda: row_of(tmp_path).stopped_at is not None)
        wait_for(lambda: not worker.store.once(select(hpo_workers.c.name).where(hpo_workers.c.study_id.is_not(None))))
    row = row_of(tmp_path)
    assert row.finished_at is None
    assert table(tmp_path) == [], "the round was not written"
