"""The loop of a study: all trials in flight train one epoch (a tick), then everything is decided and written at once.

Between two ticks the database and the checkpoint files agree, so a process may be killed at any moment: what was begun
since the last tick is trained again, with the same outcome.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from optuna.trial import TrialState

from hpo import endings, space
from hpo.endings import Spent
from hpo.optim import rules
from hpo.search.objective import best_epoch, rounded
from hpo.search.searcher import Asked, Decision
from hpo.spec.records import TrialConfig
from hpo.storage import studies
from hpo.storage.rows import EpochRow
from hpo.training.cohort import LaneEpoch
from hpo.training.trainer import Failure, Tick
from hpo.workers.continuation import pick_up
from hpo.workers.crew import Crew
from hpo.workers.files import Files, Keeper
from hpo.workers.holds import Alone, Hold
from hpo.workers.setup import Bench


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A trial in flight, as shown to people."""

    number: int
    epoch: int
    value: float | None
    """Its latest intermediate value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a study stands after a tick."""

    budget: int
    """Trials that are to end."""
    finished: int
    pruned: int
    failed: int
    best: tuple[int, float] | None
    """Number and value of the best finished trial."""
    running: tuple[Running, ...]
    epochs: int
    """Trial-epochs trained by this process."""
    train_seconds: float
    """Time spent training since this process began; where several workers train, that of the slowest."""
    wall_seconds: float
    """Time since this process began."""
    workers: int = 1
    """Processes that train."""
    deaths: int = 0
    """Workers that died and were replaced."""

    @property
    def ended(self) -> int:
        return self.finished + self.pruned + self.failed


Observer = Callable[[Progress], None]


def run(
    bench: Bench, crew: Crew, observer: Observer, hold: Hold | None = None, files: Keeper | None = None
) -> Progress:
    """Runs the study until its budgets are spent, or until `hold` says to leave it. Returns the final progress."""
    return _Loop(bench, crew, observer, hold or Alone(bench), files or Files(bench)).run()


