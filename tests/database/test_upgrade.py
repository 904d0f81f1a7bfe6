"""Databases of earlier versions. The files in `assets` were made by the versions in their names, and stay so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import inspect

from hpo.database import schema
from hpo.database.tables import HEAD
from hpo.database.upgrade import upgrade
from hpo.errors import StorageError
from hpo.registry.read import read_epochs
from hpo.registry.studies import study_row
from hpo.reports.trials import trial_row
from hpo.storage.open import open_store
from tests.storage.writers import for_optuna

ASSETS = Path(__file__).parent / "assets"

MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{HEAD}"


def upgrade():
    op.add_column("hpo_studies", sa.Column("planted", sa.Integer, server_default="7"))


def downgrade():
    op.drop_column("hpo_studies", "planted")
"""


def test_every_version_that_was_ever_current_has_its_file() -> None:
    revisions = {path.stem for path in (schema.MIGRATIONS / "versions").glob("*.py")}
    kept = set()
    for path in ASSETS.glob("hpo-*.db"):
        with closing(sqlite3.connect(path)) as connection:
            kept |= set(connection.execute("SELECT version_num FROM hpo_alembic_version").fetchone())
    assert {revision.split("_")[0] for revision in revisions} == kept


@pytest.fixture(params=sorted(path.name for path in ASSETS.glob("*.db")))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copy(ASSETS / request.param, tmp_path / "hpo.db"))


def test_an_old_file_is_read_after_an_upgrade(old: Path) -> None:
    url = f"sqlite:///{old}"
    upgrade(url)
    with closing(open_store(url)) as store:
        (study,) = store.get_all_studies()
        trials = store.get_all_trials(study._study_id)
        assert trials == optuna.load_study(study_name=study.study_name, storage=url).trials
        if study.study_name == "small":
            values = [trial.value for trial in trials]
            assert values[:3] in ([0.75, 1.0, 0.944444], [0.75, 0.972222, 0.944444])
            epochs = [len(trial.intermediate_values) for trial in trials]
            assert epochs == [2, 2, 2, 2, 1, 1, 1, 1][: len(trials)]
            rows = [trial_row(trial) for trial in store.own_trials(study._study_id)]
            pruned = ["pruned by median at epoch 1"] * (len(trials) - 4)
            assert [str(row.ended) for row in rows] == (["finished"] * 4 + pruned)[: len(trials)]
            assert study_row(store, "small").spec_source == "studies/small.toml"
            assert len(read_epochs(store, "small")) == sum(epochs)
            assert [row.kind for row in store.checkpoints(study._study_id)].count("best") == 3
        else:
            assert study.user_attrs == {"about": "kept as a test asset"}
            assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3 + ["PRUNED", "COMPLETE"]
            for trial in trials:
                assert trial.params.keys() == {"x", "n", "c"}
                assert trial.user_attrs == {"note": {"n": trial.params["n"]}}
                assert trial.intermediate_values == {i: trial.params["x"] + i for i in range(3)}
                if trial.state == TrialState.COMPLETE:
                    assert trial.value == trial.params["x"] + trial.params["n"]
        assert store.get_trial(store.create_trials(study._study_id, 1)[0]).number == len(trials)


def test_a_file_that_needs_an_upgrade_is_refused_until_then_and_kept_as_it_was(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "optuna-3.1.1.db", tmp_path / "hpo.db"))
    url = f"sqlite:///{path}"
    with pytest.raises(StorageError, match=r"made by Optuna 3\.1\.1, whose tables.*run `hpo db upgrade`"):
        open_store(url)
    done = upgrade(url)
    assert (done.before.optuna, done.before.own) == ("v3.0.0.d", None)
    assert (done.after.optuna, done.after.own) == ("v3.2.0.a", HEAD)
    assert done.copy == tmp_path / "hpo.db.v3.0.0.d"
    with closing(sqlite3.connect(done.copy)) as kept, closing(sqlite3.connect(ASSETS / "optuna-3.1.1.db")) as asset:
        assert list(kept.iterdump()) == list(asset.iterdump())
    again = upgrade(url)
    assert again.before == again.after == done.after
    assert again.copy is None


def test_an_upgrade_migrates_our_tables(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(url)
    later = shutil.copytree(schema.MIGRATIONS, tmp_path / "migrations")
    text = MIGRATION.format(revision="9001", HEAD=HEAD)
    (later / "versions" / "9001_planted.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    monkeypatch.setattr(schema, "HEAD", "9001")
    with pytest.raises(StorageError, match=f"schema {HEAD}; this program works with 9001"):
        open_store(url)
    try:
        done = upgrade(url)
        assert (done.before.own, done.after.own) == (HEAD, "9001")
        with open_store(url).engine.connect() as connection:
            assert "planted" in {column["name"] for column in inspect(connection).get_columns("hpo_studies")}
    finally:
        with store.writer.begin() as connection:
            config = schema.alembic_config(later)
            config.attributes["connection"] = connection
            from alembic import command

            command.downgrade(config, HEAD)


def test_what_cannot_be_upgraded_is_said(tmp_path: Path, new_database: Callable[[], str]) -> None:
    with pytest.raises(
        StorageError, match=r"no database at .*hpo\.db\. Name the place of your studies with --home DIR"
    ):
        upgrade(f"sqlite:///{tmp_path}/hpo.db")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="is empty"):
        upgrade(new_database())
    path = tmp_path / "newer.db"
    open_store(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE hpo_alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StorageError, match=r"made by a newer hpo .schema 9999"):
        upgrade(f"sqlite:///{path}")


def test_a_plain_optuna_database_on_a_server_gets_our_tables(new_database: Callable[[], str]) -> None:
    url = new_database()
    optuna.create_study(study_name="plain", storage=for_optuna(url))
    done = upgrade(url)
    assert (done.before.own, done.after.own, done.copy) == (None, HEAD, None)
    assert [study.study_name for study in open_store(url).get_all_studies()] == ["plain"]
