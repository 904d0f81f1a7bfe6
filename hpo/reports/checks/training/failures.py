"""Trials that an error ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, failed, passed, warned
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def failed_trials(e: Evidence) -> Finding:
    """Grave where they are more than half: the study is then about the other half."""
    found = [trial for trial in e.trials if trial.state == "FAIL"]
    if not found:
        return passed("No trial failed.", 0.0)
    share = len(found) / e.counts.ended
    reason = (str(found[0].ended) or "no reason recorded").rstrip(".")
    said = f"{plural(len(found), 'trial')} of {e.counts.ended} failed; the first, trial {found[0].number}: {reason}."
    return (failed if share > 0.5 else warned)(said, share, way_out="All reasons stand in trials.csv, column ended.")
