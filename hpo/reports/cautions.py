"""Warnings for readers of a report: reasons to doubt a study's winner, each a plain sentence. No formatting.

Each check takes the evidence and returns sentences; if the evidence does not suffice, it returns none. A new check is
one function and one line in `CHECKS`. The ideas follow Google's tuning playbook: best values near the edge of a range,
too small a budget, winners by chance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from hpo.endings import Ending
from hpo.reports.baselines import behind_simple
from hpo.reports.edges import edge_of, is_coarse
from hpo.reports.evidence import Evidence
from hpo.reports.foreign import sentences
from hpo.reports.parts import repeats_text
from hpo.reports.text import format_number, format_share, label, plural
from hpo.reports.trend import chance_of_rise
from hpo.reports.trials import TrialRow

FEW_FINISHED = 20
"""Finished trials below which a ranking is weak evidence."""
LATE = 0.9
"""A best value counts as late if its trial comes after this share of the trials."""


def cautions(evidence: Evidence) -> tuple[str, ...]:
    """All findings, the gravest first."""
    return tuple(sentence for check in CHECKS for sentence in check(evidence))


def unfinished(e: Evidence) -> list[str]:
    if e.counts.running:
        verb = "has" if e.counts.running == 1 else "have"
        return [f"{plural(e.counts.running, 'trial')} {verb} not ended: this report is a snapshot."]
    return []


def no_winner(e: Evidence) -> list[str]:
    if e.winner is not None:
        return []
    why = " The reasons stand in trials.csv, column ended." if e.counts.ended else ""
    return [f"No trial has finished, so there is no winner.{why}"]


def failures(e: Evidence) -> list[str]:
    failed = [trial for trial in e.trials if trial.state == "FAIL"]
    if not failed:
        return []
    reason = str(failed[0].ended) or "no reason recorded"
    return [f"{plural(len(failed), 'trial')} of {e.counts.ended} failed; the first, trial {failed[0].number}: {reason}"]


def divergences(e: Evidence) -> list[str]:
    diverged = [trial for trial in e.trials if trial.ended.why is Ending.DIVERGED]
    if not diverged or len(diverged) < max(2, 0.2 * e.counts.ended):
        return []
    advice = ": the space reaches into useless regions."
    rates = [rate for trial in diverged if (rate := _learning_rate(trial)) is not None]
    others = [
        rate
        for trial in e.trials
        if trial.state in ("COMPLETE", "PRUNED")
        and trial.ended.why is not Ending.DIVERGED
        and (rate := _learning_rate(trial)) is not None
    ]
    if rates and others and statistics.median(rates) > statistics.median(others):
        advice = (
            ": the space reaches into useless regions. Their learning rates, from "
            f"{format_number(min(rates))} on, are higher than those of the others; a lower highest learning rate would "
            "save their time."
        )
    part = format_share(len(diverged) / e.counts.ended, 0)
    return [f"{len(diverged)} of {e.counts.ended} trials diverged ({part}){advice}"]


def _learning_rate(trial: TrialRow) -> float | None:
    rates = [value for name, value in trial.params.items() if name.endswith(".learning_rate")]
    return float(rates[0]) if rates and not isinstance(rates[0], str) else None


def undefined_metrics(e: Evidence) -> list[str]:
    """Metrics that are undefined because of the data, for every model."""
    found = []
    if count := sum(trial.ended.why is Ending.UNDEFINED for trial in e.trials):
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


def repeated_rows(e: Evidence) -> list[str]:
    return repeats_text(*e.repeats)


def few_trials(e: Evidence) -> list[str]:
    if e.winner is None or e.counts.finished >= FEW_FINISHED or e.grid:
        return []
    way = f" ({e.way_to_more_trials})" if e.way_to_more_trials else ""
    return [f"Only {plural(e.counts.finished, 'trial')} finished: the ranking may change with more trials{way}."]


def edges(e: Evidence) -> list[str]:
    if e.winner is None:
        return []
    found = []
    for name in sorted(e.winner.params):
        side = edge_of(e.winner, name)
        if side is None:
            continue
        distribution = e.winner.distributions[name]
        others = [
            trial
            for trial in e.best_first[:10]
            if trial is not e.winner and trial.distributions.get(name) == distribution
        ]
        alike = sum(edge_of(trial, name) == side for trial in others)
        if is_coarse(e.winner, name) and (not others or alike < len(others) / 2):
            continue
        low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
        company = f" (so do {alike} of the next {len(others)} best)" if alike else ""
        found.append(
            f"The best {name} = {format_number(e.winner.params[name])} lies on the {side} edge of its range "
            f"{format_number(low)} to {format_number(high)}{company}: a wider range may hold a better one."
        )
    return found


def still_improving(e: Evidence) -> list[str]:
    if e.winner is None or not rises(e.winner_curve):
        return []
    epochs = e.winner.epochs
    if e.winner.ended.why is Ending.FINISHED:
        return [f"The winner was still improving at its last epoch ({epochs}): {e.way_to_more_epochs}."]
    if e.winner.ended.why is Ending.BUDGET:
        return [f"The winner was still improving when {e.winner.ended}: a larger budget may do better."]
    return []


def rises(curve: tuple[float, ...]) -> bool:
    """Whether a curve, of which more is better, still rises at its end: its best value lies in its last quarter, and
    its second half has a significant upward trend (Kendall's rank test, 5 %)."""
    recent = curve[-max(4, len(curve) // 2) :]
    if len(recent) < 4 or min(recent) == max(recent):
        return False
    last_quarter = curve[-max(1, len(curve) // 4) :]
    if max(last_quarter) <= max(curve[: len(curve) - len(last_quarter)]):
        return False
    return chance_of_rise(recent) < 0.05


def found_late(e: Evidence) -> list[str]:
    if e.winner is None or e.winner.value is None or len(e.best_first) < FEW_FINISHED or e.grid:
        return []
    begun = e.trials[-1].number + 1
    earlier = [t.value for t in e.best_first if t.value is not None and t.number < LATE * begun]
    if e.winner.number < LATE * begun or not earlier:
        return []
    gain = e.sign * e.winner.value - max(e.sign * value for value in earlier)
    if gain <= (e.noise.error if e.noise else 0.0):
        return []
    way = f" ({e.way_to_more_trials})" if e.way_to_more_trials else ""
    return [
        f"The best value came late (trial {e.winner.number} of {begun}): "
        f"the search had not levelled off, and more trials may do better{way}."
    ]


def within_noise(e: Evidence) -> list[str]:
    if e.winner is None or e.winner.value is None or len(e.best_first) < 2:
        return []
    best = e.winner.value
    values = [trial.value for trial in e.best_first if trial.value is not None]
    near = sum(e.sign * (best - value) <= e.noise.error for value in values) if e.noise else 0
    if e.noise and near > 1:
        return [
            f"{near} finished trials lie within one standard error ({format_number(e.noise.error, 2)}, from "
            f"{e.noise.source}) of the best: their order is mostly chance. "
            + (
                "More repeats (`data.repeats`) or more examples would tell them apart."
                if e.parts.folds > 1
                else "Folds (`data.folds`), which measure each trial on more examples, would tell them apart."
            )
        ]
    tied = [trial.number for trial in e.best_first if trial.value == best]
    if len(tied) > 1 and best == e.best_first[0].value:
        first = min(tied) == e.winner.number
        who = "the earliest of them" if first else f"trial {e.winner.number}, whose test score is known,"
        return [f"{len(tied)} finished trials share the best value; {who} is called the winner."]
    return []


def better_unfinished(e: Evidence) -> list[str]:
    """Trials that ended early with a better value than the winner: only finished trials can win."""
    if e.winner is None or e.winner.value is None:
        return []
    above = [
        trial
        for trial in e.trials
        if trial.state == "PRUNED"
        and trial.value is not None
        and math.isfinite(trial.value)
        and trial.ended.why is not Ending.DIVERGED
        and e.sign * (trial.value - e.winner.value) > (e.noise.error if e.noise else 0.0)
    ]
    if not above:
        return []
    best = max(above, key=lambda trial: (e.sign * (trial.value or 0.0), -trial.number))
    more = f", as did {len(above) - 1} more," if len(above) > 1 else ""
    return [
        f"Trial {best.number} had reached {format_number(best.value)}, better than the winner{more} when it ended "
        f"({best.ended}): only finished trials can win."
    ]


def test_gap(e: Evidence) -> list[str]:
    if e.winner is None or e.winner.value is None:
        return []
    if e.scored_trial is not None and e.scored_trial != e.winner.number:
        return [
            f"The test part was scored with trial {e.scored_trial}, the winner at that time; trial {e.winner.number} "
            "has overtaken it and has no test score."
        ]
    score = e.test.get(e.objective)
    if score is None or e.noise is None or e.noise.test_error is None or not math.isfinite(score):
        return []
    limit = e.noise.limit(math.hypot(e.noise.error, e.noise.test_error))
    if e.sign * (e.winner.value - score) > limit:
        worse = "higher" if e.minimized else "lower"
        return [
            f"The test {label(e.objective)} ({format_number(score)}) is {worse} than the validation score "
            f"({format_number(e.winner.value)}) by more than chance explains ({format_number(limit, 2)}): the search "
            "has fitted the validation part; trust the test score."
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
    behind_simple,
    no_winner,
    unfinished,
    failures,
    undefined_metrics,
    repeated_rows,
    divergences,
    test_gap,
    looked_again,
    better_unfinished,
    edges,
    few_trials,
    within_noise,
    still_improving,
    found_late,
    not_ours,
)
