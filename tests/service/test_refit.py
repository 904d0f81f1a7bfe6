"""A worker trains a winner on all rows as `hpo run` does, and leaves a study that is stopped meanwhile."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from hpo.database.tables import hpo_workers
from hpo.registry import control
from hpo.registry.conclusions import refit_of
from hpo.service import attempt
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.test_refit import done, files, study
from tests.service.working import row_of, serve, submit, wait_for, working


def test_a_worker_does_it_as_a_run_does(tmp_path: Path) -> None:
    home, other = tmp_path / "worker", tmp_path / "run"
    submit(study(), home)
    serve(home)
    row, found = done(study(), other)
    again = refit_of(row_of(home))
    assert again is not None
    assert (row_of(home).test, replace(again, seconds=0.0)) == (row.test, replace(found, seconds=0.0))
    assert files(home) == files(other) != []


def test_stopping_is_seen_and_it_is_trained_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(study(), tmp_path)
    watch = attempt.Attempt._watch_refit

    def stops(self: attempt.Attempt, text: str) -> None:
        if row_of(tmp_path).stopped_at is None:
            with closing(open_store(sqlite_url(tmp_path))) as store:
                control.stop(store, "small")
        watch(self, text)

    with monkeypatch.context() as patched:
        patched.setattr(attempt.Attempt, "_watch_refit", stops)
        with working(tmp_path) as worker:
            wait_for(lambda: row_of(tmp_path).stopped_at is not None)
            wait_for(
                lambda: not worker.store.once(select(hpo_workers.c.name).where(hpo_workers.c.study_id.is_not(None)))
            )
    row = row_of(tmp_path)
    assert (row.finished_at, row.winner_number, files(tmp_path)) == (None, None, [])
    with closing(open_store(sqlite_url(tmp_path))) as store:
        control.resume(store, "small")
    serve(tmp_path)
    assert refit_of(row_of(tmp_path)) is not None
    assert len(files(tmp_path)) == 1
