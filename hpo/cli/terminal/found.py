"""The description of a data set as the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hpo.data.describe import SKEWED, TABLES, Description
from hpo.printable import listed

NAMED = 6
"""Columns, classes or groups that a row names; --json has them all."""


def found_rows(found: Description) -> Iterator[tuple[str, str]]:
    """A heading and a text for everything that was found."""
    yield "rows", f"{found.rows:,}{_duplicates(found)}"
    if found.kind not in TABLES:
        yield found.kind, f"{' x '.join(map(str, found.shape))}{_lengths(found)}"
    for kind, names in found.columns.items():
        yield kind, f"{len(names)}: {listed(names, NAMED)}"
    if found.missing:
        shares = (f"{name} ({_percent(share)})" for name, share in found.missing.items())
        plural = "s" if len(found.missing) > 1 else ""
        where = f"in {len(found.missing)} column{plural}"
        yield "missing", f"{_percent(found.missing_share)} of the cells, {where}: {listed(shares, NAMED)}"
    yield "target", f"{found.target}: {found.task}{f' ({found.task_reason})' if found.task_reason else ''}"
    if found.classes:
        yield "classes", listed((f"{name} ({_percent(share)})" for name, share in found.classes.items()), NAMED)
    if found.numbers:
        numbers = found.numbers
        yield "values", f"{numbers.low:.4g} to {numbers.high:.4g}, mean {numbers.mean:.4g}, skew {numbers.skewness:.1f}"
    if found.constant and found.kind in TABLES:
        yield "constant", f"{len(found.constant)}: {listed(found.constant, NAMED)}"
    elif found.constant:
        yield "constant", f"{len(found.constant):,} of {math.prod(found.shape):,} values"
    if found.alike:
        yield "alike", listed((" = ".join(names[:NAMED]) for names in found.alike), NAMED)
    if found.skewed:
        named = listed((f"{name} ({value:.1f})" for name, value in found.skewed.items()), NAMED)
        yield "skewed", f'{named} (skewness beyond {SKEWED:g}; data.scaling = "quantile" or "log" helps)'


def _lengths(found: Description) -> str:
    return f", {found.lengths[0]} to {found.lengths[1]} steps" if found.lengths else ""


def _duplicates(found: Description) -> str:
    if not found.duplicates:
        return ""
    repeats = f"{found.duplicates:,} of them repeat{'s' if found.duplicates == 1 else ''} an earlier one"
    return f", {repeats} ({_percent(found.duplicates / found.rows)})"


def _percent(share: float) -> str:
    return "<0.1%" if 0 < share < 0.001 else f"{100 * share:.3g}%"
