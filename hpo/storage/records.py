"""Rows of our own tables that belong to trials: epochs and checkpoint files. Trials themselves are in `store`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from statistics import fmean

from pydantic import TypeAdapter
from sqlalchemy import bindparam, delete, func, select

from hpo.database.decoding import METRICS, formed, json_of
from hpo.database.tables import hpo_checkpoints, hpo_epochs, trials
from hpo.storage.rows import CheckpointRow, EpochRow, checkpoint_values, epoch_values
from hpo.storage.study_store import StudyStore

_CHECKPOINTS = TypeAdapter(list[CheckpointRow])


class Records(StudyStore):
    """Records of epochs and checkpoint files, which Optuna's tables have no place for."""

    def add_epochs(self, rows: Iterable[EpochRow]) -> None:
        """Record epochs; one recorded before is replaced."""
        with self._changes() as transaction:
            for row in rows:
                transaction.put(hpo_epochs, epoch_values(row))

    def add_checkpoints(self, rows: Iterable[CheckpointRow]) -> None:
        """Record checkpoint files; one of the same trial, kind and epoch is replaced."""
        with self._changes() as transaction:
            for row in rows:
                transaction.put(hpo_checkpoints, checkpoint_values(row))

    def remove_checkpoints(
        self, paths: Collection[str], *, trial_id: int | None = None, spared: str | None = None
    ) -> None:
        """Remove the records of checkpoint files, for all trials in them or for `trial_id` alone. Records of the kind
        `spared`, as it is at the end of the transaction, are kept."""
        with self._changes() as transaction:
            transaction.discard_rows(hpo_checkpoints, "path", set(paths))
            statement = delete(hpo_checkpoints).where(hpo_checkpoints.c.path == bindparam("gone"))
            if trial_id is not None:
                statement = statement.where(hpo_checkpoints.c.trial_id == trial_id)
            if spared is not None:
                statement = statement.where(hpo_checkpoints.c.kind != spared)
            if paths:
                transaction.run(statement, [{"gone": path} for path in paths])

    def seconds_of(self, trial_id: int) -> float:
        """Seconds that a trial has trained, over all its replicas and restarts."""
        total = select(func.sum(hpo_epochs.c.seconds)).where(hpo_epochs.c.trial_id == trial_id)
        with self.reading() as connection:
            return float(connection.execute(total).scalar() or 0.0)

    def scores_of(self, trial_id: int, epoch: int) -> list[tuple[float, float]]:
        """Objective and validation loss of an epoch of a trial, for each replica; those not finite are left out."""
        rows, columns = hpo_epochs.c, (hpo_epochs.c.objective, hpo_epochs.c.valid_loss)
        statement = select(*columns).where(rows.trial_id == trial_id, rows.epoch == epoch).order_by(rows.replica)
        with self.reading() as connection:
            return [(value, loss) for value, loss in connection.execute(statement) if None not in (value, loss)]

    def means_of(self, trial_id: int, epoch: int, names: Collection[str]) -> dict[str, float]:
        """Further metrics of an epoch of a trial by name, means over replicas; those not finite are left out."""
        rows = hpo_epochs.c
        statement = select(rows.metrics_json, rows.valid_loss).where(rows.trial_id == trial_id, rows.epoch == epoch)
        place = f"hpo_epochs, trial id {trial_id},"
        with self.reading() as connection:
            stored = connection.execute(statement.order_by(rows.replica)).all()
        found = [json_of(row.metrics_json, METRICS, place) | {"loss": row.valid_loss} for row in stored]
        values = {name: [value for row in found if (value := row.get(name)) is not None] for name in names}
        return {name: fmean(of_all) for name, of_all in values.items() if len(of_all) == len(found) > 0}

    def curves_of(self, trial_id: int) -> list[tuple[float, float, float, float]]:
        """Training loss, validation loss, objective and gradient norm of each epoch of a trial, means over replicas;
        epochs with a value that is not finite are left out."""
        rows = hpo_epochs.c
        columns = (func.avg(rows[name]) for name in ("train_loss", "valid_loss", "objective", "gradient_norm"))
        statement = select(*columns).where(rows.trial_id == trial_id).group_by(rows.epoch).order_by(rows.epoch)
        with self.reading() as connection:
            return [tuple(found) for found in connection.execute(statement) if None not in found]

    def checkpoints(self, study_id: int) -> list[CheckpointRow]:
        """The recorded checkpoint files of a study, oldest first."""
        columns = (hpo_checkpoints.c[field.name] for field in fields(CheckpointRow))
        statement = (
            select(*columns)
            .join(trials, trials.c.trial_id == hpo_checkpoints.c.trial_id)
            .where(trials.c.study_id == study_id)
            .order_by(hpo_checkpoints.c.id)
        )
        with self.reading() as connection:
            found = [dict(row) for row in connection.execute(statement).mappings()]
            return formed(found, _CHECKPOINTS, f"hpo_checkpoints, study id {study_id},")
