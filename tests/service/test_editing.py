"""A submitted study that is edited while a worker trains it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hpo.execution.messages import Reply, Trained
from hpo.registry import control
from hpo.registry.edits import edits_of
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import small_study
from tests.runtime.test_editing import NARROW, edit, log_of, replayed, table
from tests.service.working import row_of, serve, shards, submit


def test_one_worker_takes_an_edit_up_as_a_run_does(tmp_path: Path) -> None:
    home, replies = tmp_path / "live", []

    def after(reply: Reply) -> None:
        replies.append(reply)
        if sum(isinstance(one, Trained) for one in replies) == 3 and isinstance(reply, Trained):
            assert edit(small_study(**NARROW), home).edit.waits, "its trials are in training"

    submit(small_study(), home)
    serve(home, open_channel=shards(after=after))
    (_, made) = log_of(home)
    assert (row_of(home).max_trials, made.number) == (10, 1)
    assert made.trials is not None
    assert made.trials < 8
    assert replayed(tmp_path / "again", log_of(home)) == table(home)


def test_an_extension_is_in_the_log_at_its_place(tmp_path: Path) -> None:
    submit(small_study(), tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        control.extend_trials(store, row_of(tmp_path), 9)
        _, extension = edits_of(store, row_of(tmp_path).study_id)
    assert extension.changes == ("search.trials: was 8, is 9",)
    assert (extension.trials, extension.epochs) == (0, 0)
