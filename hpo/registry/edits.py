"""The log of a study's edits, in `hpo_edits`: who gave the study which file, and after how many trials and epochs the
file took effect. Entry 0 is the file that the study began with; a study that was never edited has no entries.

An edit waits in the log until whoever runs the study takes it up between two epochs. What may be edited is decided in
`hpo.studyfile.edits`, what follows in `hpo.runtime.editing`.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, Exists, and_, func, insert, or_, select, update

from hpo.database.clock import utc_now
from hpo.database.decoding import formed, json_of
from hpo.database.tables import hpo_edits, hpo_studies, trials
from hpo.registry.studies import StudyRow
from hpo.storage.own_trials import ours
from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One entry of the log."""

    number: int
    """From 1; 0 is the file that the study began with."""
    edited_at: datetime
    """Naive UTC."""
    editor: str
    """User and machine."""
    spec_text: str
    """TOML source of the whole study file."""
    spec_source: str
    """Path of the study file, as shown in messages."""
    changes: tuple[str, ...]
    """One line for each setting: `search.trials: was 50, is 80`."""
    after_trials: int
    """It waits until the study has asked for so many trials ..."""
    after_epochs: int
    """... and trained so many trial-epochs."""
    trials: int | None
    """Trials asked for when it took effect; None: it waits."""
    epochs: int | None
    """Trial-epochs trained when it took effect; None: it waits."""

    @property
    def waits(self) -> bool:
        """Whether it has not taken effect."""
        return self.trials is None


_EDITS = TypeAdapter(list[Edit])
_CHANGES = TypeAdapter(tuple[str, ...])


def edits_of(store: Store, study_id: int) -> list[Edit]:
    """The log of a study by number; empty where it was never edited."""
    place = f"hpo_edits, study id {study_id},"
    columns = [column for column in hpo_edits.c if column.name != "study_id"]
    statement = select(*columns).where(hpo_edits.c.study_id == study_id).order_by(hpo_edits.c.number)
    with store.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(statement)]
    for row in rows:
        row["changes"] = json_of(row.pop("changes_json"), _CHANGES, place)
    return formed(rows, _EDITS, place)


def due() -> Exists:
    """Condition on a row of `hpo_studies`: its next edit is to take effect now."""
    asked = select(func.count()).select_from(trials).where(trials.c.study_id == hpo_studies.c.study_id, ours())
    earlier = hpo_edits.alias("earlier")
    first = and_(
        hpo_edits.c.after_epochs <= hpo_studies.c.epochs_spent,
        or_(hpo_edits.c.after_trials == 0, hpo_edits.c.after_trials <= asked.scalar_subquery()),
        ~select(earlier.c.number)
        .where(
            earlier.c.study_id == hpo_studies.c.study_id,
            earlier.c.trials.is_(None),
            earlier.c.number < hpo_edits.c.number,
        )
        .correlate(hpo_studies, hpo_edits)
        .exists(),
    )
    waits = (hpo_edits.c.study_id == hpo_studies.c.study_id, hpo_edits.c.trials.is_(None))
    return select(hpo_edits.c.number).where(*waits, first).correlate(hpo_studies).exists()


def is_due(store: Store, study_id: int) -> bool:
    """Whether an edit of the study is to take effect now."""
    with store.reading() as connection:
        return bool(connection.execute(select(due()).where(hpo_studies.c.study_id == study_id)).scalar())


def next_place(store: Store, study_id: int) -> tuple[int, int] | None:
    """The trials and epochs that the next edit waits for; None where none waits."""
    waits = (hpo_edits.c.study_id == study_id, hpo_edits.c.trials.is_(None))
    statement = select(hpo_edits.c.after_trials, hpo_edits.c.after_epochs).where(*waits).order_by(hpo_edits.c.number)
    with store.reading() as connection:
        row = connection.execute(statement).first()
    return None if row is None else (row.after_trials, row.after_epochs)


def add(
    connection: Connection,
    row: StudyRow,
    known: Sequence[Edit],
    changes: Sequence[str],
    *,
    text: str,
    source: str,
    after: tuple[int, int] = (0, 0),
    at: tuple[int, int] | None = None,
) -> int:
    """With the study locked: add an edit to the log `known`, and return its number. `after`: trials and epochs that it
    waits for; `at`: trials and epochs at which it has taken effect already."""
    first = {
        "study_id": row.study_id,
        "number": 0,
        "edited_at": row.created_at,
        "editor": "",
        "spec_text": row.spec_text,
        "spec_source": row.spec_source,
        "changes_json": "[]",
        "after_trials": 0,
        "after_epochs": 0,
        "trials": 0,
        "epochs": 0,
    }
    number = max((edit.number for edit in known), default=0) + 1
    edit = {
        **first,
        "number": number,
        "edited_at": utc_now(),
        "editor": f"{_user()} on {socket.gethostname()}",
        "spec_text": text,
        "spec_source": source,
        "changes_json": json.dumps(list(changes)),
        "after_trials": after[0],
        "after_epochs": after[1],
        "trials": None if at is None else at[0],
        "epochs": None if at is None else at[1],
    }
    connection.execute(insert(hpo_edits), [*([] if known else [first]), edit])
    return number


def note_effect(connection: Connection, study_id: int, number: int, *, trials: int, epochs: int) -> None:
    """Record that an edit has taken effect."""
    which = (hpo_edits.c.study_id == study_id, hpo_edits.c.number == number)
    connection.execute(update(hpo_edits).where(*which).values(trials=trials, epochs=epochs))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container may run a user that has no name
        return "?"
