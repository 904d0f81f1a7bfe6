"""Error rates of the health card: how often a fault that is put into a study is found, and how often sound studies are
accused.

    python -m benchmarks.health [--studies 1000] [--first 0] [FAULT ...]

Studies are simulated: their trials, curves and facts are made as records, without training. A study draws its form at
random: trials, parameters, repeats, where the optimum lies, how strong each parameter is, the noise. Each fault changes
one thing of a sound study. Printed for each fault: the share of faulty studies in which its check is a WARN or a FAIL,
and the share of sound studies in which that check is, with 95 % intervals (Wilson). Then every other check's share of
sound studies.

What is assumed of a sound study: responses of second order in each parameter, each of which explains 10 % of the
variance at least; optima in the middle six tenths of the ranges; normal noise, independent over trials, replicas and
epochs, a third of the spread between trials at most; curves that level off. Half of the
studies are pruned: half of these at the median of the first rung, the others by promotion, where trials pause at three
rungs.
"""

from __future__ import annotations

import argparse
import math
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from hpo.endings import Ended, Ending
from hpo.registry.lone_feature import LoneFeature
from hpo.reports.checks import CHECKS, health
from hpo.reports.evidence import Evidence
from hpo.reports.health import Verdict
from hpo.reports.parts import Parts
from hpo.reports.statistics.noise import noise_of
from hpo.reports.trials import TrialRow, count, ranked
from hpo.signs import Code, Sign

RANGES: dict[str, BaseDistribution] = {
    "optimizer.learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "regularization.l2": FloatDistribution(1e-6, 1e-2, log=True),
    "model.arguments.shift": FloatDistribution(-1.0, 1.0),
    "init.scheme": CategoricalDistribution(("small_normal", "lecun_normal", "kaiming_normal")),
}
"""Searched parameters, of which a study has three or four."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
EPOCHS = 30
RUNGS = (3, 10, EPOCHS)
"""Where trials pause."""
EXAMPLES = 2_000
"""In the validation part, and in the test part."""


@dataclass(kw_only=True)
class Study:
    """What is simulated. Faults change it before the records are made. Lengths are shares of a range, effects and
    noises are accuracies."""

    draw: np.random.Generator
    trials: int
    names: list[str]
    strength: dict[str, float]
    """Standard deviation of the objective that each parameter brings."""
    optimum: dict[str, float]
    """Place of the best value in the range."""
    luck: float
    """Standard deviation over the seeds of a configuration."""
    repeats: int
    wobble: float
    """Standard deviation from epoch to epoch."""
    speed: float
    """Epochs in which a curve gains 63 % of what is left."""
    level: float = 0.7
    """Mean of the objective."""
    classes: tuple[int, ...] = (EXAMPLES // 2, EXAMPLES // 2)
    hidden: float = 0.3
    """What a curve's height at the first rung says nothing of, as a share of the spread of the final values."""
    pruned: bool = False
    promoted: bool = False
    """Whether trials pause at rungs, of which the best third goes on, instead of being pruned for good."""
    adaptive: bool = False
    """Whether the sampler learns from the trials."""
    lone: float = 0.0
    """Share of the winner's gain over a constant that one feature has alone."""
    repeated: tuple[int, int, int] = (0, 0, 0)
    undefined: float = 0.0
    """Share of the trials whose metric is undefined."""
    lucky: float = 0.0
    """What one seed of one mediocre trial gains, in standard deviations over seeds."""
    unscaled: bool = False


def sound(seed: int) -> Study:
    """A study without faults."""
    draw = np.random.default_rng(seed)
    names = list(RANGES)[: int(draw.integers(3, 5))]
    strength = {name: float(draw.uniform(0.01, 0.015)) for name in names}
    spread = math.hypot(*strength.values())
    return Study(
        draw=draw,
        trials=int(draw.integers(80, 201)),
        names=names,
        strength=strength,
        optimum={name: float(draw.uniform(0.2, 0.8)) for name in names},
        luck=spread * float(draw.uniform(0.1, 0.33)),
        repeats=int(draw.choice([3, 5])),
        wobble=spread * float(draw.uniform(0.02, 0.1)),
        speed=float(draw.uniform(1.0, 3.0)),
        hidden=float(draw.uniform(0.1, 0.4)),
        pruned=bool(draw.random() < 0.5),
        adaptive=bool(draw.random() < 0.5),
        lone=float(draw.uniform(0.0, 0.6)),
        repeated=(int(draw.integers(0, 20)), 0, 0),
        promoted=bool(draw.random() < 0.5),
    )


