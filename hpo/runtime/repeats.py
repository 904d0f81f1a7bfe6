"""Training a round of repeats, all at once as lanes of one executor, without a pruner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from hpo.endings import Ended, Ending
from hpo.execution.engines import AnyExecutor
from hpo.registry.repeats import Repeat
from hpo.runtime.session import Session
from hpo.search.objective import best_epoch, next_value, rounded, stops_early
from hpo.seeds import lane_of_repeat
from hpo.studyfile.records import StudyTable, TrialConfig
from hpo.training.lane import LaneEpoch

Watch = Callable[[str], None]
"""Called before each epoch with the progress in words; may raise to stop."""


@dataclass(kw_only=True, slots=True)
class _Running:
    """A repeat in training."""

    number: int
    repeat: int
    config: TrialConfig
    epochs: int = 0
    curve: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, study: StudyTable, lanes: Sequence[LaneEpoch]) -> Ended | None:
        """Adds an epoch; returns why the repeat ends with it, or None."""
        self.seconds += sum(lane.seconds for lane in lanes)
        epoch = self.epochs = lanes[0].epoch
        values = [lane.metrics[study.metric] for lane in lanes]
        if any(lane.diverged for lane in lanes):
            return Ended(why=Ending.DIVERGED, epoch=epoch)
        if not all(map(math.isfinite, values)):
            return Ended(why=Ending.UNDEFINED, detail=study.metric, epoch=epoch)
        self.curve.append(next_value(study, fmean(values), self.curve))
        self.losses.append(fmean(lane.metrics["loss"] for lane in lanes))
        if epoch >= self.config.training.epochs:
            return Ended(why=Ending.FINISHED)
        if stops_early(study, self.config.training.early_stopping, self.curve):
            return Ended(why=Ending.STOPPED_EARLY, epoch=epoch)
        return None

    def row(self, study: StudyTable, ended: Ended) -> Repeat:
        """The repeat that has ended."""
        counts = bool(self.curve) and ended.why in (Ending.FINISHED, Ending.STOPPED_EARLY)
        best = best_epoch(study, self.curve) if counts else None
        return Repeat(
            number=self.number,
            repeat=self.repeat,
            length=self.config.training.epochs,
            epochs=self.epochs,
            best_epoch=best,
            value=None if best is None else self.curve[best - 1],
            valid_loss=None if best is None else rounded(self.losses[best - 1]),
            ended=str(ended),
            seconds=round(self.seconds, 3),
        )


def train(
    session: Session,
    executor: AnyExecutor,
    configs: Mapping[int, TrialConfig],
    missing: Sequence[tuple[int, int]],
    watch: Watch,
) -> list[Repeat]:
    """Trains the missing repeats, given as (configuration, number of the repeat), to their ends. `configs`: by the
    numbers that the configurations have in `hpo_repeats`."""
    study = session.spec.study
    running = {
        lane_of_repeat(number, repeat): _Running(number=number, repeat=repeat, config=configs[number])
        for number, repeat in missing
    }
    what = f"{len(missing)} repeats of {len({number for number, _ in missing})} configurations"
    last = max(one.config.training.epochs for one in running.values())
    epoch, rows = 0, []
    failures = executor.admit({lane: one.config for lane, one in running.items()})
    while True:
        for failure in failures:
            rows.append(running.pop(failure.trial).row(study, Ended(why=Ending.FAILED, detail=failure.error)))
        if not running:
            return rows
        epoch += 1
        watch(f"{what}, epoch {epoch} of {last}")
        executor.start()
        tick = executor.tick()
        lanes: dict[int, list[LaneEpoch]] = {}
        for trained in tick.epochs:
            lanes.setdefault(trained.trial, []).append(trained)
        ended = {lane: why for lane, found in lanes.items() if (why := running[lane].add(study, found)) is not None}
        rows += [running.pop(lane).row(study, why) for lane, why in ended.items()]
        if ended:
            executor.settle(best=(), wanted=(), ended=ended.keys())
        failures = list(tick.failures)
