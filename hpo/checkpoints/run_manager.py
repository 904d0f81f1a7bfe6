"""The checkpoint files of `hpo run`: the running trials' states of the last two ticks, and the best weights and last
states of ended trials, as `retention` decides.

Rows about files are written in the tick's transaction; files that no row names any more are deleted after it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from optuna.trial import FrozenTrial

from hpo.checkpoints.folders import own_folders
from hpo.checkpoints.retention import best_trials, trials_with_ends
from hpo.checkpoints.store import Directory
from hpo.checkpoints.study import StudyCheckpoints
from hpo.errors import MachineError
from hpo.execution.messages import Settled
from hpo.registry import studies
from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow
from hpo.training import packing
from hpo.training.packing import Written

log = logging.getLogger(__name__)


class CheckpointManager(Protocol):
    """Saves the checkpoints of a study. The coordinator calls the `save_*` methods within the tick's transaction, and
    `sweep` after it. `ended`: numbers of the trials that have just ended."""

    def next_path(self) -> Path:
        """Path of a new file of running trials, for a shard that writes files."""

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Saves the weights of ended trials that are among the best; drops those of trials that no longer are."""

    def save_ends(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Saves the last state of ended trials that may continue later; drops those that are no longer needed."""

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Saves the state of all trials in flight."""

    def sweep(self) -> None:
        """Deletes files that no row names any more."""


class RunCheckpoints:
    """The checkpoint manager of `hpo run`: files in the home folder."""

    def __init__(self, study: StudyCheckpoints) -> None:
        self.study = study
        rows = study.store.checkpoints(study.study_id)
        every = study.store.get_all_trials(study.study_id, deepcopy=False)  # including those that another program ended
        numbers = {trial._trial_id: trial.number for trial in every}
        found = sorted({row.path for row in rows if row.kind == "running"})
        self.running = [found] if found else []
        """Paths of the last ticks' files, oldest first, relative to the home folder; the files that an earlier process
        left count as one tick."""
        self.best = {numbers[row.trial_id]: row.path for row in rows if row.kind == "best"}
        """Paths of ended trials' best weights, by trial number."""
        self.ends = {numbers[row.trial_id]: row.path for row in rows if row.kind == "final"}
        """Paths of ended trials' last states, by trial number."""
        self.home, row = Directory(study.home), studies.study_row(study.store, study.name)
        self.own = own_folders(self.home, study.store, row, claim=True)
        self.workers_own = (
            own_folders(study.checkpoint_store, study.store, row, claim=True) if study.checkpoint_store else None
        )
        """The study's folders in the workers' checkpoint store, if they have another one."""
        in_home = set(self.home.names("checkpoints/"))
        self.workers_paths = {row.path for row in rows if study.checkpoint_store and row.path not in in_home}
        """Those of the paths above that are in the workers' checkpoint store."""
        self.garbage: list[str] = []
        """Paths to delete at the next sweep."""
        numbered = (re.fullmatch(r"running-(\d+)", Path(path).stem) for path in found)  # workers' files do not match
        self.serial = 1 + max((int(match[1]) for match in numbered if match), default=0)
        """Number of the next file of running trials."""
        self._delete_unnamed()

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Records the files with the state of each shard's running trials; writes what a shard could not write."""
        old, self.running = self.running[:-1], self.running[-1:]
        paths = []
        for shard in shards:
            if shard.lanes is None:
                continue
            lanes = shard.lanes
            written = packing.write(self.next_path(), lanes) if isinstance(lanes, bytes) else lanes
            self.study.store.add_checkpoints(
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
        outdated = [path for tick in old for path in tick]
        self._remove_rows(outdated)
        self.garbage.extend(outdated)

    def next_path(self) -> Path:
        """Path of a new file of running trials."""
        path = self._path(f"running-{self.serial:07d}.pt")
        self.serial += 1
        return path

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the weights of ended trials that are among the best. Drops those of trials that no longer are, and the
        former weights of trials that had ended before and were continued."""
        if not ended:
            return
        ranking = best_trials(self.study)
        self._drop(self.best, {trial.number for trial in ranking} - set(ended))
        weights = {number: data for shard in shards for number, data in shard.weights.items()}
        for trial in ranking:
            if trial.number in weights:
                path = self._path(f"best-{trial.number:06d}.pt")
                self._keep(self.best, trial, "best", trial.user_attrs["best_epoch"], path, weights[trial.number])

    def save_ends(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the last state of ended trials that may continue later. Drops those that are no longer needed, and the
        former states of trials that had ended before and were continued."""
        if not ended:
            return
        trials = trials_with_ends(self.study)
        self._drop(self.ends, trials.keys() - set(ended))
        for shard in shards:
            for number, end in shard.ends.items():
                digest = hashlib.sha256(end.state).hexdigest()
                path = self._path(f"final-{number:06d}-{digest[:8]}.pt")
                self._take_from_running(self._relative(path))
                self._keep(self.ends, trials[number], "final", end.epoch, path, end.state)

    def _drop(self, files: dict[int, str], kept: Collection[int]) -> None:
        """Removes the rows of all trials' files but those of the `kept` trials; the next sweep deletes the files."""
        old = [files.pop(number) for number in sorted(files.keys() - set(kept))]
        self._remove_rows(old)
        self.garbage.extend(old)

    def _keep(self, files: dict[int, str], trial: FrozenTrial, kind: str, epoch: int, path: Path, data: bytes) -> None:
        written = packing.write(path, data)
        self.study.store.add_checkpoints([self._row(trial._trial_id, kind, epoch, written)])
        files[trial.number] = self._relative(path)
        self.garbage = [old for old in self.garbage if old != files[trial.number]]

    def _take_from_running(self, path: str) -> None:
        """Removes a file from those of running trials. A trial that a budget ends again before its first epoch has the
        same last state, and so the same path, as the file from which it was to continue."""
        if any(path in tick for tick in self.running):
            self.running = [[other for other in tick if other != path] for tick in self.running]
            self._remove_rows([path])

    def sweep(self) -> None:
        """Deletes files that no row names any more. Call it after the transaction."""
        for path in self.garbage:
            try:
                self.own.delete(path)
                if self.workers_own and path in self.workers_paths:
                    self.workers_own.delete(path)
            except MachineError as error:
                log.warning("%s", error)
        self.garbage.clear()

    def _remove_rows(self, paths: list[str]) -> None:
        if paths:
            self.study.store.remove_checkpoints(paths)

    def _delete_unnamed(self) -> None:
        """Deletes files of a process that was killed before it had written their rows."""
        named = [*self.running, self.best.values(), self.ends.values()]
        for path in self.own.files() - {path for paths in named for path in paths}:
            self.own.delete(path)

    def _path(self, file: str) -> Path:
        return self.home.path(f"{self.own.name}/{file}")

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.study.home).as_posix()

    def _row(self, trial_id: int, kind: str, epoch: int, written: Written) -> CheckpointRow:
        return CheckpointRow(
            trial_id=trial_id, kind=kind, epoch=epoch, path=self._relative(written.path), sha256=written.sha256
        )
