"""Explaining the winner by experiment: configurations between the default one and the winner are trained with the same
seeds, in rounds.

A round is trained as lanes of one executor and written in one transaction. What a round trains follows from the trials
and from the repeats in the database: wherever the process was killed, the next one goes on to the same table. The
decisions are in `hpo.search.explanation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hpo.conclusions.explanation import Explanation, Measured, Pair, Simpler, Step, Switch
from hpo.execution.engines import AnyExecutor
from hpo.registry import studies
from hpo.registry.repeats import Repeat, add_configurations, add_repeats, configurations_of, repeats_between
from hpo.registry.studies import set_facts
from hpo.runtime.explanation.matter import Matter, Trained
from hpo.runtime.repeats import Watch, train
from hpo.runtime.session import Session
from hpo.search.explanation import Outcome, Round, proceed
from hpo.search.explanation.plan import FIRST, Plan, Taken


def explain(
    session: Session, executor: Callable[[], AnyExecutor], matter: Matter, plan: Plan, watch: Watch
) -> Explanation:
    """Trains what is missing, and records what follows from all of it. `executor` opens an executor without trials, if
    something is to be trained; `watch` is called before each epoch with the progress in words and may raise to
    stop."""
    store, study_id = session.store, session.study_id
    opened: AnyExecutor | None = None
    while True:
        trained = Trained(matter, repeats_between(store, study_id), configurations_of(store, study_id))
        found = proceed(plan, trained, matter.possible)
        if isinstance(found, Outcome):
            break
        opened = opened or executor()
        repeats = _train(session, opened, matter, found, _counted(watch, plan, trained))
        with store.transaction() as transaction:
            transaction.lock_study(study_id)
            add_repeats(store, study_id, repeats)
    explanation = _explanation(matter, plan, found, trained)
    with store.transaction() as transaction:
        transaction.lock_study(study_id)
        known = studies.study_row(store, session.spec.study.name).facts
        set_facts(store, study_id, replace(known, explanation=explanation))
    return explanation


def _train(session: Session, executor: AnyExecutor, matter: Matter, round: Round, watch: Watch) -> list[Repeat]:
    keys = {taken: matter.key(taken) for taken, _ in round.wanted}
    numbers = add_configurations(session.store, session.study_id, dict.fromkeys(keys.values()))
    found = {numbers[key]: matter.configuration(taken) for taken, key in keys.items()}
    configs = {number: one[1] for number, one in found.items() if one}
    missing = dict.fromkeys((numbers[keys[taken]], repeat) for taken, repeat in round.wanted)
    return train(session, executor, configs, list(missing), lambda text: watch(f"{round.what}: {text}"))


def _counted(watch: Watch, plan: Plan, trained: Trained) -> Watch:
    """Says with each text how many trainings are done."""
    done = len(_used(plan, trained))
    return lambda text: watch(f"{done} of at most {plan.trainings} trainings; {text}")


def _used(plan: Plan, trained: Trained) -> list[Repeat]:
    """The repeats of the explanation; others may be known from an earlier one with a larger budget."""
    known = {(one.number, one.repeat): one for taken in trained for one in trained.of(taken)}
    return [one for one in known.values() if one.repeat < FIRST + plan.seeds]


def _explanation(matter: Matter, plan: Plan, outcome: Outcome, trained: Trained) -> Explanation:
    def names(taken: Taken) -> tuple[str, ...]:
        return tuple(matter.changes[change].name for change in sorted(taken))

    def measured(taken: Taken) -> Measured:
        return Measured(value=outcome.means[taken].times(matter.sign), lost=outcome.lost[taken])

    simpler, used = matter.configuration(outcome.simpler), _used(plan, trained)
    assert simpler is not None
    return Explanation(
        winner=matter.winner,
        switches=tuple(
            Switch(name=change.name, default=change.before, winner=change.after, along=change.along)
            for change in matter.changes
        ),
        tried=plan.width,
        seeds=plan.seeds,
        default=measured(frozenset()),
        steps=tuple(
            Step(
                changes=names(step.changes),
                measured=measured(step.after),
                gain=step.gain,
                verdict=step.verdict,
                loss=step.loss,
            )
            for step in outcome.steps
        ),
        gain=outcome.gain,
        pairs=tuple(
            Pair(
                changes=(names(pair.first), names(pair.second)),
                alone=pair.alone,
                both=pair.both,
                interaction=pair.interaction,
            )
            for pair in outcome.pairs
        ),
        simpler=Simpler(
            changes=names(outcome.simpler),
            params=simpler[0],
            measured=measured(outcome.simpler),
            loss=outcome.loss,
        ),
        length=matter.length,
        trainings=len(used),
        epochs=sum(one.epochs for one in used),
        searched=matter.searched,
        seconds=sum(one.seconds for one in used),
    )
