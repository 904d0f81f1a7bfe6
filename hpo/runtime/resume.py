"""Picking up the trials that were running when their process ended.

A trial continues under its own number from its last readable checkpoint, or from the start where there is none; epochs
that had been reported already are trained again without being reported, and give the same state as then. They are saved
like others: it may take long, and the process may have to end once more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from hpo.errors import MachineError
from hpo.execution.executor import Executor
from hpo.execution.in_process import InProcessShard
from hpo.execution.messages import Goal, Past
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
    """Epochs that are in that checkpoint; 0: there is none."""
    damaged: bool
    """Whether there is a newer one, which cannot be read; else nothing newer was kept."""


def pick_up(
    session: Session,
    executor: Executor,
    only: Collection[int] | None,
    check: Callable[[], None],
    told: Callable[[Sequence[Behind]], None] | None = None,
) -> tuple[list[Asked], list[Failure]]:
    """Has the executor go on with every running trial, or those of these ids, from the newest checkpoint that can be
    read. Returns them all, and how some of them failed, which is still to be told. `check`, called first in the
    transaction, raises unless the study is to be trained as the session has it; `told` gets those that are behind."""
    with session.store.transaction():
        check()
        picked = {trial.number: trial for trial in session.searcher.running(only)}
        for trial in picked.values():
            session.searcher.note_length(trial.trial_id)
    saved = _Saved(session)
    pasts = [_past(session, trial, saved.lanes(trial)) for trial in picked.values() if trial.config is not None]
    if told is not None:
        told([saved.behind(picked[past.number], past) for past in pasts if _newest(past) < past.goal.epochs])
    return list(picked.values()), [*undrawn(picked.values()), *executor.resume(pasts)]


def undrawn(trials: Iterable[Asked]) -> list[Failure]:
    """Those of the trials for which no configuration could be drawn, as failures."""
    return [Failure(trial=t.number, error=t.error or "", traceback="") for t in trials if t.config is None]


def retrain(session: Session, trial: FrozenTrial, config: TrialConfig, go_on: Callable[[], None]) -> bytes:
    """The best weights of an ended trial, packed, from training it again. `go_on` is called before each epoch."""
    number = trial.number
    with Executor(lambda: InProcessShard(session.job), workers=1, replicas=session.job.examples.replicas) as executor:
        failures = executor.resume([past_of(session, trial, config, ())])
        while executor.behind and not failures:
            go_on()
            executor.start()
            failures = list(executor.tick().failures)
        for failure in failures:
            raise MachineError(f"trial {number} cannot be trained again: {failure.error}")
        (settled,) = executor.settle(best=(), wanted={number}, ended={number})
    return settled.weights[number]


def _past(session: Session, trial: Asked, saved: Iterable[tuple[SavedLane, ...]]) -> Past:
    assert trial.config is not None
    return past_of(session, session.store.get_trial(trial.trial_id), trial.config, saved)


def past_of(session: Session, trial: FrozenTrial, config: TrialConfig, saved: Iterable[tuple[SavedLane, ...]]) -> Past:
    curve = curve_of(trial)
    epochs = range(1, len(curve) + 1)
    best = (epoch for epoch in epochs if best_epoch(session.spec.study, curve[:epoch]) == epoch)
    goal = Goal(epochs=len(curve), best=tuple(best), former=session.searcher.former(trial))
    return Past(number=trial.number, config=config, goal=goal, saved=tuple(saved))


def _newest(past: Past) -> int:
    """Epochs in the newest checkpoint that can be read."""
    return past.saved[0][0].epoch if past.saved else 0


class _Saved:
    """Checkpoints of running trials, each file read once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows = [row for row in session.store.checkpoints(session.study_id) if row.kind == "running"]
        self.files: dict[str, dict[tuple[int, int], SavedLane]] = {}

    def lanes(self, trial: Asked) -> list[tuple[SavedLane, ...]]:
        """The trial's readable checkpoints, newest first; in each a lane for every replica."""
        replicas = range(self.session.job.examples.replicas)
        number, found = trial.number, []
        for row in self._rows_of(trial):
            if row.path not in self.files:
                content = self.session.checkpoints.content(row.path, row.sha256)
                self.files[row.path] = packing.lanes_of(content) if content else {}
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
