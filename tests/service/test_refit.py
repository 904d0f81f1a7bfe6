"""A worker trains a winner on all rows as `hpo run` does, and leaves a study that is stopped meanwhile."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from hpo.database.tables import hpo_workers
from hpo.errors import LostConnectionError
from hpo.registry import control
from hpo.registry.conclusions import refit_of
from hpo.runtime.editing import edit_study
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


def test_a_lost_connection_costs_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(study(), tmp_path)
    keep, lost, texts = attempt.Attempt._keep_in_transaction, [], []
    say = attempt.Attempt._say

    def loses_once(self: attempt.Attempt) -> None:
        if not lost:
            lost.append(True)
            raise LostConnectionError("the server is gone")
        keep(self)

    def hears(self: attempt.Attempt, text: str) -> None:
        texts.append(text)
        say(self, text)

    monkeypatch.setattr(attempt.Attempt, "_keep_in_transaction", loses_once)
    monkeypatch.setattr(attempt.Attempt, "_say", hears)
    serve(tmp_path)
    first = [text for text in texts if "epoch 1 of" in text and "validation rows" in text]
    assert (lost, len(first), len(files(tmp_path))) == ([True], 1, 1)


def test_an_edit_of_what_is_trained_at_the_end_sends_the_study_back(tmp_path: Path) -> None:
    submit(study(study='name = "small"\nseed = 3\nbaselines = false'), tmp_path)
    serve(tmp_path)
    assert refit_of(row_of(tmp_path)) is None
    done = edit_study(study(), sqlite_url(tmp_path), tmp_path)
    assert done.row.finished_at is None
    serve(tmp_path)
    assert refit_of(row_of(tmp_path)) is not None


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
