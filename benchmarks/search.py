"""What a search has found after the epochs of 10, 20 and 40 full trainings, beside plain Optuna and simple rules.

    python -m benchmarks.search [--seeds 20] [--tasks figures|design] [--ours "NAME=LINES" ...] [--marks 10 20 40]

Nothing is trained: curves come from the tables of `benchmarks.curves`, with the noise of real trainings. Searches of
ours run on a real database through the same searcher, pruner and sampler as `hpo run`, with as many trials as the
epochs pay for and as many in flight as their defaults say; each mark is a study of its own, and the confirmation of its
winner is among its epochs. Optuna's run one trial at a time.

The regret is that of the configuration that a side would name as its best, by its true mean: 0 is the best known, 1 the
median random configuration. Printed: the mean over tasks and seeds with its standard error, for each mark the ratio to
the best of Optuna's TPE alone, with Hyperband and with median, and on how many tasks ours is ahead.
"""

from __future__ import annotations

import argparse
import math
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.curves import DESIGN, EPOCHS, FIGURES
from benchmarks.curves.surrogate import Curves
from benchmarks.machine import processor
from hpo import __version__
from hpo.registry.reopening import go_on
from hpo.registry.studies import register_study
from hpo.runtime.setup.starts import starts_of
from hpo.search.confirmation import conclude, configurations, next_round, trainings
from hpo.search.searcher import Asked, Searcher
from hpo.seeds import DEFAULT_CONFIGURATION
from hpo.space.default import default_configuration
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec

MARKS = (10, 20, 40)
PROMOTED = 0.3
"""Share of a full training that promotion, with its rungs at a ninth, a third and all of it, spends on a trial: 0.267
in the long run, more where a search is short, as who is ahead changes while few have arrived."""
Params = dict[str, Any]
Side = Callable[[Curves, int, Sequence[int]], list[Params | None]]
"""The configuration that it would name at each mark, None where it has none; for a seed and the marks."""


def optunas(sampler: Callable[[int], BaseSampler], pruner: Callable[[], BasePruner]) -> Side:
    """A plain script: one trial at a time, its best finished trial."""

    def run(curves: Curves, seed: int, marks: Sequence[int]) -> list[Params | None]:
        study = optuna.create_study(direction="maximize", sampler=sampler(seed), pruner=pruner())
        spent, found = 0, []
        while True:
            trial = study.ask(curves.parameters)
            curve = curves.curve(trial.params, trial.number)
            for epoch, value in enumerate(np.maximum.accumulate(curve), start=1):
                while len(found) < len(marks) and spent >= marks[len(found)] * EPOCHS:
                    done = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
                    found.append(max(done, key=lambda t: t.value or 0.0).params if done else None)
                if len(found) == len(marks):
                    return found
                spent += 1
                trial.report(float(value), epoch)
                if epoch < EPOCHS and trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    break
            else:
                study.tell(trial, float(curve.max()))

    return run


def waves(epochs: int, wave: int, best: int, sampler: Callable[[int], BaseSampler]) -> Side:
    """A simple rule: of each wave of trials the best go on to the end, judged by their value at an epoch."""

    def run(curves: Curves, seed: int, marks: Sequence[int]) -> list[Params | None]:
        study = optuna.create_study(direction="maximize", sampler=sampler(seed))
        spent, found, top = 0, [], (-math.inf, None)
        while True:
            asked = [study.ask(curves.parameters) for _ in range(wave)]
            known = [(trial, curves.curve(trial.params, trial.number)) for trial in asked]
            for trial, curve in known:
                study.tell(trial, float(curve[:epochs].max()))
            leading = sorted(known, key=lambda one: -one[1][:epochs].max())[:best]
            for cost, ended in [*((epochs, None) for _ in known), *((EPOCHS - epochs, one) for one in leading)]:
                spent += cost
                while len(found) < len(marks) and spent > marks[len(found)] * EPOCHS:
                    found.append(top[1])
                if len(found) == len(marks):
                    return found
                if ended is not None:
                    top = max(top, (float(ended[1].max()), ended[0].params), key=lambda one: one[0])

    return run


def ours(lines: str) -> Side:
    """A study of this program with these lines in its table [search], after those of [study] and a bar, if any."""

    def run(curves: Curves, seed: int, marks: Sequence[int]) -> list[Params | None]:
        return [_study(curves, seed, lines, mark * EPOCHS) for mark in marks]

    return run


