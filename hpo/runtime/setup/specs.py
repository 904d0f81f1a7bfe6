"""A study file beside the row of the study that it began: the spec with the epochs and conventions that the database
records, and which of its budgets are spent.

Whether a study file may go on with a registered study is decided in `registration`. The limits of submitted studies are
in `registry.queue`.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from hpo.database.patience import retried
from hpo.endings import Spent
from hpo.errors import LostConnectionError, StorageError, StudyStateError
from hpo.registry.edits import edits_of
from hpo.registry.queue import spent
from hpo.registry.studies import StudyRow, study_row
from hpo.storage.open import open_store
from hpo.storage.store import Store
from hpo.studyfile.edits import numbered
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec, trial_epochs, with_epochs


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
        return study_row(store, spec.study.name)
    except StudyStateError:
        return None


def as_begun(spec: StudySpec, known: StudyRow | None) -> StudySpec:
    """The spec with the conventions and the planned trials that the study began with. `known`: its row; None where it
    has not begun."""
    if known is None:
        return spec
    planned = parse_study(known.spec_text, known.spec_source).planned
    return replace(spec, conventions=known.facts.conventions, planned=planned)


def as_extended(spec: StudySpec, known: StudyRow | None) -> StudySpec:
    """The spec with the epochs that `hpo extend` gave the study, unless the number of epochs in the file was changed
    since the study was registered: then the file counts."""
    if known is None or trial_epochs(spec) != trial_epochs(parse_study(known.spec_text, known.spec_source)):
        return spec
    return with_epochs(spec, known.trial_epochs)


def spec_of(row: StudyRow) -> StudySpec:
    """The spec from the stored study file, with the epochs that trials have now and the conventions that the study
    began with. Raises `InputError` where this version of the program cannot read the file."""
    return with_epochs(as_begun(parse_study(row.spec_text, row.spec_source), row), row.trial_epochs)


def versions_of(spec: StudySpec, store: Store, study_id: int) -> tuple[StudySpec, ...]:
    """The versions of a study's file that have been in effect, with their numbers; the last one is `spec`. Raises
    `InputError` where this version of the program cannot read one of them."""
    log = [edit for edit in edits_of(store, study_id) if not edit.waits]
    earlier = (
        replace(parse_study(edit.spec_text, edit.spec_source), conventions=spec.conventions) for edit in log[:-1]
    )
    return numbered([*earlier, spec])


def spent_by(spec: StudySpec, row: StudyRow) -> Spent | None:
    """The first budget of epochs, wall time or processor time that is spent, by the limits of the study file; None
    where none is. Trials do not count."""
    search = spec.search
    return spent(
        (search.epochs, row.epochs_spent),
        (search.wall_seconds, row.wall_seconds),
        (search.cpu_seconds, row.cpu_seconds),
    )
