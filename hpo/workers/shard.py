"""A shard: the trials that one process trains, and what it does when it is told to. It decides nothing.

The same whether the coordinator calls it, or orders reach it through a pipe or over Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import singledispatchmethod

from hpo.errors import MachineError
from hpo.training import checkpoints
from hpo.training.checkpoints import SavedLane, Written
from hpo.training.cohort import Cohort
from hpo.training.trainer import Failure, Trainer
from hpo.workers.orders import Admit, Load, Order, Past, Reply, Resume, Settle, Settled, Started, Train, Trained
from hpo.workers.outfit import Outfit


class Shard:
    """Trains trials of one study."""

    def __init__(self, outfit: Outfit) -> None:
        self.trainer = outfit.trainer()

    def do(self, order: Order) -> Reply:
        """Obeys an order."""
        return self._do(order)

    @singledispatchmethod
    def _do(self, order: Order) -> Reply:
        raise AssertionError(f"unknown order: {order}")

    @_do.register
    def _admit(self, order: Admit) -> Started:
        return self._started(order.trials, self.trainer.admit(order.trials.items()))

    @_do.register
    def _resume(self, order: Resume) -> Started:
        # Apart from those that train, who need not train the epochs that these lack.
        apart = Trainer(self.trainer.setting, self.trainer.variants, self.trainer.limits)
        failures = _replay(apart, order.trials, self.trainer.place)
        return self._started((past.number for past in order.trials), failures)

    @_do.register
    def _load(self, order: Load) -> Started:
        saved = _lanes(order.lanes)
        replicas = range(self.trainer.setting.examples.replicas)
        for number, config in order.configs.items():
            fits = checkpoints.restore(self.trainer, number, config, [saved[number, replica] for replica in replicas])
            assert fits, "lanes go back into the study they come from"
        return self._started(order.configs, [])

    @_do.register
    def _train(self, order: Train) -> Trained:
        started = time.perf_counter()
        tick = self.trainer.tick()
        return Trained(tick=tick, seconds=time.perf_counter() - started)

    @_do.register
    def _settle(self, order: Settle) -> Settled:
        self.trainer.keep_best(set(order.best))
        weights = {number: checkpoints.pack_best(self.trainer, number) for number in sorted(order.wanted)}
        ends = {number: checkpoints.pack_running(self.trainer.alone(number)) for number in weights if order.with_ends}
        self.trainer.release(set(order.ended))
        cohorts = self.trainer.all_cohorts()
        lanes: Written | bytes | None = checkpoints.pack_running(cohorts) if cohorts else None
        if isinstance(lanes, bytes) and order.path is not None:
            lanes = checkpoints.write(order.path, lanes)
        return Settled(
            lanes=lanes,
            epochs={lane.trial: lane.epoch for cohort in cohorts for lane in cohort.lanes},
            weights=weights,
            ends=ends,
        )

    def _started(self, trials: Iterable[int], failures: list[Failure]) -> Started:
        present = set(trials) - {failure.trial for failure in failures}
        return Started(
            sizes={number: self.trainer.parameters(number) for number in sorted(present)}, failures=tuple(failures)
        )


def _lanes(lanes: Written | bytes) -> dict[tuple[int, int], SavedLane]:
    if isinstance(lanes, bytes):
        return checkpoints.lanes_of(checkpoints.unpack(lanes))
    found = checkpoints.read_running(lanes.path, lanes.sha256)
    if not found:
        raise MachineError(
            f"{lanes.path}: what was just written there cannot be read. Check the disk, then run the same command "
            "again: it continues from the checkpoint before."
        )
    return found


def _replay(trainer: Trainer, pasts: Iterable[Past], hand_over: Callable[[Cohort], None]) -> list[Failure]:
    """Brings trials to where they stood, from what was saved or from the start, and hands each over when it is there.
    Those that have to train do so together."""
    behind = {past.number: past for past in pasts}
    fresh = [
        (past.number, past.config)
        for past in behind.values()
        if not any(checkpoints.restore(trainer, past.number, past.config, list(lanes)) for lanes in past.saved)
    ]
    failures, failed = [], trainer.admit(fresh)
    while True:
        for failure in failed:
            failures.append(failure)
            del behind[failure.trial]
        trainer.keep_best({number for number, past in behind.items() if trainer.epoch(number) in past.best})
        there = {number for number, past in behind.items() if trainer.epoch(number) >= past.epochs}
        for number in sorted(there):
            for cohort in trainer.alone(number):
                hand_over(cohort)
            del behind[number]
        trainer.release(there)
        if not behind:
            return failures
        failed = list(trainer.tick().failures)


def answer(shard: Shard, order: Order) -> Reply:
    """What the shard of a process of its own answers."""
    started = time.process_time()
    reply = shard.do(order)
    return replace(reply, cpu_seconds=time.process_time() - started)
