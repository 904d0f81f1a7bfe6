"""Repeats of the leading configurations, by which a winner is confirmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

DROP_TRIGGER = "DROP TRIGGER hpo_study_deleted"
TRIGGER_BEFORE = (
    "CREATE TRIGGER hpo_study_deleted AFTER DELETE ON studies BEGIN"
    " DELETE FROM hpo_studies WHERE study_id = OLD.study_id; END"
)
TRIGGER = TRIGGER_BEFORE.removesuffix("END") + "DELETE FROM hpo_repeats WHERE study_id = OLD.study_id; END"


def upgrade() -> None:
    study = sa.ForeignKey("studies.study_id", ondelete="CASCADE")
    op.create_table(
        "hpo_repeats",
        sa.Column("study_id", sa.Integer, study, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("length", sa.Integer, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("best_epoch", sa.Integer),
        sa.Column("value", sa.Float(53)),
        sa.Column("valid_loss", sa.Float(53)),
        sa.Column("ended", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER_BEFORE)
    op.drop_table("hpo_repeats")
