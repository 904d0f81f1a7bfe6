"""What the database and the search cost, beside plain Optuna on the same rows, both sides in one run.

    python -m benchmarks.storage [--runs 5] [TABLE ...]

Tables: `cycle` (ask, 6 suggests, 10 x report and should_prune, tell), `tpe` (asking at 5,000 finished trials),
`workers` (eight processes on one PostgreSQL), `opening` (a study of 10,000 trials). Our side asks in batches of 32.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.databases import (
    NAME,
    REPORTS,
    Postgresql,
    Sqlite,
    backends,
    distributions,
    for_optuna,
    searcher_of,
)
from benchmarks.machine import processor, spread
from hpo.endings import Ended, Ending
from hpo.storage.open import open_store
from hpo.storage.store import Store

BATCH = 32
PROCESSES = 8
SIZES = (100, 2_000, 10_000)
Backend = Sqlite | Postgresql


def plain_study(url: str, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """The study as a plain Optuna program opens it."""
    storage = optuna.storages.RDBStorage(for_optuna(url))
    return optuna.load_study(study_name=NAME, storage=storage, sampler=sampler, pruner=optuna.pruners.MedianPruner())


def timed(action: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def per_trial(action: Callable[[], Any], trials: int) -> float:
    """Milliseconds of each of the trials that the action makes."""
    return 1e3 * timed(action) / trials


def plain_cycles(study: optuna.Study, count: int) -> None:
    """Trials one after the other, as Optuna's loop does; verdicts are not followed, so that all have ten reports."""
    known = distributions()
    for _ in range(count):
        trial = study.ask(known)
        for epoch in range(1, REPORTS + 1):
            trial.report(0.5 + 0.01 * epoch, epoch)
            trial.should_prune()
        study.tell(trial, 0.6)


def our_cycles(store: Store, sampler: str) -> Callable[[], None]:
    """A batch of trials, an epoch of all in one transaction."""
    searcher = searcher_of(store, sampler)

    def batch() -> None:
        with store.transaction():
            asked = searcher.ask(BATCH)
        for epoch in range(1, REPORTS + 1):
            with store.transaction():
                for trial in asked:
                    assert trial.config is not None
                    searcher.report(trial.trial_id, epoch, 0.5 + 0.01 * epoch)
                    searcher.decide(trial.trial_id, trial.config)
                for trial in asked if epoch == REPORTS else ():
                    searcher.tell(trial.trial_id, TrialState.COMPLETE, Ended(why=Ending.FINISHED), {})

    return batch


