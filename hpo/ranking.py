"""Which of two trials is better, wherever trials stand in order: winner, kept weights, lists and reports.

By the objective; of equal ones, the lower validation loss at the epoch that counts; then the earlier trial. A trial
whose loss was not noted, from a version that did not, stands before equal ones whose loss was: a study that goes on
keeps the winner that it had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LOSS = "valid_loss"
"""The trial's user attribute that holds the loss, the mean over folds and repeats."""


def valid_loss_of(attributes: Mapping[str, Any]) -> float | None:
    """The loss among a trial's user attributes; None where it was not noted. Other programs can write there, too."""
    loss = attributes.get(LOSS)
    return loss if type(loss) in (int, float) else None


def place(value: float, valid_loss: float | None, number: int, *, minimized: bool) -> tuple[float, float, int]:
    """Key to sort by: the lower, the better."""
    return (value if minimized else -value), (-math.inf if valid_loss is None else valid_loss), number
