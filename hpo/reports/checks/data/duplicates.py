"""Rows of the data that have the same features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, failed, passed, warned
from hpo.reports.parts import repeats_text

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def duplicates(e: Evidence) -> Finding:
    """Rows in several parts make scores too good, by their share of the rows that are scored on at most. It counts as
    grave where that may be more than the standard error of the values."""
    repeated, conflicting, across = e.repeats
    said = " ".join(repeats_text(repeated, conflicting, across))
    if not repeated:
        return passed("No two rows have the same features.", 0.0)
    scored = sum(e.parts.validation) + sum(e.parts.test)
    share = across / scored if scored else float(across > 0)
    if across:
        grave = share > (e.noise.error if e.noise else 0.0) and e.objective in SHARES
        way_out = "Take such rows out of all parts but one, or name what they have in common in `data.group`."
        return (failed if grave else warned)(said, share, way_out=way_out)
    if conflicting:
        return warned(said, 0.0, way_out="Look for columns that are missing, or for targets that were noted wrongly.")
    return passed(said, 0.0)


SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1", "f1"})
"""Metrics that a share of the rows changes by about this share."""
