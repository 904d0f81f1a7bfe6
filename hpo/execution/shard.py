"""A shard: the trials that one process trains. It executes the coordinator's orders and decides nothing itself.

It works the same way in the coordinator's process (`InProcessShard`), in a child process and on a Ray cluster.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatchmethod

from hpo.errors import MachineError
from hpo.execution.job import TrainingJob
from hpo.execution.messages import (
    Admit,
    Diagnose,
    Diagnosed,
    End,
    Goal,
    Load,
    Order,
    Reply,
    Resume,
    Settle,
    Settled,
    Started,
    Train,
    Trained,
)
from hpo.studyfile.records import TrialConfig
from hpo.training import packing
from hpo.training.diagnosis.measure import Diagnosis
from hpo.training.packing import SavedLane, Written
from hpo.training.trainer import Failure, Trainer

log = logging.getLogger(__name__)


class Shard:
    """Trains trials of one study."""

    def __init__(self, job: TrainingJob) -> None:
        self.counts_flops = job.counts_flops
        self.trainer = job.trainer()
        self.behind_trainer = Trainer(self.trainer.setting, self.trainer.variants, self.trainer.limits)
        """Trains the trials that are behind, until they have reached their goals."""
        self.behind: dict[int, Goal] = {}
        """Goals of the trials that are behind, by trial number."""
        self.diagnosis: Diagnosis | None = None

    def do(self, order: Order) -> Reply:
        """Executes an order."""
        return replace(self._do(order), behind=dict(self.behind))

    @singledispatchmethod
    def _do(self, order: Order) -> Reply:
        raise AssertionError(f"unknown order: {order}")

    @_do.register
    def _admit(self, order: Admit) -> Started:
        return self._started(order.trials, self.trainer.admit(order.trials.items()))

    @_do.register
    def _resume(self, order: Resume) -> Started:
        fresh = []
        for past in order.trials:
            self.behind[past.number] = past.goal
            saved = ([lane for lane in lanes if isinstance(lane, SavedLane)] for lanes in past.saved)
            if not any(self._restore(self.behind_trainer, past.number, past.config, lanes) for lanes in saved):
                fresh.append((past.number, past.config))
        failures = self.behind_trainer.admit(fresh, {number: goal.former for number, goal in self.behind.items()})
        self._catch_up(failures)
        return self._started((past.number for past in order.trials), failures)

    @_do.register
    def _load(self, order: Load) -> Started:
        saved = _lanes(order.lanes)
        replicas = range(self.trainer.setting.examples.replicas)
        self.behind |= order.behind
        for number, config in order.configs.items():
            trainer = self._trainer_of(number)
            fits = self._restore(trainer, number, config, [saved[number, replica] for replica in replicas])
            assert fits, "the lanes come from this study, so their layout fits"
        return self._started(order.configs, [])

    @_do.register
    def _train(self, order: Train) -> Trained:
        started = time.perf_counter()
        if order.behind:
            tick = replace(self.behind_trainer.tick(), epochs=())
            self._catch_up(tick.failures)
        else:
            tick = self.trainer.tick()
        return Trained(tick=tick, seconds=time.perf_counter() - started)

    @_do.register
    def _diagnose(self, order: Diagnose) -> Diagnosed:
        if self.diagnosis is None:
            self.diagnosis = Diagnosis(self.trainer.setting.examples)
        found = {}
        for number in sorted(order.trials):
            lane, module = packing.trained(self._trainer_of(number), number)
            try:
                found[number] = self.diagnosis.when_ended(lane, module, finished=number in order.finished)
            except Exception as error:  # signs are welcome, but no trial may fail for them
                log.warning(
                    "trial %d is not looked at for signs of trouble: %s: %s", number, type(error).__name__, error
                )
        return Diagnosed(found=found)

    @_do.register
    def _settle(self, order: Settle) -> Settled:
        self.trainer.keep_best(set(order.best))
        wanted = sorted(order.wanted - self.behind.keys())
        weights = {number: packing.pack_best(self.trainer, number) for number in wanted}
        ends = {number: self._end(number) for number in sorted(order.ends)}
        for trainer in (self.trainer, self.behind_trainer):
            trainer.release(set(order.ended))
        self.behind = {number: goal for number, goal in self.behind.items() if number not in order.ended}
        cohorts = [*self.trainer.all_cohorts(), *self.behind_trainer.all_cohorts()]
        lanes: Written | bytes | None = packing.pack_running(cohorts) if cohorts else None
        if isinstance(lanes, bytes) and order.path is not None:
            lanes = packing.write(order.path, lanes)
        return Settled(
            lanes=lanes,
            epochs={lane.trial: lane.epoch for cohort in cohorts for lane in cohort.lanes},
            weights=weights,
            ends=ends,
        )

    def _restore(self, trainer: Trainer, number: int, config: TrialConfig, saved: list[SavedLane]) -> bool:
        former = self.behind[number].former if number in self.behind else ()
        return packing.restore(trainer, number, config, saved, former)

    def _trainer_of(self, number: int) -> Trainer:
        return self.behind_trainer if number in self.behind else self.trainer

    def _end(self, number: int) -> End:
        trainer = self._trainer_of(number)
        return End(epoch=trainer.epoch(number), state=packing.pack_running(trainer.alone(number)))

    def _catch_up(self, failures: Iterable[Failure]) -> None:
        """Updates the trials that are behind after an epoch: drops the failed ones, stores best weights, and moves
        those that have reached their goal to the other trials."""
        for failure in failures:
            del self.behind[failure.trial]
        trainer = self.behind_trainer
        trainer.keep_best({n for n, goal in self.behind.items() if trainer.epoch(n) in goal.best})
        reached = {number for number, goal in self.behind.items() if trainer.epoch(number) >= goal.epochs}
        for number in sorted(reached):
            for cohort in trainer.alone(number):
                self.trainer.place(cohort)
            del self.behind[number]
        trainer.release(reached)

    def _started(self, trials: Iterable[int], failures: list[Failure]) -> Started:
        present = sorted(set(trials) - {failure.trial for failure in failures})
        shapes = {number: self._trainer_of(number).shapes(number) for number in present}
        counted = {number: self._trainer_of(number).flops(number) for number in present if self.counts_flops}
        flops = {number: count for number, count in counted.items() if count is not None}
        return Started(shapes=shapes, flops=flops, failures=tuple(failures))


def _lanes(lanes: Written | bytes) -> dict[tuple[int, int], SavedLane]:
    if isinstance(lanes, bytes):
        return packing.lanes_of(packing.unpack(lanes))
    found = packing.read_running(lanes.path, lanes.sha256)
    if not found:
        raise MachineError(
            f"{lanes.path}: what was just written there cannot be read. Check the disk, then run the same command "
            "again: it continues from the checkpoint before."
        )
    return found


class InProcessShard:
    """The channel to a shard in the coordinator's own process. An order is executed when its reply is received."""

    def __init__(self, job: TrainingJob) -> None:
        self._shard = Shard(job)
        self._order: Order | None = None

    def send(self, order: Order) -> None:
        self._order = order

    def receive(self) -> Reply:
        assert self._order is not None
        return self._shard.do(self._order)

    def close(self) -> None:
        """Does nothing: there is no process to end."""


def timed_reply(shard: Shard, order: Order) -> Reply:
    """The shard's reply, with the processor time that the order took; for shards in processes of their own."""
    started = time.process_time()
    reply = shard.do(order)
    return replace(reply, cpu_seconds=time.process_time() - started)
