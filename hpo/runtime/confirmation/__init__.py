"""Confirming the winner after the search: the leading configurations are trained again with new seeds, in rounds.

A round is trained as lanes of one executor and written in one transaction. What a round trains follows from the trials
and from the repeats in the database, and every value from the study's seed, the trial's number and the number of the
repeat: wherever the process was killed, the next one goes on to the same table. The decisions are in
`hpo.search.confirmation`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from hpo.conclusions.confirmation import Confirmation
from hpo.execution.engines import AnyExecutor
from hpo.registry import studies
from hpo.registry.repeats import Repeat, add_repeats, repeats_of
from hpo.runtime.confirmation.contest import Contest, contest_of
from hpo.runtime.repeats import Watch, train
from hpo.runtime.session import Session
from hpo.search.confirmation import conclude, next_round


def confirm(
    session: Session,
    executor: Callable[[], AbstractContextManager[AnyExecutor]],
    *,
    keep: Callable[[], None],
    watch: Watch = lambda text: None,
) -> Confirmation | None:
    """Trains the repeats that are missing, and returns what all of them say; None where there is nothing to confirm.

    `executor` opens an executor without trials, if something is to be trained. `keep`, called first in the transaction
    of each round, raises if this process has lost the study. `watch` is called before each epoch with the progress in
    words; it may raise to stop."""
    contest = contest_of(session)
    if contest is None:
        return None
    with ExitStack() as stack:
        opened: AnyExecutor | None = None
        while True:
            repeats = contest.repeats(repeats_of(session.store, session.study_id))
            left = contest.budget - sum(repeat.epochs for repeat in repeats)
            missing = next_round(contest.values(repeats), contest.default, contest.lengths, left)
            if not missing:
                return _confirmation(contest, repeats)
            opened = opened or stack.enter_context(executor())
            began, cpu = time.perf_counter(), time.process_time() + opened.cpu_seconds
            trained = opened.train_seconds
            found = train(session, opened, contest.configs, missing, watch)
            with session.store.transaction():
                keep()
                add_repeats(session.store, session.study_id, found)
                studies.add_seconds(
                    session.store,
                    session.study_id,
                    train=opened.train_seconds - trained,
                    wall=time.perf_counter() - began,
                    cpu=time.process_time() + opened.cpu_seconds - cpu,
                )


def _confirmation(contest: Contest, repeats: list[Repeat]) -> Confirmation | None:
    values = contest.values(repeats)
    searched = {number: value for number, value in contest.searched.items() if number in values}
    others = {number: value for number, value in contest.searched.items() if number not in values}
    return conclude(
        values,
        searched,
        others,
        contest.default,
        sign=contest.sign,
        epochs=sum(repeat.epochs for repeat in repeats),
        seconds=sum(repeat.seconds for repeat in repeats),
    )
