"""The Pareto front of a study with several objectives, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.cli.terminal.status import BestTrial

MOST = 12
"""Trials that are listed."""


def front_lines(front: Sequence[BestTrial]) -> list[str]:
    """A line for each trial, the best in the first objective first."""
    from hpo.reports.text import format_number

    lines = [
        f"trial {trial.number}: {', '.join(f'{name} {format_number(value)}' for name, value in trial.values.items())}"
        for trial in front[:MOST]
    ]
    return [*lines, f"and {len(front) - MOST} more; see the report"] if len(front) > MOST else lines
