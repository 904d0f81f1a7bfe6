"""What a reader should know before trusting a study's winner: one plain sentence for each finding. No formatting.

Each check takes the facts computed so far and returns sentences, so that adding one is a function and a line in
`CHECKS`. The ideas follow Google's tuning playbook: best values near an edge, too little budget, winners by luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo import endings
from hpo.reports.foreign import sentences
from hpo.reports.text import label, number, plural, share

if TYPE_CHECKING:
    from hpo.reports.facts import BalanceRow
    from hpo.reports.foreign import ForeignTrial
    from hpo.reports.trials import Counts, TrialRow

EDGE = 0.05
"""Share of a range, on its own (linear or logarithmic) scale, that counts as its edge."""
FEW_FINISHED = 20
"""Finished trials below which a ranking is weak evidence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the checks look at."""

    objective: str
    counts: Counts
    trials: Sequence[TrialRow]
    best_first: Sequence[TrialRow]
    """Finished trials."""
    winner: TrialRow | None
    scored_trial: int | None
    """Number of the trial that was scored on the test part."""
    test: Mapping[str, float | None]
    balance: Sequence[BalanceRow]
    looks: Sequence[int] = ()
    """Numbers of the trials that were scored on the test part, one after the other."""
    foreign: Sequence[ForeignTrial] = ()
    """Trials that are not this program's."""

    def examples(self, part: str) -> int:
        """Examples of a part of the data; 0 if its balance is not recorded."""
        return sum(row.count for row in self.balance if row.part == part)


def cautions(evidence: Evidence) -> tuple[str, ...]:
    """All findings, the gravest first."""
    return tuple(sentence for check in CHECKS for sentence in check(evidence))


def unfinished(e: Evidence) -> list[str]:
    if e.counts.running:
        return [f"{plural(e.counts.running, 'trial')} still running: this report is a snapshot."]
    return []


def no_winner(e: Evidence) -> list[str]:
    if e.winner is None:
        return ["No trial has finished, so there is no winner. The reasons stand in trials.csv, column ended."]
    return []


def failures(e: Evidence) -> list[str]:
    failed = [trial for trial in e.trials if trial.state == "FAIL"]
    diverged = [trial for trial in e.trials if endings.has_diverged(trial.ended)]
    found = []
    if failed:
        reason = failed[0].ended or "no reason recorded"
        found.append(
            f"{plural(len(failed), 'trial')} of {e.counts.ended} failed; the first, trial {failed[0].number}: {reason}"
        )
    if e.counts.ended and len(diverged) >= max(2, 0.2 * e.counts.ended):
        found.append(
            f"{len(diverged)} of {e.counts.ended} trials diverged ({share(len(diverged) / e.counts.ended, 0)}): "
            "the space reaches into useless regions; a lower highest learning rate would save their time."
        )
    return found


def undefined(e: Evidence) -> list[str]:
    """What has no value because of the data, whatever is trained."""
    found = []
    if count := sum(endings.is_undefined(trial.ended) for trial in e.trials):
        found.append(
            f"{plural(count, 'trial')} of {e.counts.ended} ended because {label(e.objective)} is undefined on their "
            "validation part, where targets may be all alike: training did not fail. Another objective, larger parts "
            "or fewer folds give every trial a value."
        )
    if e.objective in e.test and e.test[e.objective] is None:
        found.append(
            f"The test {label(e.objective)} is undefined: the test part's targets are all alike, so that nothing "
            "confirms the validation score. A larger test part, in a study of another name, would."
        )
    return found


def few_trials(e: Evidence) -> list[str]:
    if e.winner is not None and e.counts.finished < FEW_FINISHED:
        return [
            f"Only {plural(e.counts.finished, 'trial')} finished: the ranking may change with more trials "
            "(raise `search.trials` and run the study again)."
        ]
    return []


