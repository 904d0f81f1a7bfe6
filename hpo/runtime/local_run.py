"""`hpo run`: runs a study from its data to its report. This process takes the decisions and writes the database; trials
are trained by it, by child processes or on a Ray cluster."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from hpo import disk, endings
from hpo.checkpoints.folder_lock import exclusive
from hpo.checkpoints.location import other_location, record_location, recorded_location
from hpo.checkpoints.manager import CheckpointManager
from hpo.conclusions.confirmation import Confirmation
from hpo.data.notes import grouped
from hpo.data.study import check_objective
from hpo.database.patience import Patience, retried
from hpo.environment import keep_compiled
from hpo.errors import InputError, LostConnectionError, TakenError
from hpo.execution.engines import open_executor, refuse_options_of_models
from hpo.execution.prestart import ProcessPool
from hpo.execution.resources import CPU, ClusterDevice, Compile, Engine, Resources
from hpo.execution.sizing import usable_cores
from hpo.registry import studies
from hpo.registry.edits import is_due
from hpo.registry.exclusive import RUN
from hpo.registry.facts import StudyFacts
from hpo.reports.foreign import ForeignTrial, foreign_trial
from hpo.reports.render.build import write_report
from hpo.runtime import coordinator
from hpo.runtime.confirmation import confirm as confirm_winner
from hpo.runtime.editing import continued, take_up
from hpo.runtime.exclusive_claim import Claim
from hpo.runtime.heartbeat import name_of_this_process
from hpo.runtime.ownership import SoleOwnership
from hpo.runtime.progress import Observer, Progress
from hpo.runtime.session import Session, anew, open_session
from hpo.runtime.setup.inputs import check_code, load_inputs
from hpo.runtime.setup.specs import as_begun, as_extended, known_before, known_study
from hpo.runtime.sweeping import sweep
from hpo.runtime.winner import Winner, beside, find, note
from hpo.storage.open import open_store
from hpo.storage.store import Store
from hpo.studyfile.file import StudySpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a run ended."""

    progress: Progress
    winner: Winner | None
    """None where no trial finished."""
    report: Path
    """Path of the report's page."""
    notes: tuple[str, ...]
    """Remarks of the data set's reader, e.g. on rows that it left out."""
    failure: str | None
    """Reason text of the first failed trial; None where none failed."""
    foreign: tuple[ForeignTrial, ...] = ()
    """Trials of the study that other programs added or ended."""


def run_study(
    spec: StudySpec,
    url: str,
    home: Path,
    observer: Observer,
    *,
    lanes: int | None = None,
    device: str = "auto",
    threads: int = 1,
    compile: Compile = "auto",
    workers: int | None = 1,
    engine: Engine = "local",
    address: str | None = None,
    checkpoints: str | None = None,
    pool: ProcessPool | None = None,
) -> Result:
    """Runs or continues a study to the end of its budget, scores the winner and the baselines once, and writes the
    report.

    Where several processes train, those of `pool` are taken first. `checkpoints`: where workers of the service kept
    the study's checkpoints, if not at the recorded location; new ones are kept in the home folder.
    """
    usable = prepare_process(home, threads if engine == "local" else min(threads, usable_cores()))
    resources = Resources(
        device=device_of(device) if engine == "local" else CPU,
        cluster_device=_cluster_device(device) if engine == "ray" else "auto",
        lanes=lanes,
        compile=compile,
        workers=workers,
        threads=usable if engine == "local" else threads,
        engine=engine,
        address=address,
    )
    refuse_options_of_models(spec, resources)
    spec = as_begun(spec, known := known_before(spec, url))
    inputs = load_inputs(spec, home)
    spec = replace(spec, given={})  # no other process needs it
    check_objective(spec, inputs, begun=known is not None)
    check_code(spec, inputs)
    name = RUN + name_of_this_process()
    # The database is opened first: where it cannot be reached, no folder is made.
    with (
        closing(open_store(url)) as store,
        _cluster(resources),
        _swept(store, home, checkpoints),
        exclusive(disk.study_folder(home / "checkpoints", spec.study.name), name) as last,
        Claim(store, name, dead=last) as claim,
    ):
        inputs.keep()
        if (known := known_study(store, spec)) is not None:
            known = take_up(store, known.name)
        spec = as_extended(as_begun(spec, known), known)
        # Opened before the study is claimed: where it cannot be opened, the command ends and the workers keep the
        # study.
        checkpoint_store = other_location(store, known.study_id, checkpoints, home) if known else None
        session = retried(lambda: open_session(spec, inputs, store, home, resources, claim=claim.take))
        session = replace(session, checkpoint_store=checkpoint_store)
        if checkpoint_store is not None and recorded_location(store, session.study_id) is None:
            record_location(store, session.study_id, checkpoint_store, home)
        session, progress, winner = _run_to_the_end(session, resources, observer, pool, claim)
        report = write_report(store, spec.study.name, disk.study_folder(home / "reports", spec.study.name))
        failed = (trial for trial in session.searcher.all_trials() if trial.state == TrialState.FAIL)
        failure = next((str(endings.of(trial.user_attrs)) for trial in failed), None)
        foreign = tuple(foreign_trial(*other) for other in store.foreign_trials(session.study_id))
    return Result(
        progress=progress,
        winner=winner,
        report=report,
        notes=tuple(grouped(inputs.dataset.notes)),
        failure=failure,
        foreign=foreign,
    )


