"""Configurations that are no trial's, which an explanation of the winner repeats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TRIGGER = (
    "CREATE TRIGGER hpo_configurations_deleted AFTER DELETE ON studies BEGIN"
    " DELETE FROM hpo_configurations WHERE study_id = OLD.study_id; END"
)


def upgrade() -> None:
    study = sa.ForeignKey("studies.study_id", ondelete="CASCADE")
    op.create_table(
        "hpo_configurations",
        sa.Column("study_id", sa.Integer, study, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("params_json", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER hpo_configurations_deleted")
    op.drop_table("hpo_configurations")
