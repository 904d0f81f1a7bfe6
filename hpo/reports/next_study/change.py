"""One change of a study file, and why; and how it is made. Computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hpo.reports.text import format_number
from hpo.studyfile.tree import Choice

Edit = Callable[[Any, Any], Any]
"""From a value as the file has it, and as the study's tree has it, to the value in its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of a study file."""

    path: str
    """Name of a parameter, or path of a setting, e.g. `search.trials`."""
    before: str
    """The value as a study file has it, of a choice of tables the names of these."""
    after: str
    why: str
    """A sentence."""

    @property
    def text(self) -> str:
        """The change and its reason on one line."""
        return f"{self.path}: {self.before} becomes {self.after}. {self.why}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A change that the results ask for; it is made if the file stays valid with it."""

    change: Change
    edit: Edit


def wish(path: str, before: str, after: str, why: str, edit: Edit) -> Wish:
    """A wish from the fields of its change."""
    return Wish(change=Change(path=path, before=before, after=after, why=why), edit=edit)


def labels(choice: Choice) -> str:
    """The options of a choice, by name."""
    return listed_options(choice.labels)


def listed_options(options: Iterable[Any]) -> str:
    """`[none, batch]`."""
    return f"[{', '.join(map(format_number, options))}]"
