"""Whether there is a winner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def no_winner(e: Evidence) -> list[str]:
    if e.winner is not None:
        return []
    why = " The reasons stand in trials.csv, column ended." if e.counts.ended else ""
    return [f"No trial has finished, so there is no winner.{why}"]
