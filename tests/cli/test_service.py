"""The commands of the service: submitting, following, steering, and what the process list and the log show."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text, update

from hpo.database.tables import hpo_studies
from hpo.registry import leases, studies
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.cli.runs import LIMIT, Project

LONG = {"training": "epochs = 400", "search": 'trials = 9\nconcurrency = 3\npruner = "none"'}

GRID = {
    "norm": 'kind = "none"',
    "dropout": "p = { choice = [0.0, 0.2] }",
    "optimizer": 'name = "adam"\nlearning_rate = 0.01',
    "training": "epochs = 2",
}
"""With two sizes of the model, four combinations."""


@contextmanager
def worker(project: Project, *arguments: object) -> Iterator[Any]:
    process = project.start("worker", "--lease", 5, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def json_of(project: Project, *arguments: object) -> Any:
    done = project.hpo(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for(project: Project, condition: Callable[[Any], bool]) -> Any:
    """Waits until what `hpo show` would say of the study is so."""
    from hpo.cli.terminal.status import study_details

    deadline = time.monotonic() + LIMIT
    while True:
        with closing(open_store(sqlite_url(project.folder / "runs"), readonly=True)) as store:
            found = study_details(store, "small")
        if condition(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(project: Project, *arguments: object) -> str:
    done = project.hpo(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_submitting_to_the_end(project: Project) -> None:
    project.write(training="epochs = 120", search='trials = 3\nconcurrency = 3\npruner = "none"')
    assert "Study small is submitted." in said(project, "submit", "small.toml")
    assert json_of(project, "studies")[0]["workers"] == 0
    assert "To continue: hpo worker" in said(project, "show", "small")
    with worker(project) as first:
        found = wait_for(project, lambda found: found.epochs_spent > 20)
        (at_work,) = found.worker_status
        assert (at_work.pid, at_work.trials, at_work.alive) == (first.pid, 3, True)
        assert {trial.worker for trial in found.in_training} == {at_work.name}
        shown = said(project, "show", "small")
        assert f"  {at_work.name}: 3 trials" in shown
        assert re.search(rf"trial 0: epoch \d+, [\d.]+, {at_work.name}", shown)
        assert "workers" in said(project, "studies").splitlines()[0]

        assert "hpo resume small" in said(project, "stop", "small")
        found = wait_for(project, lambda found: not found.workers)
        assert (found.state, found.running) == ("stopped", 3)
        assert said(project, "resume", "small") == "Study small continues.\n"
        wait_for(project, lambda found: found.workers)

        first.send_signal(signal.SIGTERM)
        _, log = first.communicate(timeout=LIMIT)
    assert first.returncode == 0, log
    assert "it holds nothing" in log
    with closing(open_store(sqlite_url(project.folder / "runs"))) as store:
        study_id = studies.study_row(store, "small").study_id
        assert (leases.workers(store), leases.holders(store, study_id)) == ([], {})
    assert not [line for line in log.splitlines() if "dropped" in line or "drops" in line or "trained again" in line]
    assert re.search(r"small: left, (stopped|this worker is to end)\n", log)

    assert said(project, "extend", "small", "--trials", 5) == "Study small has a budget of 5 trials.\n"
    assert "train 125 epochs; 0 that had ended continue" in said(project, "extend", "small", "--epochs", 125)
    watch = project.start("show", "small", "--watch")
    with worker(project):
        out, _ = watch.communicate(timeout=LIMIT)
        assert watch.returncode == 0
    assert "small: finished, 5 trials" in out
    found = json_of(project, "show", "small")
    assert (found["finished"], found["epochs_spent"], found["running"]) == (5, 625, 0)
    assert found["winner"] is not None
    assert not any(trial["epochs"] != 125 for trial in found["best_trials"])
    # Its report, and the way back to `hpo run`, which finds nothing left to do.
    said(project, "report", "small")
    assert {trial["epochs"] for trial in project.trials()} == {"125"}


def test_what_cannot_be_done_is_said(project: Project) -> None:
    done = project.hpo("stop", "small")
    assert done.returncode == 1
    assert "no database at" in done.stderr
    assert not (project.folder / "runs").exists()
    said(project, "submit", "small.toml")
    for arguments, message in (
        (("resume", "small"), "is not stopped"),
        (("extend", "small"), "Nothing to extend"),
        (("extend", "small", "--pruned"), "add --epochs N"),
        (("extend", "small", "--trials", 3), "has 8 already"),
        (("extend", "small", "--epochs", 12), "train 12 already"),
        (("run", "small.toml"), "was submitted to workers"),
        (("stop", "smal"), "Did you mean 'small'?"),
        (("worker", "--device", "abacus"), "--device abacus"),
        (("worker", "--checkpoints", "ftp://x/y"), "must be a folder"),
        (("worker", "--checkpoints", "small.toml/x"), "Name another place with --checkpoints"),
    ):
        done = project.hpo(*arguments)
        assert (done.returncode, message in done.stderr) == (2, True), (arguments, done.stderr)


def test_submitting_again_says_what_changes(project: Project) -> None:
    search = 'trials = 8\nconcurrency = 3\npruner = "none"'
    project.write(search=search)
    assert said(project, "submit", "small.toml", "--priority", 3) == "Study small is submitted.\n"
    assert said(project, "submit", "small.toml") == "Study small has priority 3 and a budget of 8 trials.\n"
    said(project, "extend", "small", "--trials", 20)
    said(project, "stop", "small")
    project.write(search=search + "\nepochs = 500")
    assert said(project, "submit", "small.toml", "--priority", 1).splitlines() == [
        "Study small has priority 1 (before: 3) and a budget of 8 trials (before: 20), "
        "500 epochs (before: any number).",
        "It is stopped. To continue it: hpo resume small",
    ]
    assert json_of(project, "studies")[0]["priority"] == 1


def test_submitting_what_has_ended_leaves_it_so_unless_there_is_something_to_train(project: Project) -> None:
    search = 'trials = 4\nconcurrency = 3\npruner = "none"\nepochs = 40'
    project.write(search=search)
    project.run()
    ended = json_of(project, "show", "small")
    assert (ended["state"], ended["epochs_spent"]) == ("finished", 40)
    for arguments, first in (
        ((), "Study small is submitted."),
        ((), "Study small has priority 0 and a budget of 4 trials, 40 epochs."),
        (("--priority", 2), "Study small has priority 2 (before: 0) and a budget of 4 trials, 40 epochs."),
        # Another budget is spent.
        (("--trials", 9), "Study small has priority 2 and a budget of 9 trials (before: 4), 40 epochs."),
    ):
        told = said(project, "submit", "small.toml", *arguments).splitlines()
        assert told[0] == first
        assert told[1].startswith("It has ended, and its budgets leave nothing to train.")
        assert "hpo extend" not in told[1], "it would be refused"
        now = json_of(project, "show", "small")
        assert all(now[key] == ended[key] for key in ("state", "finished_at", "winner", "test", "running"))
    project.run()
    said(project, "submit", "small.toml")
    project.write(search=search.replace("40", "1000"))
    (line,) = said(project, "submit", "small.toml").splitlines()
    assert "1000 epochs (before: 40)" in line
    assert json_of(project, "show", "small")["running"] == 1
    with worker(project):
        found = wait_for(project, lambda found: found.state == "finished")
    assert (found.finished, found.epochs_spent) == (4, 48)


def test_fewer_trials_than_there_are_and_more_than_a_grid_has(project: Project) -> None:
    project.write(search='trials = 3\nsampler = "grid"', **GRID)
    project.run()
    said(project, "submit", "small.toml")
    for trials in (2, 3):
        done = project.hpo("extend", "small", "--trials", trials)
        assert (done.returncode, "has 3 already" in done.stderr) == (2, True)
    assert "has a budget of 4 trials, its whole grid." in said(project, "extend", "small", "--trials", 9)
    done = project.hpo("extend", "small", "--trials", 9)
    assert (done.returncode, "has only 4 combinations, and it has all of them" in done.stderr) == (2, True)
    assert "It has 3 trials already" in said(project, "submit", "small.toml", "--trials", 2)


def test_a_password_shows_nowhere(new_database: Callable[[], str], project: Project, tmp_path: Path) -> None:
    secret = "c0rrect/horse"
    url = make_url(new_database()).set(password=secret).render_as_string(hide_password=False)
    assert secret not in url, "it is spelled otherwise in a URL"
    spellings = (secret, "c0rrect%2Fhorse", "c0rrect%2fhorse")
    printed = [project.hpo("submit", "small.toml", "--storage", url)]
    process = project.start("worker", "--storage", url, "--lease", 5)
    assert process.stderr is not None
    try:
        log = [process.stderr.readline()]
        assert "begins at postgresql" in log[0]
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert "worker" in command
        while "ended; the winner" not in log[-1]:
            log.append(process.stderr.readline())
            assert log[-1], "the worker ended"
        process.terminate()
        log.append(process.communicate(timeout=LIMIT)[1])
    finally:
        process.kill()
    printed += [project.hpo("show", "small", "--storage", url), project.hpo("report", "small", "--storage", url)]
    wrong = url.replace("/test_", "/no_such_")
    printed.append(project.hpo("worker", "--storage", wrong))
    assert printed[-1].returncode == 1
    texts = [command, *log, *(done.stdout + done.stderr for done in printed)]
    assert not [text for text in texts for spelling in spellings if spelling in text]
    files = [path for path in (project.folder / "runs").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".pt", ".html"}
    assert not [path for path in files for spelling in spellings if spelling.encode() in path.read_bytes()]


def stop_between_transactions(process: subprocess.Popen[str], store: Store) -> None:
    """SIGSTOP; in the middle of a transaction, the process would keep its locks."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)  # what has been sent to the server is done by then
        with store.reading() as connection:
            # A statement that is still being executed may leave a transaction open, too.
            at_work = "state <> 'idle' AND datname = current_database() AND pid <> pg_backend_pid()"
            if not connection.execute(text(f"SELECT count(*) FROM pg_stat_activity WHERE {at_work}")).scalar():
                return True
        process.send_signal(signal.SIGCONT)
        return False

    wait_until(stopped)


