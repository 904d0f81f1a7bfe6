"""The service: workers, leases, and what it needs to know of a study."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

DROP_TRIGGER = "DROP TRIGGER hpo_trial_deleted"
TRIGGER_BEFORE = (
    "CREATE TRIGGER hpo_trial_deleted AFTER DELETE ON trials BEGIN"
    " DELETE FROM hpo_epochs WHERE trial_id = OLD.trial_id;"
    " DELETE FROM hpo_checkpoints WHERE trial_id = OLD.trial_id; END"
)
TRIGGER = TRIGGER_BEFORE.removesuffix("END") + "DELETE FROM hpo_leases WHERE trial_id = OLD.trial_id; END"

# A budget of epochs counts what earlier versions have trained, too.
SPENT = (
    "UPDATE hpo_studies SET epochs_spent = (SELECT count(*) FROM hpo_epochs JOIN trials"
    " ON trials.trial_id = hpo_epochs.trial_id"
    " WHERE trials.study_id = hpo_studies.study_id AND hpo_epochs.replica = 0)"
)


def columns() -> list[sa.Column[Any]]:
    """New columns of `hpo_studies`."""
    return [
        sa.Column("submitted_at", sa.DateTime),
        sa.Column("stopped_at", sa.DateTime),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
        sa.Column("max_trials", sa.Integer),
        sa.Column("max_epochs", sa.Integer),
        sa.Column("max_wall_seconds", sa.Float(53)),
        sa.Column("max_cpu_seconds", sa.Float(53)),
        sa.Column("trial_epochs", sa.Integer),
        sa.Column("epochs_spent", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cpu_seconds", sa.Float(53), nullable=False, server_default="0"),
        sa.Column("noted", sa.Float(53)),
        sa.Column("concluder", sa.String(200)),
    ]


def upgrade() -> None:
    for column in columns():
        op.add_column("hpo_studies", column)
    op.execute(SPENT)
    op.create_table(
        "hpo_workers",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("study_id", sa.Integer),
        sa.Column("started", sa.Float(53), nullable=False),
        sa.Column("seen", sa.Float(53), nullable=False),
        sa.Column("expires", sa.Float(53), nullable=False),
        sa.Column("complaints_json", sa.Text, nullable=False, server_default="{}"),
    )
    op.create_table(
        "hpo_leases",
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("worker", sa.String(200), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER_BEFORE)
    for table in ("hpo_leases", "hpo_workers"):
        op.drop_table(table)
    for column in columns():
        op.drop_column("hpo_studies", column.name)
