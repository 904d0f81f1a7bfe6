"""Where one study stands in full, as `hpo show` prints it or writes it as JSON. No formatting.

What `hpo studies` says of each study is the first part of it, see `registry.summaries`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from hpo.cli.terminal.records import BestTrial, Budgets, Failure, SignOfTrouble, TrialInTraining, WorkerStatus
from hpo.endings import Ending
from hpo.ranking import lowered
from hpo.registry.summaries import StudySummary, works_on
from hpo.reports.confirmed import ahead, shown_confirmation
from hpo.reports.diagnosis import counted
from hpo.reports.edits import EditLine, edit_lines
from hpo.reports.foreign import ForeignTrial, foreign_trial
from hpo.reports.trials import TrialRow, count, front_of, ranked, trial_row

if TYPE_CHECKING:
    from hpo.attributes.starts import Start
    from hpo.conclusions.confirmation import Confirmation
    from hpo.conclusions.refit import Refit
    from hpo.registry.baselines import Baseline
    from hpo.registry.leases import Worker
    from hpo.registry.studies import StudyRow
    from hpo.reports.health import Check
    from hpo.reports.next_study import NextStudy
    from hpo.storage.store import Store

BEST = 5
"""Trials that `hpo show` shows in full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDetails(StudySummary):
    """Where a study stands, with its best trials and how the others ended."""

    source: str
    """Path of the study file."""
    submitted_at: datetime | None
    budget: int | None
    """Number of trials that it is to have; None where it has not been run."""
    budgets: Budgets
    epochs_spent: int
    train_seconds: float
    wall_seconds: float
    cpu_seconds: float
    winner: int | None
    """Number of the trial that was scored on the test part."""
    models: int
    """Of each trial: one for each fold and repeat."""
    function: str | None
    """The training function of the user's own; None where the study trains models."""
    test: Mapping[str, float | None] | None
    """The winner's metrics on the test part, the mean over its models."""
    test_ensemble: Mapping[str, float | None] | None
    """Metrics of the ensemble of these models; None where there is one."""
    refit: Refit | None
    """How the winner was trained again on all rows; None where its weights are those of its trial."""
    baselines: tuple[Baseline, ...]
    """What simple models score on the same parts, the simplest first."""
    confirmation: Confirmation | None
    """What the repeats of the leading configurations say of the winner."""
    ahead: int | None
    """The trial that ranks first, where the winner follows from what similar trials scored and is another one."""
    sampler: str | None
    """What proposes its trials; None where this version cannot read the study file."""
    starts: tuple[Start, ...]
    """Configurations that its first trials have."""
    ended: Mapping[str, int]
    """Number of finished and pruned trials by the reason why they ended, the most frequent first."""
    worker_status: tuple[WorkerStatus, ...]
    objectives: tuple[str, ...]
    """Names of all objectives, the first one first."""
    best_trials: tuple[BestTrial, ...]
    """Best first."""
    front: tuple[BestTrial, ...]
    """The Pareto front, the best in the first objective first; empty with one objective."""
    signs: tuple[SignOfTrouble, ...]
    """The most frequent kind first."""
    in_training: tuple[TrialInTraining, ...]
    failures: tuple[Failure, ...]
    foreign: tuple[ForeignTrial, ...]
    """The trials that `waiting` and `others` count."""
    edits: tuple[EditLine, ...]
    """Edits of the study file since the study began."""
    health: tuple[Check, ...]
    """What the checks of its conclusions found, the gravest first; empty where they were not asked for."""
    next: NextStudy | None
    """What to search next; None where that was not asked for, or no trial has finished."""


