"""The checkpoints that one worker of the service saves: its running trials, best weights, and last states.

A worker writes its trials in flight into one of three slots of its own: rows name the last two, the third is free. So
no file that a row names is overwritten, and no file has to be deleted after every epoch. A worker that restarts gets
three new slots, because other workers may have continued from the old ones. Files of weights are named by their
content, so a worker whose lease has expired overwrites no file of the workers that took over its trials. Where the
checkpoint store refuses a file, training goes on: epochs that could not be saved are trained again if they are needed.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from optuna.trial import FrozenTrial

from hpo.checkpoints.folders import own_folders
from hpo.checkpoints.retention import best_trials, trials_with_ends
from hpo.checkpoints.store import CheckpointStore
from hpo.checkpoints.study import StudyCheckpoints
from hpo.errors import MachineError
from hpo.execution.messages import Settled
from hpo.registry import studies
from hpo.search.searcher import Asked
from hpo.storage.rows import CheckpointRow

log = logging.getLogger(__name__)

SLOTS = 3


class WorkerCheckpoints:
    """The checkpoint manager of one worker for one study."""

    def __init__(self, study: StudyCheckpoints, checkpoint_store: CheckpointStore, worker: str) -> None:
        self.study = study
        self.checkpoint_store = checkpoint_store
        self.worker = worker
        self.term = uuid.uuid4().hex[:8]
        """Random part of the slots' names, which no earlier slot has."""
        self.slots: list[str] = []
        """Slots that rows name, oldest first."""
        self.foreign: dict[int, dict[str, int]] = {}
        """Trial id -> path -> epoch of the files that other workers saved, until this worker's rows replace them."""
        self.garbage: set[str] = set()
        """Names of files to delete at the next sweep, unless a row names them."""
        self.refused = False
        """Whether the checkpoint store refused the last file."""
        row = studies.study_row(study.store, study.name)
        self.own = own_folders(checkpoint_store, study.store, row, claim=True)

    def adopt(self, trial_ids: Iterable[int]) -> None:
        """Finds the files of these trials in other slots; they are removed once the trials have been saved here."""
        wanted = set(trial_ids)
        for row in self.study.store.checkpoints(self.study.study_id):
            if row.kind == "running" and row.trial_id in wanted and row.path not in self.slots:
                self.foreign.setdefault(row.trial_id, {})[row.path] = row.epoch

    def next_path(self) -> Path:
        raise AssertionError("a worker's shard returns bytes: the checkpoint store may be no folder")

    def save_running(self, flight: Mapping[int, Asked], shards: Sequence[Settled]) -> None:
        """Writes the state of all trials in flight into the free slot."""
        for trial_id in self.foreign.keys() - {trial.trial_id for trial in flight.values()}:
            self._replace_foreign(trial_id)
        if not flight:
            self._remove_rows(self.slots)
            self.slots = []
            return
        name = next(slot for index in range(SLOTS) if (slot := self._slot(index)) not in self.slots)
        (shard,) = shards
        assert isinstance(shard.lanes, bytes)
        if not self._put(name, shard.lanes):
            return
        sha256 = hashlib.sha256(shard.lanes).hexdigest()
        epochs = shard.epochs
        self._remove_rows(self.slots[:-1])
        for number, trial in flight.items():
            self._replace_foreign(trial.trial_id, epochs[number])
        self.study.store.add_checkpoints(
            CheckpointRow(trial_id=flight[n].trial_id, kind="running", epoch=epochs[n], path=name, sha256=sha256)
            for n in sorted(flight)
        )
        self.slots = [*self.slots[-1:], name]

    def save_best(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the best weights of ended trials that are among the best. Drops those of trials that no longer are,
        and the former weights of trials that had ended before and were continued, whichever worker wrote them."""
        if not ended:
            return
        ranking = best_trials(self.study)
        kept = {trial._trial_id for trial in ranking if trial.number not in ended}
        old = self._outdated("best", kept)
        self._remove_rows(old)
        self.garbage.update(old)
        for trial in ranking:
            for shard in shards:
                if trial.number in shard.weights:
                    self._keep(trial, "best", trial.user_attrs["best_epoch"], shard.weights[trial.number])

    def save_ends(self, ended: Collection[int], shards: Sequence[Settled]) -> None:
        """Writes the last state of ended trials that may continue later. Drops those that are no longer needed,
        whichever worker wrote them."""
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

    def sweep(self) -> None:
        """Deletes files that no row names any more."""
        if not self.garbage:
            return
        named = {row.path for row in self.study.store.checkpoints(self.study.study_id)}
        for name in self.garbage - named:
            try:
                self.own.delete(name)
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
        self._remove_rows(sorted(leftovers))
        self.garbage.update(leftovers)

    def _replace_foreign(self, trial_id: int, epoch: int | None = None) -> None:
        """Removes the rows of a trial's files that other workers saved up to this epoch; of all of them, if the trial
        has ended (`epoch` None). A later one, which could not be read, is kept until the trial has reached its epoch:
        it may become readable again."""
        known = self.foreign.pop(trial_id, {})
        later = {path: at for path, at in known.items() if epoch is not None and at > epoch}
        if later:
            self.foreign[trial_id] = later
        paths = known.keys() - later.keys()
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
        """Stores a file; False if the checkpoint store refused it. Logs a warning at the first refusal only, and again
        when files can be stored."""
        try:
            self.checkpoint_store.put(name, data)
        except MachineError as error:
            if not self.refused:
                log.warning("%s Training goes on; what could not be saved is trained again after a crash.", error)
            self.refused = True
            return False
        if self.refused:
            log.warning("checkpoints can be written again")
        self.refused = False
        return True

    def _remove_rows(self, names: list[str]) -> None:
        if names:
            self.study.store.remove_checkpoints(names)

    def _slot(self, index: int) -> str:
        return f"{self.own.name}/running-{self.worker}-{self.term}-{index}.pt"
