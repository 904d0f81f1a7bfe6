"""Metrics that are undefined because of the data, for every model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.text import label, plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


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