def _study(curves: Curves, seed: int, lines: str, epochs: int) -> Params | None:
    of_study, _, lines = lines.rpartition("|")
    confirming = _trainings(epochs) * EPOCHS
    share = 1.0 if 'pruner = "none"' in lines else PROMOTED
    trials = math.ceil((epochs - confirming) / EPOCHS / share)
    text = curves.task.text(f"trials = {trials}\n{lines}", name=curves.task.name)
    spec = parse_study(text.replace("[study]", f"[study]\nseed = {seed}\n{of_study}"), "curves.toml")
    with (
        tempfile.TemporaryDirectory(dir=_memory()) as folder,
        closing(open_store(sqlite_url(Path(folder)))) as store,
    ):
        study_id = register_study(
            store,
            name=spec.study.name,
            direction=spec.study.directions[0],
            metric=spec.study.metric,
            spec_text=text,
            source="curves.toml",
            fingerprint="0" * 64,
            dataset_fingerprint="0" * 64,
            seed=seed,
            hpo_version=__version__,
        )
        searcher = Searcher(spec, store, store, study_id, starts=starts_of(spec, store))
        with store.transaction():
            _search(spec, searcher, store, curves, epochs - confirming)
        return _winner(spec, searcher, curves)


def _trainings(epochs: int) -> int:
    """How many trainings of the confirmation the epochs pay for, beside a search that is long enough for them."""
    return next((n for n in range(epochs // EPOCHS, 0, -1) if trainings(0.1, epochs - n * EPOCHS, EPOCHS) >= n), 0)


def _winner(spec: StudySpec, searcher: Searcher, curves: Curves) -> Params | None:
    """The best configuration after the repeats that the search pays for, as `hpo.runtime.confirmation` finds it."""
    spent = sum(len(trial.intermediate_values) for trial in searcher.all_trials())
    count = trainings(spec.confirm, spent, EPOCHS)
    finished = {t.number: t for t in searcher.leading()}
    if not finished:
        return None
    if not count:
        kept = {t.number for t in searcher.ranking()[: spec.checkpoints.keep]}
        return dict(next(t.params for number, t in finished.items() if number in kept))
    default = default_configuration(spec)
    assert default is not None
    best = list(finished)[: configurations(count) - 1]
    params = {number: finished[number].params for number in best} | {DEFAULT_CONFIGURATION: default[0]}
    values: dict[int, list[float | None]] = {number: [] for number in params}
    lengths = dict.fromkeys(params, EPOCHS)
    left = count * EPOCHS
    while missing := next_round(values, DEFAULT_CONFIGURATION, lengths, left):
        for number, repeat in missing:
            curve = curves.curve(params[number], 1_000_000 * repeat + number + 1)
            values[number].append(float(curve.max()))
        left -= len(missing) * EPOCHS
    searched = {number: curves.sign * (finished[number].value or 0.0) for number in best}
    found = conclude(values, searched, {}, DEFAULT_CONFIGURATION)
    return dict(params[found.winner] if found else finished[best[0]].params)


def _search(spec: StudySpec, searcher: Searcher, store: Any, curves: Curves, epochs: int) -> None:
    """Advances all trials in flight by an epoch at a time, as the loop of a run does, until the epochs are spent."""
    flight: dict[int, Asked] = {}
    curve: dict[int, np.ndarray] = {}
    spent = begun = 0
    while spent < epochs:
        free, left = spec.concurrency - len(flight), spec.search.trials - begun
        going = go_on(store, searcher.study_id, searcher.promotable(last=left <= 0)[:free]) if free else []
        flight |= {one.number: one for one in searcher.running(going)} if going else {}
        asked = searcher.ask(min(free - len(going), left))
        begun += len(asked)
        flight |= {one.number: one for one in asked}
        if not flight:
            return
        for number, one in sorted(flight.items()):
            params = store.get_trial(one.trial_id).params
            if number not in curve:
                curve[number] = curves.sign * curves.curve(params, number)
            epoch = len(searcher.curve(one.trial_id)) + 1
            searcher.report(one.trial_id, epoch, float(curve[number][epoch - 1]))
            spent += 1
        for number, one in sorted(flight.items()):
            assert one.config is not None
            decision = searcher.decide(one.trial_id, one.config)
            if decision.ended is not None:
                searcher.tell(one.trial_id, decision.state, decision.ended, {})
                del flight[number]
    for one in flight.values():
        cut = searcher.cut(one.trial_id, "epochs")
        assert cut.ended is not None
        searcher.tell(one.trial_id, cut.state, cut.ended, {})


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


TPE = "Optuna: TPE"
OPTUNA: dict[str, Side] = {
    TPE: optunas(lambda seed: TPESampler(seed=seed), NopPruner),
    "Optuna: TPE + Hyperband": optunas(lambda seed: TPESampler(seed=seed), HyperbandPruner),
    "Optuna: TPE + median": optunas(lambda seed: TPESampler(seed=seed), MedianPruner),
}
RULES: dict[str, Side] = {
    "random": optunas(lambda seed: RandomSampler(seed=seed), NopPruner),
    "32 random trials for 8 epochs, the best 2 to the end": waves(8, 32, 2, lambda seed: RandomSampler(seed=seed)),
    "TPE on the value at epoch 8, the best 2 of 16 to the end": waves(8, 16, 2, lambda seed: TPESampler(seed=seed)),
}


@cache
def _curves(name: str) -> Curves:
    return Curves(next(task for task in (*DESIGN, *FIGURES) if task.name == name))


def _regrets(task: str, side: str, lines: str | None, seed: int, marks: Sequence[int]) -> list[float]:
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves = _curves(task)
    run = ours(lines) if lines is not None else (OPTUNA | RULES)[side]
    return [1.0 if params is None else float(curves.regrets([params])[0]) for params in run(curves, seed, marks)]


def _table(
    found: dict[str, np.ndarray], tasks: Sequence[str], named: Sequence[str], marks: Sequence[int]
) -> Iterator[str]:
    """`found`: regrets of each side, of shape (tasks, seeds, marks)."""
    yield f"| search | {' | '.join(map(str, marks))} |"
    yield f"|---|{'---|' * len(marks)}"
    for side, regrets in found.items():
        # Seeds are drawn within tasks, which are given.
        means = regrets.mean(axis=(0, 1))
        errors = np.sqrt((regrets.var(axis=1, ddof=1) / regrets.shape[1]).mean(axis=0) / regrets.shape[0])
        yield f"| {side} | {' | '.join(f'{m:.3f} ± {e:.3f}' for m, e in zip(means, errors, strict=True))} |"
    best = np.min([found[side].mean(axis=(0, 1)) for side in OPTUNA], axis=0)
    plain = found[TPE].mean(axis=(0, 1))
    rules = " | ".join(f"behind {rule}" for rule in RULES)
    yield f"\n| ours | to the best of Optuna's | to {TPE} | {rules} |"
    yield f"|---|---|---|{'---|' * len(RULES)}"
    for side in named:
        ratio, to_plain = (
            " / ".join(f"{r:.2f}" for r in found[side].mean(axis=(0, 1)) / other) for other in (best, plain)
        )
        behind = []
        for rule in RULES:
            worse = (found[side].mean(axis=1) > found[rule].mean(axis=1)).sum(axis=0)
            behind.append(" / ".join(f"{n} of {len(tasks)}" for n in worse))
        yield f"| {side} | {ratio} | {to_plain} | {' | '.join(behind)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tasks", choices=["figures", "design"], default="figures")
    parser.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="NAME=LINES",
        help="of [search], after those of [study] and |; with ; between",
    )
    parser.add_argument("--marks", type=int, nargs="+", default=MARKS, help="full trainings whose epochs are spent")
    parser.add_argument("--only-ours", action="store_true", help="without the other sides")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    tasks = [task.name for task in (FIGURES if args.tasks == "figures" else DESIGN)]
    given = (text.replace(";", "\n").split("=", 1) for text in args.ours)
    named = {"hpo, defaults": ""} | dict(given)
    sides = ([] if args.only_ours else [(side, None) for side in (*OPTUNA, *RULES)]) + list(named.items())
    with get_context("spawn").Pool(args.jobs) as pool:
        jobs = {
            side: [
                [pool.apply_async(_regrets, (task, side, lines, seed, args.marks)) for seed in range(args.seeds)]
                for task in tasks
            ]
            for side, lines in sides
        }
        found = {side: np.array([[one.get() for one in row] for row in rows]) for side, rows in jobs.items()}
    print(f"{processor()}, optuna {optuna.__version__}, Python {platform.python_version()}, n = {args.seeds} seeds")
    print(f"{len(tasks)} tasks: {', '.join(tasks)}\n")
    if args.only_ours:
        for side, regrets in found.items():
            print(side, regrets.mean(axis=(0, 1)).round(3), regrets.mean(axis=1).round(2).tolist())
    else:
        print("\n".join(_table(found, tasks, list(named), args.marks)))


if __name__ == "__main__":
    main()
