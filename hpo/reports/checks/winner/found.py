"""Whether there is a winner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, failed, passed
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def winner(e: Evidence) -> Finding:
    """A finished trial whose value is finite."""
    finished = float(e.counts.finished)
    if e.winner is not None:
        count = plural(e.counts.finished, "finished trial")
        return passed(f"Trial {e.winner.number} is the winner of {count}.", finished)
    why = "The reasons stand in trials.csv, column ended." if e.counts.ended else ""
    return failed("No trial has finished, so there is no winner.", finished, way_out=why)
