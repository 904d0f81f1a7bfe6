"""Code of the user's own in a study file: the reference to a module, and the arguments that a model is called with.

Nothing is imported here; `hpo.own_code` does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hpo.studyfile.tree import Choice

NAME = "[A-Za-z_][A-Za-z0-9_]*"
MODULE_PATTERN = rf"^([^:]+\.py|{NAME}(\.{NAME})*):{NAME}$"
ARGUMENT_PATTERN = f"^{NAME}$"

WholeEnd = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
"""End of a range of whole numbers, bounded because the database and the samplers use floating-point numbers."""

Scalar = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str

Argument = Annotated[
    Scalar | Annotated[tuple[Scalar, ...], Field(strict=False)],
    Field(description="a number, text, true or false, or a list of these"),
]
"""A value that a module is called with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """`net.py:Net` or `package.module:Net`, in its two parts."""

    module: str
    """Path of a Python file, or the dotted name of an importable module."""
    name: str
    """A class or function in it."""
    key: str = field(default="model.module", compare=False)
    """Where the study names it."""

    @classmethod
    def of(cls, text: str, key: str = "model.module") -> Reference:
        module, _, name = text.rpartition(":")
        return cls(module=module, name=name, key=key)

    @property
    def is_file(self) -> bool:
        return self.module.endswith(".py")

    def below(self, folder: Path) -> Reference:
        """The reference with the path of its file resolved from the folder; that of an importable module is
        unchanged."""
        return replace(self, module=str((folder / self.module).resolve())) if self.is_file else self

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def is_reference(text: str) -> bool:
    """Whether the text is `FILE.py:NAME` or `PACKAGE.MODULE:NAME`."""
    return re.fullmatch(MODULE_PATTERN, text) is not None


def modules_of(model: Any) -> Iterator[Reference]:
    """All modules that a trial may have by a study's `[model]` table, which has been read."""
    for table in model.options if isinstance(model, Choice) else (model,):
        if table["family"] == "custom":
            named = table["module"]
            yield from map(Reference.of, named.options if isinstance(named, Choice) else (named,))