def evidence(study: Study) -> Evidence:
    """The records of a study."""
    draw, n = study.draw, study.trials
    luck_NR = study.luck * draw.standard_normal((n, study.repeats))
    places, effect_N = _drawn(study, luck_NR.mean(1))
    params = [{name: _at(RANGES[name], place) for name, place in one.items()} for one in places]
    of_seed_NR = effect_N[:, None] + luck_NR
    if study.lucky:
        mediocre = int(np.argsort(effect_N)[int(0.6 * n)])
        of_seed_NR[mediocre, int(draw.integers(study.repeats))] += study.lucky * study.luck
    early_N = study.hidden * of_seed_NR.mean(1).std() * draw.standard_normal(n)
    epoch_E = np.arange(1, EPOCHS + 1)
    # What the start of a curve hides decays within the first epochs.
    curve_NE = (
        of_seed_NR.mean(1)[:, None]
        - 0.3 * np.exp(-epoch_E / study.speed)
        + early_N[:, None] * np.exp(-np.maximum(0, epoch_E - 3) / 3.0)
        + study.wobble * draw.standard_normal((n, EPOCHS))
    )
    # The value is that of the last epoch, so that every replica's is its own.
    value_NR = of_seed_NR - 0.3 * math.exp(-EPOCHS / study.speed)
    means, deviations = value_NR.mean(1).tolist(), value_NR.std(1, ddof=1).tolist()
    measured, replicated = curve_NE.tolist(), value_NR.tolist()
    rung = 3
    reached_N = _promoted(curve_NE) if study.pruned and study.promoted else None
    rows, curves, replicas = [], {}, {}
    seen: list[float] = []
    for number in range(n):
        value, epochs, ended, state = means[number], EPOCHS, Ended(why=Ending.FINISHED), "COMPLETE"
        if study.undefined and draw.random() < study.undefined:
            ended, state, epochs = Ended(why=Ending.UNDEFINED, detail="accuracy", epoch=1), "PRUNED", 1
        elif reached_N is not None:
            epochs = reached_N[number]
            if epochs < EPOCHS:
                ended, state = Ended(why=Ending.PRUNED, detail="promotion", epoch=epochs), "PRUNED"
                value = measured[number][epochs - 1]
        elif study.pruned:
            early = float(curve_NE[number, rung - 1])
            insort(seen, early)
            if len(seen) > 5 and early < seen[len(seen) // 2]:
                ended, state, epochs = Ended(why=Ending.PRUNED, detail="hyperband", epoch=rung), "PRUNED", rung
                value = early
        curves[number] = tuple(measured[number][:epochs])
        if state == "COMPLETE":
            replicas[number] = tuple(replicated[number])
        rows.append(_row(study, number, state, value, params[number], ended, epochs, deviations[number]))
    best_first = tuple(ranked(rows, ["maximize"]))
    winner = best_first[0]
    parts = Parts(validation=study.classes, test=study.classes)
    spreads = [trial.spread for trial in best_first[:10] if trial.spread is not None]
    assert winner.value is not None
    winning, share = winner.value, max(study.classes) / sum(study.classes)
    noise = noise_of("accuracy", winning, spreads, study.repeats, parts)
    assert noise is not None
    assert noise.test_error is not None
    test = winning + math.hypot(noise.error, noise.test_error) * float(draw.standard_normal())
    return Evidence(
        objective="accuracy", direction="maximize", function=None, task="classification", counts=count(rows),
        trials=tuple(rows), best_first=best_first, winner=winner, curves=curves, replica_values=replicas,
        winner_metrics={"accuracy": winning}, scored_trial=winner.number,
        test={"accuracy": test}, baselines=(), looks=(0,), foreign=(), repeats=study.repeated,
        lone_feature=LoneFeature(
            name="x3", metric="accuracy", constant=share, features=20, examples=sum(study.classes),
            score=min(1.0, share + study.lone * (winning - share)),
        ),
        parts=parts, confirmation=None, noise=noise, grid=False, way_to_more_trials="",
        way_to_more_epochs="more epochs",
    )  # fmt: skip


def _promoted(curve_NE: Floats) -> list[int]:
    """[n] Epochs of each trial where at every rung the best third of the trials so far goes on at once, also such as
    paused there before."""
    reached = [0] * len(curve_NE)
    for number in range(len(curve_NE)):
        reached[number] = RUNGS[0]
        for at, rung in enumerate(RUNGS[:-1]):
            came = [one for one in range(number + 1) if reached[one] >= rung]
            best = sorted(came, key=lambda one: -curve_NE[one, rung - 1])[: len(came) // 3]
            for one in best:
                reached[one] = max(reached[one], RUNGS[at + 1])
    return reached


def _drawn(study: Study, luck_N: Floats) -> tuple[list[dict[str, float]], Floats]:
    """Places in the ranges, 0 to 1, and the effects of the configurations. An adaptive sampler draws half of the later
    trials around one of the best fifth of those before."""
    draw, n = study.draw, study.trials
    shapes = {name: _shape(study, name) for name in study.names}
    places: list[dict[str, float]] = []
    effect_N, leaders = np.full(n, study.level), np.empty(0, np.int64)
    for number in range(n):
        near = None
        if study.adaptive and number >= 20 and draw.random() < 0.5:
            if number % 10 == 0 or not len(leaders):
                leaders = np.argsort(-(effect_N + luck_N)[:number])[: number // 5]
            near = places[int(leaders[int(draw.integers(len(leaders)))])]
        one = {}
        for name in study.names:
            if near is None or (_is_choice(name) and draw.random() < 0.2):
                one[name] = float(draw.random())
            elif _is_choice(name):
                one[name] = near[name]
            else:
                one[name] = float(abs(1.0 - abs(1.0 - abs(near[name] + 0.1 * draw.standard_normal()))))
            effect_N[number] += study.strength[name] * shapes[name](one[name])
        places.append(one)
    return places, effect_N


def _is_choice(name: str) -> bool:
    return isinstance(RANGES[name], CategoricalDistribution)


def _shape(study: Study, name: str) -> Callable[[float], float]:
    """The effect of a place, with a standard deviation of 1 and a mean of 0 over uniform draws."""
    if _is_choice(name):
        return lambda place: math.sqrt(1.5) * (min(2, int(3 * place)) - 1)
    optimum = study.optimum[name]
    wanted = -((np.linspace(0, 1, 201) - optimum) ** 2)
    mean, deviation = float(wanted.mean()), float(wanted.std())
    return lambda place: (-((place - optimum) ** 2) - mean) / deviation


def _at(distribution: Any, place: float) -> Any:
    """The value at a place of a range."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(2, int(3 * place))]
    low, high = distribution.low, distribution.high
    return float(low * (high / low) ** place) if distribution.log else float(low + (high - low) * place)


def _row(
    study: Study,
    number: int,
    state: str,
    value: float,
    params: Any,
    ended: Ended,
    epochs: int,
    spread: float,
) -> TrialRow:
    signs = (Sign(code=Code.INPUTS_NOT_SCALED, figure=1e4),) if study.unscaled else ()
    return TrialRow(
        number=number, state=state, value=None if ended.why is Ending.UNDEFINED else value, params=params,
        distributions={name: RANGES[name] for name in params}, started=None, completed=None, ended=ended, epochs=epochs,
        best_epoch=epochs, spread=spread if state == "COMPLETE" else None, valid_loss=None,
        seconds=1.0, model_parameters=100, optimizer_state_bytes=0, signs=signs,
    )  # fmt: skip


def pure_noise(study: Study) -> None:
    study.strength = dict.fromkeys(study.names, 0.0)


def leak(study: Study) -> None:
    study.lone = float(study.draw.uniform(0.98, 1.02))


def narrow_range(study: Study) -> None:
    """An optimum beyond the range by a quarter to a half of its width."""
    study.optimum["optimizer.learning_rate"] = 1.0 + float(study.draw.uniform(0.25, 0.5))


def sharp_pruner(study: Study) -> None:
    """It cuts at an epoch at which curves say nothing of their ends."""
    study.pruned, study.promoted, study.hidden = True, False, float(study.draw.uniform(20.0, 40.0))


def duplicate_rows(study: Study) -> None:
    across = int(study.draw.integers(1, 200))
    study.repeated = (across + int(study.draw.integers(0, 20)), 0, across)


def undefined_metric(study: Study) -> None:
    study.undefined = float(study.draw.uniform(0.1, 0.5))


def lucky_seed(study: Study) -> None:
    """One seed of a mediocre trial makes it the winner."""
    study.pruned, study.repeats = False, 3
    study.lucky = 3.0 * (3.0 * math.hypot(*study.strength.values()) / study.luck)


def dead_parameter(study: Study) -> None:
    study.strength[study.names[int(study.draw.integers(len(study.names)))]] = 0.0


def imbalance(study: Study) -> None:
    """Trials that do little but name the most frequent class."""
    rare = int(study.draw.integers(40, 200))
    study.classes = (EXAMPLES - rare, rare)
    error = math.sqrt(rare * (EXAMPLES - rare)) / EXAMPLES**1.5
    study.level = (EXAMPLES - rare) / EXAMPLES
    total = math.hypot(*study.strength.values())
    shrink = error / 3.0 / total
    study.strength = {name: one * shrink for name, one in study.strength.items()}
    study.luck, study.wobble = study.luck * shrink, study.wobble * shrink


def unscaled_data(study: Study) -> None:
    study.unscaled = True


def too_short(study: Study) -> None:
    """Curves that gain a third at least of what is left in the last ten epochs."""
    study.speed = float(study.draw.uniform(10.0, 25.0))


def seeds_decide(study: Study) -> None:
    """Configurations make 2 % of the variance of models at most."""
    study.pruned = False
    study.luck = math.hypot(*study.strength.values()) * float(study.draw.uniform(7.0, 15.0))
    study.strength = {name: one / 50.0 for name, one in study.strength.items()}
    study.luck /= 50.0


FAULTS: dict[str, tuple[Callable[[Study], None], tuple[str, ...]]] = {
    "pure noise": (pure_noise, ("nothing_matters",)),
    "leak": (leak, ("leak",)),
    "narrow range": (narrow_range, ("edges",)),
    "sharp pruner": (sharp_pruner, ("pruning",)),
    "duplicate rows": (duplicate_rows, ("duplicates",)),
    "undefined metric": (undefined_metric, ("undefined_metric",)),
    "lucky seed": (lucky_seed, ("lucky_seed",)),
    "dead parameter": (dead_parameter, ("dead_parameters",)),
    "imbalance": (imbalance, ("imbalance",)),
    "unscaled data": (unscaled_data, ("unscaled_data",)),
    "too short": (too_short, ("still_improving",)),
    "seeds decide": (seeds_decide, ("seeds_decide",)),
}
"""Fault -> what it changes, and the checks that should find it."""


def rates(studies: int, first: int = 0, faults: tuple[str, ...] = tuple(FAULTS)) -> tuple[dict[str, int], Counter[str]]:
    """How many of so many faulty studies were found, by fault; and how many sound ones were accused, by check."""
    found = dict.fromkeys(faults, 0)
    accused: Counter[str] = Counter()
    for seed in range(first, first + studies):
        accused.update(check.code for check in health(evidence(sound(seed))) if check.raised)
        for fault in faults:
            change, codes = FAULTS[fault]
            study = sound(seed)
            change(study)
            records = evidence(study)
            found[fault] += any(CHECKS[code](records).verdict in RAISED for code in codes)
    return found, accused


RAISED = (Verdict.WARN, Verdict.FAIL)


def interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, share = 1.96, count / of
    centre, width = share + z * z / 2 / of, z * math.sqrt(share * (1 - share) / of + z * z / 4 / of / of)
    return max(0.0, (centre - width) / (1 + z * z / of)), min(1.0, (centre + width) / (1 + z * z / of))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], metavar="FAULT")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    options = parser.parse_args()
    began = time.perf_counter()
    faults = tuple(options.faults) or tuple(FAULTS)
    found, accused = rates(options.studies, options.first, faults)
    print(f"{options.studies} sound studies, and as many of each fault; {time.perf_counter() - began:.0f} s\n")
    print("| fault | check | found % | false alarms % |\n|---|---|---|---|")
    for fault in faults:
        codes = FAULTS[fault][1]
        print(f"| {fault} | {', '.join(codes)} | {_told(found[fault], options.studies)} |", end="")
        print(f" {_told(max(accused[code] for code in codes), options.studies)} |")
    named = {code for _, codes in FAULTS.values() for code in codes}
    rest = [f"{code} {_told(count, options.studies)}" for code, count in accused.most_common() if code not in named]
    print(f"\nOther checks, of sound studies: {'; '.join(rest) or 'none'}")


def _told(count: int, of: int) -> str:
    low, high = interval(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
