"""Picking up the trials that were running when their process ended.

A trial continues under its own number from its last readable checkpoint, or from the start where there is none; epochs
that had been reported already are trained again without being reported, and give the same state as then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from optuna.trial import TrialState

from hpo.errors import MachineError
from hpo.search.objective import best_epoch
from hpo.search.searcher import Asked
from hpo.spec.records import TrialConfig
from hpo.training import checkpoints
from hpo.training.checkpoints import SavedLane
from hpo.training.trainer import Failure, Trainer
from hpo.workers.setup import Bench

Behind = Callable[[Asked, int, int], None]
"""Told of a trial whose newest readable checkpoint lacks epochs: how many were reported, how many are in it."""


def pick_up(bench: Bench, only: Collection[int] | None = None, behind: Behind | None = None) -> list[Asked]:
    """Brings every running trial, or those of these ids, into the trainer at the epoch it had reported."""
    with bench.store.tick():
        left = bench.searcher.running(only)
        for trial in left:
            if trial.config is None:
                bench.searcher.tell(trial.trial_id, TrialState.FAIL, f"failed: {trial.error}", {})
    saved = _Saved(bench)
    picked = []
    for trial in left:
        if trial.config is None:
            continue
        curve = bench.searcher.curve(trial.trial_id)
        lanes = saved.lanes(trial)
        newest = lanes[0][0].epoch if lanes else 0
        if behind is not None and newest < len(curve):
            behind(trial, len(curve), newest)
        trainer = _replayed(bench, trial.number, trial.config, curve, lanes)
        if isinstance(trainer, Failure):
            facts = {"traceback": trainer.traceback}
            bench.searcher.tell(trial.trial_id, TrialState.FAIL, f"failed: {trainer.error}", facts)
            continue
        for cohort in trainer.all_cohorts():
            bench.trainer.place(cohort)
        picked.append(trial)
    return picked


def retrain(bench: Bench, number: int, config: TrialConfig, curve: list[float]) -> Trainer:
    """A trainer with an ended trial, trained again from the start; its best epoch is remembered."""
    trainer = _replayed(bench, number, config, curve, [])
    if isinstance(trainer, Failure):
        raise MachineError(f"trial {number} cannot be trained again: {trainer.error}")
    return trainer


def _replayed(
    bench: Bench, number: int, config: TrialConfig, curve: list[float], saved: list[list[SavedLane]]
) -> Trainer | Failure:
    """A trainer with this trial alone, at the end of its curve."""
    trainer = Trainer(bench.trainer.setting, bench.trainer.variants, bench.trainer.limits)
    if not any(checkpoints.restore(trainer, number, config, lanes) for lanes in saved):
        for failure in trainer.admit([(number, config)]):
            return failure
    epoch = trainer.epoch(number)
    while epoch < len(curve):
        for failure in trainer.tick().failures:
            return failure
        epoch += 1
        if best_epoch(bench.spec.study, curve[:epoch]) == epoch:
            trainer.keep_best({number})
    return trainer


class _Saved:
    """Checkpoints of running trials, each file read once."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.rows = [row for row in bench.store.checkpoints(bench.study_id) if row.kind == "running"]
        self.files: dict[str, dict[tuple[int, int], SavedLane]] = {}

    def lanes(self, trial: Asked) -> list[list[SavedLane]]:
        """The trial's readable checkpoints, newest first; in each a lane for every replica."""
        replicas = range(self.bench.trainer.setting.examples.replicas)
        rows = sorted((row for row in self.rows if row.trial_id == trial.trial_id), key=lambda row: -row.epoch)
        number, found = trial.number, []
        for row in rows:
            if row.path not in self.files:
                content = self.bench.content(row.path, row.sha256)
                self.files[row.path] = checkpoints.lanes_of(content) if content else {}
            file = self.files[row.path]
            if all((number, replica) in file for replica in replicas):
                found.append([file[number, replica] for replica in replicas])
        return found
