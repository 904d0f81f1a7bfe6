"""The loop of a study: all trials in flight train one epoch (a tick), then everything is decided and written at once.

Between two ticks the database and the checkpoint files agree, so a process may be killed at any moment: what was begun
since the last tick is trained again, with the same outcome. Whatever takes long, such as training, checkpoints and
waiting for a worker, is done before the transaction or after it: others would wait for its locks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean, stdev

from optuna.trial import TrialState

from hpo import endings, ranking
from hpo.endings import Spent
from hpo.optim import rules
from hpo.search.objective import best_epoch, rounded
from hpo.search.searcher import Asked, Decision
from hpo.spec.records import TrialConfig
from hpo.storage import studies
from hpo.storage.rows import EpochRow
from hpo.training.lane import LaneEpoch
from hpo.training.trainer import Failure, Tick
from hpo.workers.continuation import pick_up, undrawn
from hpo.workers.crew import Crew
from hpo.workers.files import Files, Keeper
from hpo.workers.holds import Alone, Hold
from hpo.workers.keeping import worth_keeping
from hpo.workers.progress import Observer, Progress, progress
from hpo.workers.setup import Bench


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
        self.cpu_noted = self._cpu()
        self.epochs = 0
        self.files = files
        self.flight: dict[int, Asked] = {}
        self.seconds: dict[int, float] = {}
        self.scores: dict[int, list[tuple[float, float]]] = {}
        """Objective and validation loss of a trial's replicas, at the epoch that counts."""

    def run(self) -> Progress:
        while (turn := self.hold.turn([trial.trial_id for trial in self.flight.values()])) is not None:
            if turn.take:
                self._pick_up(turn.take, trains=turn.spent is None)
            if turn.spent is not None:
                self._cut(turn.spent)
            elif turn.ask and not self.crew.behind:
                self._fill()
            self.crew.start()
            self.files.sweep()
            self.observer(self._progress())
            if self.flight:
                trained = self.crew.train_seconds
                tick = self.crew.tick()
                self._record(tick, self.crew.train_seconds - trained)
        self.files.sweep()
        final = self._progress()
        self.observer(final)
        return final

    @contextmanager
    def _tick(self, *, completes: bool = False, cut: bool = False) -> Iterator[None]:
        """A transaction about trials in flight, written only if they are still this process's own."""
        ids = [trial.trial_id for trial in self.flight.values()]
        with self.bench.store.tick():
            yield
            self.hold.confirm(ids, completes=completes, cut=cut)

    def _pick_up(self, trial_ids: Collection[int], *, trains: bool) -> None:
        """Goes on with running trials that this process has taken, if only to end them."""
        told = self.hold.behind if trains else None
        trials, failures = pick_up(self.bench, self.crew, trial_ids, self.hold.check, told)
        for trial in trials:
            self.flight[trial.number] = trial
            self.seconds[trial.number] = self.bench.store.seconds_of(trial.trial_id)
            self.scores[trial.number] = self._known_scores(trial)
        self._fail(failures)

    def _fill(self) -> None:
        """Asks for as many trials as may start."""
        while True:
            with self.bench.store.tick():
                asked = self.bench.searcher.ask(self.hold.room(len(self.flight)))
                self.hold.begin([trial.trial_id for trial in asked])
            if not asked:
                return
            self.flight.update({trial.number: trial for trial in asked})
            unbuilt = self.crew.admit({t.number: t.config for t in asked if t.config is not None})
            self._fail([*undrawn(asked), *unbuilt])

    def _fail(self, failures: Collection[Failure]) -> None:
        """Ends trials that could not be begun or continued."""
        if failures:
            with self._tick():
                for failure in failures:
                    self._tell_failure(failure)

    def _tell_failure(self, failure: Failure) -> None:
        trial = self.flight.pop(failure.trial)
        facts = {"traceback": failure.traceback, "seconds": round(self.seconds.get(trial.number, 0.0), 3)}
        self.bench.searcher.tell(trial.trial_id, TrialState.FAIL, f"failed: {failure.error}", facts)
        self.hold.end([trial.trial_id])

    def _cut(self, spent: Spent) -> None:
        """Ends everything in flight, because a budget is spent."""
        with self._tick(cut=True):
            self._settle(set(), {n: self.bench.searcher.cut(trial.trial_id, spent) for n, trial in self.flight.items()})

    def _record(self, tick: Tick, train_seconds: float) -> None:
        """One transaction: the epoch's rows, reports, decisions, ends and checkpoints."""
        store, searcher = self.bench.store, self.bench.searcher
        with self._tick(completes=self._completes(tick)):
            by_trial: dict[int, list[LaneEpoch]] = {}
            for lane in tick.epochs:
                by_trial.setdefault(lane.trial, []).append(lane)
            lost = {number: why for number, lanes in by_trial.items() if (why := self._lost(lanes))}
            for failure in tick.failures:
                self._tell_failure(failure)
            store.add_epochs([self._row(lane) for lane in tick.epochs])
            for number, lanes in by_trial.items():
                self.epochs += 1
                self.seconds[number] = self.seconds.get(number, 0.0) + sum(lane.seconds for lane in lanes)
                if number not in lost:
                    raw = fmean(self._objective(lane) for lane in lanes)
                    searcher.report(self.flight[number].trial_id, lanes[0].epoch, raw)
            decisions = {number: lost[number] if number in lost else self._decide(number) for number in by_trial}
            best = {number for number in by_trial.keys() - lost.keys() if self._is_best(number)}
            for number in best:
                self.scores[number] = [(self._objective(lane), lane.metrics["loss"]) for lane in by_trial[number]]
            self._settle(best, {number: d for number, d in decisions.items() if d.ended is not None})
            now, cpu = time.perf_counter(), self._cpu()
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

    def _settle(self, best: Collection[int], ended: Mapping[int, Decision]) -> None:
        """In a tick: tells how trials ended, makes room, and keeps what the crew hands over."""
        for number, decision in ended.items():
            self._end(number, decision)
        wanted = worth_keeping(self.bench, ended.keys())
        cut = {number for number, decision in ended.items() if endings.is_cut(decision.ended or "")}
        shards = self.crew.settle(
            best=best,
            wanted=wanted,
            ends=wanted | cut,
            ended=ended.keys(),
            path=self.files.next_path,
        )
        self.files.save_best(ended.keys(), shards)
        self.files.save_ends(ended.keys(), shards)
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

    def _lost(self, lanes: Sequence[LaneEpoch]) -> Decision | None:
        """How a trial ends that has nothing to report; None if it has."""
        epoch = lanes[0].epoch
        if any(lane.diverged for lane in lanes):
            return Decision(ended=endings.diverged(epoch), state=TrialState.PRUNED)
        if not all(math.isfinite(self._objective(lane)) for lane in lanes):
            return Decision(ended=endings.undefined(self.bench.spec.study.objective, epoch), state=TrialState.PRUNED)
        return None

    def _decide(self, number: int) -> Decision:
        trial = self.flight[number]
        assert trial.config is not None
        return self.bench.searcher.decide(trial.trial_id, trial.config)

    def _known_scores(self, trial: Asked) -> list[tuple[float, float]]:
        """From the rows of a trial that was picked up."""
        curve = self.bench.searcher.curve(trial.trial_id)
        epoch = best_epoch(self.bench.spec.study, curve) if curve else 0
        return self.bench.store.scores_of(trial.trial_id, epoch)

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
        if scores := self.scores.pop(number, []):
            objectives, losses = zip(*scores, strict=True)
            facts[ranking.LOSS] = rounded(fmean(losses))
            if len(objectives) > 1:
                facts["spread"] = rounded(stdev(objectives))
        self.bench.searcher.tell(trial.trial_id, decision.state, decision.ended, facts)
        self.hold.end([trial.trial_id])

    def _progress(self) -> Progress:
        wall_seconds = time.perf_counter() - self.began
        return progress(self.bench, self.crew, self.flight, epochs=self.epochs, wall_seconds=wall_seconds)

    def _cpu(self) -> float:
        """Processor time of this process and of the workers beside it."""
        return time.process_time() + self.crew.cpu_seconds


def _state_bytes(config: TrialConfig, parameters: int) -> int:
    """Memory of the optimizer's buffers in float32."""
    return rules.state_tensors(config.optimizer) * parameters * 4
