"""Continuing the trials that were running when their process ended, and training an ended trial again.

A trial continues under its own number from its newest readable checkpoint, or from the start where there is none.
Epochs after the checkpoint that had been reported are trained again without being reported, and give the same state as
before. Checkpoints are saved during these epochs too, as they may take long and be interrupted again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from hpo.errors import MachineError
from hpo.execution.engines import AnyExecutor
from hpo.execution.executor import Executor
from hpo.execution.functions.states import SavedState, states_of
from hpo.execution.job import TrainingJob
from hpo.execution.messages import Goal, Past
from hpo.execution.shard import InProcessShard
from hpo.runtime.session import Session
from hpo.search.objective import best_epoch
from hpo.search.searcher import Asked, curve_of
from hpo.storage.rows import CheckpointRow
from hpo.studyfile.records import TrialConfig
from hpo.training import packing
from hpo.training.packing import SavedLane
from hpo.training.trainer import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """A trial whose newest readable checkpoint lacks epochs that were reported."""

    trial: Asked
    reported: int
    """Epochs that were reported."""
    saved: int
    """Epochs in that checkpoint; 0 where there is none."""
    damaged: bool
    """Whether a newer checkpoint exists that cannot be read; else no newer one was saved."""


def pick_up(
    session: Session,
    executor: AnyExecutor,
    only: Collection[int] | None,
    check: Callable[[], None],
    on_behind: Callable[[Sequence[Behind]], None] | None = None,
) -> tuple[list[Asked], list[Failure]]:
    """Has the executor continue all running trials, or those with the ids `only`, from their newest readable
    checkpoints. Returns these trials, and the failures of some of them, which the caller has to tell. `check`, called
    first in the transaction, raises if the study has changed since the session was opened; `on_behind` gets the trials
    whose checkpoints lack reported epochs."""
    with session.store.transaction():
        check()
        picked = {trial.number: trial for trial in session.searcher.running(only)}
        for trial in picked.values():
            session.searcher.note_length(trial.trial_id)
    saved = _Saved(session)
    pasts = [_past(session, trial, saved.lanes(trial)) for trial in picked.values() if trial.config is not None]
    if on_behind is not None:
        on_behind([saved.behind(picked[past.number], past) for past in pasts if _newest(past) < past.goal.epochs])
    return list(picked.values()), [*undrawn(picked.values()), *executor.resume(pasts)]


def undrawn(trials: Iterable[Asked]) -> list[Failure]:
    """Failures of those trials for which no configuration could be drawn."""
    return [Failure(trial=t.number, error=t.error or "", traceback="") for t in trials if t.config is None]


def retrain(session: Session, trial: FrozenTrial, config: TrialConfig, go_on: Callable[[], None]) -> bytes:
    """Trains an ended trial again and returns its best weights, packed. `go_on`, called before each epoch, may raise to
    stop it."""
    with in_process(session.training_job) as executor:
        found = train_again(executor, past_of(session, trial, config, ()), go_on)
    if isinstance(found, Failure):
        raise MachineError(f"trial {trial.number} cannot be trained again: {found.error}")
    return found


def in_process(job: TrainingJob) -> Executor:
    """An executor in this process."""
    return Executor(lambda: InProcessShard(job), workers=1, replicas=job.replicas)


def train_again(executor: AnyExecutor, past: Past, go_on: Callable[[], None]) -> bytes | Failure:
    """Trains a trial up to its goal and returns its best weights, packed, or its failure. The executor has no other
    trials. `go_on`, called before each epoch, may raise to stop it."""
    failures = executor.resume([past])
    while executor.behind and not failures:
        go_on()
        executor.start()
        failures = list(executor.tick().failures)
    if failures:
        return failures[0]
    (settled,) = executor.settle(best=(), wanted={past.number}, ended={past.number})
    return settled.weights[past.number]


def _past(session: Session, trial: Asked, saved: Iterable[tuple[SavedLane | SavedState, ...]]) -> Past:
    assert trial.config is not None
    return past_of(session, session.store.get_trial(trial.trial_id), trial.config, saved)


def past_of(
    session: Session, trial: FrozenTrial, config: TrialConfig, saved: Iterable[tuple[SavedLane | SavedState, ...]]
) -> Past:
    """What the executor needs to continue a trial: its reported epochs and its checkpoints."""
    curve = curve_of(trial)
    epochs = range(1, len(curve) + 1)
    best = (epoch for epoch in epochs if best_epoch(session.spec.study, curve[:epoch]) == epoch)
    goal = Goal(epochs=len(curve), best=tuple(best), former=session.searcher.former(trial))
    return Past(number=trial.number, config=config, goal=goal, saved=tuple(saved))


def _newest(past: Past) -> int:
    """Epochs in the newest readable checkpoint; 0 where there is none."""
    return past.saved[0][0].epoch if past.saved else 0


class _Saved:
    """Checkpoints of running trials, each file read once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows = [row for row in session.store.checkpoints(session.study_id) if row.kind == "running"]
        self.files: dict[str, Mapping[tuple[int, int], SavedLane | SavedState]] = {}

    def lanes(self, trial: Asked) -> list[tuple[SavedLane | SavedState, ...]]:
        """The trial's readable checkpoints, newest first; in each a lane for every replica, or the saved state."""
        replicas = range(self.session.job.replicas)
        number, found = trial.number, []
        for row in self._rows_of(trial):
            if row.path not in self.files:
                content = self.session.checkpoints.content(row.path, row.sha256)
                self.files[row.path] = (states_of(content) or packing.lanes_of(content)) if content else {}
            file = self.files[row.path]
            if all((number, replica) in file for replica in replicas):
                found.append(tuple(file[number, replica] for replica in replicas))
        return found

    def behind(self, trial: Asked, past: Past) -> Behind:
        newest = _newest(past)
        damaged = any(row.epoch > newest for row in self._rows_of(trial))
        return Behind(trial=trial, reported=past.goal.epochs, saved=newest, damaged=damaged)

    def _rows_of(self, trial: Asked) -> list[CheckpointRow]:
        """Newest first."""
        return sorted((row for row in self.rows if row.trial_id == trial.trial_id), key=lambda row: -row.epoch)
