"""The order of trials from best to worst, for the winner, the kept weights, lists and reports.

Trials are ordered by the objective, then by the validation loss at the epoch that counts, then by number. A trial
without a recorded loss, which an earlier version trained, comes before trials of the same objective with one, so that a
study that continues keeps its winner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LOSS = "valid_loss"
"""The trial's user attribute that holds the loss, the mean over folds and repeats."""


def valid_loss_of(attributes: Mapping[str, Any]) -> float | None:
    """The loss among a trial's user attributes; None if there is none, or another program wrote something else
    there."""
    loss = attributes.get(LOSS)
    return loss if type(loss) in (int, float) else None


def rank_key(value: float, valid_loss: float | None, number: int, *, minimized: bool) -> tuple[float, float, int]:
    """The key that trials are sorted by, best first."""
    return (value if minimized else -value), (-math.inf if valid_loss is None else valid_loss), number
