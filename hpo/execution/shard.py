"""A shard: the trials that one process trains, and what it does when it is told to. It decides nothing.

The same whether the coordinator calls it, or orders reach it through a pipe or over Ray.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatchmethod

from hpo.errors import MachineError
from hpo.execution.job import TrainingJob
from hpo.execution.messages import (
    Admit,
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
from hpo.training.packing import SavedLane, Written
from hpo.training.trainer import Failure, Trainer


class Shard:
    """Trains trials of one study."""

    def __init__(self, job: TrainingJob) -> None:
        self.trainer = job.trainer()
        self.apart = Trainer(self.trainer.setting, self.trainer.variants, self.trainer.limits)
        """Trials that are behind."""
        self.behind: dict[int, Goal] = {}

    def do(self, order: Order) -> Reply:
        """Obeys an order."""
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
            if not any(self._restore(self.apart, past.number, past.config, list(lanes)) for lanes in past.saved):
                fresh.append((past.number, past.config))
        failures = self.apart.admit(fresh, {number: goal.former for number, goal in self.behind.items()})
        self._catch_up(failures)
        return self._started((past.number for past in order.trials), failures)

    @_do.register
    def _load(self, order: Load) -> Started:
        saved = _lanes(order.lanes)
        replicas = range(self.trainer.setting.examples.replicas)
        self.behind |= order.behind
        for number, config in order.configs.items():
            trainer = self.apart if number in order.behind else self.trainer
            fits = self._restore(trainer, number, config, [saved[number, replica] for replica in replicas])
            assert fits, "lanes go back into the study they come from"
        return self._started(order.configs, [])

    @_do.register
    def _train(self, order: Train) -> Trained:
        started = time.perf_counter()
        if order.behind:
            tick = replace(self.apart.tick(), epochs=())
            self._catch_up(tick.failures)
        else:
            tick = self.trainer.tick()
        return Trained(tick=tick, seconds=time.perf_counter() - started)

    @_do.register
    def _settle(self, order: Settle) -> Settled:
        self.trainer.keep_best(set(order.best))
        wanted = sorted(order.wanted - self.behind.keys())
        weights = {number: packing.pack_best(self.trainer, number) for number in wanted}
        ends = {number: self._end(number) for number in sorted(order.ends)}
        for trainer in (self.trainer, self.apart):
            trainer.release(set(order.ended))
        self.behind = {number: goal for number, goal in self.behind.items() if number not in order.ended}
        cohorts = [*self.trainer.all_cohorts(), *self.apart.all_cohorts()]
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

    def _end(self, number: int) -> End:
        trainer = self.apart if number in self.behind else self.trainer
        return End(epoch=trainer.epoch(number), state=packing.pack_running(trainer.alone(number)))

    def _catch_up(self, failures: Iterable[Failure]) -> None:
        """Notes what the trials that are behind have reached, and lets those that are there join the others."""
        for failure in failures:
            del self.behind[failure.trial]
        self.apart.keep_best({n for n, goal in self.behind.items() if self.apart.epoch(n) in goal.best})
        there = {number for number, goal in self.behind.items() if self.apart.epoch(number) >= goal.epochs}
        for number in sorted(there):
            for cohort in self.apart.alone(number):
                self.trainer.place(cohort)
            del self.behind[number]
        self.apart.release(there)

    def _started(self, trials: Iterable[int], failures: list[Failure]) -> Started:
        present = sorted(set(trials) - {failure.trial for failure in failures})
        sizes = {n: (self.apart if n in self.behind else self.trainer).parameters(n) for n in present}
        return Started(sizes=sizes, failures=tuple(failures))


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


def answer(shard: Shard, order: Order) -> Reply:
    """What the shard of a process of its own answers."""
    started = time.process_time()
    reply = shard.do(order)
    return replace(reply, cpu_seconds=time.process_time() - started)
