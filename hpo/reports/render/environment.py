"""What every page is made with: its templates, which escape all that they are given, and how they write numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.text import format_duration, format_number, plural

if TYPE_CHECKING:
    from jinja2 import Environment


def environment() -> Environment:
    """A new environment, to which a page adds filters of its own."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("hpo.reports.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=format_number, duration=format_duration, plural=plural)
    return made
