"""Rows of the data that have the same features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.parts import repeats_text

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def repeated_rows(e: Evidence) -> list[str]:
    return repeats_text(*e.repeats)
