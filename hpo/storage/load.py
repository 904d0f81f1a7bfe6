"""Reading trials from Optuna's tables into `FrozenTrial`s: a whole study, or what has changed. Writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, ScalarSelect, Table, exists, select, union_all

from hpo.attributes import lengths
from hpo.database.clock import to_local
from hpo.database.decoding import LENGTHS, drawn, formed, number, parse_distribution, plain_json, word
from hpo.database.tables import (
    hpo_studies,
    studies,
    study_system_attributes,
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)
from hpo.errors import GoneError
from hpo.storage.cache import Mirror
from hpo.storage.own_trials import MARK, REOPENED, begun

Which = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""A condition on a column of trial ids."""

MOST_IDS = 5_000
"""Longest list of ids in a statement: longer ones would reach the databases' limits on bound values."""

_special_value = models.TrialValueModel.stored_repr_to_value
_special_report = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value


def one_of(ids: Collection[int]) -> Which:
    """Condition: these trials; where they are very many, all trials from the first of them on, since reading more does
    no harm."""
    if len(ids) <= MOST_IDS:
        return lambda column: column.in_(sorted(ids))
    return lambda column: column >= min(ids)


def of_study(study_id: int, after: int = -1) -> Which:
    """Condition: a study's trials with an id above `after`."""
    chosen = select(trials.c.trial_id).where(trials.c.study_id == study_id, trials.c.trial_id > after)
    return lambda column: column.in_(chosen)


def read_trials(connection: Connection, which: Which) -> list[FrozenTrial]:
    """Read trials with all that belongs to them.

    The rows of `trials` are read first. Nothing more is written about a trial that has ended by then, unless it is
    reopened, after which it is read again. So what the later statements read of it is complete, although each statement
    may see the database at another moment.
    """
    heads = connection.execute(
        select(
            trials.c.trial_id,
            trials.c.number,
            trials.c.state,
            trials.c.datetime_start,
            trials.c.datetime_complete,
        )
        .where(which(trials.c.trial_id))
        .order_by(trials.c.trial_id)
    ).all()
    if not heads:
        return []

    params: dict[int, dict[str, Any]] = defaultdict(dict)
    distributions: dict[int, dict[str, BaseDistribution]] = defaultdict(dict)
    for trial_id, name, value, text in _rows(connection, trial_params, which):
        distribution = distributions[trial_id][word(name, "trial_params")] = parse_distribution(text)
        params[trial_id][name] = drawn(distribution, value, f"trial_params, {name} of trial id {trial_id},")
    reports: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, value, kind in _rows(connection, trial_intermediate_values, which):
        if type(step) is int and type(value) is float:  # as most are: nothing to check, no place to name
            reports[trial_id][step] = value
            continue
        place = f"trial_intermediate_values, step {step} of trial id {trial_id},"
        reports[trial_id][number(step, place)] = _measured(value, kind, _special_report, place)
    values: dict[int, list[float]] = defaultdict(list)
    rows = _rows(connection, trial_values, which)
    for trial_id, _, value, kind in sorted(rows, key=lambda row: number(row[1], "trial_values")):
        values[trial_id].append(_measured(value, kind, _special_value, f"trial_values, trial id {trial_id},"))
    user_attrs = _attributes(connection, trial_user_attributes, which)
    system_attrs = _attributes(connection, trial_system_attributes, which)

    return [
        FrozenTrial(
            trial_id=trial_id,
            number=number(counted, "trials"),
            state=state,
            value=None,
            values=values.get(trial_id),
            datetime_start=to_local(start),
            datetime_complete=to_local(complete),
            params=params.get(trial_id, {}),
            distributions=distributions.get(trial_id, {}),
            user_attrs=user_attrs.get(trial_id, {}),
            system_attrs=system_attrs.get(trial_id, {}),
            intermediate_values=reports.get(trial_id, {}),
        )
        for trial_id, counted, state, start, complete in heads
    ]


def load(connection: Connection, study_id: int) -> Mirror:
    """Read a whole study; `KeyError` if there is none."""
    of_study, marks = studies.c.study_id == study_id, study_system_attributes.c
    registered = exists().where(hpo_studies.c.study_id == studies.c.study_id)
    reopened = _reopened(study_id).label("reopened")
    columns = (studies.c.study_name, registered.label("registered"), reopened)
    found = connection.execute(select(*columns).where(of_study)).first()
    if found is None:
        raise GoneError(f"no study has the id {study_id}")
    mark = connection.execute(select(marks.value_json).where(marks.study_id == study_id, marks.key == MARK)).scalar()
    place = f"study_system_attributes, study id {study_id},"
    mirror = Mirror(
        study_id,
        found.study_name,
        registered=bool(found.registered),
        mark=None if mark is None else plain_json(mark, place),
    )
    mirror.reopened = found.reopened
    read_newer(connection, mirror)
    return mirror


