"""Training functions of the user's own: what a report costs, and what a study of them survives.

    python -m benchmarks.functions [--only cost|kills] [--trials 1000] [--kills 20]

`cost`: a function that does nothing but report, ten times, on SQLite. `kills`: a function that sleeps, four workers on
a PostgreSQL of the benchmark's own, and SIGKILLs of workers and of the functions' processes in turn; every trial ends
once, with every epoch, and one that was killed continues from what it saved. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.chaos import Server, server
from benchmarks.crowd import Crowd, inspect
from benchmarks.machine import processor
from hpo.registry.read import read_epochs
from hpo.storage.open import open_store

CODE = """
import os
import time


def train(trial):
    state = trial.resume() or {"epoch": 0, "starts": 0}
    state["starts"] += 1
    (trial.folder / "pid").write_text(str(os.getpid()))
    for epoch in range(state["epoch"] + 1, 11):
        time.sleep(trial.params["sleep"])
        trial.report(epoch, {"score": trial.params["x"] + epoch, "starts": state["starts"], "from": state["epoch"]})
        if trial.params["sleep"]:
            trial.save({"epoch": epoch, "starts": state["starts"]})
        if trial.should_stop():
            return
"""

STUDY = """
[study]
name = "functions"
objective = "score"
direction = "maximize"
[trial]
function = "train.py:train"
arguments = {{ sleep = {sleep}, x = {{ low = 0.0, high = 1.0 }} }}
resources = {{ cpus = 0.25 }}
[training]
epochs = 10
[search]
trials = {trials}
sampler = "random"
pruner = "none"
concurrency = 16
"""


def cost(trials: int) -> str:
    """Wall time and processor time of a report."""
    import hpo

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.toml")
        path.write_text(STUDY.format(sleep=0.0, trials=trials), encoding="utf-8")
        path.with_name("train.py").write_text(CODE, encoding="utf-8")
        import hpo.runtime.local_run  # its loading is no part of the figures

        began, own, others = time.perf_counter(), time.process_time(), _children()
        study = hpo.run(path, home=path.parent / "home", workers=8)
        wall, own, others = time.perf_counter() - began, time.process_time() - own, _children() - others
    assert (study.trials["state"] == "COMPLETE").all()
    reports = 10 * trials
    return (
        f"{trials} trials of ten reports, eight at once | {wall:.0f} s, {1e3 * wall / reports:.1f} ms a report; "
        f"processor time {1e3 * own / reports:.1f} ms of the command and {1e3 * others / reports:.1f} ms of the "
        "trials' processes, their start and the server included"
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kills(postgresql: Server, home: Path, trials: int, count: int) -> str:
    """SIGKILLs of workers and of the functions' processes, in turn."""
    rng = random.Random(0)
    with Crowd(postgresql.database(), home, lease=4.0) as crowd:
        (home / "train.py").write_text(CODE, encoding="utf-8")
        crowd.submit(STUDY.format(sleep=0.5, trials=trials))
        crowd.start(4)
        killed = 0
        for number in range(count):
            crowd.wait_for_progress("functions")
            time.sleep(rng.uniform(0.0, 1.0))
            if number % 2:
                killed += _kill_a_function(home, rng)
            else:
                busy = crowd.busy()
                assert busy, f"the study ended after {number} of {count} kills; give it more --trials"
                crowd.kill(rng.choice(busy))
        crowd.wait_until_ended("functions")
        crowd.drain()
        found = inspect(crowd, "functions", trials)
        with closing(open_store(crowd.url)) as store:
            epochs = read_epochs(store, "functions").frame()
    resumed = epochs[epochs["starts"] > 1]
    assert (resumed["from"] > 0).all(), "a trial continued from nothing, though it had saved something"
    states = ", ".join(f"{number} {state}" for state, number in found.states.items())
    return (
        f"{count} kills ({killed} of functions) with 4 workers on PostgreSQL | {states} of {trials}, "
        f"{resumed['number'].nunique()} trials continued from what they had saved, {found.epochs} epochs, "
        f"{found.wall_seconds:.0f} s"
    )


def _kill_a_function(home: Path, rng: random.Random) -> int:
    """Kills the process of a trial; how many it has killed."""
    files = list((home / "trials" / "functions").glob("*/pid"))
    rng.shuffle(files)
    for file in files:
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if b"hpo: trial" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return 1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["cost", "kills"])
    parser.add_argument("--trials", type=int, help="default: 1000 for cost, 80 for kills")
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    print(f"{processor()}\n\n| what | result |\n| --- | --- |")
    if args.only != "kills":
        print(f"| {cost(args.trials or 1000)} |", flush=True)
    if args.only != "cost":
        with server() as postgresql, tempfile.TemporaryDirectory() as folder:
            print(f"| {kills(postgresql, Path(folder), args.trials or 80, args.kills)} |", flush=True)


if __name__ == "__main__":
    main()
