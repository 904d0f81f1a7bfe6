"""Whether all trials have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, passed, warned
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def unfinished(e: Evidence) -> Finding:
    """Trials in training or waiting."""
    if not e.counts.running:
        return passed("All trials have ended.", 0.0)
    verb = "has" if e.counts.running == 1 else "have"
    return warned(
        f"{plural(e.counts.running, 'trial')} {verb} not ended: this report is a snapshot.", float(e.counts.running)
    )
