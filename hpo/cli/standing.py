"""Where studies stand, as plain data: what `hpo studies` and `hpo show` print, and their JSON. No formatting."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.storage.store import Store

BEST = 5
"""Trials that `hpo show` shows in full."""


def standing_of_all(store: Store) -> list[dict[str, Any]]:
    """What a list shows of each study, oldest first."""
    from optuna.trial import TrialState

    from hpo.storage.read import read_study
    from hpo.storage.studies import list_studies

    return [
        {
            "name": study.name,
            "state": _state(study.finished_at),
            "objective": read_study(store, study.name).objective,
            "direction": study.direction,
            "best": study.best,
            "finished": study.counts[TrialState.COMPLETE],
            "pruned": study.counts[TrialState.PRUNED],
            "failed": study.counts[TrialState.FAIL],
            "running": study.counts[TrialState.RUNNING] + study.counts[TrialState.WAITING],
            "created_at": _utc(study.created_at),
            "finished_at": _utc(study.finished_at),
        }
        for study in list_studies(store)
    ]


def standing(store: Store, name: str) -> dict[str, Any]:
    """All that is shown of one study; an unknown name raises `StudyStateError`."""
    from hpo.reports.trials import count, ranked, trial_row
    from hpo.storage.read import read_study

    study = read_study(store, name)
    frozen = store.get_all_trials(study.study_id, deepcopy=False)
    trials = [trial_row(trial) for trial in frozen]
    counts = count(trials)
    ended = Counter(
        trial.ended.partition(" at epoch ")[0] or "without a reason"
        for trial in trials
        if trial.state in ("COMPLETE", "PRUNED")
    )
    return {
        "name": study.name,
        "state": _state(study.finished_at),
        "objective": study.objective,
        "direction": study.direction,
        "source": study.spec_source,
        "budget": max(study.facts["budget"], len(trials)) if "budget" in study.facts else None,
        "finished": counts.finished,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "running": counts.running,
        "created_at": _utc(study.created_at),
        "finished_at": _utc(study.finished_at),
        "train_seconds": study.train_seconds,
        "wall_seconds": study.wall_seconds,
        "winner": study.winner_number,
        "test": study.test,
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
                "epoch": trial.last_step or 0,
                "value": None if trial.last_step is None else trial.intermediate_values[trial.last_step],
            }
            for trial in frozen
            if not trial.state.is_finished()
        ],
        "failures": [
            {"number": trial.number, "reason": trial.ended.removeprefix("failed: ")}
            for trial in trials
            if trial.state == "FAIL"
        ],
    }


def _state(finished_at: datetime | None) -> str:
    return "unfinished" if finished_at is None else "finished"


def _utc(time: datetime | None) -> str | None:
    return None if time is None else time.replace(tzinfo=UTC).isoformat(timespec="seconds")
