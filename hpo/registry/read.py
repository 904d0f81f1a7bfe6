"""Reading a study's facts as a record, and its epochs as a data frame, for reports and the command line. Writes
nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from optuna.study import StudyDirection
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES
from pydantic import TypeAdapter
from sqlalchemy import select

from hpo.database.decoding import METRICS, formed, json_of
from hpo.database.faults import explained
from hpo.database.tables import hpo_epochs, trials
from hpo.registry.studies import Direction, StudyRow, direction_name, study_row
from hpo.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd

EPOCH_COLUMNS = (
    "number",
    "replica",
    "epoch",
    "objective",
    "train_loss",
    "valid_loss",
    "learning_rate",
    "gradient_norm",
    "seconds",
)
"""The first columns of `epochs_frame`; one for each further metric follows."""


_ONE_DIRECTION = TypeAdapter(tuple[StudyDirection])
_ONE_NAME = TypeAdapter(tuple[str])
_Cell = float | None
_MEASURED = TypeAdapter(list[tuple[int, int, int, _Cell, _Cell, _Cell, _Cell, _Cell, _Cell]])


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadStudy(StudyRow):
    """A study's row, with its objective and direction."""

    direction: Direction
    objective: str
    """Name of the metric that the search optimises."""


def read_study(store: Store, name: str) -> ReadStudy:
    """A study's facts; `StudyStateError` if there is no study of this name."""
    row = study_row(store, name)
    with explained(store.url):
        place = f"study_directions, study {name!r},"
        [direction] = formed(store.get_study_directions(row.study_id), _ONE_DIRECTION, place)
        metrics = store.get_study_system_attrs(row.study_id).get(_SYSTEM_ATTR_METRIC_NAMES, ["objective"])
        [objective] = formed(metrics, _ONE_NAME, f"study_system_attributes, the metric of study {name!r},")
    known = {field.name: getattr(row, field.name) for field in fields(StudyRow)}
    return ReadStudy(**known, direction=direction_name(direction), objective=objective)


def epochs_frame(store: Store, name: str) -> pd.DataFrame:
    """One row per trial, replica and epoch, in this order.

    Columns: `EPOCH_COLUMNS`, then one per metric, in the order in which they first appear. Values that were not
    finite, or not measured, are missing.
    """
    import pandas as pd

    own = [hpo_epochs.c[column] for column in EPOCH_COLUMNS if column != "number"]
    statement = (
        select(trials.c.number, *own, hpo_epochs.c.metrics_json)
        .join(trials, trials.c.trial_id == hpo_epochs.c.trial_id)
        .where(trials.c.study_id == study_row(store, name).study_id)
        .order_by(trials.c.number, hpo_epochs.c.replica, hpo_epochs.c.epoch)
    )
    with store.reading() as connection:
        rows = connection.execute(statement).all()
        place = f"hpo_epochs, study {name!r},"
        metrics = [json_of(row.metrics_json, METRICS, place) for row in rows]
        measured = formed([tuple(row)[:-1] for row in rows], _MEASURED, place)
    names = list(dict.fromkeys(name for found in metrics for name in found))
    frame = pd.DataFrame(measured, columns=list(EPOCH_COLUMNS))
    frame = frame.astype({column: "int64" if column in EPOCH_COLUMNS[:3] else "float64" for column in EPOCH_COLUMNS})
    for metric in names:
        if metric not in frame:
            frame[metric] = pd.Series([found.get(metric) for found in metrics], dtype="float64")
    return frame
