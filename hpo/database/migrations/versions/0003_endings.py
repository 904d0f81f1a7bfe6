"""Why trials ended: codes with what is known about them, instead of sentences. What is no sentence of this program was
written by another one and stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PAGE = 1_000
"""Trials that are read at a time."""

SENTENCES = (  # "finished" is its own code
    ("stopped_early", "early stopping at epoch {epoch}"),
    ("pruned", "pruned by {detail} at epoch {epoch}"),
    ("diverged", "diverged at epoch {epoch}: the loss is not finite"),
    ("undefined", "objective undefined at epoch {epoch}: {detail} has no finite value on the validation part"),
    ("undefined", "diverged at epoch {epoch}: the objective is not finite"),  # as 0.1.0 said it
    ("budget", "the study's budget of {detail} was spent at epoch {epoch}"),
    ("failed", "failed: {detail}"),
    ("refused", "refused: {detail}"),
)
WHOLE = "(?P<epoch>0|[1-9][0-9]{0,8})"
UNITS = {"epochs": "epochs", "wall_seconds": "seconds", "cpu_seconds": "processor seconds"}

CODE, DETAIL, EPOCH = KEYS = ("ended", "ended_detail", "ended_epoch")

studies = sa.table("hpo_studies", sa.column("study_id"))
trials = sa.table("trials", sa.column("trial_id"), sa.column("study_id"))
attributes = sa.table("trial_user_attributes", sa.column("trial_id"), sa.column("key"), sa.column("value_json"))

WRITE = sa.text(
    "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (:trial_id, :key, :value_json)"
    " ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json"
)


def coded(sentence: Any) -> dict[str, Any]:
    """The attributes that replace a sentence; none for what is no sentence of this program."""
    for code, form in SENTENCES if isinstance(sentence, str) else ():
        pattern = re.escape(form).replace(r"\{detail\}", "(?P<detail>.*)").replace(r"\{epoch\}", WHOLE)
        if found := re.fullmatch(pattern, sentence, re.DOTALL):
            given = found.groupdict()
            about: dict[str, Any] = {CODE: code}
            if "epoch" in given:
                about[EPOCH] = int(given["epoch"])
            if "detail" in given:
                about[DETAIL] = budget(given["detail"]) if code == "budget" else given["detail"]
            return {} if None in about.values() else about
    return {}


def sentence_of(about: dict[str, Any]) -> str | None:
    """The sentence that attributes replaced; None for attributes that this program does not write."""
    detail, epoch = about.get(DETAIL), about.get(EPOCH)
    given = {"detail": amount(detail) if about.get(CODE) == "budget" else detail, "epoch": epoch}
    fields = {key for key, value in given.items() if type(value) in (str, int)}
    for code, form in SENTENCES:
        if code == about.get(CODE) and fields == set(re.findall(r"\{(\w+)\}", form)):
            return form.format(**given)
    return None


def budget(text: str) -> dict[str, Any] | None:
    """`90 processor seconds` as its setting and its limit."""
    limit, _, units = text.partition(" ")
    for setting, plural in UNITS.items():
        if units in (plural, plural.removesuffix("s")):
            try:
                number = {"setting": setting, "limit": float(limit)}
            except ValueError:
                return None
            # Former versions wrote at most six digits, and `1 epochs`.
            return number if amount(number) == text else {"setting": setting, "limit": limit}
    return None


def amount(detail: Any) -> str | None:
    """The words of a budget."""
    match detail:
        case {"setting": str(setting), "limit": float(limit)} if setting in UNITS:
            return f"{limit:.15g} {UNITS[setting].removesuffix('s') if limit == 1 else UNITS[setting]}"
        case {"setting": str(setting), "limit": str(text)} if setting in UNITS:
            return f"{text} {UNITS[setting]}"
    return None


def pages(connection: sa.Connection) -> Iterator[dict[int, dict[str, Any]]]:
    """These attributes of all trials in studies of this program, some trials at a time, by trial."""
    for study_id in connection.scalars(sa.select(studies.c.study_id)).all():
        of_study = sa.select(trials.c.trial_id).where(trials.c.study_id == study_id).order_by(trials.c.trial_id)
        last = -1
        while ids := connection.scalars(of_study.where(trials.c.trial_id > last).limit(PAGE)).all():
            page: dict[int, dict[str, Any]] = {}
            found = sa.select(attributes).where(attributes.c.trial_id.in_(ids), attributes.c.key.in_(KEYS))
            for trial_id, key, text in connection.execute(found):
                try:
                    page.setdefault(trial_id, {})[key] = json.loads(text)
                except (TypeError, ValueError, RecursionError):  # damaged: it stays
                    continue
            yield page
            last = ids[-1]


def write(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Writes rows of attributes, in the place of those of the same name."""
    if rows:
        connection.execute(WRITE, rows)


def upgrade() -> None:
    connection = op.get_bind()
    for page in pages(connection):
        write(
            connection,
            [
                {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
                for trial_id, about in page.items()
                for key, value in coded(about.get(CODE)).items()
            ],
        )


def downgrade() -> None:
    connection = op.get_bind()
    for page in pages(connection):
        texts = {trial_id: text for trial_id, about in page.items() if (text := sentence_of(about)) is not None}
        write(connection, [{"trial_id": t, "key": CODE, "value_json": json.dumps(text)} for t, text in texts.items()])
        details = sa.and_(attributes.c.trial_id.in_(texts), attributes.c.key.in_((DETAIL, EPOCH)))
        connection.execute(sa.delete(attributes).where(details))
