"""What a worker makes of a study that it finds in the database: its spec, its data if they are here, its bench."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from hpo import space
from hpo.errors import DataError
from hpo.spec.file import StudySpec
from hpo.spec.study import with_budget
from hpo.storage.service import Key
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.workers.depot import Depot
from hpo.workers.kept import note_place
from hpo.workers.material import Material, load_material
from hpo.workers.means import Means
from hpo.workers.modules import Modules
from hpo.workers.register import changed_sources
from hpo.workers.setup import Bench, bench_of
from hpo.workers.specs import spec_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """A study as one generation of it is to be trained."""

    spec: StudySpec
    """As its file says, and as it was extended since."""
    row: StudyRow

    @classmethod
    def of(cls, row: StudyRow) -> Outlook:
        """Raises `InputError` where this version of the program cannot read the study."""
        spec = spec_of(row)
        if row.max_trials is not None:
            spec = with_budget(spec, trials=row.max_trials)
        return cls(spec=spec, row=row)

    @property
    def budget(self) -> int:
        """Trials that are to end."""
        return space.budget(self.spec)


class Benches:
    """Benches of studies, whose data are read once."""

    def __init__(self, store: Store, home: Path, depot: Depot, means: Means, modules: Modules) -> None:
        self.store = store
        self.home = home
        self.depot = depot
        self.means = means
        self.modules = modules
        self._materials: dict[tuple[int, datetime], Material] = {}

    def bench(self, outlook: Outlook) -> Bench:
        """Raises `InputError` or `OSError` where the study cannot be trained here."""
        row = outlook.row
        self.modules.refuse_others(outlook.spec)
        registration = row.study_id, row.created_at
        if registration not in self._materials:
            self._materials[registration] = _material(outlook)
        material = self._materials[registration]
        bench = bench_of(outlook.spec, material, self.store, row.study_id, self.home, self.means)
        note_place(self.store, row.study_id, self.depot, self.home)
        return replace(bench, depot=self.depot)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets the data of all other studies."""
        registrations = {key[:2] for key in keys}
        self._materials = {known: found for known, found in self._materials.items() if known in registrations}


def _material(outlook: Outlook) -> Material:
    material = load_material(outlook.spec)
    if material.dataset.fingerprint != outlook.row.dataset_fingerprint:
        raise DataError(
            f"the data of {material.dataset.name!r} here are not those that the study was submitted with. "
            "Give this worker the same files."
        )
    if changed := changed_sources(material, outlook.row):
        raise DataError(
            f"{' and '.join(changed)} here differ from what the study was submitted with. Give this worker the same "
            "code."
        )
    return material
