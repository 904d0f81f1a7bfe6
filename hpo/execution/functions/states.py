"""States that training functions save, as the content of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hpo.training.packing import pack


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedState:
    """What a trial's function saved last."""

    epoch: int
    """Epochs that the trial had reported when it was kept."""
    state: bytes
    """As the trial's process wrote it."""


def packed(number: int, saved: SavedState) -> bytes:
    """The bytes of a checkpoint of one trial."""
    return pack(
        {"trial": number, "epoch": saved.epoch, "state": torch.frombuffer(bytearray(saved.state), dtype=torch.uint8)}
    )


def states_of(content: dict[str, Any]) -> dict[tuple[int, int], SavedState]:
    """The state in the unpacked content of a checkpoint, by trial and replica; empty where it holds lanes."""
    if "state" not in content:
        return {}
    state: np.ndarray[Any, Any] = content["state"].numpy()
    return {(content["trial"], 0): SavedState(epoch=content["epoch"], state=state.tobytes())}
