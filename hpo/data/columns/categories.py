"""Which known category a cell is. Exports have copies of these functions, which therefore need NumPy alone and have
lines of 88 columns.

Dimensions: N cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def category_codes(
    cells: Sequence[str | None],
    names: Sequence[str | None],
) -> NDArray[np.int64]:
    """[N] index of each cell's category among the names, -1 where missing or unknown.

    A text that is no name counts as the only name that says the same in another way.
    """
    codes = {name: code for code, name in enumerate(names) if name is not None}
    ways = Counter(plain(name) for name in codes)
    alike = {plain(name): codes[name] for name in codes if ways[plain(name)] == 1}
    texts = {cell for cell in cells if cell is not None}
    found = {text: codes.get(text, alike.get(plain(text), -1)) for text in texts}
    return np.array([-1 if cell is None else found[cell] for cell in cells], np.int64)


def plain(text: str) -> str:
    """The text, but `1` for `1.0`, and `true` for `True`; `007` stays."""
    if re.fullmatch(r"-?(0|[1-9]\d*)\.\d*", text):
        return text.rstrip("0").rstrip(".")
    return text.lower() if text.lower() in ("true", "false") else text