def compare(runs: int, plain: Callable[[], float], ours: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Both sides in turn, after one turn that does not count."""
    pairs = [(plain(), ours()) for _ in range(runs + 1)][1:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def cycle(places: list[Backend], runs: int) -> None:
    """Milliseconds of a trial's cycle at several sizes of the study, all in turn: growth compares like moments."""
    print("### A trial's cycle\n")
    print("| database | finished trials | plain Optuna ms | hpo ms | ratio |\n|---|---|---|---|---|")
    grown = []
    for place in places:
        sides: dict[int, tuple[Callable[[], float], Callable[[], float]]] = {}
        with ExitStack() as stack:
            for count in SIZES:
                template = place.filled(count)
                study = plain_study(place.copy(template, f"cycle-plain-{count}", plain=True), RandomSampler(seed=0))
                store = open_store(place.copy(template, f"cycle-ours-{count}", plain=False))
                batch = our_cycles(stack.enter_context(closing(store)), "random")
                plain = partial(per_trial, partial(plain_cycles, study, 3), 3)
                sides[count] = plain, partial(per_trial, batch, BATCH)
            rounds = [{count: (plain(), ours()) for count, (plain, ours) in sides.items()} for _ in range(runs + 1)][1:]
        for count in SIZES:
            row(place.name, f"{count:,}", [each[count][0] for each in rounds], [each[count][1] for each in rounds])
        factors = [each[SIZES[-1]][1] / each[SIZES[0]][1] for each in rounds]
        grown.append(f"{place.name}: our cycle grows {spread(factors)} times from 100 to 10,000 finished trials.")
    print("", *grown, sep="\n")


def tpe(places: list[Backend], runs: int) -> None:
    """Milliseconds to ask for a trial with all parameters, TPE, many finished trials."""
    print("\n### Asking with TPE\n")
    print("| database | finished trials | plain Optuna ms | hpo ms | ratio |\n|---|---|---|---|---|")
    known = distributions()
    for place in places:
        for count in (100, 5_000):
            template = place.filled(count)
            study = plain_study(place.copy(template, f"tpe-plain-{count}", plain=True), TPESampler(seed=0))
            with closing(open_store(place.copy(template, f"tpe-ours-{count}", plain=False))) as store:
                searcher = searcher_of(store, "tpe")

                def plain_ask(study: optuna.Study = study) -> float:
                    asked: list[optuna.Trial] = []
                    spent = timed(lambda: asked.extend(study.ask(known) for _ in range(4)))
                    for trial in asked:
                        study.tell(trial, 0.6)
                    return 1e3 * spent / 4

                def our_ask(store: Store = store, searcher: Any = searcher) -> float:
                    started = time.perf_counter()
                    with store.transaction():
                        asked = searcher.ask(BATCH)
                    spent = time.perf_counter() - started
                    with store.transaction():
                        for trial in asked:
                            store.set_trial_state_values(trial.trial_id, TrialState.COMPLETE, [0.6])
                    return 1e3 * spent / BATCH

                plain, ours = compare(runs, plain_ask, our_ask)
            row(place.name, f"{count:,}", plain, ours)


def plain_worker(url: str, count: int, ready: Barrier) -> None:
    """One plain Optuna process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, known = plain_study(url, RandomSampler()), distributions()

    def objective(trial: optuna.Trial) -> float:
        for name, distribution in known.items():
            trial._suggest(name, distribution)
        return 0.5

    ready.wait()
    study.optimize(objective, n_trials=count)


def our_worker(url: str, count: int, ready: Barrier) -> None:
    """One process of ours: in turn a tick that asks and one that tells."""
    with closing(open_store(url)) as store:
        searcher = searcher_of(store, "random")
        ready.wait()
        for _ in range(count // BATCH):
            with store.transaction():
                asked = searcher.ask(BATCH)
            with store.transaction():
                for trial in asked:
                    searcher.report(trial.trial_id, 1, 0.5)
                    searcher.tell(trial.trial_id, TrialState.COMPLETE, Ended(why=Ending.FINISHED), {})


def rate(work: Callable[..., None], url: str, count: int) -> float:
    """Trials per second of eight processes, from when all are ready until the last has ended."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(PROCESSES + 1)
    processes = [context.Process(target=work, args=(url, count, ready)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    ready.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    assert all(process.exitcode == 0 for process in processes), "a worker failed"
    return PROCESSES * count / (time.perf_counter() - started)


def workers(places: list[Backend], runs: int) -> None:
    """Trials per second of eight processes with a trivial objective, random sampler."""
    print("\n### Eight worker processes on one study\n")
    print("| database | plain Optuna trials/s | hpo trials/s | ratio |\n|---|---|---|---|")
    (place,) = (place for place in places if isinstance(place, Postgresql))
    template, plain, ours = place.filled(0), [], []
    for run in range(min(runs, 3)):
        plain.append(rate(plain_worker, place.copy(template, f"workers-plain-{run}", plain=True), 25))
        ours.append(rate(our_worker, place.copy(template, f"workers-ours-{run}", plain=False), 320))
    ratio = statistics.median(ours) / statistics.median(plain)
    print(f"| {place.name} | {spread(plain)} | {spread(ours)} | {ratio:.1f} |")


def opening(places: list[Backend], runs: int) -> None:
    """Seconds from the URL to all trials of the study in memory; libraries are loaded already."""
    print("\n### Opening a study of 10,000 trials\n")
    print("| database | plain Optuna s | hpo s | ratio |\n|---|---|---|---|")
    for place in places:
        template = place.filled(10_000)
        theirs, own = (place.copy(template, f"opening-{side}", plain=side == "plain") for side in ("plain", "ours"))

        def open_plain(url: str = theirs) -> float:
            return timed(lambda: plain_study(url, RandomSampler()).get_trials(deepcopy=False))

        def open_ours(url: str = own) -> float:
            def read() -> None:
                with closing(open_store(url)) as store:
                    assert len(searcher_of(store, "random").all_trials()) == 10_000

            return timed(read)

        plain, ours = compare(min(runs, 3), open_plain, open_ours)
        ratio = statistics.median(plain) / statistics.median(ours)
        print(f"| {place.name} | {spread(plain)} | {spread(ours)} | {ratio:.1f} |")


def row(place: str, count: str, plain: list[float], ours: list[float]) -> None:
    """One line of a table."""
    ratio = statistics.median(plain) / statistics.median(ours)
    print(f"| {place} | {count} | {spread(plain)} | {spread(ours)} | {ratio:.1f} |", flush=True)


TABLES = {"cycle": cycle, "tpe": tpe, "workers": workers, "opening": opening}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help=f"default: all of {', '.join(TABLES)}")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print(f"{processor()}, Python {platform.python_version()}, optuna {optuna.__version__}, ", end="")
    print(f"SQLAlchemy {sqlalchemy.__version__}; n = {args.runs}, median (range)\n")
    with tempfile.TemporaryDirectory() as folder, backends(Path(folder)) as places:
        for name in args.tables or TABLES:
            TABLES[name](places, args.runs)


if __name__ == "__main__":
    main()