def test_a_run_has_its_study_for_itself_from_any_home_until_it_is_gone(
    new_database: Callable[[], str], project: Project
) -> None:
    """Also in the middle of an epoch that lasts longer than anything was noted of it."""
    place = ("--storage", new_database())
    project.write(**LONG | {"training": "epochs = 30"})
    run = project.start("run", "small.toml", "--workers", 1, *place)
    try:
        with closing(open_store(place[1])) as store:
            wait_until(lambda: project.ticks() >= 3)
            stop_between_transactions(run, store)
            store.write(update(hpo_studies).values(noted=None))
            shown = project.hpo("show", "small", *place).stdout
            assert re.search(rf"  hpo run \S+-{run.pid}-\S+: 3 trials", shown), shown
            for arguments in (("submit", "small.toml"), ("run", "small.toml", "--home", "elsewhere")):
                done = project.hpo(*arguments, *place)
                assert done.returncode == 2
                assert f"is being run by `hpo run`, process {run.pid} on " in done.stderr
            done = project.hpo("run", "small.toml", *place)
            assert f"already being run by process {run.pid} (folder " in done.stderr
            run.kill()
            run.wait()
            # From its own home the dead one is known to be dead, so its lease need not end.
            assert project.run(*place).startswith("Study small continues after")
            assert leases.workers(store) == []
            said(project, "submit", "small.toml", "--trials", 10, *place)
    finally:
        run.kill()
        run.communicate()


