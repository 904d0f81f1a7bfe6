"""The tables: Optuna's, by name, and our own, with their natural keys. No statements here.

Optuna defines the schema of its tables. The names of ours start with `hpo_`; `migrations/` creates them, and a test
checks that the definitions here and the migrations agree. A row of ours is deleted with its study or trial
(`ON DELETE CASCADE`; on SQLite by triggers, since foreign keys are not enforced for Optuna's connections).
"""

from __future__ import annotations

from optuna.storages._rdb import models
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

OPTUNA: MetaData = models.BaseModel.metadata

studies: Table = OPTUNA.tables["studies"]
study_directions: Table = OPTUNA.tables["study_directions"]
study_user_attributes: Table = OPTUNA.tables["study_user_attributes"]
study_system_attributes: Table = OPTUNA.tables["study_system_attributes"]
trials: Table = OPTUNA.tables["trials"]
trial_user_attributes: Table = OPTUNA.tables["trial_user_attributes"]
trial_system_attributes: Table = OPTUNA.tables["trial_system_attributes"]
trial_params: Table = OPTUNA.tables["trial_params"]
trial_values: Table = OPTUNA.tables["trial_values"]
trial_intermediate_values: Table = OPTUNA.tables["trial_intermediate_values"]
trial_heartbeats: Table = OPTUNA.tables["trial_heartbeats"]
version_info: Table = OPTUNA.tables["version_info"]

OWN = MetaData()
VERSION_TABLE = "hpo_alembic_version"
"""Table with the revision of our migrations; Optuna's is `alembic_version`."""
HEAD = "0006"
"""The newest revision in migrations/versions."""

