"""Studies whose connections to the database are cut again and again: they take longer, and nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, event

from hpo.checkpoints.store import Directory
from hpo.cli import hpo
from hpo.execution.resources import Resources
from hpo.registry import leases, studies
from hpo.runtime.local_run import run_study
from hpo.runtime.setup.submission import submit_study
from hpo.service.worker import Worker
from hpo.storage.open import open_store
from hpo.training.trainer import Trainer
from tests.proxy import Proxy
from tests.runtime.small import epochs_in, result_of, small_study, trials_in
from tests.service.working import LIMIT, wait_for

SPEC = small_study(training="epochs = 12", search='trials = 12\nconcurrency = 3\npruner = { name = "median" }')
CUTS = 12


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return result_of(SPEC, tmp_path_factory.mktemp("expected"))


@pytest.fixture
def proxy(new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Cuts all connections once in each of the first epochs, at another moment each time."""
    made = Proxy(new_database())
    tick, ticks = Trainer.tick, []

    def cutting(trainer: Trainer) -> Any:
        ticks.append(1)
        if len(ticks) <= CUTS:
            threading.Timer(0.004 * len(ticks), made.cut).start()
        return tick(trainer)

    monkeypatch.setattr(Trainer, "tick", cutting)
    yield made
    made.close()


def found(url: str) -> Any:
    with closing(open_store(url, readonly=True)) as store:
        return trials_in(store, "small"), epochs_in(store, "small")


def test_a_worker_goes_on_and_blames_no_study(
    proxy: Proxy, expected: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
    submit_study(SPEC, proxy.url, tmp_path, priority=0)
    with closing(open_store(proxy.url)) as store, closing(open_store(proxy.url, readonly=True)) as watcher:
        worker = Worker(store, tmp_path, Directory(tmp_path), Resources(lanes=8), lease_seconds=30.0)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            wait_for(lambda: studies.study_row(watcher, "small").finished_at is not None)
            assert [each.refusals for each in leases.workers(watcher)] == [{}]
        finally:
            worker.ending.set()
            thread.join(LIMIT)
        assert not thread.is_alive()
        assert leases.workers(watcher) == []
    assert proxy.cuts >= CUTS
    assert found(proxy.url) == expected
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.WARNING]
    assert "left to other workers" not in caplog.text
    assert "same command" not in caplog.text


def test_a_run_goes_on(proxy: Proxy, expected: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    progress = []
    result = run_study(SPEC, proxy.url, tmp_path, progress.append, device="cpu")
    assert proxy.cuts >= CUTS
    assert found(proxy.url) == expected
    assert result.winner is not None
    assert result.progress.epochs >= len(expected[1])
    walls = [each.wall_seconds for each in progress]
    assert walls == sorted(walls), "it does not begin again with each loss"
    with closing(open_store(proxy.url)) as store:
        assert leases.workers(store) == []
    assert not [record for record in caplog.records if record.exc_info]


def test_a_run_of_several_processes_goes_on_with_them(new_database: Callable[[], str], tmp_path: Path) -> None:
    proxy, cuts = Proxy(new_database()), []

    def observe(progress: Any) -> None:
        if progress.epochs > 3 * len(cuts) and len(cuts) < 4:
            cuts.append(progress.deaths)
            threading.Timer(0.005 * len(cuts), proxy.cut).start()

    spec = small_study(training="epochs = 8", search='trials = 4\nconcurrency = 4\npruner = "none"')
    expected = result_of(spec, tmp_path / "expected")
    result = run_study(spec, proxy.url, tmp_path, observe, device="cpu", workers=2)
    proxy.close()
    assert result.progress.workers == 2
    assert result.progress.deaths == 0, "processes that only train know of no database"
    assert found(proxy.behind) == expected


CUT_AT = {4, 9, 16, 26, 40}
"""Statements of a command before which its connections are cut."""


def test_commands_are_not_disturbed(new_database: Callable[[], str], tmp_path: Path) -> None:
    proxy = Proxy(new_database())
    open_store(proxy.behind).close()
    file = tmp_path / "small.toml"
    file.write_text(SPEC.text, encoding="utf-8")
    place = ("--home", str(tmp_path), "--storage", proxy.url)
    statements: list[str] = []

    def cut(connection: Any, cursor: Any, statement: str, *details: Any) -> None:
        statements.append(statement)
        if len(statements) in CUT_AT:
            proxy.cut()

    def said(*arguments: str) -> str:
        statements.clear()
        event.listen(Engine, "before_cursor_execute", cut)
        try:
            done = CliRunner().invoke(hpo, [*arguments, *place])
        finally:
            event.remove(Engine, "before_cursor_execute", cut)
        assert done.exit_code == 0, done.output
        assert len(statements) > min(CUT_AT)
        return done.output

    assert "is submitted" in said("submit", str(file))
    assert "is stopped" in said("stop", "small")
    assert "continues" in said("resume", "small")
    both = said("extend", "small", "--trials", "20", "--epochs", "15")
    assert "a budget of 20 trials" in both
    assert "train 15 epochs" in both
    assert "small" in said("show", "small")
    assert "small" in said("studies")
    assert "small" in said("report", "small")
    with closing(open_store(proxy.behind)) as store:
        row = studies.study_row(store, "small")
        assert (row.max_trials, row.trial_epochs, row.stopped_at) == (20, 15, None)
    assert "is deleted" in said("delete", "small", "--yes")
    assert proxy.cuts >= 8
    proxy.close()
