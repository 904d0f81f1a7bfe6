"""Which code of the user's own a worker runs: its option --modules, read and applied to studies.

A study can name Python files and installed modules, for its models, its training function and its data, and every
process that trains the study runs that code. Nothing is read from files or imported here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hpo.errors import InputError
from hpo.studyfile.custom import Reference
from hpo.studyfile.file import StudySpec
from hpo.studyfile.study import code_of_data, named_code

NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Modules:
    """The user modules that a worker runs."""

    patterns: tuple[str, ...] | None = None
    """`PACKAGE.MODULE:NAME` or `FILE.py:NAME`, where * stands for any text, also with slashes and dots in it,
    and ? for one character; None: all modules."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Modules:
        """Reads the values of the option; raises `InputError`."""
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
        """Raises `InputError` for a study that names a module which this worker does not run."""
        if self.patterns is None:
            return
        for reference in (*named_code(spec), *code_of_data(spec)):
            placed = reference.below(Path(spec.source).parent)
            if not any(_matches(placed, pattern) for pattern in self.patterns):
                allowed = ", ".join(self.patterns) or "none"
                raise InputError(f"{reference.key} {placed}: this worker does not run it (--modules {allowed}).")


def _matches(placed: Reference, pattern: str) -> bool:
    """Whether the pattern allows the module. A pattern of a file without a folder allows files of that name
    anywhere."""
    if placed.is_file and "/" not in pattern:
        return fnmatchcase(f"{Path(placed.module).name}:{placed.name}", pattern)
    return fnmatchcase(str(placed), pattern)
