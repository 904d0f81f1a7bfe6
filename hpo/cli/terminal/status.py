"""Status of studies as plain data, which `hpo studies` and `hpo show` print or write as JSON. No formatting."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpo.endings import Ending
from hpo.errors import StudyStateError

if TYPE_CHECKING:
    from hpo.registry.read import StudyFacts
    from hpo.storage.store import Store

BEST = 5
"""Trials that `hpo show` shows in full."""


def status_of_all(store: Store) -> list[dict[str, Any]]:
    """The status of each study as `hpo studies` lists it, oldest first."""
    from optuna.trial import TrialState

    from hpo.registry.leases import workers
    from hpo.registry.summaries import list_studies

    at_work: dict[int | None, list[str]] = defaultdict(list)
    for worker in workers(store):
        if worker.alive:
            at_work[worker.study_id].append(worker.name)
    # Read in one transaction, so that a study which is registered or deleted meanwhile is in it whole or not at all.
    found = [(study, row) for study in list_studies(store) if (row := _read(store, study.name)) is not None]
    return [
        {
            "name": study.name,
            "state": _state(row),
            "priority": row.priority,
            "workers": len(at_work[study.study_id]),
            "worker_names": at_work[study.study_id],
            "objective": row.objective,
            "direction": study.direction,
            "best": study.best,
            "finished": study.counts[TrialState.COMPLETE],
            "pruned": study.counts[TrialState.PRUNED],
            "failed": study.counts[TrialState.FAIL],
            "running": study.counts[TrialState.RUNNING],
            "waiting": study.waiting,
            "others": study.others,
            "created_at": _utc(study.created_at),
            "finished_at": _utc(study.finished_at),
        }
        for study, row in found
    ]


def _read(store: Store, name: str) -> StudyFacts | None:
    """None where it has just been deleted."""
    from hpo.registry.read import read_study

    try:
        return read_study(store, name)
    except StudyStateError:
        return None


def study_status(store: Store, name: str) -> dict[str, Any]:
    """The status of one study as `hpo show` shows it; `StudyStateError` for an unknown name."""
    from hpo.registry.leases import holders
    from hpo.registry.read import read_study
    from hpo.reports.foreign import foreign_trial
    from hpo.reports.trials import count, ranked, trial_row

    study = read_study(store, name)
    store.forget(study.study_id)  # an extension may have reopened ended trials
    held = holders(store, study.study_id)
    frozen = store.own_trials(study.study_id)
    foreign = [foreign_trial(*other) for other in store.foreign_trials(study.study_id)]
    waiting = sum(trial.kind == "waiting" for trial in foreign)
    trials = [trial_row(trial) for trial in frozen]
    counts = count(trials)
    ended = Counter(
        trial.ended.cause or "without a reason" for trial in trials if trial.state in ("COMPLETE", "PRUNED")
    )
    return {
        "name": study.name,
        "state": _state(study),
        "priority": study.priority,
        "workers": _workers(store, study, held, counts.running),
        "objective": study.objective,
        "direction": study.direction,
        "source": study.spec_source,
        "budget": _budget(study, len(trials)),
        "budgets": {
            "epochs": study.max_epochs,
            "wall_seconds": study.max_wall_seconds,
            "cpu_seconds": study.max_cpu_seconds,
        },
        "epochs_spent": study.epochs_spent,
        "cpu_seconds": study.cpu_seconds,
        "finished": counts.finished,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "running": counts.running,
        "waiting": waiting,
        "others": len(foreign) - waiting,
        "created_at": _utc(study.created_at),
        "submitted_at": _utc(study.submitted_at),
        "finished_at": _utc(study.finished_at),
        "train_seconds": study.train_seconds,
        "wall_seconds": study.wall_seconds,
        "winner": study.winner_number,
        "test": study.test,
        "test_ensemble": study.test_ensemble,
        "models": study.facts.get("replicas", 1),
        "ended": dict(ended.most_common()),
        "best": [
            {
                "number": trial.number,
                "value": trial.value,
                "spread": trial.spread,
                "epochs": trial.epochs,
                "best_epoch": trial.best_epoch,
                "seconds": trial.seconds,
                "params": trial.params,
            }
            for trial in ranked(trials, study.direction == "minimize")[:BEST]
        ],
        "in_training": [
            {
                "number": trial.number,
                "worker": held.get(trial._trial_id),
                "epoch": trial.last_step or 0,
                "value": None if trial.last_step is None else trial.intermediate_values[trial.last_step],
            }
            for trial in frozen
            if not trial.state.is_finished()
        ],
        "failures": [
            {
                "number": trial.number,
                "reason": str(trial.ended.detail if trial.ended.why is Ending.FAILED else trial.ended),
            }
            for trial in trials
            if trial.state == "FAIL"
        ],
        "foreign": [asdict(trial) for trial in foreign],
    }


def _workers(store: Store, study: StudyFacts, held: dict[int, str], running: int) -> list[dict[str, Any]]:
    """Workers that work on the study, or say why they cannot; an `hpo run`, which has all that run."""
    from hpo.registry.exclusive import RUN
    from hpo.registry.leases import workers

    trials = Counter(held.values())
    return [
        {
            "name": worker.name,
            "host": worker.host,
            "pid": worker.pid,
            "alive": worker.alive,
            "trials": running if worker.name.startswith(RUN) else trials[worker.name],
            "complaint": worker.refusals.get(study.name),
        }
        for worker in workers(store)
        if worker.study_id == study.study_id or (worker.alive and study.name in worker.refusals)
    ]


def _budget(study: StudyFacts, trials: int) -> int | None:
    budget = study.max_trials if study.submitted_at is not None else study.facts.get("budget")
    return None if budget is None else max(budget, trials)


def _state(study: StudyFacts) -> str:
    if study.finished_at is not None:
        return "finished"
    return "unfinished" if study.stopped_at is None else "stopped"


def _utc(time: datetime | None) -> str | None:
    return None if time is None else time.replace(tzinfo=UTC).isoformat(timespec="seconds")