def study_details(store: Store, name: str, *, health: bool = False) -> StudyDetails:
    """Where a study stands; `StudyStateError` for an unknown name. `health`: also check its conclusions, for which all
    its epochs are read."""
    from hpo.registry.conclusions import refit_of
    from hpo.registry.edits import edits_of
    from hpo.registry.leases import holders, workers
    from hpo.registry.studies import study_row
    from hpo.reports.evidence import spec_of
    from hpo.reports.facts import gather

    study = study_row(store, name)
    store.forget(study.study_id)  # an extension may have reopened ended trials
    held = holders(store, study.study_id)
    known = workers(store)
    frozen = store.own_trials(study.study_id)
    foreign = tuple(foreign_trial(*other) for other in store.foreign_trials(study.study_id))
    waiting = sum(trial.kind == "waiting" for trial in foreign)
    trials = [trial_row(trial) for trial in frozen]
    counts = count(trials)
    ended = Counter(
        trial.ended.cause or "without a reason" for trial in trials if trial.state in ("COMPLETE", "PRUNED")
    )
    best = ranked(trials, study.directions)
    report = gather(store, name) if health and trials else None
    at_work = tuple(worker.name for worker in known if works_on(worker, study))
    return StudyDetails(
        name=study.name,
        state=study.state,
        priority=study.priority,
        workers=len(at_work),
        worker_names=at_work,
        objective=study.objective,
        direction=study.direction,
        best=min(best, key=lambda trial: lowered(trial.values, study.directions)).value if best else None,
        finished=counts.finished,
        pruned=counts.pruned,
        failed=counts.failed,
        running=counts.running,
        waiting=waiting,
        others=len(foreign) - waiting,
        created_at=study.created_at,
        finished_at=study.finished_at,
        source=study.spec_source,
        submitted_at=study.submitted_at,
        budget=_budget(study, len(trials)),
        budgets=Budgets(
            epochs=study.max_epochs, wall_seconds=study.max_wall_seconds, cpu_seconds=study.max_cpu_seconds
        ),
        epochs_spent=study.epochs_spent,
        train_seconds=study.train_seconds,
        wall_seconds=study.wall_seconds,
        cpu_seconds=study.cpu_seconds,
        winner=study.winner_number,
        models=study.facts.models,
        function=study.facts.function,
        test=study.test,
        test_ensemble=study.test_ensemble,
        refit=refit_of(study),
        baselines=study.facts.baselines,
        confirmation=shown_confirmation(study),
        ahead=ahead(study, best),
        sampler=spec.sampler.name if (spec := spec_of(study)) else None,
        starts=study.facts.starts,
        ended=dict(ended.most_common()),
        worker_status=_workers(study, known, held, counts.running),
        objectives=study.objectives,
        best_trials=tuple(_best_trial(trial, study) for trial in best[:BEST]),
        front=tuple(_best_trial(trial, study) for trial in front_of(best, study.directions)),
        signs=tuple(
            SignOfTrouble(code=str(one.code), trials=one.trials, example=str(one.example), way_out=one.example.way_out)
            for one in counted(trials, next((t for t in trials if t.number == study.winner_number), None))
        ),
        in_training=tuple(
            TrialInTraining(
                number=trial.number,
                worker=held.get(trial._trial_id),
                epoch=trial.last_step or 0,
                value=None if trial.last_step is None else trial.intermediate_values[trial.last_step],
            )
            for trial in frozen
            if not trial.state.is_finished()
        ),
        failures=tuple(
            Failure(
                number=trial.number,
                reason=str(trial.ended.detail if trial.ended.why is Ending.FAILED else trial.ended),
            )
            for trial in trials
            if trial.state == "FAIL"
        ),
        foreign=foreign,
        edits=edit_lines(edits_of(store, study.study_id), frozen),
        health=report.checks if report else (),
        next=report.next if report else None,
    )


def _best_trial(trial: TrialRow, study: StudyRow) -> BestTrial:
    return BestTrial(
        number=trial.number,
        value=trial.value,
        values=dict(zip(study.objectives, trial.values, strict=True)),
        level=trial.level,
        spread=trial.spread,
        epochs=trial.epochs,
        best_epoch=trial.best_epoch,
        seconds=trial.seconds,
        params=trial.params,
        signs=tuple(sorted({str(sign.code) for sign in trial.signs})),
    )


def _workers(study: StudyRow, known: list[Worker], held: Mapping[int, str], running: int) -> tuple[WorkerStatus, ...]:
    from hpo.registry.exclusive import RUN

    trials = Counter(held.values())
    return tuple(
        WorkerStatus(
            name=worker.name,
            host=worker.host,
            pid=worker.pid,
            alive=worker.alive,
            trials=running if worker.name.startswith(RUN) else trials[worker.name],
            complaint=worker.refusals.get(study.name),
        )
        for worker in known
        if worker.study_id == study.study_id or (worker.alive and study.name in worker.refusals)
    )


def _budget(study: StudyRow, trials: int) -> int | None:
    budget = study.max_trials if study.submitted_at is not None else study.facts.budget
    return None if budget is None else max(budget, trials)
