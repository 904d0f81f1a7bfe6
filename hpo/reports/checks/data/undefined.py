"""Metrics that are undefined because of the data, for every model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.health import Finding, failed, passed, warned
from hpo.reports.text import label, plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def undefined_metric(e: Evidence) -> Finding:
    """Trials whose objective has no value, and a test score that has none. Grave where no trial or no test score has
    one."""
    count = sum(trial.ended.why is Ending.UNDEFINED for trial in e.trials)
    untested = e.objective in e.test and e.test[e.objective] is None
    share = count / e.counts.ended if e.counts.ended else 0.0
    said, ways = [], []
    if count:
        said.append(
            f"{plural(count, 'trial')} of {e.counts.ended} ended because {label(e.objective)} is undefined on their "
            "validation part, where targets may be all alike: training did not fail."
        )
        ways.append("Another objective, larger parts or fewer folds give every trial a value.")
    if untested:
        said.append(
            f"The test {label(e.objective)} is undefined: the test part's targets are all alike, so that nothing "
            "confirms the validation score."
        )
        ways.append("A larger test part, in a study of another name, would confirm it.")
    if not said:
        return passed(f"{label(e.objective).capitalize()} had a value wherever it was measured.", 0.0)
    grave = untested or count == e.counts.ended
    return (failed if grave else warned)(" ".join(said), share, way_out=" ".join(ways))
