"""Opening a database: what is made, what is refused, in which words. A password is in none of them."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import psycopg
import pytest
from optuna.study import StudyDirection
from sqlalchemy import event, make_url, text

from hpo.cli.terminal.secret import Scrubbed
from hpo.database.connect import parse_url
from hpo.database.faults import masked, scrubbed
from hpo.errors import StorageError
from hpo.registry.summaries import list_studies
from hpo.reports.render.build import write_report
from hpo.storage.open import open_store, sqlite_url
from tests.registry.test_studies import register
from tests.storage.writers import TRIALS, conduct, for_optuna

SECRET = "s3cr:t/w@rd %"
QUOTED = "s3cr%3At%2Fw%40rd%20%25"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's is not."""
    with tempfile.TemporaryDirectory(prefix="hpo-test-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_home_folder_has_one_database(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "a" / "runs")
    store = open_store(url)
    store.create_new_study([StudyDirection.MAXIMIZE], "study")
    assert (tmp_path / "a" / "runs" / "hpo.db").exists()
    assert [study.study_name for study in open_store(url).get_all_studies()] == ["study"]


def test_sqlite_is_set_up_for_several_writers(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hpo.db")
    with store.reading() as connection:
        settings = {
            name: connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "busy_timeout", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "busy_timeout": 30_000, "synchronous": 1}


@pytest.mark.parametrize(
    ("password", "text", "expected"),
    [
        ("p", 'open "postgresql://me:p@host/app", password=p', 'open "postgresql://me:***@host/app", password=***'),
        ("in", "connection to 'inner' failed: 'in'", "connection to 'inner' failed: '***'"),
        ("a b", "user=me password=a%20b a+b 'a b'", "user=me password=*** *** '***'"),
        ("secret", "xsecretx", "x***x"),
    ],
)
def test_a_short_password_garbles_no_words(password: str, text: str, expected: str) -> None:
    url = make_url("postgresql://me@host/app").set(password=password)
    assert scrubbed(text, url) == expected


def test_a_password_that_is_a_word_of_the_message_does_not_hide_what_it_says() -> None:
    with pytest.raises(StorageError, match=r"cannot reach the server at .* Start it, or correct") as caught:
        open_store("postgresql://me:connection@127.0.0.1:1/hpo")
    assert "connection" not in str(caught.value)


def test_writing_takes_the_lock_at_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hpo.db")
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))
    store.create_new_study([StudyDirection.MAXIMIZE], "study")
    store.get_all_studies()
    assert [statement for statement in seen if statement.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("sqlite:///runs/hpo.db", "sqlite:///runs/hpo.db"),
    ],
)
def test_urls_name_the_driver(url: str, expected: str) -> None:
    assert parse_url(url).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("runs/hpo.db", "'runs/hpo.db' is no database URL"),
        (f"postgresql//me:{SECRET}@host/d", "is no database URL"),
        (f"postgresql://me:{QUOTED}@host:port/d", "is no database URL"),
        (f"mysql://me:{QUOTED}@host/d", "asks for 'mysql'"),
        (f"postgresql+nothing://me:{QUOTED}@host/d", "driver .* is unknown"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x.db?uri=true", "names no file"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        open_store(url)
    assert_no_secret(caught.value)


def test_reading_what_is_not_there_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no database at .*hpo\.db\. Name the place of your studies"):
        open_store(f"sqlite:///{tmp_path}/new/hpo.db", readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_reading_an_empty_database_makes_nothing(bare_url: str, tmp_path: Path) -> None:
    if bare_url.startswith("sqlite"):
        bare_url = f"sqlite:///{tmp_path}/empty.db"
        (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match=r"is empty\. Name the place of your studies"):
        open_store(bare_url, readonly=True)
    assert open_store(bare_url).get_all_studies() == []


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    for readonly in (True, False):
        with pytest.raises(StorageError, match="is a folder"):
            open_store(f"sqlite:///{tmp_path}", readonly=readonly)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("a long enough text that is certainly no database" * 100)
    for readonly in (True, False):
        with pytest.raises(StorageError, match=r"notes\.txt is not an SQLite database"):
            open_store(f"sqlite:///{file}", readonly=readonly)
    assert file.read_text().startswith("a long enough text")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot create the folder"):
        open_store(f"sqlite:///{tmp_path}/file/runs/hpo.db")


def test_a_folder_that_may_not_be_written(shared: Path) -> None:
    shared.chmod(0o755)
    with as_nobody() if os.geteuid() == 0 else closed(shared):
        with pytest.raises(StorageError, match="cannot open the database"):
            open_store(f"sqlite:///{shared}/hpo.db")
        with pytest.raises(StorageError, match="cannot create the folder"):
            open_store(f"sqlite:///{shared}/new/hpo.db")


def test_a_read_only_database_can_be_read(shared: Path) -> None:
    url = f"sqlite:///{shared}/hpo.db"
    store = open_store(url)
    store.create_new_study([StudyDirection.MAXIMIZE], "study")
    store.close()
    (shared / "hpo.db").chmod(0o444)
    with closed(shared), as_nobody():
        assert [study.study_name for study in open_store(url, readonly=True).get_all_studies()] == ["study"]
        with pytest.raises(StorageError, match=r"read-only|cannot open"):
            open_store(url).create_new_study([StudyDirection.MAXIMIZE], "more")


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """The folder cannot be written."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


def test_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.database.connect.BUSY_SECONDS", 0.05)
    store = open_store(f"sqlite:///{tmp_path}/hpo.db")
    other = sqlite3.connect(tmp_path / "hpo.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        store.create_new_study([StudyDirection.MAXIMIZE], "study")
    other.rollback()
    store.create_new_study([StudyDirection.MAXIMIZE], "study")


def test_a_full_disk(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hpo.db")
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "study")
    [trial_id] = store.create_trials(study_id, 1)

    @event.listens_for(store.engine, "begin")
    def leave_no_room(connection: Any) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageError, match="no space is left"):
        store.set_trial_user_attr(trial_id, "long", "x" * 100_000)
    assert store.get_trial(trial_id).user_attrs == {}


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"pip install 'hpo\[postgres\]'") as caught:
        open_store(f"postgresql://me:{QUOTED}@host/d")
    assert_no_secret(caught.value)


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StorageError, match=r"cannot reach the server at .*me:\*\*\*@") as caught:
        open_store(f"postgresql://me:{QUOTED}@127.0.0.1:1/d")
    assert_no_secret(caught.value)


PARAMETERS = (
    "postgresql://me@127.0.0.1:1/d?password={}",
    "postgresql://me@127.0.0.1:1/d?sslpassword={}&connect_timeout=5",
    "postgresql:///d?host=127.0.0.1&port=1&user=me&PassWord={}",
    "postgresql://me:other@127.0.0.1:1/d?password={}&password={}x",
)


@pytest.mark.parametrize("written", PARAMETERS)
def test_a_password_among_the_parameters_shows_nowhere(written: str) -> None:
    url = parse_url(written.format(QUOTED, QUOTED))
    assert SECRET in str(url.query)
    assert_no_secret(StorageError(masked(url)))
    assert "127.0.0.1" in masked(url)
    assert_no_secret(StorageError(scrubbed(f"{SECRET} and {QUOTED}", url)))
    line = logging.LogRecord("hpo", logging.INFO, "", 0, "asked for %s", (written.format(QUOTED, QUOTED),), None)
    assert_no_secret(StorageError(Scrubbed(written.format(QUOTED, QUOTED)).format(line)))
    with pytest.raises(StorageError) as caught:
        open_store(written.format(QUOTED, QUOTED))
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3@cret@127.0.0.1:1/d",
        "postgresql://me:s3@cre/t@127.0.0.1:1/d",
        "postgresql://me:s3@c:ret@127.0.0.1:1/d",
        "postgresql://me:s3@c?ret@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1/d?password=s3@cret",
        "postgresql://127.0.0.1/d?password=s3@cret",
        "mysql://me:s3@cret@127.0.0.1:1/d",
    ],
)
def test_a_password_that_is_not_written_as_in_a_url(url: str) -> None:
    with pytest.raises(StorageError, match="write %40 for @") as caught:
        open_store(url)
    assert not [part for part in ("s3", "cre", "ret") if part in str(caught.value).replace("secret", "")]


@pytest.mark.parametrize(
    "text", ["host=127.0.0.1 password=s3cret", "postgresql://me@h:1a/d?password=s3cret", "me:s3cret@host/d"]
)
def test_what_is_no_url_is_shown_without_a_password(text: str) -> None:
    with pytest.raises(StorageError, match="is no database URL") as caught:
        parse_url(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me%40corp:s3%40cret@host/d", "postgresql://me@corp:s3cret@host/d", "sqlite:////me@work/h.db"]
)
def test_an_at_sign_where_it_may_stand(url: str) -> None:
    assert parse_url(url).host in ("host", None)


def test_a_database_that_is_not_there(new_database: Callable[[], str]) -> None:
    url = make_url(new_database()).set(database="nowhere", password=SECRET)
    with pytest.raises(StorageError, match=r"no database 'nowhere'.*createdb nowhere") as caught:
        open_store(url.render_as_string(hide_password=False))
    assert_no_secret(caught.value)


@pytest.fixture
def guarded(server: Any, new_database: Callable[[], str]) -> Iterator[str]:
    """A database that the user `locked` may enter with a password only, and then only read."""
    url = make_url(new_database())
    store = open_store(url.render_as_string(hide_password=False))
    conduct(store, register(store, "study"))
    store.close()
    rules = Path(server.pgdata) / "pg_hba.conf"
    if "locked" not in rules.read_text():
        rules.write_text("local all locked scram-sha-256\n" + rules.read_text())
    with psycopg.connect(server.get_uri(database=url.database), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS locked")
        connection.execute(f"CREATE ROLE locked LOGIN PASSWORD '{SECRET}'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO locked")
        connection.execute("SELECT pg_reload_conf()")
    yield url.set(username="locked", password=SECRET).render_as_string(hide_password=False)
    with psycopg.connect(server.get_uri(database=url.database), autocommit=True) as connection:
        connection.execute("DROP OWNED BY locked")
        connection.execute("DROP ROLE locked")


def test_a_wrong_password(guarded: str) -> None:
    wrong = make_url(guarded).set(password=SECRET + "x").render_as_string(hide_password=False)
    with pytest.raises(StorageError, match="refused user 'locked' or the password") as caught:
        open_store(wrong)
    assert_no_secret(caught.value)


def test_a_role_that_may_only_read(guarded: str, tmp_path: Path) -> None:
    """It gets the lists and whole reports."""
    reader = open_store(guarded, readonly=True)
    assert [study.name for study in list_studies(reader)] == ["study"]
    page = write_report(reader, "study", tmp_path)
    assert "study" in page.read_text(encoding="utf-8")
    assert len((tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()) == 1 + TRIALS
    assert SECRET not in reader.place
    writer = open_store(guarded)
    with pytest.raises(StorageError, match="user 'locked' lacks a permission") as caught:
        writer.create_new_study([StudyDirection.MAXIMIZE], "more")
    assert_no_secret(caught.value)


def test_optuna_opens_what_we_made(bare_url: str) -> None:
    open_store(bare_url).create_new_study([StudyDirection.MAXIMIZE], "study")
    assert optuna.get_all_study_names(for_optuna(bare_url)) == ["study"]


def assert_no_secret(error: BaseException | None) -> None:
    """Neither in the message nor in any other that a traceback would show."""
    while error is not None:
        for spelling in (SECRET, QUOTED, "w@rd", "w%40rd"):
            assert spelling not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
