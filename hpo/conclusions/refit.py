"""How a study's winner was trained again on the training and validation rows together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Refit:
    """The last training of a winner, whose weights are scored on the test part and exported."""

    trial: int
    """Number of the winner."""
    epochs: int
    """Epochs trained: as many as the best epoch of its trial."""
    examples: int
    """Examples trained on: all that are not in the test part."""
    models: int
    """Number of models: one for each repeat of the data (`data.repeats`)."""
    seconds: float
    """Wall time of the training."""
