"""Trials that an error ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def failures(e: Evidence) -> list[str]:
    failed = [trial for trial in e.trials if trial.state == "FAIL"]
    if not failed:
        return []
    reason = str(failed[0].ended) or "no reason recorded"
    return [f"{plural(len(failed), 'trial')} of {e.counts.ended} failed; the first, trial {failed[0].number}: {reason}"]
