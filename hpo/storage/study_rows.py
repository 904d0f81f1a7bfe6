"""Statements on the rows of studies in Optuna's tables: names, directions, attributes, deletion. Trials are read and
written in `load` and `transaction`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from sqlalchemy import Connection, Table, delete, insert, select

from hpo.database.decoding import plain_json, word
from hpo.database.faults import UndecodableError
from hpo.database.tables import (
    hpo_leases,
    studies,
    study_directions,
    study_system_attributes,
    study_user_attributes,
    trial_heartbeats,
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)
from hpo.errors import GoneError
from hpo.storage.transaction import insert_of


def create(connection: Connection, name: str, directions: Sequence[StudyDirection]) -> int | None:
    """Create a study; None if the name is taken."""
    statement = (
        insert_of(connection.dialect.name, studies)
        .values(study_name=name)
        .on_conflict_do_nothing(index_elements=["study_name"])
        .returning(studies.c.study_id)
    )
    study_id: int | None = connection.execute(statement).scalar()
    if study_id is not None:
        rows = [
            {"study_id": study_id, "objective": index, "direction": direction}
            for index, direction in enumerate(directions)
        ]
        connection.execute(insert(study_directions), rows)
    return study_id


def drop(connection: Connection, study_id: int) -> None:
    """Delete a study with all that belongs to it; `KeyError` if there is none."""
    trial_ids = select(trials.c.trial_id).where(trials.c.study_id == study_id)
    # All is locked first: a row that another process adds after its table has been emptied would prevent its trial, and
    # so the study, from being deleted. Processes that come later wait, and find them gone. Leases are locked before
    # trials, in the order in which workers lock them.
    if not connection.execute(
        select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
    ).first():
        raise GoneError(f"no study has the id {study_id}")
    leases = select(hpo_leases.c.trial_id).where(hpo_leases.c.trial_id.in_(trial_ids)).order_by(hpo_leases.c.trial_id)
    connection.execute(leases.with_for_update()).all()
    connection.execute(trial_ids.order_by(trials.c.trial_id).with_for_update()).all()
    for table in (
        trial_heartbeats,
        trial_intermediate_values,
        trial_params,
        trial_system_attributes,
        trial_user_attributes,
        trial_values,
    ):
        connection.execute(delete(table).where(table.c.trial_id.in_(trial_ids)))
    for table in (trials, study_directions, study_system_attributes, study_user_attributes, studies):
        connection.execute(delete(table).where(table.c.study_id == study_id))


def id_of(connection: Connection, name: str) -> int:
    """A study's id; `KeyError` if there is none of the name."""
    study_id = connection.execute(select(studies.c.study_id).where(studies.c.study_name == name)).scalar()
    if study_id is None:
        raise GoneError(f"no study has the name {name!r}")
    return int(study_id)


def name_of(connection: Connection, study_id: int) -> str:
    """A study's name; `KeyError` if there is none of the id."""
    name = connection.execute(select(studies.c.study_name).where(studies.c.study_id == study_id)).scalar()
    if name is None:
        raise GoneError(f"no study has the id {study_id}")
    return str(name)


def directions_of(connection: Connection, study_id: int) -> list[StudyDirection]:
    """A study's directions, in the order of its objectives; `KeyError` if there is no such study."""
    statement = (
        select(study_directions.c.direction)
        .where(study_directions.c.study_id == study_id)
        .order_by(study_directions.c.objective)
    )
    directions = list(connection.execute(statement).scalars())
    if not directions:
        raise UndecodableError(f"study_directions has no row of the study {name_of(connection, study_id)!r}")
    return directions


def attributes_of(connection: Connection, table: Table, study_id: int) -> dict[str, Any]:
    """A study's user or system attributes; `KeyError` if there is no such study."""
    name_of(connection, study_id)
    statement = select(table.c.key, table.c.value_json).where(table.c.study_id == study_id)
    place = f"{table.name}, {{}} of study id {study_id},"
    return {word(key, place): plain_json(text, place.format(key)) for key, text in connection.execute(statement)}


def everything(connection: Connection) -> list[FrozenStudy]:
    """All studies, in the order of their ids."""
    directions: dict[int, list[StudyDirection]] = defaultdict(list)
    by_objective = select(study_directions.c.study_id, study_directions.c.direction)
    for study_id, direction in connection.execute(by_objective.order_by(study_directions.c.objective)):
        directions[study_id].append(direction)
    attributes: dict[Table, dict[int, dict[str, Any]]] = {}
    for table in (study_user_attributes, study_system_attributes):
        of_study = attributes[table] = defaultdict(dict)
        for study_id, key, text in connection.execute(select(table.c.study_id, table.c.key, table.c.value_json)):
            of_study[study_id][word(key, table.name)] = plain_json(text, f"{table.name}, {key} of study id {study_id},")
    names = connection.execute(select(studies.c.study_id, studies.c.study_name).order_by(studies.c.study_id))
    return [
        FrozenStudy(
            study_name=word(name, "studies"),
            direction=None,
            directions=directions[study_id],
            user_attrs=attributes[study_user_attributes][study_id],
            system_attrs=attributes[study_system_attributes][study_id],
            study_id=study_id,
        )
        for study_id, name in names
        if directions[study_id]
    ]
