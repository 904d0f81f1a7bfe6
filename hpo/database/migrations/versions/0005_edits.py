"""The log of a study's edits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

DROP_TRIGGER = "DROP TRIGGER hpo_study_deleted"
TRIGGER_BEFORE = (
    "CREATE TRIGGER hpo_study_deleted AFTER DELETE ON studies BEGIN"
    " DELETE FROM hpo_studies WHERE study_id = OLD.study_id;"
    " DELETE FROM hpo_repeats WHERE study_id = OLD.study_id; END"
)
TRIGGER = TRIGGER_BEFORE.removesuffix("END") + "DELETE FROM hpo_edits WHERE study_id = OLD.study_id; END"


def upgrade() -> None:
    study = sa.ForeignKey("studies.study_id", ondelete="CASCADE")
    op.create_table(
        "hpo_edits",
        sa.Column("study_id", sa.Integer, study, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("edited_at", sa.DateTime, nullable=False),
        sa.Column("editor", sa.Text, nullable=False),
        sa.Column("spec_text", sa.Text, nullable=False),
        sa.Column("spec_source", sa.Text, nullable=False),
        sa.Column("changes_json", sa.Text, nullable=False),
        sa.Column("after_trials", sa.Integer, nullable=False),
        sa.Column("after_epochs", sa.Integer, nullable=False),
        sa.Column("trials", sa.Integer),
        sa.Column("epochs", sa.Integer),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(DROP_TRIGGER)
        op.execute(TRIGGER_BEFORE)
    op.drop_table("hpo_edits")
