"""A small data set of sequences of unequal length, read as a function of the user's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sequences() -> dict[str, NDArray[np.generic]]:
    """160 sequences of 3 to 12 steps of 4 channels, in 3 classes that differ in level."""
    random = np.random.default_rng(0)
    y = np.arange(160) % 3
    x = random.normal(size=(160, 12, 4)) + 0.5 * y[:, None, None]
    return {"X": x, "lengths": random.integers(3, 13, size=160), "y": y}
