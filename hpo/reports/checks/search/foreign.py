"""Trials that other programs wrote into the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.foreign import sentences
from hpo.reports.health import Finding, passed, warned

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def other_programs(e: Evidence) -> Finding:
    """They are neither ranked nor counted."""
    if said := sentences(e.foreign):
        return warned(" ".join(said), float(len(e.foreign)))
    return passed("All trials are this program's own.", 0.0)
