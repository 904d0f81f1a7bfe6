"""Submitting a study to the workers of the service, and reading a study that may have been extended since."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpo import disk, space
from hpo.checkpoints.folder_lock import last_holder
from hpo.data.study import check_objective
from hpo.database.patience import retried
from hpo.errors import LostConnectionError, StorageError, StudyStateError
from hpo.execution.resources import Compile, Resources
from hpo.registry import control, studies
from hpo.registry.studies import StudyRow
from hpo.runtime.inputs import check_models, load_inputs
from hpo.runtime.session import open_session
from hpo.runtime.specs import as_begun
from hpo.runtime.sweeping import sweep
from hpo.storage.open import open_store
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec, parse_study
from hpo.studyfile.study import trial_epochs, with_epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A study before and after it was submitted."""

    before: StudyRow | None
    """Its row before; None where it was not in the database."""
    now: StudyRow
    """Its row after."""
    trials: int
    """Number of trials that it has."""


def submit_study(
    spec: StudySpec, url: str, home: Path, *, priority: int | None, compile: Compile = "auto"
) -> Submission:
    """Registers the study and submits it. One that is registered gets the budgets of `spec` and, if given,
    `priority`."""
    spec = as_begun(spec, known := known_before(spec, url))
    inputs = load_inputs(spec)
    check_objective(spec, inputs, begun=known is not None)
    check_models(spec, inputs)
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
            control.submit(store, study_id, priority=priority, budgets=budgets, dead=dead)

        session = retried(lambda: open_session(spec, inputs, store, home, Resources(compile=compile), claim=claim))
        now = studies.study_row(store, spec.study.name)
        return Submission(before=known, now=now, trials=len(store.own_trials(session.study_id)))


def known_before(spec: StudySpec, url: str) -> StudyRow | None:
    """The study's row, read before anything is written; None where there is none or it is being deleted. A database
    that does not exist is not created. Errors of one that cannot be read are raised later, when it is opened for
    writing."""

    def read() -> StudyRow | None:
        with closing(open_store(url, readonly=True)) as store:
            return known_study(store, spec)

    try:
        known = retried(read)
    except LostConnectionError:
        raise
    except StorageError:
        return None
    return None if known is None or known.facts.is_being_deleted else known


def known_study(store: Store, spec: StudySpec) -> StudyRow | None:
    """The study's row; None where it is not registered."""
    try:
        return studies.study_row(store, spec.study.name)
    except StudyStateError:
        return None


def as_extended(spec: StudySpec, known: StudyRow | None) -> StudySpec:
    """The spec with the epochs that `hpo extend` gave the study, unless the number of epochs in the file was changed
    since the study was registered: then the file counts."""
    if known is None or trial_epochs(spec) != trial_epochs(parse_study(known.spec_text, known.spec_source)):
        return spec
    return with_epochs(spec, known.trial_epochs)
