"""Trials that other programs wrote into the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.foreign import sentences

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def not_ours(e: Evidence) -> list[str]:
    return sentences(e.foreign)
