"""Which checkpoint files a study keeps: the running trials' of the last two ticks, and the best trials' weights.

Rows about files are written in the tick's transaction; files that no row names any more are deleted after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow
from hpo.training import checkpoints
from hpo.training.checkpoints import Written
from hpo.workers.setup import Bench


class Keeper(Protocol):
    """What the coordinator asks of the checkpoints' keeper: the first two in a transaction, the last after it."""

    def save_running(self, flight: Mapping[int, Asked]) -> None:
        """Writes the state of all trials in flight."""

    def save_best(self, ended: Iterable[int]) -> None:
        """Writes the weights of trials that have just ended among the best, drops those that no longer are."""

    def sweep(self) -> None:
        """Deletes what no row names any more."""


class Files:
    """The checkpoint folder of one study."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        rows = bench.store.checkpoints(bench.study_id)
        numbers = {trial._trial_id: trial.number for trial in bench.searcher.all_trials()}
        self.running = sorted({row.path for row in rows if row.kind == "running"})
        """Paths of the last ticks, oldest first, relative to the home folder."""
        self.best = {numbers[row.trial_id]: row.path for row in rows if row.kind == "best"}
        """Path by trial number."""
        self.garbage: list[Path] = []
        self.tick = 1 + max((int(Path(path).stem.rpartition("-")[2]) for path in self.running), default=0)
        self._sweep_strays()

    def save_running(self, flight: Mapping[int, Asked]) -> None:
        """Writes the state of all trials in flight into one file."""
        old, self.running = self.running[:-1], self.running[-1:]
        if flight:
            path = self.bench.folder / f"running-{self.tick:07d}.pt"
            self.tick += 1
            cohorts = self.bench.trainer.all_cohorts()
            written = checkpoints.write(path, checkpoints.pack_running(cohorts))
            epochs = {lane.trial: lane.epoch for cohort in cohorts for lane in cohort.lanes}
            self.bench.store.add_checkpoints(
                [self._row(flight[number].trial_id, "running", epochs[number], written) for number in sorted(flight)]
            )
            self.running.append(self._relative(path))
        else:
            old, self.running = old + self.running, []
        self._drop(old)

    def save_best(self, ended: Iterable[int]) -> None:
        """Writes the weights of trials that have just ended among the best, drops those that no longer are."""
        ranking = self.bench.searcher.ranking()[: self.bench.spec.checkpoints.keep]
        ended = set(ended)
        for trial in ranking:
            if trial.number in ended:
                path = self.bench.folder / f"best-{trial.number:06d}.pt"
                written = checkpoints.write(path, checkpoints.pack_best(self.bench.trainer, trial.number))
                epoch = trial.user_attrs["best_epoch"]
                self.bench.store.add_checkpoints([self._row(trial._trial_id, "best", epoch, written)])
                self.best[trial.number] = self._relative(path)
        kept = {trial.number for trial in ranking}
        self._drop([self.best.pop(number) for number in sorted(set(self.best) - kept)])

    def sweep(self) -> None:
        """Deletes what no row names any more. Call it after the transaction."""
        for path in self.garbage:
            path.unlink(missing_ok=True)
        self.garbage.clear()

    def _drop(self, paths: list[str]) -> None:
        if paths:
            self.bench.store.remove_checkpoints(paths)
            self.garbage.extend(self.bench.home / path for path in paths)

    def _sweep_strays(self) -> None:
        """Deletes files that a killed process wrote without getting to their rows."""
        known = {self.bench.home / path for path in [*self.running, *self.best.values()]}
        for path in self.bench.folder.glob("*.pt"):
            if path not in known:
                path.unlink(missing_ok=True)
        for path in self.bench.folder.glob(".*.pt.*"):
            path.unlink(missing_ok=True)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.bench.home).as_posix()

    def _row(self, trial_id: int, kind: str, epoch: int, written: Written) -> CheckpointRow:
        return CheckpointRow(
            trial_id=trial_id, kind=kind, epoch=epoch, path=self._relative(written.path), sha256=written.sha256
        )
