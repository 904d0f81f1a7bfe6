"""Which checkpoint files a study keeps: the running trials' of the last two ticks, and the best trials' weights.

Rows about files are written in the tick's transaction; files that no row names any more are deleted after it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from optuna.trial import FrozenTrial

from hpo.errors import MachineError
from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow
from hpo.training import checkpoints
from hpo.training.checkpoints import Written
from hpo.workers.orders import Settled
from hpo.workers.setup import Bench

log = logging.getLogger(__name__)


class Keeper(Protocol):
    """What the coordinator asks of the keeper of checkpoints, all but the last in a transaction."""

    keeps_ends: bool
    """Whether the last state of the best trials is kept beside their best weights."""

    def next_path(self) -> Path:
        """Of a new file of running trials, for a shard that writes files."""

    def worth_keeping(self, ended: Collection[int]) -> set[int]:
        """Which of the trials that have just ended are among the best."""

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Keeps the weights of trials that have just ended among the best, drops those that no longer are."""

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Keeps the state of all trials in flight."""

    def sweep(self) -> None:
        """Deletes what no row names any more."""


class Files:
    """The checkpoint folder of one study."""

    keeps_ends = False

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        rows = bench.store.checkpoints(bench.study_id)
        numbers = {trial._trial_id: trial.number for trial in bench.searcher.all_trials()}
        found = sorted({row.path for row in rows if row.kind == "running"})
        self.running = [found] if found else []
        """Paths of the last ticks, oldest first, relative to the home folder; what a process before left counts as
        one tick."""
        self.kept: dict[int, list[str]] = {}
        """Paths of an ended trial's files by its number: its best weights, and its last state if a worker kept that."""
        for row in rows:
            if row.kind != "running":
                self.kept.setdefault(numbers[row.trial_id], []).append(row.path)
        self.elsewhere = {row.path for row in rows if bench.depot and not (bench.home / row.path).exists()}
        """Of all these, those that workers keep in another place."""
        self.garbage: list[str] = []
        own = (re.fullmatch(r"running-(\d+)", Path(path).stem) for path in found)  # workers name theirs otherwise
        self.serial = 1 + max((int(match[1]) for match in own if match), default=0)
        """Of the next file of running trials."""
        self._sweep_strays()

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Records the files with the state of each shard's running trials; writes what a shard could not write."""
        old, self.running = self.running[:-1], self.running[-1:]
        paths = []
        for shard in shards:
            if shard.lanes is None:
                continue
            lanes = shard.lanes
            written = checkpoints.write(self.next_path(), lanes) if isinstance(lanes, bytes) else lanes
            self.bench.store.add_checkpoints(
                [
                    self._row(flight[number].trial_id, "running", shard.epochs[number], written)
                    for number in shard.epochs
                ]
            )
            paths.append(self._relative(written.path))
        if paths:
            self.running.append(paths)
        else:
            old, self.running = old + self.running, []
        gone = [path for tick in old for path in tick]
        self._forget(gone)
        self.garbage.extend(gone)

    def next_path(self) -> Path:
        """Of a new file of running trials."""
        path = self.bench.folder / f"running-{self.serial:07d}.pt"
        self.serial += 1
        return path

    def worth_keeping(self, ended: Collection[int]) -> set[int]:
        """Which of the trials that have just ended are among the best."""
        return {trial.number for trial in self._kept() if trial.number in ended}

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the weights of trials that have just ended among the best; drops those of trials that no longer are,
        or that had ended before and went on."""
        weights = {number: data for shard in shards for number, data in shard.weights.items()}
        ranking = self._kept()
        kept = {trial.number for trial in ranking} - set(ended)
        old = [path for number in sorted(set(self.kept) - kept) for path in self.kept.pop(number)]
        self._forget(old)
        for trial in ranking:
            if trial.number in ended and trial.number in weights:
                path = self.bench.folder / f"best-{trial.number:06d}.pt"
                written = checkpoints.write(path, weights[trial.number])
                epoch = trial.user_attrs["best_epoch"]
                self.bench.store.add_checkpoints([self._row(trial._trial_id, "best", epoch, written)])
                self.kept[trial.number] = [self._relative(path)]
        self.garbage.extend(set(old) - {path for paths in self.kept.values() for path in paths})

    def _kept(self) -> list[FrozenTrial]:
        return self.bench.searcher.ranking()[: self.bench.spec.checkpoints.keep]

    def sweep(self) -> None:
        """Deletes what no row names any more. Call it after the transaction."""
        for path in self.garbage:
            (self.bench.home / path).unlink(missing_ok=True)
            if self.bench.depot and path in self.elsewhere:
                try:
                    self.bench.depot.delete(path)
                except MachineError as error:
                    log.warning("%s", error)
        self.garbage.clear()

    def _forget(self, paths: list[str]) -> None:
        if paths:
            self.bench.store.remove_checkpoints(paths)

    def _sweep_strays(self) -> None:
        """Deletes files that a killed process wrote without getting to their rows."""
        named = [*self.running, *self.kept.values()]
        known = {self.bench.home / path for paths in named for path in paths}
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
