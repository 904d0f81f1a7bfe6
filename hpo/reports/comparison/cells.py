"""The cells of a comparison that describe rows beside each other. Each function gives a dictionary for each row, by the
names of `hpo.reports.comparison.columns`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from hpo.printable import listed
from hpo.reports.comparison.entries import NAMED, Row, differing
from hpo.reports.comparison.incumbent import Incumbents, reached, span_of, thresholds_of
from hpo.reports.comparison.measures import TEST, Measure, trial_values
from hpo.reports.comparison.rows import comparison_row, merged_row
from hpo.reports.comparison.scores import spread_of
from hpo.reports.comparison.significance import ALPHA, Scores, difference, holm, interval
from hpo.studyfile.records import possible


def described(row: Row) -> dict[str, Any]:
    reports = row.reports
    return {
        **merged_row([comparison_row(report) for report in reports]),
        "study": row.label,
        "studies": len(reports),
        "seeds": listed(dict.fromkeys(report.seed for report in reports), NAMED),
    }


def scored(rows: Sequence[Row], scores: Sequence[Scores], measure: Measure) -> list[dict[str, Any]]:
    """The scores, and the interval of their mean: from the scores, or for a single one from the number of examples."""
    found = []
    for row, of in zip(rows, scores, strict=True):
        ends = interval(of)
        told = f"{len(of.units)} {_units_of(of)}"
        report, noise = row.reports[0], row.reports[0].noise
        if ends is None and noise is not None and of.mean is not None and measure.is_objective_of(report):
            reach = noise.limit(noise.error)
            ends, told = (of.mean - reach, of.mean + reach), noise.source
        if ends is not None and report.function is None:
            ends = possible(measure.name.removeprefix(TEST), *ends)
        found.append(
            {
                "metric": measure.name,
                "score": of.mean,
                "score_low": None if ends is None else ends[0],
                "score_high": None if ends is None else ends[1],
                "score_spread": spread_of(of),
                "scores": len(of.units),
                "scores_of": of.source,
                "interval_from": None if ends is None else told,
            }
        )
    return found


def _units_of(scores: Scores) -> str:
    if scores.folds or scores.clustered:
        return "folds" if scores.folds else "splits"
    return "studies" if scores.source == "studies" else "scores"


def against_first(scores: Sequence[Scores], measure: Measure) -> list[dict[str, Any]]:
    others = [difference(of, scores[0], minimized=measure.minimized) for of in scores[1:]]
    adjusted = holm([other.p for other in others])
    return [
        {},
        *(
            {
                "difference": other.value,
                "difference_low": other.low,
                "difference_high": other.high,
                "p": other.p,
                "p_holm": p,
                "beats_first": other.beats,
                "method": other.method,
            }
            for other, p in zip(others, adjusted, strict=True)
        ),
    ]


def ranked(scores: Sequence[Scores], measure: Measure) -> list[dict[str, Any]]:
    """Ranks by mean, and the ranks that are plausible: those that no significant difference contradicts."""
    means = [of.mean for of in scores]
    count = sum(mean is not None for mean in means)
    better = [0] * len(scores)
    worse = [0] * len(scores)
    for i, first in enumerate(scores):
        for j, second in enumerate(scores[:i]):
            one = difference(first, second, minimized=measure.minimized)
            if one.p is not None and one.p < ALPHA and one.value is not None:
                winner, loser = (i, j) if measure.better(one.value, 0.0) else (j, i)
                better[loser] += 1
                worse[winner] += 1
    return [
        {}
        if mean is None
        else {
            "rank": 1 + sum(other is not None and not measure.better(mean, other) for other in means),
            "rank_low": 1 + better[place],
            "rank_high": count - worse[place],
        }
        for place, mean in enumerate(means)
    ]


def timed(rows: Sequence[Row], curves: Sequence[Sequence[Incumbents]], measure: Measure) -> list[dict[str, Any]]:
    values = [trial_values(report, measure) for row in rows for report in row.reports]
    medians = [median(found.values()) for found in values if found]
    thresholds, span = thresholds_of(curves, medians, measure), span_of(curves)
    found = []
    for of in curves:
        cell: dict[str, Any] = {}
        for name in ("first", "all", "close"):
            threshold = getattr(thresholds, name)
            step = reached(of, threshold, measure)
            cell[f"threshold_{name}"] = threshold
            for cost in ("trials", "epochs", "seconds"):
                cell[f"{cost}_to_{name}"] = getattr(step, cost, None)
        areas = [area for curve in of if span and (area := curve.area(*span)) is not None]
        cell["area"] = fmean(areas) if areas else None
        cell["area_from"], cell["area_to"] = span or (None, None)
        found.append(cell)
    return found


def files(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What differs in the study files. A row has a setting's value where all its studies agree."""
    first = rows[0].entries[0]
    paths = differing([entry for row in rows for entry in row.entries])
    found = []
    for row in rows:
        values = {path: {entry.file.get(path) for entry in row.entries} for path in paths}
        others = [path for path, held in values.items() if held != {first.file.get(path)}]
        agreed = {f"file.{path}": held.pop() if len(held) == 1 else None for path, held in values.items()}
        found.append({"differs": listed(others, NAMED) or None, **agreed})
    return found
