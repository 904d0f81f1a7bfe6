"""What a report may hold: names of metrics that every table, database and terminal can show. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from hpo.printable import on_one_line
from hpo.studyfile.records import TAKEN

LONGEST = 100
"""Characters of a metric's name."""
MOST = 1000
"""Metrics of a report."""


def as_values(metrics: Mapping[str, float], objective: str) -> dict[str, float]:
    """The metrics as plain numbers by name. Raises `ValueError` for a name that cannot be shown as it is, or that a
    column of `epochs.csv` has already, unless it is the objective's, which has a column of its own; and for more
    metrics than a report may hold."""
    if len(metrics) > MOST:
        raise ValueError(f"found {len(metrics):,} metrics, but a report has at most {MOST:,}; leave some out")
    for name in map(str, metrics):
        if name == objective:
            continue
        if name in TAKEN:
            raise ValueError(f"found a metric {name!r}, which is a column of epochs.csv already; give it another name")
        if not 0 < len(name) <= LONGEST or on_one_line(name) != name:
            raise ValueError(
                f"found a metric named {on_one_line(ascii(name))}; a name has 1 to {LONGEST} characters, all of them "
                "printable"
            )
    return {str(name): float(value) for name, value in metrics.items()}