hpo_studies = Table(
    "hpo_studies",
    OWN,
    Column("study_id", Integer, ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    Column("spec_text", Text, nullable=False, doc="TOML source of the study file"),
    Column("spec_source", Text, nullable=False, doc="path of the study file, as shown in messages"),
    Column("fingerprint", String(64), nullable=False, doc="sha256 of what the study file means"),
    Column("dataset_fingerprint", String(64), nullable=False, doc="sha256 of the examples"),
    Column("seed", BigInteger, nullable=False, doc="up to 2**32 - 1"),
    Column("hpo_version", Text, nullable=False, doc="version that registered the study"),
    Column("created_at", DateTime, nullable=False, doc="naive UTC"),
    Column("finished_at", DateTime, doc="naive UTC; NULL while budget is left"),
    Column("balance_json", Text, doc="list of {part, role, fold, group, count, share}"),
    Column("facts_json", Text, doc="device, versions, sizes of the parts ..."),
    Column("train_seconds", Float(53), nullable=False, server_default="0", doc="summed over restarts"),
    Column("wall_seconds", Float(53), nullable=False, server_default="0", doc="summed over restarts"),
    Column("winner_number", Integer),
    Column("test_json", Text, doc="metrics of the winner on the test part, scored once"),
    Column("submitted_at", DateTime, doc="naive UTC; NULL: workers of the service leave the study alone"),
    Column("stopped_at", DateTime, doc="naive UTC; NULL unless the study is stopped"),
    Column("priority", Integer, nullable=False, server_default="0", doc="the higher, the sooner it is worked on"),
    Column("generation", Integer, nullable=False, server_default="0", doc="counts changes of budgets and epochs"),
    Column("max_trials", Integer, doc="budgets; NULL where the study file decides"),
    Column("max_epochs", Integer),
    Column("max_wall_seconds", Float(53)),
    Column("max_cpu_seconds", Float(53)),
    Column("trial_epochs", Integer, doc="epochs of a trial after `hpo extend --epochs`; NULL: as in the study file"),
    Column("epochs_spent", Integer, nullable=False, server_default="0", doc="trial-epochs, summed over restarts"),
    Column("cpu_seconds", Float(53), nullable=False, server_default="0", doc="summed over workers and restarts"),
    Column("noted", Float(53), doc="by the database's clock: when seconds were last added"),
    Column("concluder", String(200), doc="worker that scores, or scored, the winner"),
)

hpo_epochs = Table(
    "hpo_epochs",
    OWN,
    Column("trial_id", Integer, ForeignKey(trials.c.trial_id, ondelete="CASCADE"), primary_key=True),
    Column("replica", Integer, primary_key=True, doc="index of the fold and repeat, from 0"),
    Column("epoch", Integer, primary_key=True, doc="from 1; the step of Optuna's intermediate value"),
    Column("train_loss", Float(53)),
    Column("valid_loss", Float(53)),
    Column("objective", Float(53), doc="unrounded, before smoothing; NULL if not finite"),
    Column("learning_rate", Float(53), doc="at the end of the epoch"),
    Column("gradient_norm", Float(53), doc="mean over the epoch's steps"),
    Column("seconds", Float(53)),
    Column("metrics_json", Text, nullable=False),
)

hpo_checkpoints = Table(
    "hpo_checkpoints",
    OWN,
    Column("id", Integer, primary_key=True),
    Column("trial_id", Integer, ForeignKey(trials.c.trial_id, ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False, doc="'running', 'best', 'final' or 'refit'"),
    Column("epoch", Integer, nullable=False, doc="last epoch the file contains"),
    Column("path", Text, nullable=False, doc="relative to the home folder or the store of checkpoints"),
    Column("sha256", String(64), nullable=False),
    Column("created_at", DateTime, nullable=False, doc="naive UTC"),
    UniqueConstraint("trial_id", "kind", "epoch", name="uq_hpo_checkpoints"),
)

hpo_workers = Table(
    "hpo_workers",
    OWN,
    Column("name", String(200), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("study_id", Integer, doc="what it works on, or waits for a place in; NULL: nothing"),
    Column("started", Float(53), nullable=False, doc="seconds since 1970 by the database's clock, as all times here"),
    Column("seen", Float(53), nullable=False, doc="last heartbeat"),
    Column("expires", Float(53), nullable=False, doc="from then on others may take the trials it holds"),
    Column("complaints_json", Text, nullable=False, server_default="{}", doc="study name -> why it cannot work on it"),
)

hpo_leases = Table(
    "hpo_leases",
    OWN,
    Column("trial_id", Integer, ForeignKey(trials.c.trial_id, ondelete="CASCADE"), primary_key=True),
    Column("worker", String(200), nullable=False, doc="the one that may write the trial, while it is not expired"),
)

hpo_repeats = Table(
    "hpo_repeats",
    OWN,
    Column("study_id", Integer, ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    Column(
        "number",
        Integer,
        primary_key=True,
        doc="of the trial with this configuration; -1: the default one; below: of `hpo_configurations`",
    ),
    Column("length", Integer, primary_key=True, doc="epochs that it was to have"),
    Column("repeat", Integer, primary_key=True, doc="from 1"),
    Column("epochs", Integer, nullable=False, doc="trained"),
    Column("best_epoch", Integer, doc="from 1; NULL where it has no value"),
    Column("value", Float(53), doc="objective, rounded; NULL where it diverged or failed"),
    Column("valid_loss", Float(53), doc="at that epoch"),
    Column("ended", Text, nullable=False, doc="why, in words"),
    Column("seconds", Float(53), nullable=False),
)

hpo_edits = Table(
    "hpo_edits",
    OWN,
    Column("study_id", Integer, ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, doc="from 1; 0: the file that the study began with"),
    Column("edited_at", DateTime, nullable=False, doc="naive UTC"),
    Column("editor", Text, nullable=False, doc="user and machine"),
    Column("spec_text", Text, nullable=False, doc="TOML source of the whole study file"),
    Column("spec_source", Text, nullable=False, doc="path of the study file, as shown in messages"),
    Column("changes_json", Text, nullable=False, doc="list of lines, one for each setting"),
    Column("after_trials", Integer, nullable=False, doc="it waits until so many trials were asked for"),
    Column("after_epochs", Integer, nullable=False, doc="and so many trial-epochs trained"),
    Column("trials", Integer, doc="asked for when it took effect; NULL: it waits"),
    Column("epochs", Integer, doc="trial-epochs trained when it took effect"),
)

hpo_configurations = Table(
    "hpo_configurations",
    OWN,
    Column("study_id", Integer, ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, doc="-2 and below"),
    Column("params_json", Text, nullable=False, doc="searched parameters by dotted path, sorted"),
)

KEYS: dict[Table, tuple[str, ...]] = {
    study_user_attributes: ("study_id", "key"),
    study_system_attributes: ("study_id", "key"),
    trial_params: ("trial_id", "param_name"),
    trial_user_attributes: ("trial_id", "key"),
    trial_system_attributes: ("trial_id", "key"),
    trial_intermediate_values: ("trial_id", "step"),
    trial_values: ("trial_id", "objective"),
    hpo_epochs: ("trial_id", "replica", "epoch"),
    hpo_checkpoints: ("trial_id", "kind", "epoch"),
    hpo_leases: ("trial_id",),
    hpo_repeats: ("study_id", "number", "length", "repeat"),
    hpo_edits: ("study_id", "number"),
    hpo_configurations: ("study_id", "number"),
}
"""The natural key of every table that a transaction writes rows into: a row replaces the one with the same key."""
