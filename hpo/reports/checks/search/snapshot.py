"""Whether all trials have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def unfinished(e: Evidence) -> list[str]:
    if e.counts.running:
        verb = "has" if e.counts.running == 1 else "have"
        return [f"{plural(e.counts.running, 'trial')} {verb} not ended: this report is a snapshot."]
    return []
