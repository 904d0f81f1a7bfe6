"""`hpo dashboard` serves a study's database: the real command in a process of its own."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.cli.test_export import called
from tests.export import tiny


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.run(tiny.WINE, tmp_path_factory.mktemp("wine"))


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and the process of a dashboard on a free port."""
    command = [sys.executable, "-c", "from hpo.cli import main; main()", "dashboard", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            found = re.search(r"http://(127.0.0.1|\[::1\]):\d+", first)
            assert found, first + process.stderr.read()
            yield found[0], process
        finally:
            process.kill()


def answer(url: str) -> Any:
    with urlopen(url, timeout=30) as response:
        assert response.status == 200
        return response.read()


def test_it_shows_the_study_with_names_a_person_understands(home: Path) -> None:
    with serving("--home", str(home)) as (address, process):
        assert b"<html" in answer(f"{address}/")
        [summary] = json.loads(answer(f"{address}/api/studies"))["study_summaries"]
        assert (summary["study_name"], summary["directions"]) == ("tiny", ["maximize"])
        study = json.loads(answer(f"{address}/api/studies/{summary['study_id']}?after=0"))
        assert study["objective_names"] == ["accuracy"]
        assert len(study["trials"]) == 4
        parameters = {parameter["name"] for parameter in study["trials"][0]["params"]}
        assert parameters == {"model.hidden", "optimizer.learning_rate"}
        attributes = {attribute["key"] for attribute in study["trials"][0]["user_attrs"]}
        assert {"ended", "epochs", "best_epoch", "seconds"} <= attributes
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def status(url: str, method: str = "GET", **headers: str) -> int:
    try:
        with urlopen(Request(url, method=method, headers=headers), timeout=30) as response:
            return int(response.status)
    except HTTPError as refused:
        return refused.code


def test_pages_of_other_sites_reach_nothing(home: Path) -> None:
    with serving("--home", str(home), "--allow-host", "Studies.example.org") as (address, _):
        study = f"{address}/api/studies/1"
        assert status(f"{address}/api/studies", Host="evil.example") == 421
        assert status(study, "DELETE", Host="evil.example", Origin="http://evil.example") == 421
        assert status(study, "DELETE", Origin="http://evil.example") == 403
        assert status(study, "DELETE", Host="studies.example.org", Origin="http://evil.example") == 403
        assert status(f"{address}/api/studies", Host="studies.example.org") == 200
        [summary] = json.loads(answer(f"{address}/api/studies"))["study_summaries"]
        assert summary["study_name"] == "tiny"
        assert status(study, "DELETE", Origin=address) == 204


def test_it_may_listen_on_ipv6(home: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"this machine has no IPv6: {error}")
    with serving("--home", str(home), "--host", "::1") as (address, _):
        assert status(f"{address}/api/studies") == 200


@pytest.mark.parametrize("name", ["http://studies.example.org", "studies.example.org:80", "*"])
def test_a_name_that_is_none_is_said(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("dashboard", "--home", home, "--allow-host", name) == 2
    assert f"--allow-host {name}: this is not a host's name" in capsys.readouterr().err


def test_a_port_in_use_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert called("dashboard", "--home", home, "--port", taken.getsockname()[1]) == 1
    assert "Choose another --port" in capsys.readouterr().err


def test_an_address_of_another_machine_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("dashboard", "--home", home, "--port", "0", "--host", "192.0.2.1") == 1
    assert "Choose another --host" in capsys.readouterr().err


def test_no_database_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("dashboard", "--home", tmp_path / "nowhere") == 1
    assert "hpo run" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_postgresql_is_reached_with_the_driver_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def wsgi(url: str) -> None:
        asked.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr("hpo.storage.open.open_store", lambda url, readonly: io.StringIO())
    monkeypatch.setattr("optuna_dashboard.wsgi", wsgi)
    assert called("dashboard", "--storage", "postgresql://me:secret@host/db") == 130
    assert asked == ["postgresql+psycopg://me:secret@host/db"]
