"""The trainer: all lanes of a worker, in a cohort for each architecture. Every tick trains each lane one epoch.

How lanes are spread over cohorts changes the speed, never a result. An error ends only the trial that causes it: the
cohort is halved and the epoch repeated until that lane is found. Which trials run, and when they end, is decided by the
caller.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import torch

from hpo import models
from hpo.attributes.lengths import Former
from hpo.errors import MachineError
from hpo.models.flops import flops
from hpo.models.named_inputs import at_hand
from hpo.studyfile.records import TrialConfig
from hpo.training.architecture import Architecture, ArchitectureKey, key_of
from hpo.training.cohort import Cohort
from hpo.training.lane import Lane, LaneEpoch, Setting, new_lane
from hpo.training.limits import Limits, out_of_memory

logger = logging.getLogger("hpo")


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A trial that ended with an error."""

    trial: int
    error: str
    """Type and message of the error."""
    traceback: str

    @classmethod
    def of(cls, trial: int, error: Exception) -> Failure:
        return cls(
            trial=trial,
            error=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """The results of one epoch of all lanes."""

    epochs: tuple[LaneEpoch, ...]
    """Ordered by trial and replica."""
    failures: tuple[Failure, ...]
    returned: tuple[int, ...] = ()
    """Numbers of the trials that ended by themselves: whose training function returned."""


class Trainer:
    """Trains the trials that were admitted and not yet released."""

    def __init__(
        self, setting: Setting, variants: Callable[[TrialConfig], Iterable[TrialConfig]], limits: Limits
    ) -> None:
        """`variants` returns, for a trial's configuration, configurations that together contain every layer and option
        that trials of its architecture may draw."""
        self.setting = setting
        self.variants = variants
        self.limits = limits
        self.cohorts: dict[ArchitectureKey, list[Cohort]] = {}
        self._flops: dict[tuple[str, ...], int | None] = {}
        self._architectures: dict[ArchitectureKey, Architecture] = {}

    def admit(
        self, trials: Iterable[tuple[int, TrialConfig]], former: Mapping[int, Former] = MappingProxyType({})
    ) -> list[Failure]:
        """Starts trials, one lane for each replica. Returns a failure for each trial that cannot be built. `former`:
        earlier lengths of trials, by trial number."""
        failures: list[Failure] = []
        new_lanes: dict[ArchitectureKey, list[Lane]] = {}
        for trial, config in trials:
            try:
                lanes = [
                    new_lane(self.setting, trial, replica, config, former.get(trial, ()))
                    for replica in range(self.setting.examples.replicas)
                ]
                self.architecture(lanes[0])
            except MachineError:
                raise
            except Exception as error:
                failures.append(Failure.of(trial, error))
            else:
                new_lanes.setdefault(self._key(lanes[0]), []).extend(lanes)
        for lanes in new_lanes.values():
            self.place(Cohort.start(self.setting, self.architecture(lanes[0]), lanes))
        return failures

    def place(self, added: Cohort) -> None:
        """Adds lanes, new or restored: to the last cohort of their architecture up to its limit, then to new ones."""
        key = self._key(added.lanes[0])
        present = self.cohorts.setdefault(key, [])
        limit = self.limits.of(self._program(added))
        while added.lanes:
            room = limit - len(present[-1].lanes) if present else 0
            if room <= 0:
                present.append(added.take(range(0)))
                continue
            count = len(added.lanes)
            present[-1] = present[-1].join(added.take(range(min(room, count))))
            added = added.take(range(min(room, count), count))

    def release(self, trials: set[int]) -> None:
        """Removes the lanes of trials, and merges the cohorts that are left."""
        if not trials:
            return
        for key, cohorts in list(self.cohorts.items()):
            if not any(lane.trial in trials for c in cohorts for lane in c.lanes):
                continue
            self._regroup(key, [c for c in (c.without(trials) for c in cohorts) if c.lanes])

    def _regroup(self, key: ArchitectureKey, cohorts: list[Cohort]) -> None:
        """Places the lanes of these cohorts anew, so that all cohorts of the architecture but the last are full."""
        self.cohorts[key] = []
        for cohort in cohorts:
            self.place(cohort)
        if not self.cohorts[key]:
            del self.cohorts[key]

    def keep_best(self, trials: set[int]) -> None:
        """Stores the present parameters of these trials as their best."""
        for cohort in self.all_cohorts():
            cohort.keep_best(trials)

    def all_cohorts(self) -> list[Cohort]:
        return [cohort for cohorts in self.cohorts.values() for cohort in cohorts]

    def alone(self, trial: int) -> list[Cohort]:
        """Copies of a trial's lanes, without their neighbours."""
        return [
            cohort.take([i for i, lane in enumerate(cohort.lanes) if lane.trial == trial])
            for cohort in self.all_cohorts()
            if any(lane.trial == trial for lane in cohort.lanes)
        ]

    def epoch(self, trial: int) -> int:
        """Epochs that the trial has trained."""
        return self._lane(trial).epoch

    def parameters(self, trial: int) -> int:
        """Number of parameters of the trial's model."""
        return sum(map(prod, self.shapes(trial)))

    def shapes(self, trial: int) -> tuple[tuple[int, ...], ...]:
        """Shapes of the parameters of the trial's model."""
        return tuple(tuple(p.shape) for p in self._lane(trial).module.parameters())

    def flops(self, trial: int) -> int | None:
        """Operations of the trial's model for one example, see `hpo.models.flops`; None where they cannot be
        counted."""
        module = self._lane(trial).module
        key = models.shape_key(module)
        if key not in self._flops:
            self._flops[key] = flops(module, self.setting.examples.signature)
        return self._flops[key]

    def _lane(self, trial: int) -> Lane:
        return next(lane for cohort in self.all_cohorts() for lane in cohort.lanes if lane.trial == trial)

    def tick(self) -> Tick:
        """One epoch of every lane. The trials of the failures are released."""
        epochs: list[LaneEpoch] = []
        failures: dict[int, Failure] = {}
        for key, cohorts in list(self.cohorts.items()):
            moved = False
            trained: list[Cohort] = []
            for cohort in cohorts:
                known, began = len(failures), len(epochs)
                parts = self._train(cohort, epochs, failures)
                trained += parts
                if len(parts) > 1:
                    moved = True
                elif len(failures) == known:
                    seconds = epochs[began].seconds
                    moved |= self.limits.timed(self._program(cohort), len(cohort.lanes), seconds)
            if moved:
                self._regroup(key, trained)
            else:
                self.cohorts[key] = trained
        self.release(set(failures))
        epochs = [e for e in epochs if e.trial not in failures]
        return Tick(
            epochs=tuple(sorted(epochs, key=lambda e: (e.trial, e.replica))),
            failures=tuple(failures[number] for number in sorted(failures)),
        )

    def architecture(self, lane: Lane) -> Architecture:
        """The architecture of the lane, which all lanes with the same key share."""
        key = self._key(lane)
        if key not in self._architectures:
            self._architectures[key] = Architecture.of(
                self.setting.examples, lane.config, self.variants(lane.config), key
            )
        return self._architectures[key]

    def _key(self, lane: Lane) -> ArchitectureKey:
        return key_of(lane.config, lane.module, compiled=self.setting.compiled_lanes is not None)

    def _program(self, cohort: Cohort) -> str:
        """The name of the cohort's program in `limits`, which is added there if it is new."""
        if cohort.name is None:
            lane, examples = cohort.lanes[0], self.setting.examples
            key = repr((self._key(lane), cohort.layout, str(examples.device), torch.get_num_threads()))
            cohort.name = hashlib.sha256(key.encode()).hexdigest()[:16]
            batch = max(lane.batch_sizes)
            with at_hand(examples.some):
                size = cohort.architecture.lane_bytes(examples.signature, batch, self.setting.dtype.itemsize)
            self.limits.add(cohort.name, size, examples.device)
        return cohort.name

    def _train(self, cohort: Cohort, epochs: list[LaneEpoch], failures: dict[int, Failure]) -> list[Cohort]:
        """Trains a cohort for an epoch. If it raises, its halves are trained, down to the single lane that is the
        cause. Returns the cohort, or its parts; adds results to `epochs` and `failures`."""
        try:
            epochs.extend(cohort.epoch())
            return [cohort]
        except MachineError:  # no trial is to blame
            raise
        except Exception as error:
            if len(cohort.lanes) == 1:
                failures.setdefault(cohort.lanes[0].trial, Failure.of(cohort.lanes[0].trial, error))
                return [cohort]
            raised = error
        if out_of_memory(raised):
            self.limits.halve(self._program(cohort), len(cohort.lanes))
        if self.setting.examples.device.type == "cuda":
            torch.cuda.empty_cache()
        known = len(failures)
        middle = len(cohort.lanes) // 2
        halves = (cohort.take(range(middle)), cohort.take(range(middle, len(cohort.lanes))))
        parts = [part for half in halves for part in self._train(half, epochs, failures)]
        if len(failures) == known and not out_of_memory(raised):
            text = "%d trials cannot train in one program and train in smaller ones, which is slower: %s: %s"
            logger.warning(text, len(cohort.lanes), type(raised).__name__, raised)
        return parts
