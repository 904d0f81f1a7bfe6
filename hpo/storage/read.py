"""A study's facts as records and data frames, for reports and the command line. Reads only, draws no conclusions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES
from sqlalchemy import select

from hpo.storage.store import Store
from hpo.storage.studies import Direction, StudyRow, direction_name, study_row
from hpo.storage.tables import hpo_epochs, trials

if TYPE_CHECKING:
    import pandas as pd

TRIAL_COLUMNS = ("number", "state", "value", "datetime_start", "datetime_complete", "duration")
"""The first columns of `trials_frame`; parameters and user attributes follow."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts(StudyRow):
    """A study's row, and what it optimises."""

    direction: Direction
    objective: str
    """Name of the metric that the search optimises."""


def read_study(store: Store, name: str) -> StudyFacts:
    """A study's facts; `StudyStateError` if there is no study of this name."""
    row = study_row(store, name)
    [direction] = store.get_study_directions(row.study_id)
    [objective] = store.get_study_system_attrs(row.study_id).get(_SYSTEM_ATTR_METRIC_NAMES, ["objective"])
    known = {field.name: getattr(row, field.name) for field in fields(StudyRow)}
    return StudyFacts(**known, direction=direction_name(direction), objective=objective)


def trials_frame(store: Store, name: str) -> pd.DataFrame:
    """One row per trial, by number.

    Columns: `TRIAL_COLUMNS` (times local, the duration in seconds), then one per parameter under its dotted name
    and one per user attribute, in the order in which they first appear. What a trial does not have is missing.
    """
    import pandas as pd

    found = store.get_all_trials(study_row(store, name).study_id, deepcopy=False)
    distributions: dict[str, BaseDistribution] = {}
    attributes: dict[str, None] = {}
    for trial in found:
        distributions |= trial.distributions
        attributes |= dict.fromkeys(trial.user_attrs)
    columns: dict[str, Any] = {
        "number": pd.Series([trial.number for trial in found], dtype="int64"),
        "state": pd.Series([trial.state.name for trial in found], dtype="str"),
        "value": pd.Series([trial.value for trial in found], dtype="float64"),
        "datetime_start": pd.Series([trial.datetime_start for trial in found], dtype="datetime64[us]"),
        "datetime_complete": pd.Series([trial.datetime_complete for trial in found], dtype="datetime64[us]"),
    }
    columns["duration"] = (columns["datetime_complete"] - columns["datetime_start"]).dt.total_seconds()
    for parameter, distribution in distributions.items():
        drawn = [trial.params.get(parameter) for trial in found]
        columns[parameter] = pd.Series(drawn, dtype=_dtype(distribution))
    for attribute in attributes:
        noted = [trial.user_attrs.get(attribute) for trial in found]
        columns.setdefault(attribute, pd.Series(noted, dtype=_dtype_of(noted)))
    return pd.DataFrame(columns)


def epochs_frame(store: Store, name: str) -> pd.DataFrame:
    """One row per trial, replica and epoch, in this order.

    Columns: `EPOCH_COLUMNS`, then one per metric, in the order in which they first appear. What was not finite, or
    not measured, is missing.
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
    metrics = [json.loads(row.metrics_json) for row in rows]
    names = list(dict.fromkeys(name for measured in metrics for name in measured))
    frame = pd.DataFrame([tuple(row)[:-1] for row in rows], columns=list(EPOCH_COLUMNS))
    frame = frame.astype({column: "int64" if column in EPOCH_COLUMNS[:3] else "float64" for column in EPOCH_COLUMNS})
    for metric in names:
        if metric not in frame:
            frame[metric] = pd.Series([measured.get(metric) for measured in metrics], dtype="float64")
    return frame


def _dtype(distribution: BaseDistribution) -> str:
    """Integers stay integers although conditional parameters are missing from some trials."""
    if isinstance(distribution, IntDistribution):
        return "Int64"
    return "float64" if isinstance(distribution, FloatDistribution) else "object"


def _dtype_of(values: Sequence[Any]) -> str:
    """The same for user attributes, which have no distribution."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int}:
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "object"