class _Loop:
    def __init__(self, bench: Bench, crew: Crew, observer: Observer, hold: Hold, files: Keeper) -> None:
        self.bench = bench
        self.crew = crew
        self.observer = observer
        self.hold = hold
        self.began = self.noted = time.perf_counter()
        self.cpu_noted = time.process_time()
        self.epochs = 0
        self.budget = space.budget(bench.spec)
        self.files = files
        self.flight: dict[int, Asked] = {}
        self.seconds: dict[int, float] = {}
        self.spread: dict[int, float] = {}
        """Standard deviation of the objective over a trial's replicas, at its best epoch."""

    def run(self) -> Progress:
        while (turn := self.hold.turn([trial.trial_id for trial in self.flight.values()])) is not None:
            if turn.take:
                self._pick_up(turn.take)
            if turn.spent is not None:
                self._cut(turn.spent)
            elif turn.ask:
                self._fill()
            self.crew.start()
            self.files.sweep()
            self.observer(self._progress())
            if self.flight:
                self._train()
        self.files.sweep()
        self.observer(self._progress())
        return self._progress()

    def _train(self) -> None:
        """One epoch of everything in flight, from the training to the transaction."""
        trained, cpu_trained, cpu_began = self.crew.train_seconds, self.crew.cpu_seconds, time.process_time()
        tick = self.crew.tick()
        # A shard in this process spends processor time that is this process's, too: it is not to be counted twice.
        self.cpu_noted += time.process_time() - cpu_began - (self.crew.cpu_seconds - cpu_trained)
        self._record(tick, self.crew.train_seconds - trained)

    def _pick_up(self, trial_ids: Collection[int]) -> None:
        """Goes on with running trials that this process has taken."""
        for trial in pick_up(self.bench, self.crew, trial_ids, self.hold.behind):
            self.flight[trial.number] = trial
            self.seconds[trial.number] = self.bench.store.seconds_of(trial.trial_id)
            self.spread[trial.number] = self._known_spread(trial)

    def _fill(self) -> None:
        """Asks for as many trials as may start."""
        searcher = self.bench.searcher
        while True:
            with self.bench.store.tick():
                wanted = self.hold.room(len(self.flight))
                if wanted <= 0:
                    return
                asked = searcher.ask(wanted)
                for trial in asked:
                    if trial.config is None:
                        searcher.tell(trial.trial_id, TrialState.FAIL, f"failed: {trial.error}", {})
                self.flight.update({t.number: t for t in asked if t.config is not None})
                for failure in self.crew.admit({t.number: t.config for t in asked if t.config is not None}):
                    self._fail(failure)
                self.hold.begin([trial.trial_id for trial in asked if trial.number in self.flight])

    def _fail(self, failure: Failure) -> None:
        trial = self.flight.pop(failure.trial)
        facts = {"traceback": failure.traceback, "seconds": round(self.seconds.get(trial.number, 0.0), 3)}
        self.bench.searcher.tell(trial.trial_id, TrialState.FAIL, f"failed: {failure.error}", facts)
        self.hold.end([trial.trial_id])

    def _without_lost(self) -> set[int]:
        """The numbers of trials that another process continues, which are no longer in flight: what was trained of
        them here is as if it had not been. Their lanes have still to end."""
        lost = self.hold.lost([trial.trial_id for trial in self.flight.values()])
        numbers = {number for number, trial in self.flight.items() if trial.trial_id in lost}
        for number in numbers:
            del self.flight[number]
        if numbers:
            self.bench.store.forget(self.bench.study_id)
        return numbers

    def _cut(self, spent: Spent) -> None:
        """Ends everything in flight, because a budget is spent."""
        with self.bench.store.tick():
            lost = self._without_lost()
            ended = {n: self.bench.searcher.cut(trial.trial_id, spent) for n, trial in self.flight.items()}
            self._settle(set(), ended, lost)

    def _record(self, tick: Tick, train_seconds: float) -> None:
        """One transaction: the epoch's rows, reports, decisions, ends and checkpoints."""
        store, searcher = self.bench.store, self.bench.searcher
        with store.tick():
            if self._completes(tick) and self.hold.extended():
                return  # else trials would end for ever by a length that they no longer have
            lost = self._without_lost()
            by_trial: dict[int, list[LaneEpoch]] = {}
            for lane in tick.epochs:
                if lane.trial in self.flight:
                    by_trial.setdefault(lane.trial, []).append(lane)
            diverged = {
                lane.trial: "the loss" if lane.diverged else "the objective"
                for lanes in by_trial.values()
                for lane in lanes
                if lane.diverged or not math.isfinite(self._objective(lane))
            }
            for failure in tick.failures:
                if failure.trial in self.flight:
                    self._fail(failure)
            store.add_epochs([self._row(lane) for lanes in by_trial.values() for lane in lanes])
            for number, lanes in by_trial.items():
                self.epochs += 1
                self.seconds[number] = self.seconds.get(number, 0.0) + sum(lane.seconds for lane in lanes)
                if number not in diverged:
                    raw = fmean(self._objective(lane) for lane in lanes)
                    searcher.report(self.flight[number].trial_id, lanes[0].epoch, raw)
            decisions = {
                number: _diverged(lanes[0].epoch, diverged[number]) if number in diverged else self._decide(number)
                for number, lanes in by_trial.items()
            }
            best = {number for number in by_trial.keys() - diverged.keys() if self._is_best(number)}
            for number in best:
                self.spread[number] = _spread([self._objective(lane) for lane in by_trial[number]])
            self._settle(best, {number: d for number, d in decisions.items() if d.ended is not None}, lost)
            now, cpu = time.perf_counter(), time.process_time()
            studies.add_seconds(
                store,
                self.bench.study_id,
                train=train_seconds,
                wall=now - self.noted,
                cpu=cpu - self.cpu_noted,
                epochs=len(by_trial),
            )
            self.noted, self.cpu_noted = now, cpu

    def _completes(self, tick: Tick) -> bool:
        """Whether a trial has trained its last epoch."""
        lengths = {number: trial.config.training.epochs for number, trial in self.flight.items() if trial.config}
        return any(lane.epoch >= lengths[lane.trial] for lane in tick.epochs)

    def _settle(self, best: Collection[int], ended: Mapping[int, Decision], lost: Collection[int]) -> None:
        """In a transaction: tells how trials ended, makes room, and keeps what the crew hands over."""
        for number, decision in ended.items():
            self._end(number, decision)
        wanted = self.files.worth_keeping(ended.keys())
        shards = self.crew.settle(
            best=best,
            wanted=wanted,
            ended={*ended, *lost},
            with_ends=self.files.keeps_ends,
            path=self.files.next_path,
        )
        self.files.save_best(ended.keys(), shards)
        self.files.save_running(self.flight, shards)

    def _row(self, lane: LaneEpoch) -> EpochRow:
        return EpochRow(
            trial_id=self.flight[lane.trial].trial_id,
            replica=lane.replica,
            epoch=lane.epoch,
            train_loss=lane.train_loss,
            valid_loss=lane.metrics["loss"],
            objective=self._objective(lane),
            learning_rate=lane.learning_rate,
            gradient_norm=lane.gradient_norm,
            seconds=lane.seconds,
            metrics={name: value for name, value in lane.metrics.items() if name != "loss"},
        )

    def _objective(self, lane: LaneEpoch) -> float:
        return lane.metrics[self.bench.spec.study.objective]

    def _decide(self, number: int) -> Decision:
        trial = self.flight[number]
        assert trial.config is not None
        return self.bench.searcher.decide(trial.trial_id, trial.config)

    def _known_spread(self, trial: Asked) -> float:
        """From the rows of a trial that was picked up."""
        curve = self.bench.searcher.curve(trial.trial_id)
        epoch = best_epoch(self.bench.spec.study, curve) if curve else 0
        return _spread(self.bench.store.objectives_of(trial.trial_id, epoch))

    def _is_best(self, number: int) -> bool:
        """Whether the epoch just trained is the one that counts so far."""
        curve = self.bench.searcher.curve(self.flight[number].trial_id)
        return bool(curve) and best_epoch(self.bench.spec.study, curve) == len(curve)

    def _end(self, number: int, decision: Decision) -> None:
        trial = self.flight.pop(number)
        assert trial.config is not None
        assert decision.ended is not None
        size = self.crew.parameters(number)
        facts = {
            "seconds": round(self.seconds.get(number, 0.0), 3),
            "parameters": size,
            "optimizer_state_bytes": _state_bytes(trial.config, size),
        }
        if self.crew.replicas > 1 and number in self.spread:
            facts["spread"] = rounded(self.spread[number])
        self.bench.searcher.tell(trial.trial_id, decision.state, decision.ended, facts)
        self.hold.end([trial.trial_id])

    def _progress(self) -> Progress:
        with self.bench.store.tick():  # one look at the database for all that is read here
            trials = self.bench.searcher.all_trials()
            best = next((t for t in self.bench.searcher.ranking()[:1] if t.state == TrialState.COMPLETE), None)
            curves = {number: self.bench.searcher.curve(t.trial_id) for number, t in sorted(self.flight.items())}
        count = {state: sum(t.state == state for t in trials) for state in TrialState}
        return Progress(
            budget=self.budget,
            finished=count[TrialState.COMPLETE],
            pruned=count[TrialState.PRUNED],
            failed=count[TrialState.FAIL],
            best=(best.number, best.values[0]) if best else None,
            running=tuple(
                Running(number=number, epoch=len(curve), value=curve[-1] if curve else None)
                for number, curve in curves.items()
            ),
            epochs=self.epochs,
            train_seconds=self.crew.train_seconds,
            wall_seconds=time.perf_counter() - self.began,
            workers=self.crew.workers,
            deaths=self.crew.deaths,
        )


def _diverged(epoch: int, what: str) -> Decision:
    return Decision(ended=endings.diverged(what, epoch), state=TrialState.PRUNED)


def _spread(objectives: Sequence[float]) -> float:
    return stdev(objectives) if len(objectives) > 1 else 0.0


def _state_bytes(config: TrialConfig, parameters: int) -> int:
    """Memory of the optimizer's buffers in float32."""
    return rules.state_tensors(config.optimizer) * parameters * 4
