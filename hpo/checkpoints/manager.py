"""Saving a study's checkpoints: the running trials' states of the last two ticks, and the best weights and last states
of ended trials, as `retention` decides.

Rows about files are written in the tick's transaction, and no file that a row names is overwritten. Files that no row
names any more are deleted after the transaction. Files of ended trials are named by their content, so a worker whose
lease has expired overwrites no file of the workers that took over its trials.

`hpo run` has the study to itself: it numbers its files of running trials, and deletes at its start what a killed
process left. Workers share the study: each writes its trials in flight into one of three slots of its own, of which
rows name the last two, so that no file has to be deleted after every epoch. A worker that restarts gets three new
slots, because other workers may have continued from the old ones. Where the place refuses a worker's file, training
goes on: epochs that could not be saved are trained again if they are needed. `hpo run` ends with the error.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from optuna.trial import FrozenTrial

from hpo.checkpoints.folders import OwnFolders, own_folders
from hpo.checkpoints.retention import best_trials, trials_with_ends
from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.checkpoints.study import StudyCheckpoints
from hpo.errors import MachineError
from hpo.execution.messages import Settled
from hpo.registry import studies
from hpo.registry.studies import StudyRow
from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow

log = logging.getLogger(__name__)

SLOTS = 3


class CheckpointManager:
    """Saves the checkpoints of one process for one study. The coordinator calls the `save_*` methods within the tick's
    transaction, and `sweep` after it. `ended`: numbers of the trials that have just ended."""

    def __init__(
        self, study: StudyCheckpoints, checkpoint_store: CheckpointStore | None = None, worker: str | None = None
    ) -> None:
        """`worker`: name of the worker that shares the study with others, and keeps files in `checkpoint_store`; None:
        no other process has the study, and files are kept in the home folder."""
        self.study = study
        self.checkpoint_store = checkpoint_store or Directory(study.home)
        self.worker = worker
        self.term = uuid.uuid4().hex[:8]
        """Random part of the slots' names, which no earlier slot has."""
        self.ticks: list[list[str]] = []
        """Files of running trials of the last two ticks, which rows name, oldest first."""
        self.foreign: dict[int, dict[str, int]] = {}
        """Trial id -> path -> epoch of the files that others saved, until rows of this process replace them."""
        self.garbage: set[str] = set()
        """Names of files to delete at the next sweep, unless a row names them."""
        self.refused = False
        """Whether the checkpoint store refused the last file."""
        self.serial = 0
        """Number of the last file of running trials of `hpo run`."""
        self.former: set[str] = set()
        """Files that rows named when `hpo run` began. Some may be in the workers' checkpoint store ..."""
        self.workers_own: OwnFolders | None = None
        """... in which these are the study's folders; None: the workers had no other store."""
        row = studies.study_row(study.store, study.name)
        self.own = own_folders(self.checkpoint_store, study.store, row, claim=True)
        if worker is None:
            self._take_over(row)

    def _take_over(self, row: StudyRow) -> None:
        """Takes over the files of earlier processes, and deletes those that one which was killed left without rows."""
        rows = self.study.store.checkpoints(self.study.study_id)
        self.former = {found.path for found in rows}
        if self.study.checkpoint_store:
            self.workers_own = own_folders(self.study.checkpoint_store, self.study.store, row, claim=True)
        running = sorted({found.path for found in rows if found.kind == "running" and _is_of_tick(found.path)})
        self.ticks = [running] if running else []
        self.adopt(found.trial_id for found in rows)  # trials that go on from their last state
        numbered = (re.fullmatch(r"running-(\d+)", PurePosixPath(path).stem) for path in running)
        self.serial = max((int(match[1]) for match in numbered if match), default=0)
        for path in self.own.files() - self.former:
            self.own.delete(path)

    def adopt(self, trial_ids: Iterable[int]) -> None:
        """Finds the files of these trials that are not this process's own; they are removed once the trials have been
        saved here."""
        wanted, ours = set(trial_ids), {path for tick in self.ticks for path in tick}
        for row in self.study.store.checkpoints(self.study.study_id):
            if row.kind == "running" and row.trial_id in wanted and row.path not in ours:
                self.foreign.setdefault(row.trial_id, {})[row.path] = row.epoch

    def next_path(self) -> Path:
        """Path of a new file of running trials, for a shard that writes files into the home folder."""
        return Directory(self.study.home).path(self._next_name())

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Records the files with the state of all trials in flight; writes what the shards did not write."""
        for trial_id in self.foreign.keys() - {trial.trial_id for trial in flight.values()}:
            self._replace_foreign(trial_id)
        saved: list[CheckpointRow] = []
        for shard in shards:
            if shard.lanes is None:
                continue
            if isinstance(shard.lanes, bytes):
                name, sha256 = self._next_name(), hashlib.sha256(shard.lanes).hexdigest()
                if not self._put(name, shard.lanes):
                    return
            else:
                name, sha256 = shard.lanes.path.relative_to(self.study.home).as_posix(), shard.lanes.sha256
            saved += (
                CheckpointRow(trial_id=flight[number].trial_id, kind="running", epoch=epoch, path=name, sha256=sha256)
                for number, epoch in sorted(shard.epochs.items())
            )
        kept = self.ticks[-1:] if saved else []
        old = [path for tick in self.ticks[: len(self.ticks) - len(kept)] for path in tick]
        self.study.store.remove_checkpoints(old)
        if self.worker is None:
            self.garbage.update(old)
        for row in saved:
            self._replace_foreign(row.trial_id, row.epoch)
        self.study.store.add_checkpoints(saved)
        self.ticks = [*kept, sorted({row.path for row in saved})] if saved else []

    def save_states(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Writes what the functions of running trials have saved: a file for each, instead of the one before."""
        for shard in shards:
            for number, end in shard.states.items():
                trial_id = flight[number].trial_id
                sha256 = hashlib.sha256(end.state).hexdigest()
                name = f"{self.own.name}/state-{number:06d}-{end.epoch:06d}-{sha256[:8]}.pt"
                known = self.foreign.get(trial_id, {})
                if name in known or not self._put(name, end.state):
                    continue
                self._replace_foreign(trial_id, end.epoch)
                row = CheckpointRow(trial_id=trial_id, kind="running", epoch=end.epoch, path=name, sha256=sha256)
                self.study.store.add_checkpoints([row])
                self.foreign.setdefault(trial_id, {})[name] = end.epoch

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the best weights of ended trials that are among the best. Drops those of trials that no longer are,
        and the former weights of trials that had ended before and were continued, whichever process wrote them."""
        if not ended:
            return
        ranking = best_trials(self.study)
        kept = {trial._trial_id for trial in ranking if trial.number not in ended}
        old = self._outdated("best", kept)
        self.study.store.remove_checkpoints(old)
        self.garbage.update(old)
        for trial in ranking:
            for shard in shards:
                if trial.number in shard.weights:
                    self._keep(trial, "best", trial.user_attrs["best_epoch"], shard.weights[trial.number])

    def save_ends(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the last state of ended trials that may continue later. Drops those that are no longer needed,
        whichever process wrote them."""
        if not ended:
            return
        trials = trials_with_ends(self.study)
        kept = {trial._trial_id for trial in trials.values() if trial.number not in ended}
        old = self._outdated("final", kept)
        # An extension may be making one of them the checkpoint of a running trial at this moment.
        self.study.store.remove_checkpoints(old, spared="running")
        self.garbage.update(old)
        for shard in shards:
            for number, end in shard.ends.items():
                # A trial that a budget ends again before its first epoch has the same file as the one from which it
                # was to continue, perhaps of another worker.
                self._replace_foreign(trials[number]._trial_id)
                self._keep(trials[number], "final", end.epoch, end.state)

    def save_refit(self, number: int, epochs: int, weights: bytes) -> None:
        """In the transaction that ends the study: writes the weights of the winner, the trial of this number, that was
        trained again on all rows."""
        trial = next(trial for trial in self.study.searcher.all_trials() if trial.number == number)
        self._keep(trial, "refit", epochs, weights)

    def drop_refits(self, kept: int | None) -> None:
        """In the transaction that ends the study: drops the weights of winners that were trained again, but those of
        the trial of the number `kept`."""
        spared = {trial._trial_id for trial in self.study.searcher.all_trials() if trial.number == kept}
        old = self._outdated("refit", spared)
        self.study.store.remove_checkpoints(old)
        self.garbage.update(old)

    def sweep(self) -> None:
        """Deletes files that no row names any more. Call it after the transaction."""
        # Nobody else names a file of running trials of `hpo run`, so the rows need not be read after every epoch.
        certain = {path for path in self.garbage if self.worker is None and _is_of_tick(path)}
        rows = self.study.store.checkpoints(self.study.study_id) if self.garbage - certain else []
        for name in self.garbage - {row.path for row in rows}:
            try:
                self.own.delete(name)
                if self.workers_own and name in self.former:
                    self.workers_own.delete(name)
            except MachineError as error:
                log.warning("%s", error)
        self.garbage.clear()

    def leave(self) -> None:
        """Deletes the slots that no row names, when the worker has finished with the study."""
        self.garbage.update(self._slot(index) for index in range(SLOTS))
        self.sweep()

    def leftovers(self) -> set[str]:
        """Files of running trials, including those left by workers that were killed. Once no trial runs they are not
        needed. Call this before the transaction that ends the study: afterwards the study may be extended, and such
        files may be needed again."""
        rows = self.study.store.checkpoints(self.study.study_id)
        running = {row.path for row in rows if row.kind == "running"}
        try:
            return running | set(self.checkpoint_store.names(f"{self.own.name}/running-"))
        except MachineError as error:
            log.warning("%s Files of workers that were killed may stay there.", error)
            return running

    def clear(self, leftovers: Collection[str]) -> None:
        """Removes the rows of these files, in the transaction that ends the study; the next sweep deletes the files."""
        self.study.store.remove_checkpoints(sorted(leftovers))
        self.garbage.update(leftovers)

    def _replace_foreign(self, trial_id: int, epoch: int | None = None) -> None:
        """Removes the rows of a trial's files that other workers saved up to this epoch; of all of them, if the trial
        has ended (`epoch` None). A later one, which could not be read, is kept until the trial has reached its epoch:
        it may become readable again."""
        known = self.foreign.pop(trial_id, {})
        later = {path: at for path, at in known.items() if epoch is not None and at > epoch}
        if later:
            self.foreign[trial_id] = later
        if paths := known.keys() - later.keys():
            self.study.store.remove_checkpoints(paths, trial_id=trial_id)
            self.garbage |= paths

    def _outdated(self, kind: str, kept: Collection[int]) -> list[str]:
        """Files of this kind of trials that have ended, except the trials with `kept` ids. The trials are those of this
        tick's view: files of trials that another worker ends meanwhile are left alone."""
        every = self.study.store.get_all_trials(self.study.study_id, deepcopy=False)
        over = {trial._trial_id for trial in every if trial.state.is_finished()}
        rows = self.study.store.checkpoints(self.study.study_id)
        return [row.path for row in rows if row.kind == kind and row.trial_id in over.difference(kept)]

    def _keep(self, trial: FrozenTrial, kind: str, epoch: int, data: bytes) -> None:
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{self.own.name}/{kind}-{trial.number:06d}-{sha256[:8]}.pt"
        if self._put(name, data):
            row = CheckpointRow(trial_id=trial._trial_id, kind=kind, epoch=epoch, path=name, sha256=sha256)
            self.study.store.add_checkpoints([row])

    def _put(self, name: str, data: bytes) -> bool:
        """Stores a file; False if the checkpoint store refused a worker's file. Logs a warning at the first refusal
        only, and again when files can be stored."""
        try:
            self.checkpoint_store.put(name, data)
        except MachineError as error:
            if self.worker is None:
                raise
            if not self.refused:
                log.warning("%s Training goes on; what could not be saved is trained again after a crash.", error)
            self.refused = True
            return False
        if self.refused:
            log.warning("checkpoints can be written again")
        self.refused = False
        return True

    def _next_name(self) -> str:
        """Name of a new file of running trials."""
        if self.worker is None:
            self.serial += 1
            return f"{self.own.name}/running-{self.serial:07d}.pt"
        return next(slot for index in range(SLOTS) if [slot := self._slot(index)] not in self.ticks)

    def _slot(self, index: int) -> str:
        return f"{self.own.name}/running-{self.worker}-{self.term}-{index}.pt"


def _is_of_tick(path: str) -> bool:
    """Whether it is a file of a tick's running trials, not the last state of one trial, from which it goes on."""
    return PurePosixPath(path).name.startswith("running-")
