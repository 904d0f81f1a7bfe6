"""The row of each study in `hpo_studies`: registering a study, reading its row, and recording what a run finds.

Optuna's rows of a study are written in `storage.study_rows`; the list of studies is in `summaries`.
"""

from __future__ import annotations

import difflib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from optuna.study import StudyDirection
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES
from pydantic import Field, TypeAdapter
from sqlalchemy import Connection, RowMapping, and_, case, func, insert, select, update

from hpo.attributes.starts import Start
from hpo.conventions import NEWEST
from hpo.database.clock import DatabaseNow, utc_now
from hpo.database.decoding import BALANCE, FACTS, SCORES, formed, json_of, word
from hpo.database.faults import UndecodableError
from hpo.database.patience import one_transaction
from hpo.database.tables import hpo_studies, studies, study_directions, study_system_attributes
from hpo.errors import StudyStateError
from hpo.printable import listed
from hpo.ranking import Direction
from hpo.registry.facts import StudyFacts
from hpo.storage import own_trials, study_rows
from hpo.storage.store import Store

StudyState = Literal["finished", "unfinished", "stopped"]

ENSEMBLE = "ensemble"
"""Key of the ensemble's metrics among the winner's in `test_json`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRow:
    """A study as it is stored: its row, with what Optuna's tables have of it. Times are naive UTC."""

    study_id: int
    name: str
    directions: tuple[Direction, ...]
    """Of the objectives."""
    objectives: tuple[str, ...]
    """Names of what the search optimises, the metric first that has a curve."""
    spec_text: str
    """TOML source of the study file."""
    spec_source: str
    """Path of the study file, as shown in messages."""
    fingerprint: str
    """sha256 of what the study file means."""
    dataset_fingerprint: str
    """sha256 of the examples."""
    seed: int
    hpo_version: str
    """Version that registered the study."""
    created_at: datetime
    finished_at: datetime | None
    """None while budget is left."""
    balance: tuple[Mapping[str, Any], ...]
    """Split balance: records of part, role, fold, group, count, share. Empty until recorded."""
    facts: StudyFacts
    """What it noted about itself."""
    train_seconds: float
    """Seconds spent training, over all restarts."""
    wall_seconds: float
    """Seconds the study ran, over all restarts."""
    winner_number: int | None
    """Number of the trial that was scored on the test part."""
    test: Mapping[str, float | None] | None
    """The winner's metrics on the test part: the mean over its models, of which folds and repeats train several. A
    metric that is undefined there is None."""
    submitted_at: datetime | None
    """When it was submitted to the service; None: workers leave it alone."""
    stopped_at: datetime | None
    """When it was stopped; None: it is not stopped."""
    priority: int
    """Workers work on studies of higher priority first."""
    generation: int
    """Number of changes of budgets and epochs, by which workers notice a change."""
    max_trials: int | None
    """Budget of trials in the service; None: as the study file says."""
    max_epochs: int | None
    """Budget of trial-epochs in the service; None: none."""
    max_wall_seconds: float | None
    """Budget of seconds during which any process worked on it; None: none."""
    max_cpu_seconds: float | None
    """Budget of processor seconds over all workers; None: none."""
    trial_epochs: int | None
    """Epochs of a trial after an extension; None: as the study file says."""
    epochs_spent: int
    """Trial-epochs trained, over all restarts."""
    cpu_seconds: float
    """Processor seconds, over all workers and restarts."""
    noted: float | None
    """When seconds were last added: seconds since 1970 by the database's clock."""
    concluder: str | None
    """The worker that scores, or scored, the winner."""
    test_ensemble: Mapping[str, float | None] | None = None
    """Metrics of the ensemble of the winner's models on the test part; None where it has one model, or was scored by a
    version that did not record them."""

    @property
    def objective(self) -> str:
        """Name of the first objective."""
        return self.objectives[0]

    @property
    def direction(self) -> Direction:
        """Whether less or more of the first objective is better."""
        return self.directions[0]

    @property
    def state(self) -> StudyState:
        """Whether it has ended, or goes on unless it was stopped."""
        if self.finished_at is not None:
            return "finished"
        return "unfinished" if self.stopped_at is None else "stopped"


_STUDY_ROW = TypeAdapter(StudyRow)
_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Annotated[tuple[str, ...], Field(min_length=1)])


@one_transaction
def register_study(
    store: Store,
    *,
    name: str,
    direction: Direction,
    metric: str,
    spec_text: str,
    source: str,
    fingerprint: str,
    dataset_fingerprint: str,
    seed: int,
    hpo_version: str,
    conventions: int = NEWEST,
    split: str | None = None,
    further: Mapping[str, Direction] | None = None,
    starts: tuple[Start, ...] = (),
) -> int:
    """Create a study in Optuna's tables and ours, or find the one of this name, and return its id. `further`: the
    objectives after the metric, with their directions.

    An existing study keeps what it was registered with; the caller checks whether that fits. A study that another
    program made with Optuna is refused, since nothing says what its trials mean.
    """
    goals = {metric: direction, **(further or {})}
    with store.writing() as connection:
        study_id = study_rows.create(connection, name, [StudyDirection[goal.upper()] for goal in goals.values()])
        if study_id is None:
            study_id = study_rows.id_of(connection, name)
            if not connection.execute(select(hpo_studies).where(hpo_studies.c.study_id == study_id)).first():
                raise StudyStateError(
                    f"the study {name!r} in {store.place} was not made by `hpo run` but by another program. "
                    "Give [study] name another value, or use another database with --storage URL."
                )
            return study_id
        metric_names = {"study_id": study_id, "key": _SYSTEM_ATTR_METRIC_NAMES, "value_json": json.dumps([*goals])}
        mark = {"study_id": study_id, "key": own_trials.MARK, "value_json": json.dumps(uuid.uuid4().hex)}
        connection.execute(insert(study_system_attributes), [metric_names, mark])
        connection.execute(
            insert(hpo_studies),
            {
                "study_id": study_id,
                "spec_text": spec_text,
                "spec_source": source,
                "fingerprint": fingerprint,
                "dataset_fingerprint": dataset_fingerprint,
                "seed": seed,
                "hpo_version": hpo_version,
                "facts_json": json.dumps(StudyFacts(conventions=conventions, split=split, starts=starts).as_dict()),
                "created_at": utc_now(),
            },
        )
        return study_id


