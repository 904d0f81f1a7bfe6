"""Any path as a URL and back: the database lies where its home does, whatever the home is called."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from sqlalchemy import make_url

from hpo.database.address import file_url
from hpo.database.connect import parse_url
from hpo.database.faults import masked
from hpo.storage.open import given_url, open_store, sqlite_url

HOMES = (
    "a?1",
    "100%41",
    "über uns",
    "a b",
    "it's",
    "#x",
    "a;b",
    "{x}",
    "[b]",
    "a&b=c",
    "-d",
    "file:x",
    "q?mode=memory",
)
PATHS = st.text(st.characters(blacklist_characters="\0"), min_size=1).filter(lambda text: text not in (".", ":memory:"))


@given(PATHS)
@example("100%41?x")
@example("file:x")
@example("\udcff")
def test_a_path_comes_back_from_its_url(path: str) -> None:
    url = parse_url(file_url(path))
    assert os.path.normpath(url.database or "") == os.path.normpath(path)
    assert not url.query
    assert parse_url(masked(url)) == url
    if not any("\ud800" <= letter <= "\udfff" for letter in path):  # which no URL of SQLAlchemy's can hold
        assert make_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize("name", HOMES)
def test_the_database_lies_in_its_home(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for home in (Path(name), tmp_path / "absolute" / name):
        url = given_url(sqlite_url(home)) if home.parent.is_dir() else sqlite_url(home)
        with closing(open_store(url)) as store:
            store.create_new_study([StudyDirection.MAXIMIZE], "study")
        assert (home / "hpo.db").is_file()
        for text in (url, masked(parse_url(url))):
            with closing(open_store(text, readonly=True)) as store:
                assert [study.study_name for study in store.get_all_studies()] == ["study"]
        plain = RDBStorage(parse_url(url).render_as_string(hide_password=False))
        assert optuna.get_all_study_names(plain) == ["study"], "as the dashboard opens it"
        plain.engine.dispose()
    assert set(os.listdir()) == {name, "absolute"}
    assert os.listdir("absolute") == [name]


def test_a_name_is_shown_as_it_is() -> None:
    assert masked(parse_url(sqlite_url(Path("/über uns/#1")))) == "sqlite:////über uns/#1/hpo.db"
    assert masked(parse_url("sqlite:///a%3Fb.db?timeout=5")) == "sqlite:///a%3Fb.db?timeout=5"


def test_a_folder_in_place_of_the_file_is_answered_with_a_url_that_works(tmp_path: Path) -> None:
    (tmp_path / "a?").mkdir()
    with pytest.raises(Exception, match=r"Write sqlite:///.*/a%3F/hpo\.db\."):
        open_store(file_url(tmp_path / "a?"))
