"""Putting a study into the database for workers, and keeping `hpo run` and workers apart."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hpo import space
from hpo.errors import StudyStateError
from hpo.spec.file import StudySpec
from hpo.spec.study import with_epochs
from hpo.storage import leases, steering, studies
from hpo.storage.engine import open_store
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow
from hpo.workers.means import Compile, Means
from hpo.workers.setup import check_models, load_material, open_bench


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What became of a study that was submitted."""

    before: StudyRow | None
    """None where it was not in the database."""
    now: StudyRow


def submit_study(
    spec: StudySpec, url: str, home: Path, *, priority: int | None, compile: Compile = "auto"
) -> Submission:
    """Registers the study, or gives one that is there the budgets of `spec` and, if it is given, another priority."""
    material = load_material(spec)
    check_models(spec, material)
    with closing(open_store(url)) as store:
        known = _known(store, spec)
        if known is not None and steering.is_run_elsewhere(store, known):
            raise StudyStateError(
                f"the study {spec.study.name!r} is being run by `hpo run`. Wait for it, or interrupt it, then submit "
                "the study: workers go on where it stands."
            )
        spec = with_epochs(spec, known.trial_epochs if known else None)
        bench = open_bench(spec, material, store, home, Means(compile=compile))
        search = spec.search
        steering.submit(
            store,
            bench.study_id,
            priority=priority,
            budgets={
                "max_trials": space.budget(spec),
                "max_epochs": search.epochs,
                "max_wall_seconds": search.wall_seconds,
                "max_cpu_seconds": search.cpu_seconds,
            },
        )
        return Submission(before=known, now=studies.study_row(store, spec.study.name))


def for_one_process(store: Store, spec: StudySpec) -> StudySpec:
    """The study as `hpo run` is to run it, extended as it may have been. Refused while workers work on it."""
    row = _known(store, spec)
    if row is None:
        return spec
    if row.submitted_at is not None:
        if row.finished_at is None and (row.stopped_at is None or leases.holders(store, row.study_id)):
            raise StudyStateError(
                f"the study {spec.study.name!r} was submitted to workers, who train it. Follow it with "
                f"`hpo show {spec.study.name} --watch`; to run it here, stop it first with "
                f"`hpo stop {spec.study.name}`."
            )
        steering.withdraw(store, row.study_id)
    return with_epochs(spec, row.trial_epochs)


def _known(store: Store, spec: StudySpec) -> StudyRow | None:
    if all(study.name != spec.study.name for study in studies.list_studies(store)):
        return None
    return studies.study_row(store, spec.study.name)
