"""The first own tables: studies, epochs, checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite checks foreign keys only on connections that ask for it, and Optuna's do not: without the triggers, a study
# deleted in the dashboard would leave rows that a later study of the same id inherits.
TRIGGERS = (
    "CREATE TRIGGER hpo_study_deleted AFTER DELETE ON studies BEGIN"
    " DELETE FROM hpo_studies WHERE study_id = OLD.study_id; END",
    "CREATE TRIGGER hpo_trial_deleted AFTER DELETE ON trials BEGIN"
    " DELETE FROM hpo_epochs WHERE trial_id = OLD.trial_id;"
    " DELETE FROM hpo_checkpoints WHERE trial_id = OLD.trial_id; END",
)


def upgrade() -> None:
    op.create_table(
        "hpo_studies",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("spec_text", sa.Text, nullable=False),
        sa.Column("spec_source", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("dataset_fingerprint", sa.String(64), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("hpo_version", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("balance_json", sa.Text),
        sa.Column("facts_json", sa.Text),
        sa.Column("train_seconds", sa.Float(53), nullable=False, server_default="0"),
        sa.Column("wall_seconds", sa.Float(53), nullable=False, server_default="0"),
        sa.Column("winner_number", sa.Integer),
        sa.Column("test_json", sa.Text),
    )
    op.create_table(
        "hpo_epochs",
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("replica", sa.Integer, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("train_loss", sa.Float(53)),
        sa.Column("valid_loss", sa.Float(53)),
        sa.Column("objective", sa.Float(53)),
        sa.Column("learning_rate", sa.Float(53)),
        sa.Column("gradient_norm", sa.Float(53)),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("metrics_json", sa.Text, nullable=False),
    )
    op.create_table(
        "hpo_checkpoints",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.trial_id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.UniqueConstraint("trial_id", "kind", "epoch", name="uq_hpo_checkpoints"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for trigger in TRIGGERS:
            op.execute(trigger)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER hpo_study_deleted")
        op.execute("DROP TRIGGER hpo_trial_deleted")
    for table in ("hpo_checkpoints", "hpo_epochs", "hpo_studies"):
        op.drop_table(table)
