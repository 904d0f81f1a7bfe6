"""The migration of sentences that said why trials ended to codes, and back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import pytest
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial
from sqlalchemy import select

from hpo import endings
from hpo.database.schema import MIGRATIONS, alembic_config
from hpo.database.tables import trial_user_attributes
from hpo.database.upgrade import upgrade
from hpo.endings import Ended, Ending, Spent
from hpo.reports.facts import gather
from hpo.reports.render.csv import trials_csv
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.database.test_upgrade import ASSETS
from tests.registry.test_queue import registered
from tests.reports.render.test_csv import rows


def _loaded() -> ModuleType:
    spec = spec_from_file_location("migration", MIGRATIONS / "versions" / "0003_endings.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MIGRATION = _loaded()

UNITS = {"epochs": "epochs", "wall_seconds": "seconds", "cpu_seconds": "processor seconds"}


def early(epoch: int, text: str, limit: float) -> dict[str, Ending]:
    """Sentences of the first versions, with their codes."""
    return {
        f"early stopping at epoch {epoch}": Ending.STOPPED_EARLY,
        f"pruned by {text} at epoch {epoch}": Ending.PRUNED,
        f"diverged at epoch {epoch}: the loss is not finite": Ending.DIVERGED,
        f"diverged at epoch {epoch}: the objective is not finite": Ending.UNDEFINED,
        f"failed: {text}": Ending.FAILED,
        **{
            f"the study's budget of {limit:g} {units} was spent at epoch {epoch}": Ending.BUDGET
            for units in UNITS.values()
        },
    }


def late(epoch: int, text: str, limit: float) -> dict[str, Ending]:
    """Those that came later, before there were codes."""
    units = [unit.removesuffix("s") if limit == 1 else unit for unit in UNITS.values()]
    return {
        f"objective undefined at epoch {epoch}: {text} has no finite value on the validation part": Ending.UNDEFINED,
        f"refused: {text}": Ending.REFUSED,
        **{f"the study's budget of {limit:g} {unit} was spent at epoch {epoch}": Ending.BUDGET for unit in units},
        **{f"the study's budget of {limit:.15g} {unit} was spent at epoch {epoch}": Ending.BUDGET for unit in units},
    }


SENTENCES = {
    sentence: code
    for version in (early, late)
    for limit in (1, 0.5, 1_234_567.0)
    for sentence, code in {**version(3, "median", limit), "finished": Ending.FINISHED}.items()
}
OTHERS: tuple[Any, ...] = (
    "",
    "no word of ours",
    "pruned",
    "diverged at epoch 1: not finite",
    "the study's budget of many epochs was spent at epoch 3",
    "the study's budget of 3 trials was spent at epoch 3",
    7,
    None,
    ["finished"],
    {"why": "finished"},
)
"""What another program may have written under the name of our attribute."""


@given(
    st.sampled_from([early, late]),
    st.integers(0, 999_999_999),
    st.text(),
    st.integers(1, 10**9) | st.floats(1e-6, 1e9),
)
def test_every_sentence_of_every_version_becomes_a_code_and_gives_the_same_words(
    version: Callable[[int, str, float], dict[str, Ending]], epoch: int, text: str, limit: float
) -> None:
    for sentence, code in version(epoch, text, limit).items():
        ended = endings.of(json.loads(json.dumps(MIGRATION.coded(sentence))))
        assert (ended.why, str(ended)) == (code, sentence)


@given(
    st.builds(Ended, why=st.sampled_from([Ending.STOPPED_EARLY, Ending.DIVERGED]), epoch=st.integers(0, 10**8))
    | st.builds(Ended, why=st.just(Ending.PRUNED), detail=st.text(), epoch=st.integers(0, 10**8))
    | st.builds(Ended, why=st.just(Ending.UNDEFINED), detail=st.none() | st.text(), epoch=st.integers(0, 10**8))
    | st.builds(Ended, why=st.sampled_from([Ending.FAILED, Ending.REFUSED]), detail=st.text())
    | st.builds(
        Ended,
        why=st.just(Ending.BUDGET),
        detail=st.builds(Spent, setting=st.sampled_from(list(UNITS)), limit=st.integers(1, 10**9).map(float)),
        epoch=st.integers(0, 10**8),
    )
)
def test_a_code_becomes_the_sentence_that_people_read(ended: Ended) -> None:
    held = ended.attributes()
    assert MIGRATION.sentence_of(held) == str(ended)
    assert MIGRATION.coded(str(ended)) == held


@pytest.fixture
def url(bare_url: str) -> str:
    return bare_url


def migrate(store: Store, direction: Callable[..., None], revision: str) -> None:
    config = alembic_config(MIGRATIONS)
    with store.writer.begin() as connection:
        config.attributes["connection"] = connection
        direction(config, revision)


def held(store: Store) -> dict[tuple[int, str], str]:
    """The user attributes in the database."""
    table = trial_user_attributes.c
    with store.engine.connect() as connection:
        found = connection.execute(select(table.trial_id, table.key, table.value_json))
        return {(trial_id, key): text for trial_id, key, text in found}


def test_a_database_is_converted_there_and_back(store: Store, url: str, plain_url: str) -> None:
    texts: list[Any] = [*SENTENCES, *OTHERS]
    plain = optuna.create_study(study_name="plain", storage=plain_url)
    plain.add_trial(create_trial(value=1.0, user_attrs={"ended": "pruned by median at epoch 3"}))
    ids: list[int] = []
    for name in ("first", "second"):
        study_id = registered(store, name)
        with store.transaction():
            ids += store.create_trials(study_id, MIGRATION.PAGE + 100)
            for trial_id, number in zip(ids[-MIGRATION.PAGE - 100 :], range(10**6), strict=False):
                store.set_trial_user_attr(trial_id, "ended", texts[number % len(texts)])
                store.set_trial_user_attr(trial_id, "memo", number)
    migrate(store, command.downgrade, "0002")
    before = held(store)
    migrate(store, command.upgrade, "0003")
    after = held(store)
    migrate(store, command.upgrade, "head")
    with closing(open_store(url)) as fresh:
        (other,) = fresh.get_all_trials(fresh.get_study_id_from_name("plain"))
        assert other.user_attrs == {"ended": "pruned by median at epoch 3"}
        for number, trial in enumerate(fresh.get_all_trials(fresh.get_study_id_from_name("second"))):
            was = texts[number % len(texts)]
            ended = endings.of(trial.user_attrs)
            assert ended.why == (SENTENCES.get(was) if isinstance(was, str) else None)
            assert str(ended) == (was if isinstance(was, str) else "")
            assert trial.user_attrs["memo"] == number
    migrate(store, command.downgrade, "0002")
    assert held(store) == before
    for _ in range(2):
        migrate(store, command.upgrade, "0003")
        assert held(store) == after
        migrate(store, command.stamp, "0002")
    migrate(store, command.stamp, "0003")
    migrate(store, command.upgrade, "head")


def test_cells_that_cannot_be_read_stay(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "hpo-schema-0002.db", tmp_path / "hpo.db"))
    cells = {1: "{no JSON", 2: "[" * 100_000, 3: b"\xff"}
    with closing(sqlite3.connect(path)) as connection:
        for trial_id, cell in cells.items():
            connection.execute(
                "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = ? AND key = 'ended'", (cell, trial_id)
            )
        connection.commit()
    upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT trial_id, value_json FROM trial_user_attributes WHERE key = 'ended'")
        assert dict(found.fetchall()) == cells


def test_attributes_that_bear_the_new_names_already_are_replaced(tmp_path: Path) -> None:
    path = Path(shutil.copy(ASSETS / "hpo-schema-0002.db", tmp_path / "hpo.db"))
    with closing(sqlite3.connect(path)) as connection:
        for key in ("ended_detail", "ended_epoch"):
            connection.execute(
                "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, ?, '\"mine\"')", (key,)
            )
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = 1 AND key = 'ended'",
            (json.dumps("pruned by median at epoch 2"),),
        )
        connection.commit()
    upgrade(f"sqlite:///{path}")
    with closing(open_store(f"sqlite:///{path}")) as store:
        ended = endings.of(store.get_trial(1).user_attrs)
    assert ended == Ended(why=Ending.PRUNED, detail="median", epoch=2)


@pytest.mark.parametrize("asset", ["hpo-0.1.0.db", "hpo-schema-0002.db"])
def test_reports_of_old_files_say_the_same(asset: str, tmp_path: Path) -> None:
    for number, pair in enumerate(zip(SENTENCES, reversed(SENTENCES), strict=True)):
        path = Path(shutil.copy(ASSETS / asset, tmp_path / f"{number}.db"))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE trials SET state = 'FAIL' WHERE trial_id > 1")
            for trial_id, sentence in enumerate(pair, 2):
                connection.execute(
                    "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = ? AND key = 'ended'",
                    (json.dumps(sentence), trial_id),
                )
            connection.commit()
        upgrade(f"sqlite:///{path}")
        with closing(open_store(f"sqlite:///{path}")) as store:
            report = gather(store, "small")
        ends = [row["ended"] for row in rows(trials_csv(report))]
        assert ends == ["finished", *pair]
        assert any(one.startswith(f"2 trials of 3 failed; the first, trial 1: {pair[0]}") for one in report.cautions)
