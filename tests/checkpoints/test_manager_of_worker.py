"""The checkpoints of one worker: its slots, files of other workers, and what it keeps of ended trials."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hpo.checkpoints.manager import SLOTS, CheckpointManager
from hpo.checkpoints.store import Directory
from hpo.errors import MachineError
from hpo.runtime.session import Session
from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow
from tests.checkpoints.ended import ask, cut, finish, settled


class Faulty(Directory):
    """A folder that refuses files while it is `full`."""

    full = False

    def put(self, name: str, data: bytes) -> None:
        if self.full:
            raise MachineError("No space left on device.")
        super().put(name, data)


def manager(session: Session, worker: str = "one", place: Directory | None = None) -> CheckpointManager:
    return CheckpointManager(session.checkpoints, place or Directory(session.home), worker)


def rows(session: Session, kind: str) -> list[CheckpointRow]:
    return [row for row in session.store.checkpoints(session.study_id) if row.kind == kind]


def files(session: Session) -> set[str]:
    return {path.relative_to(session.home).as_posix() for path in session.home.rglob("*.pt")}


def save(session: Session, of: CheckpointManager, epoch: int, *trials: Asked) -> None:
    """Saves the states of running trials after an epoch, as the coordinator does."""
    reply = settled(f"state {epoch}".encode() if trials else None, {trial.number: epoch for trial in trials})
    with session.store.transaction():
        of.save_running({trial.number: trial for trial in trials}, reply)
    of.sweep()


def test_rows_name_the_last_two_slots_and_none_of_them_is_overwritten(session: Session) -> None:
    (trial,) = ask(session, 1)
    ours = manager(session)
    for epoch in range(1, 8):
        named = {row.path: (session.home / row.path).read_bytes() for row in rows(session, "running")}
        save(session, ours, epoch, trial)
        assert {path: (session.home / path).read_bytes() for path in named} == named, "a crash would have lost both"
        assert [row.epoch for row in rows(session, "running")] == [epoch - 1, epoch][-min(epoch, 2) :]
    assert len(files(session)) == SLOTS
    newest = rows(session, "running")[-1]
    assert session.home.joinpath(newest.path).read_bytes() == b"state 7"


def test_a_worker_that_restarts_has_slots_of_its_own(session: Session) -> None:
    (trial,) = ask(session, 1)
    save(session, manager(session), 1, trial)
    before = files(session)
    save(session, manager(session), 1, trial)
    assert before < files(session)


def test_a_refused_file_changes_no_row_and_is_one_warning(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
    (trial,) = ask(session, 1)
    place = Faulty(tmp_path)
    ours = manager(session, place=place)
    save(session, ours, 1, trial)
    place.full = True
    save(session, ours, 2, trial)
    save(session, ours, 3, trial)
    assert [row.epoch for row in rows(session, "running")] == [1]
    place.full = False
    save(session, ours, 4, trial)
    assert [row.epoch for row in rows(session, "running")] == [1, 4]
    assert caplog.messages == [
        "No space left on device. Training goes on; what could not be saved is trained again after a crash.",
        "checkpoints can be written again",
    ]


def test_files_of_another_worker_stay_until_its_trials_are_saved_here(session: Session) -> None:
    taken, other = ask(session, 2)
    theirs, ours = manager(session, "theirs"), manager(session, "ours")
    save(session, theirs, 3, taken, other)
    (path,) = {row.path for row in rows(session, "running")}
    ours.adopt([taken.trial_id])
    assert path in files(session)
    save(session, ours, 4, taken)
    assert [(row.trial_id, row.epoch) for row in rows(session, "running") if row.path == path] == [(other.trial_id, 3)]
    assert path in files(session), "the other trial needs it"
    ours.adopt([other.trial_id])
    save(session, ours, 5, taken, other)
    assert path not in files(session)
    assert path not in {row.path for row in rows(session, "running")}


def test_a_later_file_that_could_not_be_read_stays_until_its_epoch_is_reached(session: Session) -> None:
    (trial,) = ask(session, 1)
    theirs, ours = manager(session, "theirs"), manager(session, "ours")
    save(session, theirs, 3, trial)
    (path,) = files(session)
    ours.adopt([trial.trial_id])
    save(session, ours, 2, trial)
    assert path in {row.path for row in rows(session, "running")}
    save(session, ours, 3, trial)
    assert path not in files(session)


def test_once_no_trial_runs_no_row_names_a_slot_and_leaving_deletes_the_files(session: Session) -> None:
    (trial,) = ask(session, 1)
    ours = manager(session)
    save(session, ours, 1, trial)
    save(session, ours, 2)
    assert rows(session, "running") == []
    ours.leave()
    assert files(session) == set()


def keep(session: Session, of: CheckpointManager, **content: bytes) -> None:
    """Saves the weights of trials that have just ended; `content` by the letter t and the trial's number."""
    weights = {int(name[1:]): data for name, data in content.items()}
    with session.store.transaction():
        of.save_best(weights.keys(), settled(weights=weights))
    of.sweep()


