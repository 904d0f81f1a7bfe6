"""What a worker makes of a study that it finds in the database: its spec, its data if they are here, its session."""

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
from hpo.runtime.inputs import Inputs, load_inputs
from hpo.runtime.registration import changed_sources
from hpo.runtime.session import Session, session_of
from hpo.runtime.specs import spec_of
from hpo.service.modules import Modules
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec
from hpo.studyfile.study import with_budget


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A study as one generation of it is to be trained."""

    spec: StudySpec
    """As its file says, and as it was extended since."""
    row: StudyRow

    @classmethod
    def of(cls, row: StudyRow) -> Candidate:
        """Raises `InputError` where this version of the program cannot read the study."""
        spec = spec_of(row)
        if row.max_trials is not None:
            spec = with_budget(spec, trials=row.max_trials)
        return cls(spec=spec, row=row)

    @property
    def budget(self) -> int:
        """Trials that are to end."""
        return space.budget(self.spec)


class Sessions:
    """Sessions of studies, whose data are read once."""

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
        """Raises `InputError` or `OSError` where the study cannot be trained here."""
        row = candidate.row
        self.modules.refuse_others(candidate.spec)
        registration = row.study_id, row.created_at
        if registration not in self._inputs_of:
            self._inputs_of[registration] = _inputs(candidate)
        inputs = self._inputs_of[registration]
        session = session_of(candidate.spec, inputs, self.store, row.study_id, self.home, self.resources)
        record_location(self.store, row.study_id, self.checkpoint_store, self.home)
        return replace(session, checkpoint_store=self.checkpoint_store)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets the data of all other studies."""
        registrations = {key[:2] for key in keys}
        self._inputs_of = {known: found for known, found in self._inputs_of.items() if known in registrations}


def _inputs(candidate: Candidate) -> Inputs:
    inputs = load_inputs(candidate.spec)
    if inputs.dataset.fingerprint != candidate.row.dataset_fingerprint:
        raise DataError(
            f"the data of {inputs.dataset.name!r} here are not those that the study was submitted with. "
            "Give this worker the same files."
        )
    if changed := changed_sources(inputs, candidate.row):
        raise DataError(
            f"{' and '.join(changed)} here differ from what the study was submitted with. Give this worker the same "
            "code."
        )
    return inputs
