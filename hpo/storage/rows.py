"""Rows of trials in Optuna's tables, and of epochs and checkpoints in ours. A study's own row is in
`registry.studies`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import Table

from hpo.database.clock import to_stored, utc_now
from hpo.database.tables import (
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
)

Row = dict[str, Any]

_stored_value = models.TrialValueModel.value_to_stored_repr
_stored_report = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRow:
    """Measurements of one epoch of one replica of a trial."""

    trial_id: int
    replica: int
    """Index of the fold and repeat, from 0."""
    epoch: int
    """From 1."""
    train_loss: float | None
    valid_loss: float | None
    objective: float | None
    """Unrounded, before smoothing."""
    learning_rate: float | None
    """At the end of the epoch."""
    gradient_norm: float | None
    """Mean over the epoch's steps."""
    seconds: float | None
    metrics: Mapping[str, float | None]
    """Further metrics of the validation part, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRow:
    """A file that a trial can continue from or be exported from."""

    trial_id: int
    kind: str
    """`running`: to continue a running trial; `final`: last state of an ended trial; `best`: its best weights; `refit`:
    weights of the winner trained again on all rows."""
    epoch: int
    """The last epoch the file contains."""
    path: str
    """Relative to the home folder or the checkpoint store."""
    sha256: str


def epoch_values(row: EpochRow) -> Row:
    """The row as columns. Values that are not finite become NULL, as neither SQLite nor JSON has NaN."""
    return {
        "trial_id": row.trial_id,
        "replica": row.replica,
        "epoch": row.epoch,
        "train_loss": _finite(row.train_loss),
        "valid_loss": _finite(row.valid_loss),
        "objective": _finite(row.objective),
        "learning_rate": _finite(row.learning_rate),
        "gradient_norm": _finite(row.gradient_norm),
        "seconds": _finite(row.seconds),
        "metrics_json": json.dumps({name: _finite(value) for name, value in row.metrics.items()}),
    }


def checkpoint_values(row: CheckpointRow) -> Row:
    """The row as columns, stamped with the present time."""
    return {
        "trial_id": row.trial_id,
        "kind": row.kind,
        "epoch": row.epoch,
        "path": row.path,
        "sha256": row.sha256,
        "created_at": utc_now(),
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def head_columns(trial: FrozenTrial) -> Row:
    """The columns of `trials` that change while a trial runs."""
    return {
        "state": trial.state,
        "datetime_start": to_stored(trial.datetime_start),
        "datetime_complete": to_stored(trial.datetime_complete),
    }


def param_row(trial_id: int, name: str, value: float, distribution: BaseDistribution) -> Row:
    """A parameter. `value` is Optuna's internal representation."""
    text = distribution_to_json(distribution)
    return {"trial_id": trial_id, "param_name": name, "param_value": float(value), "distribution_json": text}


def report_row(trial_id: int, step: int, value: float) -> Row:
    """An intermediate value; infinities and NaN are kept as Optuna keeps them."""
    stored, kind = _stored_report(float(value))
    return {
        "trial_id": trial_id,
        "step": int(step),
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }


def value_row(trial_id: int, objective: int, value: float) -> Row:
    """A final value. It may be infinite but not NaN, for which Optuna has no representation."""
    if math.isnan(value):
        raise ValueError("the value of a trial must not be NaN")
    stored, kind = _stored_value(float(value))
    return {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}


def as_json(value: Any) -> Any:
    """The value as it is read back from the database: tuples as lists, keys as strings. Memory holds the same."""
    return json.loads(json.dumps(value))


def attribute_row(trial_id: int, key: str, value: Any) -> Row:
    """A user or system attribute."""
    return {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}


def rows_of(trial: FrozenTrial) -> Iterator[tuple[Table, Row]]:
    """All rows of a trial except the one in `trials`."""
    trial_id = trial._trial_id
    for name, distribution in trial.distributions.items():
        value = distribution.to_internal_repr(trial.params[name])
        yield trial_params, param_row(trial_id, name, value, distribution)
    for step, report in trial.intermediate_values.items():
        yield trial_intermediate_values, report_row(trial_id, step, report)
    for objective, value in enumerate(trial.values or ()):
        yield trial_values, value_row(trial_id, objective, value)
    for key, value in trial.user_attrs.items():
        yield trial_user_attributes, attribute_row(trial_id, key, value)
    for key, value in trial.system_attrs.items():
        yield trial_system_attributes, attribute_row(trial_id, key, value)
