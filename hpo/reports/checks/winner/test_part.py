"""The winner's score on the test part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


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
