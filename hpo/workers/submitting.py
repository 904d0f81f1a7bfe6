"""Putting a study into the database for workers; what `hpo extend` has made of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpo import disk, space
from hpo.data.study import check_objective
from hpo.errors import LostConnectionError, StorageError, StudyStateError
from hpo.spec.file import StudySpec, parse_study
from hpo.spec.study import trial_epochs, with_epochs
from hpo.storage import steering, studies
from hpo.storage.engine import open_store
from hpo.storage.patience import retried
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.workers.lock import last_holder
from hpo.workers.material import check_models, load_material
from hpo.workers.means import Compile, Means
from hpo.workers.setup import open_bench
from hpo.workers.specs import as_begun
from hpo.workers.sweeping import sweep


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What became of a study that was submitted."""

    before: StudyRow | None
    """None where it was not in the database."""
    now: StudyRow
    trials: int
    """How many it has."""


def submit_study(
    spec: StudySpec, url: str, home: Path, *, priority: int | None, compile: Compile = "auto"
) -> Submission:
    """Registers the study, or gives one that is there the budgets of `spec` and, if it is given, another priority."""
    spec = as_begun(spec, known := known_before(spec, url))
    material = load_material(spec)
    check_objective(spec, material, begun=known is not None)
    check_models(spec, material)
    with closing(open_store(url)) as store:
        sweep(store, home)
        known = known_study(store, spec)
        spec = as_extended(spec, known)
        search = spec.search
        budgets = {
            "max_trials": space.budget(spec),
            "max_epochs": search.epochs,
            "max_wall_seconds": search.wall_seconds,
            "max_cpu_seconds": search.cpu_seconds,
        }

        def claim(study_id: int) -> None:
            dead = last_holder(disk.study_folder(home / "checkpoints", spec.study.name))
            steering.submit(store, study_id, priority=priority, budgets=budgets, dead=dead)

        bench = retried(lambda: open_bench(spec, material, store, home, Means(compile=compile), claim=claim))
        now = studies.study_row(store, spec.study.name)
        return Submission(before=known, now=now, trials=len(store.own_trials(bench.study_id)))


def known_before(spec: StudySpec, url: str) -> StudyRow | None:
    """What the database has of the study, asked before anything is written: a database that is not there is not made.
    One that cannot be read is left to whoever opens it for writing."""

    def look() -> StudyRow | None:
        with closing(open_store(url, readonly=True)) as store:
            return known_study(store, spec)

    try:
        known = retried(look)
    except LostConnectionError:
        raise
    except StorageError:
        return None
    return None if known is None or known.is_doomed else known


def known_study(store: Store, spec: StudySpec) -> StudyRow | None:
    """What the database has of the study, if anything."""
    try:
        return studies.study_row(store, spec.study.name)
    except StudyStateError:
        return None


def as_extended(spec: StudySpec, known: StudyRow | None) -> StudySpec:
    """The study with the epochs that it may have been given since it was registered, if its file still says what it
    said then; a file that was edited stands for itself."""
    if known is None or trial_epochs(spec) != trial_epochs(parse_study(known.spec_text, known.spec_source)):
        return spec
    return with_epochs(spec, known.trial_epochs)