@pytest.mark.parametrize("option", ["--trials", "--epochs"])
def test_only_a_submitted_study_can_be_extended(option: str, project: Project) -> None:
    project.run()
    done = project.hpo("extend", "small", option, 99)
    assert done.returncode == 2
    assert "was not submitted to workers" in done.stderr


def test_a_study_is_deleted_with_all_it_has(project: Project) -> None:
    project.write(**LONG)
    elsewhere = project.folder / "elsewhere"
    said(project, "submit", "small.toml")
    with worker(project, "--checkpoints", elsewhere):
        wait_for(project, lambda found: found.epochs_spent > 20)
        done = project.hpo("delete", "small", "--yes")
        assert (done.returncode, "Stop it with `hpo stop small`" in done.stderr) == (2, True), done.stderr
        said(project, "stop", "small")
        wait_for(project, lambda found: not found.workers)
    stray = elsewhere / "checkpoints" / "small" / ".best-000001.pt.77"
    stray.touch()
    other = project.folder / "runs" / "checkpoints" / "small-too" / "best-000001.pt"
    other.parent.mkdir(parents=True)
    other.touch()
    files = list(elsewhere.rglob("*.pt*"))
    assert len(files) >= 3

    done = project.hpo("delete", "small")
    assert done.returncode == 2
    assert "Delete the study small with 3 trials and its checkpoints from sqlite" in done.stderr
    assert "nothing was deleted, because nobody answered" in done.stderr
    assert all(file.exists() for file in files)
    project.write(training="epochs = 2")
    assert "hpo.db with `hpo delete small`." in project.hpo("submit", "small.toml").stderr

    assert f"Study small is deleted: 3 trials, {len(files)} checkpoint files.\n" == said(
        project, "delete", "small", "--yes"
    )
    assert [*elsewhere.rglob("*.pt*")] == []
    assert other.exists()
    assert json_of(project, "studies") == []
    assert "No studies yet" in said(project, "studies")
    done = project.hpo("delete", "small", "--yes")
    assert (done.returncode, "It has none" in done.stderr) == (2, True)
    project.run()


def test_checkpoints_that_are_not_to_be_found_are_told(project: Project) -> None:
    project.run()
    kept = project.folder / "runs" / "checkpoints" / "small"
    (kept / next(kept.glob("best-*")).name).unlink()
    left = len([*kept.glob("*.pt")])
    done = project.hpo("delete", "small", "--yes")
    assert f"{left} checkpoint files.\n" in done.stdout
    assert re.search(r"^1 more checkpoint file that it named: not found in /.*runs\.$", done.stderr, re.MULTILINE)


def test_a_worker_says_which_of_its_studies_it_waits_for(project: Project) -> None:
    project.run("--trials", 1)
    project.write(study='name = "other"')
    said(project, "submit", "small.toml")
    names = ("othr", "small", "other")
    with worker(project, *(word for name in names for word in ("--studies", name))) as process:
        log = [process.stderr.readline() for _ in range(3)]
    assert re.search(r"--studies othr: no study 'othr' in .* Did you mean 'other'\?", log[1])
    assert "--studies small: it was not submitted to workers. Waiting for it." in log[2]
