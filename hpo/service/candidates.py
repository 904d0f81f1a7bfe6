"""Preparing a submitted study for a worker: `Candidate` parses its file, `Sessions` loads its data and opens a session.

Which study a worker chooses is decided in `worker`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hpo import space
from hpo.checkpoints.location import record_location
from hpo.checkpoints.store import CheckpointStore
from hpo.errors import DataError
from hpo.execution.resources import Resources
from hpo.registry.queue import Key
from hpo.registry.studies import StudyRow
from hpo.runtime.session import Session, session_of
from hpo.runtime.setup.inputs import Inputs, load_inputs
from hpo.runtime.setup.registration import changed_sources, changed_split
from hpo.runtime.setup.specs import spec_of
from hpo.service.modules import Modules
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec
from hpo.studyfile.study import with_budget


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A submitted study with its parsed file, for one generation of the study."""

    spec: StudySpec
    """The study file, with the budget of trials and the epochs that the study has now."""
    row: StudyRow
    """The study's row in the database."""

    @classmethod
    def of(cls, row: StudyRow) -> Candidate:
        """Parses the study file of a row; raises `InputError` where this version of the program cannot read it."""
        spec = spec_of(row)
        if row.max_trials is not None:
            spec = with_budget(spec, trials=row.max_trials)
        return cls(spec=spec, row=row)

    @property
    def budget(self) -> int:
        """Number of trials that the study is to have in all."""
        return space.budget(self.spec)


class Sessions:
    """Opens sessions of studies; the data of a study are read once."""

    def __init__(
        self, store: Store, home: Path, checkpoint_store: CheckpointStore, resources: Resources, modules: Modules
    ) -> None:
        self.store = store
        self.home = home
        self.checkpoint_store = checkpoint_store
        self.resources = resources
        self.modules = modules
        self._inputs_of: dict[tuple[int, datetime], Inputs] = {}

    def session(self, candidate: Candidate) -> Session:
        """Opens a session; raises `InputError` or `OSError` where the study cannot be trained on this machine."""
        row = candidate.row
        self.modules.refuse_others(candidate.spec)
        registration = row.study_id, row.created_at
        if registration not in self._inputs_of:
            self._inputs_of[registration] = _inputs(candidate, self.home)
        inputs = self._inputs_of[registration]
        session = session_of(candidate.spec, inputs, self.store, row.study_id, self.home, self.resources)
        record_location(self.store, row.study_id, self.checkpoint_store, self.home)
        return replace(session, checkpoint_store=self.checkpoint_store)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets the data of all studies but these."""
        registrations = {key[:2] for key in keys}
        self._inputs_of = {known: found for known, found in self._inputs_of.items() if known in registrations}


def _inputs(candidate: Candidate, home: Path) -> Inputs:
    inputs = load_inputs(candidate.spec, home)
    if inputs.dataset.fingerprint != candidate.row.dataset_fingerprint:
        raise DataError(
            f"the data of {inputs.dataset.name!r} here are not those that the study was submitted with. "
            "Give this worker the same files."
        )
    if other := changed_split(inputs, candidate.row):
        raise DataError(f"{other}. Give this worker the same versions of libraries.")
    if changed := changed_sources(inputs, candidate.row):
        raise DataError(
            f"{' and '.join(changed)} here differ from what the study was submitted with. Give this worker the same "
            "code."
        )
    inputs.keep()
    return inputs
