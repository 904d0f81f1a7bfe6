"""The winner's score on the test part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo.reports.health import Finding, passed, unknown, warned
from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def gap_to_test(e: Evidence) -> Finding:
    """The difference of the validation and the test score against what chance exceeds in 2.5 %, by the standard errors
    of both."""
    if e.winner is None or e.winner.value is None:
        return unknown("There is no winner.")
    if e.scored_trial is not None and e.scored_trial != e.winner.number:
        return warned(
            f"The test part was scored with trial {e.scored_trial}, the winner at that time; trial {e.winner.number} "
            "has overtaken it and has no test score."
        )
    score = e.test.get(e.objective)
    if score is None or not math.isfinite(score):
        return unknown("The winner has no test score.")
    if e.noise is None or e.noise.test_error is None:
        return unknown("The standard error of the test score is not known.")
    limit = e.noise.limit(math.hypot(e.noise.error, e.noise.test_error))
    gap = e.sign * (e.winner.value - score)
    if gap <= limit:
        return passed(
            f"The test {label(e.objective)} ({format_number(score)}) agrees with the validation score "
            f"({format_number(e.winner.value)}) as far as chance allows ({format_number(limit, 2)}).",
            gap,
        )
    worse = "higher" if e.minimized else "lower"
    return warned(
        f"The test {label(e.objective)} ({format_number(score)}) is {worse} than the validation score "
        f"({format_number(e.winner.value)}) by more than chance explains ({format_number(limit, 2)}): the search has "
        "fitted the validation part.",
        gap,
        way_out="Trust the test score.",
    )


def looks_at_test(e: Evidence) -> Finding:
    """How often the test part was scored."""
    looks = len(e.looks)
    if looks < 2:
        return passed(
            "The test part was looked at once." if looks else "The test part was not looked at.", float(looks)
        )
    return warned(
        f"The test part was looked at {looks} times, for the winners {', '.join(map(str, e.looks))}: one is scored "
        "anew where the study goes on or study.final is changed. It is not quite unseen any more.",
        float(looks),
        way_out="A study of another name and seed has an unseen test part.",
    )