def study_row(store: Store, name: str) -> StudyRow:
    """A study's row; `StudyStateError`, which lists the existing names, if there is none of this name."""
    with store.reading() as connection:
        row = connection.execute(_ROWS.where(studies.c.study_name == name)).mappings().first()
        if row is None:
            names = [word(row.study_name, "studies") for row in connection.execute(_ROWS)]
            raise StudyStateError(f"no study {name!r} in {store.place}. {_alternatives(name, names)}")
        return _formed(row, connection)


def all_rows(store: Store) -> list[StudyRow]:
    """The rows of all studies, oldest first."""
    with store.reading() as connection:
        return [_formed(row, connection) for row in connection.execute(_ROWS).mappings().all()]


_ROWS = (
    select(studies.c.study_name, study_directions.c.direction, study_system_attributes.c.value_json, hpo_studies)
    .join(hpo_studies, hpo_studies.c.study_id == studies.c.study_id)
    .outerjoin(
        study_directions, and_(study_directions.c.study_id == studies.c.study_id, study_directions.c.objective == 0)
    )
    .outerjoin(
        study_system_attributes,
        and_(
            study_system_attributes.c.study_id == studies.c.study_id,
            study_system_attributes.c.key == _SYSTEM_ATTR_METRIC_NAMES,
        ),
    )
    .order_by(hpo_studies.c.study_id)
)


def _formed(row: RowMapping, connection: Connection) -> StudyRow:
    own = dict(row)
    own["name"] = name = word(own.pop("study_name"), "studies")
    place = f"hpo_studies, study {name!r},"
    if own["direction"] is None:
        raise UndecodableError(f"study_directions has no row of the study {name!r}")
    metric = f"study_system_attributes, the metric of study {name!r},"
    own["objectives"] = names = json_of(own.pop("value_json") or '["objective"]', _NAMES, metric)
    first = own.pop("direction")
    directions = [first] if len(names) == 1 else study_rows.directions_of(connection, own["study_id"])
    if len(directions) != len(names):
        raise UndecodableError(f"study_directions has {len(directions)} rows of {name!r}, which has {len(names)} names")
    own["directions"] = tuple(map(direction_name, directions))
    own["balance"] = json_of(own.pop("balance_json") or "[]", BALANCE, place)
    own["facts"] = StudyFacts.of(json_of(own.pop("facts_json") or "{}", FACTS, place), place)
    scores = json_of(own.pop("test_json") or "null", SCORES, place)
    own["test"], own["test_ensemble"] = (scores, scores.pop(ENSEMBLE, None)) if scores else (None, None)
    return formed(own, _STUDY_ROW, place)


def add_seconds(store: Store, study_id: int, *, train: float, wall: float, cpu: float = 0.0, epochs: int = 0) -> None:
    """Add to the seconds and trial-epochs spent. `wall` is the time since this process last added its own.

    Time in which several processes work counts once: of `wall`, at most the time since any process last added.
    """
    since = func.coalesce(DatabaseNow() - hpo_studies.c.noted, wall)
    passed = case((since < 0.0, 0.0), (since < wall, since), else_=wall)
    _update(
        store,
        study_id,
        epochs_spent=hpo_studies.c.epochs_spent + epochs,
        train_seconds=hpo_studies.c.train_seconds + train,
        wall_seconds=hpo_studies.c.wall_seconds + passed,
        cpu_seconds=hpo_studies.c.cpu_seconds + cpu,
        noted=DatabaseNow(),
    )


def set_balance(store: Store, study_id: int, balance: Sequence[Mapping[str, Any]]) -> None:
    """Record the split balance: records of part, role, fold, group, count, share."""
    _update(store, study_id, balance_json=json.dumps(list(balance)))


def set_facts(store: Store, study_id: int, facts: StudyFacts) -> None:
    """Record the facts, in place of those before."""
    _update(store, study_id, facts_json=json.dumps(facts.as_dict()))


def mark_finished(store: Store, study_id: int) -> None:
    """Record that the study has ended."""
    _update(store, study_id, finished_at=utc_now())


def mark_unfinished(store: Store, study_id: int) -> None:
    """Record that the study goes on."""
    _update(store, study_id, finished_at=None)


def direction_name(direction: StudyDirection) -> Direction:
    """A direction's name in records and reports."""
    return "maximize" if direction == StudyDirection.MAXIMIZE else "minimize"


def _update(store: Store, study_id: int, **columns: Any) -> None:
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == study_id).values(**columns))


def _alternatives(name: str, names: Sequence[str]) -> str:
    if not names:
        return "It has none yet: begin one with `hpo run STUDY` or `hpo submit STUDY`."
    close = difflib.get_close_matches(name, names, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}It has: {listed(names)}."