def _swept(store: Store, home: Path, checkpoints: str | None) -> AbstractContextManager[None]:
    disk.make_home(home)
    sweep(store, home, checkpoints)
    return nullcontext()


def _cluster(resources: Resources) -> AbstractContextManager[None]:
    if resources.engine == "local":
        return nullcontext()
    from hpo.execution.ray_cluster import connected

    return connected(resources)


def prepare_process(home: Path, threads: int) -> int:
    """Sets the number of threads and the cache of compiled steps for the whole process. Returns the number of threads:
    at most the number of usable cores."""
    cores = usable_cores()
    if threads > cores:
        log.warning(
            "--threads %d: this process may use %d of the machine's cores, and trains with so many", threads, cores
        )
    torch.set_num_threads(min(threads, cores))
    keep_compiled(home)
    return min(threads, cores)


class _Edited(Exception):
    """An edit of the study is to take effect."""


def _run_to_the_end(
    session: Session, resources: Resources, observer: Observer, pool: ProcessPool | None, claim: Claim
) -> tuple[Session, Progress, Winner | None]:
    """Runs the study until it has ended, by all edits that are made meanwhile, and scores the winner. Returns the
    session in the end."""
    began, epochs, latest = time.perf_counter(), 0, 0

    def in_all(now: Progress) -> Progress:
        nonlocal latest
        latest = epochs + now.epochs
        return replace(now, epochs=latest, wall_seconds=time.perf_counter() - began)

    def watch(text: str) -> None:
        """Before each epoch of a winner that is trained again."""
        retried(partial(_leave_if_edited, session))
        observer(replace(in_all(progress), concluding=text))

    alone = replace(resources, workers=1)
    while True:
        try:
            progress, confirmation = _run(session, resources, lambda now: observer(in_all(now)), pool, claim)
            simple = beside(session)  # first, as nothing of a winner that is trained again is saved until `_end`
            winner = find(session, watch, confirmation=confirmation, executor=lambda job: open_executor(job, alone))
            retried(partial(_end, session, winner, StudyFacts(baselines=simple), claim))
        except _Edited:
            session, epochs = continued(session, resources), latest
        else:
            return session, in_all(progress), winner


def _run(
    session: Session, resources: Resources, observer: Observer, pool: ProcessPool | None, claim: Claim
) -> tuple[Progress, Confirmation | None]:
    """Trains to the end of the budget, and confirms the winner; raises `_Edited` where an edit is to take effect. After
    a lost connection to the database, it continues from what is saved."""
    patience, epochs, latest = Patience(), 0, 0

    def in_all(now: Progress) -> Progress:
        return replace(now, epochs=epochs + now.epochs)

    def observe(now: Progress) -> None:
        nonlocal latest
        latest = now.epochs
        if latest:
            patience.worked()
        observer(in_all(now))

    try:
        with open_executor(session.job, resources, left=session.left, pool=pool) as executor:
            while True:
                latest = 0
                try:
                    ownership = SoleOwnership(session, claim.keep)
                    final = coordinator.run(session, executor, observe, ownership)
                    if ownership.edited:
                        raise _Edited

                    def keep(session: Session = session) -> None:
                        claim.keep()
                        _leave_if_edited(session)

                    def watch(text: str, final: Progress = final) -> None:
                        patience.worked()
                        observer(replace(in_all(final), concluding=f"confirming the winner: {text}"))

                    confirmation = confirm_winner(session, lambda: nullcontext(executor), keep=keep, watch=watch)
                    return in_all(final), confirmation
                except LostConnectionError as lost:
                    patience.pause(lost, "Going on from what is saved.")
                epochs += latest
                executor.clear()
                session = anew(session)
    except UpdateFinishedTrialError as error:
        raise TakenError(
            f"another program has ended a trial that this one was training ({error}). Is the study "
            f"{session.spec.study.name!r} being run elsewhere on the same database? Leave it to one of them."
        ) from error


def _end(session: Session, winner: Winner | None, facts: StudyFacts, claim: Claim) -> None:
    """Records the winner and the facts, and marks the study as finished, if this process still has its claim."""
    manager = CheckpointManager(session.checkpoints)
    with session.store.transaction() as transaction:
        transaction.lock_study(session.study_id)
        claim.keep()
        _leave_if_edited(session)
        note(session, winner, facts, manager)
        studies.mark_finished(session.store, session.study_id)
    manager.sweep()


def _leave_if_edited(session: Session) -> None:
    if is_due(session.store, session.study_id):
        raise _Edited


def device_of(name: str) -> torch.device:
    """The device that `--device` names."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name}: no such device; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: only cpu and cuda are supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {name}: PyTorch sees no CUDA device here; use --device cpu")
    return device


def _cluster_device(name: str) -> ClusterDevice:
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"--device {name}: on a Ray cluster use auto, cpu or cuda; Ray says which GPU")
    return cast(ClusterDevice, name)
