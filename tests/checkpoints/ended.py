"""Trials that end without training, and what a shard returns of them."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.trial import TrialState

from hpo.endings import Ended, Ending, Spent
from hpo.execution.messages import End, Settled
from hpo.runtime.session import Session
from hpo.search.searcher import Asked, Decision


def ask(session: Session, count: int) -> list[Asked]:
    with session.store.transaction():
        return session.searcher.ask(count)


def finish(session: Session, trial: Asked, value: float) -> None:
    """Ends a trial as finished, after all its epochs with this value."""
    assert trial.config is not None
    for epoch in range(1, trial.config.training.epochs + 1):
        session.searcher.report(trial.trial_id, epoch, value)
    _end(session, trial, session.searcher.decide(trial.trial_id, trial.config))


def cut(session: Session, trial: Asked, value: float) -> None:
    """Ends a trial at its first epoch, because a budget is spent."""
    session.searcher.report(trial.trial_id, 1, value)
    _end(session, trial, session.searcher.cut(trial.trial_id, Spent(setting="epochs", limit=1)))


def fail(session: Session, trial: Asked) -> None:
    session.searcher.tell(trial.trial_id, TrialState.FAIL, Ended(why=Ending.FAILED, detail="planted"), {})


def _end(session: Session, trial: Asked, decision: Decision) -> None:
    assert decision.ended is not None
    session.searcher.tell(trial.trial_id, decision.state, decision.ended, {})


def settled(
    lanes: bytes | None = None,
    epochs: Mapping[int, int] | None = None,
    weights: Mapping[int, bytes] | None = None,
    ends: Mapping[int, tuple[int, bytes]] | None = None,
) -> list[Settled]:
    """The reply of a worker's one shard. `ends`: epoch and state by trial number."""
    last = {number: End(epoch=epoch, state=state) for number, (epoch, state) in (ends or {}).items()}
    return [Settled(lanes=lanes, epochs=dict(epochs or {}), weights=dict(weights or {}), ends=last)]