def test_the_weights_of_the_best_trials_are_kept_whichever_worker_wrote_them(session: Session) -> None:
    trials = ask(session, 4)
    theirs, ours = manager(session, "theirs"), manager(session, "ours")
    finish(session, trials[0], 0.5)
    keep(session, theirs, t0=b"zero")
    finish(session, trials[1], 0.7)
    keep(session, theirs, t1=b"one")
    finish(session, trials[2], 0.6)
    keep(session, ours, t2=b"two")
    kept = {row.trial_id: (session.home / row.path).read_bytes() for row in rows(session, "best")}
    assert kept == {trials[1].trial_id: b"one", trials[2].trial_id: b"two"}
    assert files(session) == {row.path for row in rows(session, "best")}
    finish(session, trials[3], 0.1)
    keep(session, ours, t3=b"three")
    assert {row.trial_id for row in rows(session, "best")} == kept.keys(), "it is not among the best"


def test_weights_are_named_by_their_content(session: Session) -> None:
    (trial,) = ask(session, 1)
    finish(session, trial, 0.5)
    keep(session, manager(session, "theirs"), t0=b"theirs")
    (before,) = rows(session, "best")
    ours = manager(session, "ours")
    with session.store.transaction():
        ours.save_best({0}, settled(weights={0: b"ours"}))
        assert (session.home / before.path).read_bytes() == b"theirs", "the row still names it until the commit"
    ours.sweep()
    (after,) = rows(session, "best")
    assert (session.home / after.path).read_bytes() == b"ours"
    assert files(session) == {after.path}


def test_last_states_of_trials_that_are_no_longer_needed_are_dropped(session: Session) -> None:
    trials = ask(session, 4)
    ours = manager(session)
    for trial, value in zip(trials[:3], (0.5, 0.7, 0.6), strict=True):
        finish(session, trial, value)
    with session.store.transaction():
        ours.save_ends({0, 1}, settled(ends={1: (4, b"one")}))
        ours.save_ends({2}, settled(ends={2: (4, b"two")}))
    cut(session, trials[3], 0.1)
    with session.store.transaction():
        ours.save_ends({3}, settled(ends={3: (1, b"three")}))
    ours.sweep()
    assert {(row.trial_id, row.epoch) for row in rows(session, "final")} == {
        (trials[1].trial_id, 4),
        (trials[2].trial_id, 4),
        (trials[3].trial_id, 1),
    }
    assert files(session) == {row.path for row in rows(session, "final")}


def test_a_trial_that_ends_again_has_one_last_state(session: Session) -> None:
    """It was continued, perhaps by another worker, and its former state had another content."""
    (trial,) = ask(session, 1)
    finish(session, trial, 0.5)
    for worker, epoch, state in (("theirs", 4, b"before"), ("ours", 9, b"now")):
        manager_of = manager(session, worker)
        with session.store.transaction():
            manager_of.save_ends({0}, settled(ends={0: (epoch, state)}))
        manager_of.sweep()
    (row,) = rows(session, "final")
    assert row.epoch == 9
    assert files(session) == {row.path}


def test_a_last_state_from_which_a_trial_goes_on_again_is_not_deleted(session: Session) -> None:
    """An extension makes it the checkpoint of a running trial while this worker drops it."""
    trials = ask(session, 3)
    ours = manager(session)
    finish(session, trials[0], 0.5)
    with session.store.transaction():
        ours.save_ends({0}, settled(ends={0: (4, b"zero")}))
    (row,) = rows(session, "final")
    session.store.add_checkpoints(
        [CheckpointRow(trial_id=row.trial_id, kind="running", epoch=4, path=row.path, sha256=row.sha256)]
    )
    finish(session, trials[1], 0.6)
    finish(session, trials[2], 0.7)
    with session.store.transaction():
        ours.save_ends({1, 2}, settled(ends={1: (4, b"one"), 2: (4, b"two")}))
    ours.sweep()
    assert row.path in files(session)
    assert [found.path for found in rows(session, "running")] == [row.path]


def test_files_of_killed_workers_are_left_over_when_the_study_ends(session: Session) -> None:
    (trial,) = ask(session, 1)
    save(session, manager(session, "killed"), 3, trial)
    folder = next(iter(files(session))).rpartition("/")[0]
    (session.home / folder / "running-killed-without-a-row-0.pt").write_bytes(b"")
    finish(session, trial, 0.5)
    ours = manager(session, "ours")
    with session.store.transaction():
        ours.save_best({0}, settled(weights={0: b"zero"}))
    left = ours.leftovers()
    assert left == {path for path in files(session) if "running" in path}
    assert len(left) == 2
    with session.store.transaction():
        ours.clear(left)
    ours.sweep()
    assert rows(session, "running") == []
    assert files(session) == {row.path for row in rows(session, "best")}
