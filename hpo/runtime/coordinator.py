"""The loop of a study: all trials in flight train one epoch (a tick), then one transaction writes what follows from it.

Between two ticks the database and the checkpoint files agree, so a process may be killed at any moment: what was
trained since the last tick is trained again, with the same outcome. Training and waiting for a worker are done before
the transaction or after it, since other processes wait for its locks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

from optuna.trial import TrialState

from hpo.attributes import weights
from hpo.checkpoints.manager import CheckpointManager
from hpo.checkpoints.retention import trials_with_ends, worth_keeping
from hpo.endings import Ended, Ending, Spent
from hpo.execution.engines import AnyExecutor
from hpo.execution.job import TrainingJob
from hpo.printable import LONGEST_TRACEBACK, storable
from hpo.registry import studies
from hpo.registry.reopening import go_on
from hpo.runtime.ownership import Ownership
from hpo.runtime.progress import Observer, Progress, progress
from hpo.runtime.resume import pick_up, undrawn
from hpo.runtime.scores import Scores, loss_of
from hpo.runtime.session import Session
from hpo.search.objective import best_epoch
from hpo.search.searcher import Asked, Decision
from hpo.signs import SIGNS, stored
from hpo.storage.rows import EpochRow
from hpo.training.diagnosis.measure import NOTHING
from hpo.training.diagnosis.watch import Watch
from hpo.training.lane import LaneEpoch
from hpo.training.trainer import Failure, Tick

SHOWN_SECONDS = 0.2
"""Least time between two looks at the progress of trials that advance at their own pace."""


def run(
    session: Session,
    executor: AnyExecutor,
    observer: Observer,
    ownership: Ownership,
    manager: CheckpointManager | None = None,
) -> Progress:
    """Runs the study until its budgets are spent, or until `ownership` says to leave it. Returns the final progress."""
    return _Loop(session, executor, observer, ownership, manager or CheckpointManager(session.checkpoints)).run()


class _Loop:
    def __init__(
        self,
        session: Session,
        executor: AnyExecutor,
        observer: Observer,
        ownership: Ownership,
        manager: CheckpointManager,
    ) -> None:
        self.session = session
        self.executor = executor
        self.observer = observer
        self.ownership = ownership
        self.began = self.noted = time.perf_counter()
        self.cpu_noted = self._cpu()
        self.epochs = 0
        self.shown = -math.inf
        self.manager = manager
        self.flight: dict[int, Asked] = {}
        self.seconds: dict[int, float] = {}
        self.scores = Scores(session)
        job = session.job
        self.watch = Watch(session.spec.study.metric, job.examples if isinstance(job, TrainingJob) else None)

    def run(self) -> Progress:
        while (turn := self.ownership.turn([trial.trial_id for trial in self.flight.values()])) is not None:
            if turn.take:
                self._pick_up(turn.take, trains=turn.spent is None)
            if turn.spent is not None:
                self._cut(turn.spent)
            elif turn.ask and not self.executor.behind and self._fill():
                continue  # where an edit takes effect is told by the trials that were asked for before
            self.executor.start()
            self.manager.sweep()
            self._observe()
            if self.flight:
                trained = self.executor.train_seconds
                tick = self.executor.tick()
                self._record(tick, self.executor.train_seconds - trained)
        self.manager.sweep()
        final = self._progress()
        self.observer(final)
        return final

    @contextmanager
    def _transaction(self, *, completes: bool = False, cut: bool = False) -> Iterator[None]:
        """A transaction about the trials in flight; it is committed only if this process still owns them."""
        ids = [trial.trial_id for trial in self.flight.values()]
        with self.session.store.transaction():
            yield
            self.ownership.confirm(ids, completes=completes, cut=cut)

    def _pick_up(self, trial_ids: Collection[int], *, trains: bool) -> None:
        """Continues running trials that this process has taken; with `trains` false they are only to be ended."""
        on_behind = self.ownership.report_behind if trains else None
        trials, failures = pick_up(self.session, self.executor, trial_ids, self.ownership.check, on_behind)
        for trial in trials:
            self.flight[trial.number] = trial
            self.seconds[trial.number] = self.session.store.seconds_of(trial.trial_id)
            self.scores.resume(trial)
            self.watch.resume(trial.number, self.session.store.curves_of(trial.trial_id))
        self._fail(failures)

    def _fill(self) -> bool:
        """Has paused trials go on and asks for new ones until there is no room for more. Returns whether it asked for
        any."""
        searcher, begun = self.session.searcher, False
        while True:
            with self.session.store.transaction():
                room = self.ownership.room(len(self.flight))
                paused = searcher.promotable(last=room.new <= 0) if room.free > 0 else []
                promoted = go_on(self.session.store, self.session.study_id, paused[: room.free])
                asked = searcher.ask(min(room.free - len(promoted), room.new))
                self.ownership.begin([*promoted, *(trial.trial_id for trial in asked)])
            if promoted:
                self.manager.adopt(promoted)
                self._pick_up(promoted, trains=True)
            if not asked and not promoted:
                return begun
            begun = begun or bool(asked)
            self.flight.update({trial.number: trial for trial in asked})
            unbuilt = self.executor.admit({t.number: t.config for t in asked if t.config is not None})
            self._fail([*undrawn(asked), *unbuilt])

    def _fail(self, failures: Collection[Failure]) -> None:
        """Ends trials that could not be begun or continued as failed."""
        if failures:
            with self._transaction():
                for failure in failures:
                    self._tell_failure(failure)

    def _tell_failure(self, failure: Failure) -> None:
        trial = self.flight.pop(failure.trial)
        traceback = storable(failure.traceback, LONGEST_TRACEBACK)
        facts = {"traceback": traceback, "seconds": round(self.seconds.get(trial.number, 0.0), 3)}
        ended = Ended(why=Ending.FAILED, detail=storable(failure.error))
        self.session.searcher.tell(trial.trial_id, TrialState.FAIL, ended, facts)
        self.ownership.end([trial.trial_id])

    def _cut(self, spent: Spent) -> None:
        """Ends all trials in flight, because a budget is spent."""
        with self._transaction(cut=True):
            ended = {n: self.session.searcher.cut(trial.trial_id, spent) for n, trial in self.flight.items()}
            self._settle(set(), ended)

    def _record(self, tick: Tick, train_seconds: float) -> None:
        """Writes a tick in one transaction: rows of epochs, reports, decisions, ended trials and checkpoints."""
        store, searcher = self.session.store, self.session.searcher
        with self._transaction(completes=self._completes(tick)):
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
                    self.watch.add(number, lanes)
            decisions = {number: lost[number] if number in lost else self._decide(number) for number in by_trial}
            finished = Decision(ended=Ended(why=Ending.FINISHED), state=TrialState.COMPLETE)
            decisions |= dict.fromkeys(tick.returned, finished)
            best = {number for number in by_trial.keys() - lost.keys() if self._is_best(number)}
            for number in best:
                self.scores.note(number, by_trial[number])
            self._settle(best, {number: d for number, d in decisions.items() if d.ended is not None})
            now, cpu = time.perf_counter(), self._cpu()
            spent = {"train": train_seconds, "wall": now - self.noted, "cpu": cpu - self.cpu_noted}
            studies.add_seconds(store, self.session.study_id, **spent, epochs=len(by_trial))
            self.noted, self.cpu_noted = now, cpu

    def _completes(self, tick: Tick) -> bool:
        """Whether a trial has trained its last epoch."""
        lengths = {number: trial.config.training.epochs for number, trial in self.flight.items() if trial.config}
        return any(lane.epoch >= lengths[lane.trial] for lane in tick.epochs)

    def _settle(self, best: Collection[int], ended: Mapping[int, Decision]) -> None:
        """In a transaction: tells how trials ended, frees their lanes, and saves the weights and states of the
        executor."""
        shown = self._diagnosed(ended)
        for number, decision in ended.items():
            self._end(number, decision, shown[number])
        wanted = worth_keeping(self.session.checkpoints, ended.keys())
        goes_on = trials_with_ends(self.session.checkpoints).keys() & ended.keys() if ended else set()
        shards = self.executor.settle(
            best=best,
            wanted=wanted,
            ends=wanted | goes_on,
            ended=ended.keys(),
            path=self.manager.next_path,
        )
        self.manager.save_best(ended.keys(), shards)
        self.manager.save_ends(ended.keys(), shards)
        self.manager.save_states(self.flight, shards)
        self.manager.save_running(self.flight, shards)

    def _diagnosed(self, ended: Mapping[int, Decision]) -> dict[int, dict[str, Any]]:
        """Signs of trouble and figures of the weights of trials that are about to end, as attributes, by number."""
        finished = {number for number, decision in ended.items() if decision.state == TrialState.COMPLETE}
        found = self.executor.diagnose(ended, finished) if ended else {}
        shown: dict[int, dict[str, Any]] = {}
        for number in ended:
            model = found.get(number, NOTHING)
            curves = self.watch.end(number, complete=number in finished, updates=model.updates)
            shown[number] = {SIGNS: stored([*model.signs, *curves])}
            if model.weights:
                shown[number][weights.ATTRIBUTE] = weights.stored(model.weights)
        return shown

    def _row(self, lane: LaneEpoch) -> EpochRow:
        return EpochRow(
            trial_id=self.flight[lane.trial].trial_id,
            replica=lane.replica,
            epoch=lane.epoch,
            train_loss=lane.train_loss,
            valid_loss=loss_of(lane),
            objective=self._objective(lane),
            learning_rate=lane.learning_rate,
            gradient_norm=lane.gradient_norm,
            seconds=lane.seconds,
            metrics={name: value for name, value in lane.metrics.items() if name != "loss"},
        )

    def _objective(self, lane: LaneEpoch) -> float:
        return lane.metrics[self.session.spec.study.metric]

    def _lost(self, lanes: Sequence[LaneEpoch]) -> Decision | None:
        """How a trial ends that diverged or of which an objective is undefined; None if it has a value to report."""
        epoch = lanes[0].epoch
        if any(lane.diverged for lane in lanes):
            return Decision(ended=Ended(why=Ending.DIVERGED, epoch=epoch), state=TrialState.PRUNED)
        if name := self.scores.undefined(lanes):
            ended = Ended(why=Ending.UNDEFINED, detail=name, epoch=epoch)
            return Decision(ended=ended, state=TrialState.PRUNED)
        return None

    def _decide(self, number: int) -> Decision:
        trial = self.flight[number]
        assert trial.config is not None
        return self.session.searcher.decide(trial.trial_id, trial.config)

    def _is_best(self, number: int) -> bool:
        """Whether the epoch just trained is the trial's best so far, or its last where the last one counts."""
        curve = self.session.searcher.curve(self.flight[number].trial_id)
        return bool(curve) and best_epoch(self.session.spec.study, curve) == len(curve)

    def _end(self, number: int, decision: Decision, shown: Mapping[str, Any]) -> None:
        trial = self.flight.pop(number)
        assert trial.config is not None
        assert decision.ended is not None
        costs = self.executor.costs(number, trial.config)
        scored, further = self.scores.end(number, costs)
        facts: dict[str, Any] = {"seconds": round(self.seconds.get(number, 0.0), 3), **shown, **costs, **scored}
        self.session.searcher.tell(trial.trial_id, decision.state, decision.ended, facts, further)
        self.ownership.end([trial.trial_id])

    def _observe(self) -> None:
        """Shows the progress. Trials at their own pace may report hundreds of times a second: not each is shown."""
        now = time.perf_counter()
        if now - self.shown >= (SHOWN_SECONDS if self.session.spec.at_own_pace else 0.0):
            self.shown = now
            self.observer(self._progress())

    def _progress(self) -> Progress:
        wall_seconds = time.perf_counter() - self.began
        return progress(self.session, self.executor, self.flight, epochs=self.epochs, wall_seconds=wall_seconds)

    def _cpu(self) -> float:
        """Processor time of this process and of the workers beside it."""
        return time.process_time() + self.executor.cpu_seconds
