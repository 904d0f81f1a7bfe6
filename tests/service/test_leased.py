"""Which trials of a study one of several workers trains, on a real database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.registry import control, leases, queue
from hpo.registry.queue import StudyStatus
from hpo.runtime.ownership import LostTrials, Room, Turn
from hpo.runtime.resume import Behind
from hpo.runtime.session import Session
from hpo.service.leased import ALL_ENDED, PRIORITY_CHECK_SECONDS, LeasedOwnership, LeaveReason, has_work
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.checkpoints.ended import finish
from tests.runtime.small import open_study, small_study
from tests.service.working import row_of, submit

LONG, OVER = 60.0, -1.0
"""Seconds of a lease: one that holds during a test, one that has expired at once."""
SPEC = small_study(search="trials = 4\nconcurrency = 3")


class Adopted:
    """A checkpoint manager that only notes the trials that were taken."""

    def __init__(self) -> None:
        self.trials: list[int] = []

    def adopt(self, trial_ids: Iterable[int]) -> None:
        self.trials += trial_ids


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    submit(SPEC, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        yield open_study(SPEC, store, tmp_path)


def register(session: Session, name: str, seconds: float = LONG) -> None:
    leases.register_worker(session.store, name, "host", 1, seconds)
    leases.set_current_study(session.store, name, session.study_id)


def owner(
    session: Session,
    name: str = "ours",
    *,
    leave: Callable[[], str | None] = lambda: None,
    wait: Callable[[float], None] = lambda seconds: pytest.fail("there is nobody to wait for"),
) -> LeasedOwnership:
    """The ownership of a worker that is registered here."""
    register(session, name)
    manager = cast(CheckpointManager, Adopted())
    key = status(session).key
    return LeasedOwnership(session, manager, name, LONG, key=key, leave=leave, wait=wait)


def status(session: Session) -> StudyStatus:
    found = queue.status(session.store, session.study_id)
    assert found is not None
    return found


def begin(session: Session, owner: LeasedOwnership, flight: int = 0) -> list[int]:
    """Asks for as many trials as there is room for; their ids."""
    with session.store.transaction():
        room = owner.room(flight)
        asked = session.searcher.ask(min(room.free, room.new))
        owner.begin([trial.trial_id for trial in asked])
    return [trial.trial_id for trial in asked]


def end(session: Session, owner: LeasedOwnership, ids: list[int]) -> None:
    for trial in session.searcher.running(ids):
        finish(session, trial, 0.5)
    owner.end(ids)


def test_a_single_worker_asks_up_to_the_concurrency_and_the_budget(session: Session) -> None:
    ours = owner(session)
    assert ours.turn([]) == Turn()
    ids = begin(session, ours)
    assert leases.holders(session.store, session.study_id) == dict.fromkeys(ids, "ours")
    assert len(ids) == 3
    assert ours.turn(ids) == Turn(take=[], ask=False)
    end(session, ours, ids)
    assert len(begin(session, ours)) == 1, "four in all"


def test_workers_share_the_concurrency(session: Session) -> None:
    first, second = owner(session, "first"), owner(session, "second")
    assert [len(begin(session, each)) for each in (first, second)] == [2, 1]
    assert begin(session, second, flight=1) == []


def test_free_trials_are_taken_before_new_ones_are_asked_for(session: Session) -> None:
    dead = owner(session, "dead")
    ids = begin(session, dead)
    leases.send_heartbeat(session.store, "dead", OVER)
    ours = owner(session)
    assert ours.turn([]) == Turn(take=ids, ask=False)
    assert cast(Adopted, ours.manager).trials == ids
    assert set(leases.holders(session.store, session.study_id).values()) == {"ours"}


def test_no_more_free_trials_are_taken_than_the_workers_share(session: Session) -> None:
    dead = owner(session, "dead")
    ids = begin(session, dead)
    leases.unregister_worker(session.store, "dead")
    ours = owner(session)
    register(session, "other")
    assert ours.turn([]) == Turn(take=ids[:2], ask=False)
    assert ours.turn(ids[:2]) == Turn(take=[], ask=False)


@pytest.mark.parametrize("dies", [True, False])
def test_new_trials_wait_until_it_is_known_whether_another_worker_lives(dies: bool, session: Session) -> None:
    """Whether its trials become free decides who is asked first, so that a death changes no order."""
    ids = begin(session, owner(session, "other"), flight=2)
    assert len(ids) == 1
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            leases.send_heartbeat(session.store, "other", OVER if dies else 2 * LONG)

    ours = owner(session, wait=wait)
    assert ours.turn([]) == (Turn(take=ids) if dies else Turn())
    assert len(waited) == 3
    ours.turn(ids if dies else [])
    assert len(waited) == 3, "once is enough"


def test_the_study_is_left_when_there_is_nothing_to_train(session: Session) -> None:
    other, ours = owner(session, "other"), owner(session)
    first = begin(session, other)
    second = begin(session, ours)
    leases.unregister_worker(session.store, "other")
    register(session, "other")
    leases.grant(session.store, "other", first)
    end(session, ours, second)
    last = begin(session, ours)
    assert len(first + second + last) == 4
    end(session, ours, last)
    assert ours.turn([]) is None
    assert ours.reason == "as others train its last trials"
    end(session, other, first)
    assert ours.turn([]) is None
    assert ours.reason == ALL_ENDED


def test_the_study_is_left_while_others_have_all_its_places(session: Session) -> None:
    assert len(begin(session, owner(session, "other"))) == 3
    ours = owner(session)
    assert ours.turn([]) is None
    assert ours.reason == "as others train its last trials"
    assert begin(session, ours) == []


def test_trials_are_released_for_the_reason_to_leave(session: Session, tmp_path: Path) -> None:
    said: list[str] = []
    ours = owner(session, leave=lambda: said[-1] if said else None)
    ids = begin(session, ours, flight=2)
    control.stop(session.store, "small")
    assert (ours.turn(ids), ours.reason) == (None, "stopped")
    assert leases.holders(session.store, session.study_id) == {}
    control.resume(session.store, "small")
    assert ours.turn([]) == Turn(take=ids)
    said.append("another study comes first")
    assert (ours.turn(ids), ours.reason) == (None, "another study comes first")
    said.clear()
    control.extend_trials(session.store, row_of(tmp_path), 9)
    assert (ours.turn([]), ours.reason) == (None, "changed")
    with session.store.transaction():
        assert ours.room(0) == Room(free=0, new=0), "nothing is asked for in a study that was changed"
        with pytest.raises(LostTrials, match="was changed"):
            ours.check()
    session.store.delete_study(session.study_id)
    assert (ours.turn([]), ours.reason) == (None, "deleted")


def test_a_transaction_about_trials_that_another_worker_has_taken_fails(session: Session) -> None:
    ours = owner(session)
    ids = begin(session, ours)
    with session.store.transaction():
        ours.confirm(ids, completes=False, cut=False)
    leases.send_heartbeat(session.store, "ours", OVER)
    assert len(leases.take(session.store, session.study_id, "other", 1)) == 1
    with pytest.raises(LostTrials, match="1 trials were taken"), session.store.transaction():
        ours.confirm(ids, completes=False, cut=False)


def test_trials_do_not_end_at_an_epoch_or_budget_that_has_been_raised(session: Session, tmp_path: Path) -> None:
    ours = owner(session)
    ids = begin(session, ours)
    with session.store.transaction():
        ours.confirm(ids, completes=True, cut=False)
    with pytest.raises(LostTrials, match="a larger budget"), session.store.transaction():
        ours.confirm(ids, completes=False, cut=True)
    control.extend_epochs(session.store, row_of(tmp_path), 9, before=4, fingerprint="longer")
    with session.store.transaction():
        ours.confirm(ids, completes=False, cut=False)
    with pytest.raises(LostTrials, match="more epochs"), session.store.transaction():
        ours.confirm(ids, completes=True, cut=False)


def test_epochs_that_are_trained_again_are_noted_with_the_reason(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
    ours = owner(session)
    first, second, third = session.searcher.running(begin(session, ours))
    ours.report_behind(
        [
            Behind(trial=first, reported=3, saved=1, damaged=True),
            Behind(trial=second, reported=3, saved=0, damaged=False),
            Behind(trial=third, reported=2, saved=1, damaged=True),
        ]
    )
    said = [trial.user_attrs["restarted"] for trial in session.searcher.all_trials()]
    assert said == [
        "epoch 2 to 3 trained again: their checkpoint cannot be read",
        "epoch 1 to 3 trained again: their last state was not kept",
        "epoch 2 to 2 trained again: their checkpoint cannot be read",
    ]
    assert caplog.messages == [
        "small: epochs of trials 0, 2 are trained again, 3 in all: their checkpoint cannot be read",
        "small: epochs of trials 1 are trained again, 3 in all: their last state was not kept",
    ]


def test_which_studies_have_work(session: Session) -> None:
    idle = status(session)
    full = replace(idle, trials=3, running=3)
    over = replace(idle, trials=4)
    for found, expected in (
        (idle, True),
        (replace(idle, active=False, free=1), False),
        (full, False),
        (replace(full, free=1), True),
        (replace(full, running=2), True),
        (over, True),
        (replace(over, concluding=True), False),
        (replace(over, running=1), False),
        (replace(full, running=2, max_epochs=5, epochs_spent=5), False),
    ):
        assert has_work(found, budget=4, concurrency=3) == expected, found


def leaving(session: Session, ending: threading.Event, clock: Callable[[], float], store: Store) -> LeaveReason:
    return LeaveReason(
        store, status(session), ending=ending, clock=clock, has_work_in=lambda study: study.name != "hopeless"
    )


def test_a_worker_leaves_for_its_end_or_for_a_study_of_higher_priority(session: Session, tmp_path: Path) -> None:
    now, ending = [0.0], threading.Event()
    reason = leaving(session, ending, lambda: now[0], session.store)
    submit(small_study(study='name = "hopeless"'), tmp_path, priority=9)
    submit(small_study(study='name = "equal"'), tmp_path)
    now[0] += PRIORITY_CHECK_SECONDS
    assert reason() is None
    submit(small_study(study='name = "urgent"'), tmp_path, priority=1)
    assert reason() is None, "the queue was read just now"
    now[0] += PRIORITY_CHECK_SECONDS
    assert reason() == "urgent comes first"
    ending.set()
    assert reason() == "this worker is to end"
