"""Submitting a study to the workers of the service."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpo import disk, space
from hpo.checkpoints.folder_lock import last_holder
from hpo.data.study import check_objective
from hpo.database.patience import retried
from hpo.execution.resources import Compile, Resources
from hpo.registry import control, studies
from hpo.registry.studies import StudyRow
from hpo.runtime.editing import take_up
from hpo.runtime.session import open_session
from hpo.runtime.setup.inputs import check_code, load_inputs
from hpo.runtime.setup.specs import as_begun, as_extended, known_before, known_study
from hpo.runtime.sweeping import sweep
from hpo.storage.open import open_store
from hpo.studyfile.study import StudySpec


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
    inputs = load_inputs(spec, home)
    check_objective(spec, inputs, begun=known is not None)
    check_code(spec, inputs)
    with closing(open_store(url)) as store:
        sweep(store, home)
        inputs.keep()
        if (known := known_study(store, spec)) is not None:
            known = take_up(store, known.name)
        spec = as_extended(as_begun(spec, known), known)
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
