"""What to search next: the changes of a study file that its results ask for, each with its reason, and the file with
them. The same results give the same file.

`ranges` moves ranges whose best values lie at an edge, `settled` fixes parameters without effect and drops options that
lose, `budget` sets epochs and trials. Each reads the findings of the health card and makes `Change`s; `file` carries
them out, so that only those remain with which the file is valid, and writes it. docs/next-study.md is for readers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.paths import argument
from hpo.reports.next_study.budget import budget_changes
from hpo.reports.next_study.change import Change, Wish
from hpo.reports.next_study.file import text_with
from hpo.reports.next_study.ranges import moved_ranges
from hpo.reports.next_study.settled import settled_parameters

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.health import Check
    from hpo.reports.importance import Importances
    from hpo.studyfile.study import StudySpec


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStudy:
    """The study after a study."""

    name: str
    """`digits-2` after `digits`."""
    changes: tuple[Change, ...]
    """What differs from the study's own file beside the name. Empty where nothing calls for a change."""
    command: str
    """Writes its file."""


def next_study(spec: StudySpec, e: Evidence, importances: Importances, checks: Sequence[Check]) -> NextStudy | None:
    """The study after this one; None while no trial has finished."""
    if e.winner is None:
        return None
    name = name_after(spec.study.name)
    changes = text_with(spec, name, _wishes(spec, e, importances, checks))[1]
    return NextStudy(name=name, changes=changes, command=f"hpo init --from {argument(spec.study.name)}")


def text_of(spec: StudySpec, e: Evidence, importances: Importances, checks: Sequence[Check], name: str) -> str:
    """The file of the study after this one, under this name."""
    return text_with(spec, name, _wishes(spec, e, importances, checks))[0]


def _wishes(spec: StudySpec, e: Evidence, importances: Importances, checks: Sequence[Check]) -> list[Wish]:
    found = {check.code: check for check in checks}
    ranges = moved_ranges(spec, e, found["edges"])
    moved = [one.change.path for one in ranges]
    budget = budget_changes(spec, e, found, wider=bool(ranges))
    if len(spec.study.objectives) > 1:  # what changes nothing in the first objective may change another one
        return [*ranges, *(one for one in budget if one.change.path == "training.epochs")]
    settled = settled_parameters(spec, e, importances, found["dead_parameters"], moved=moved)
    return [*ranges, *settled, *budget]


def name_after(name: str) -> str:
    """`digits-2` for `digits`, `digits-3` for `digits-2`."""
    stem, mark, number = name.rpartition("-")
    if mark and stem and re.fullmatch(r"[1-9][0-9]{0,3}", number):
        return f"{stem}-{int(number) + 1}"
    return f"{name}-2"