def read_into(connection: Connection, mirror: Mirror, which: Which, among: Container[int] | None = None) -> int:
    """Read trials into the mirror, and which of them this program began. `among`: only trials with these ids. Returns
    how many were read."""
    found = [trial for trial in read_trials(connection, which) if among is None or trial._trial_id in among]
    own: set[int] = set()
    if found and mirror.registered:
        own.update(connection.execute(select(trials.c.trial_id).where(which(trials.c.trial_id), begun())).scalars())
    for trial in found:
        mirror.read(trial, begun=trial._trial_id in own)
    return len(found)


def read_newer(connection: Connection, mirror: Mirror) -> None:
    """Read the trials that were created since the mirror was last read."""
    read_into(connection, mirror, of_study(mirror.study_id, mirror.last))


def refresh(connection: Connection, mirror: Mirror, *, spare_own: bool) -> bool:
    """Read what other processes may have changed; False if the study has to be loaded anew: it was deleted or replaced
    meanwhile, or trials that had ended were reopened.

    That is: new trials, trials that ended since the last reading, and running trials. With `spare_own`, only the state
    of this process's own running trials is read. Waiting trials do not change.
    """
    watched = mirror.open | mirror.unread
    reopened = _reopened(mirror.study_id).label("reopened")
    found = select(trials.c.trial_id, trials.c.state, studies.c.study_id, studies.c.study_name, reopened).join_from(
        trials, studies, studies.c.study_id == trials.c.study_id
    )
    # Two searches, each over its own index: SQLite answers one with OR, or with the study in the second condition
    # too, by going through all trials of the study.
    looks = [found.where(trials.c.study_id == mirror.study_id, trials.c.trial_id > mirror.last)]
    if watched:
        looks.append(found.where(one_of(watched)(trials.c.trial_id)))
    rows = [row for row in connection.execute(union_all(*looks)) if row.study_id == mirror.study_id]
    if not rows:
        of_study = studies.c.study_id == mirror.study_id
        row = connection.execute(select(studies.c.study_name, reopened).where(of_study)).first()
        return not watched and row is not None and tuple(row) == (mirror.name, mirror.reopened)
    states: dict[int, TrialState] = {row.trial_id: row.state for row in rows}
    if (rows[0].study_name, rows[0].reopened) != (mirror.name, mirror.reopened) or not watched <= states.keys():
        return False

    def stale(trial_id: int, state: TrialState) -> bool:
        known = mirror.trials.get(trial_id)
        if known is None or known.state != state or trial_id in mirror.unread:
            return True
        return state == TrialState.RUNNING and not (spare_own and trial_id in mirror.own)

    changed = [trial_id for trial_id, state in states.items() if stale(trial_id, state)]
    if changed:
        read_into(connection, mirror, one_of(changed), among=states)
    return True


def reread(connection: Connection, mirror: Mirror, trial_ids: Collection[int]) -> None:
    """Read trials that have just been reopened, in the transaction that did it."""
    read_into(connection, mirror, one_of(trial_ids), among=set(trial_ids))
    mirror.reopened = connection.execute(select(_reopened(mirror.study_id))).scalar()


def _reopened(study_id: int) -> ScalarSelect[str]:
    marks = study_system_attributes.alias().c
    return select(marks.value_json).where(marks.study_id == study_id, marks.key == REOPENED).scalar_subquery()


def _rows(connection: Connection, table: Table, which: Which) -> list[tuple[Any, ...]]:
    """A child table's rows without their own id, in the order in which they were first written."""
    own_id, *columns = table.c
    statement = select(*columns).where(which(table.c.trial_id)).order_by(own_id)
    return [tuple(row) for row in connection.execute(statement).all()]  # one by one takes twice as long


def _measured(value: Any, kind: Any, special: Callable[[Any, Any], float], place: str) -> float:
    """An objective. A value that is not finite is stored as NULL, and `kind` says which it is."""
    not_finite = value is None and getattr(kind, "name", "FINITE") != "FINITE"
    return float(number(special(value, kind) if not_finite else value, place))


def _attributes(connection: Connection, table: Table, which: Which) -> dict[int, dict[str, Any]]:
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, text in _rows(connection, table, which):
        place = f"{table.name}, {key} of trial id {trial_id},"
        value = attributes[trial_id][word(key, table.name)] = plain_json(text, place)
        if table is trial_system_attributes and key == lengths.ATTRIBUTE:
            formed(value, LENGTHS, place)
    return attributes
