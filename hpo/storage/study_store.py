"""The part of Optuna's storage contract that concerns studies. The part that concerns trials is in `store`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from sqlalchemy import Table

from hpo.database.tables import study_system_attributes, study_user_attributes
from hpo.storage import study_rows
from hpo.storage.connection import Database
from hpo.storage.rows import as_json


class StudyStore(Database, BaseStorage):
    """Studies in one database."""

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        with self.writing() as connection:
            study_id = study_rows.create(connection, name, directions)
        if study_id is None:
            raise DuplicatedStudyError(f"a study named {name!r} exists already")
        return study_id

    def delete_study(self, study_id: int) -> None:
        with self.writing() as connection:
            study_rows.drop(connection, study_id)
            self._forget([study_id])

    def get_study_id_from_name(self, study_name: str) -> int:
        with self.reading() as connection:
            return study_rows.id_of(connection, study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        with self.reading() as connection:
            return study_rows.name_of(connection, study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        with self.reading() as connection:
            return study_rows.directions_of(connection, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        with self.reading() as connection:
            return study_rows.everything(connection)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attribute(study_user_attributes, study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._set_study_attribute(study_system_attributes, study_id, key, value)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study_attributes(study_user_attributes, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._study_attributes(study_system_attributes, study_id)

    def _study_attributes(self, table: Table, study_id: int) -> dict[str, Any]:
        """Attributes as they are in the database; in a transaction as they were when it first read them, with its own
        changes."""
        with self._lock:
            if self._transaction is not None and (table, study_id) in self._transaction.attributes:
                return dict(self._transaction.attributes[table, study_id])
            with self.reading() as connection:
                attributes = study_rows.attributes_of(connection, table, study_id)
            if self._transaction is not None:
                self._transaction.attributes[table, study_id] = dict(attributes)
            return attributes

    def _set_study_attribute(self, table: Table, study_id: int, key: str, value: Any) -> None:
        with self._changes() as transaction:
            if transaction.single:
                transaction.begin()
            attributes = self._study_attributes(table, study_id)
            transaction.put(table, {"study_id": study_id, "key": key, "value_json": json.dumps(value)})
            transaction.attributes[table, study_id] = {**attributes, key: as_json(value)}