def edge_of(trial: TrialRow, name: str) -> str | None:
    """`lower` or `upper` if the trial's value lies on that edge of its range.

    Where a range starts at the least value a parameter can have (0 for rates and shares, 1 for counts) its lower
    edge cannot be moved, and lying there is no finding.
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    distribution = trial.distributions.get(name)
    if not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.low >= distribution.high:
        return None
    low, high, value = float(distribution.low), float(distribution.high), float(trial.params[name])
    immovable = low == 0.0 or (isinstance(distribution, IntDistribution) and low == 1.0)
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    position = (value - low) / (high - low)
    if position <= EDGE and not immovable:
        return "lower"
    return "upper" if position >= 1.0 - EDGE else None


def edges(e: Evidence) -> list[str]:
    if e.winner is None:
        return []
    found = []
    for name in sorted(e.winner.params):
        side = edge_of(e.winner, name)
        if side is None:
            continue
        distribution = e.winner.distributions[name]
        low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
        others = [trial for trial in e.best_first[:10] if name in trial.params and trial is not e.winner]
        alike = sum(edge_of(trial, name) == side for trial in others)
        company = f" (so do {alike} of the next {len(others)} best)" if alike else ""
        found.append(
            f"The best {name} = {number(e.winner.params[name])} lies on the {side} edge of its range "
            f"{number(low)} to {number(high)}{company}: a wider range may hold a better one."
        )
    return found


def still_improving(e: Evidence) -> list[str]:
    longest = max((trial.epochs for trial in e.trials), default=0)
    if e.winner is None or longest < 2 or e.winner.best_epoch is None:
        return []
    if e.winner.best_epoch == e.winner.epochs == longest:
        return [f"The winner was still improving at its last epoch ({longest}): more `training.epochs` may do better."]
    return []


def found_late(e: Evidence) -> list[str]:
    if e.winner is None or len(e.best_first) < FEW_FINISHED:
        return []
    before = sum(trial.number < e.winner.number for trial in e.trials)
    if before >= 0.9 * len(e.trials) and e.best_first[1].value != e.winner.value:
        return [
            f"The best value came late (trial {e.winner.number} of {e.trials[-1].number + 1}): "
            "the search had not levelled off, and more trials may do better."
        ]
    return []


def accuracy_error(accuracy: float, examples: int) -> float:
    """Standard error of an accuracy measured on independent examples (binomial, with Agresti and Coull's centre)."""
    centre = (accuracy * examples + 2.0) / (examples + 4.0)
    return math.sqrt(centre * (1.0 - centre) / (examples + 4.0))


def within_noise(e: Evidence) -> list[str]:
    examples = e.examples("validation")
    if e.winner is None or e.winner.value is None or len(e.best_first) < 2:
        return []
    best = e.winner.value
    if e.objective == "accuracy" and examples:
        error = accuracy_error(best, examples)
        near = sum(1 for trial in e.best_first if trial.value is not None and best - trial.value <= error)
        if near > 1:
            return [
                f"{near} finished trials lie within one standard error ({number(error, 2)}, {examples} validation "
                "examples) of the best: their order is mostly chance. Folds or repeats would tell them apart."
            ]
    tied = sum(trial.value == best for trial in e.best_first)
    if tied > 1:
        return [f"{tied} finished trials share the best value; the earliest of them is called the winner."]
    return []


def test_gap(e: Evidence) -> list[str]:
    if e.winner is None or e.winner.value is None:
        return []
    if e.scored_trial is not None and e.scored_trial != e.winner.number:
        return [
            f"The test part was scored with trial {e.scored_trial}, the winner at that time; trial {e.winner.number} "
            "has overtaken it and has no test score."
        ]
    score, validated, tested = e.test.get(e.objective), e.examples("validation"), e.examples("test")
    if score is None or e.objective != "accuracy" or not validated or not tested:
        return []
    error = math.hypot(accuracy_error(e.winner.value, validated), accuracy_error(score, tested))
    if e.winner.value - score > 2.0 * error:
        return [
            f"The test {label(e.objective)} ({number(score)}) is lower than the validation score by more than two "
            "standard errors: the search has fitted the validation part; trust the test score."
        ]
    return []


def looked_again(e: Evidence) -> list[str]:
    if len(e.looks) > 1:
        return [
            f"The test part was looked at {len(e.looks)} times, with trials {', '.join(map(str, e.looks))}, since the "
            "study was continued: it is not quite unseen any more."
        ]
    return []


def not_ours(e: Evidence) -> list[str]:
    return sentences(e.foreign)


CHECKS: tuple[Callable[[Evidence], list[str]], ...] = (
    no_winner,
    unfinished,
    failures,
    undefined,
    test_gap,
    looked_again,
    edges,
    few_trials,
    within_noise,
    still_improving,
    found_late,
    not_ours,
)
