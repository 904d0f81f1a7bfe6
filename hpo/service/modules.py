"""Which modules of their own the studies of the service may have a worker run: what its option --modules says.

A study in the database names a Python file or an installed module, and whoever trains the study runs it. Nothing is
read or imported here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hpo.errors import InputError
from hpo.studyfile.custom import Reference, modules_of
from hpo.studyfile.file import StudySpec

NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Modules:
    """The modules that are run."""

    patterns: tuple[str, ...] | None = None
    """`PACKAGE.MODULE:NAME` or `FILE.py:NAME`, where * stands for any text, also with slashes and dots in it,
    and ? for one character; None: all modules."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Modules:
        """As the option's values say; raises `InputError`."""
        if not texts:
            return cls()
        if NONE in texts:
            if len(texts) > 1:
                raise InputError(f"--modules {NONE}: found other patterns beside it; give either it or patterns.")
            return cls(patterns=())
        for text in texts:
            if not re.fullmatch(r"[^:]+:[^:/]+", text):
                raise InputError(
                    f"--modules {text}: found no PACKAGE.MODULE:NAME or FILE.py:NAME; must be a pattern such as "
                    f"'ours.*:*' or '/shared/models/*.py:*', or {NONE}."
                )
        return cls(patterns=tuple(texts))

    def refuse_others(self, spec: StudySpec) -> None:
        """Raises `InputError` for a study that names a module which is not to be run."""
        if self.patterns is None:
            return
        for reference in modules_of(spec.tree["model"]):
            placed = reference.below(Path(spec.source).parent)
            if not any(_matches(placed, pattern) for pattern in self.patterns):
                allowed = ", ".join(self.patterns) or "none"
                raise InputError(f"model.module {placed}: this worker does not run it (--modules {allowed}).")


def _matches(placed: Reference, pattern: str) -> bool:
    """A pattern without a folder means files of that name in any."""
    if placed.is_file and "/" not in pattern:
        return fnmatchcase(f"{Path(placed.module).name}:{placed.name}", pattern)
    return fnmatchcase(str(placed), pattern)
