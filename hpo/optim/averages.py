"""Exponential moving averages of parameters over the steps, for all lanes at once.

After step t, counted from 1, average = decay * average + (1 - decay) * present; after the first step it is the present.
So does `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(decay)`.

Shapes: S steps, K lanes, P parameters per lane.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def newest(decays: Sequence[float], steps: int, done: Sequence[int], like: Tensor) -> Tensor:
    """[S, K, 1] weight of the present parameters in the average after each step, of the dtype and on the device of
    `like`. `done`: steps that each lane has made before."""
    step_SK = np.arange(1, steps + 1)[:, None] + np.asarray(done)[None, :]
    weight_SK = np.where(step_SK == 1, 1.0, 1.0 - np.asarray(decays))
    return torch.from_numpy(weight_SK).to(like.device, like.dtype).unsqueeze(2)


def follow_(average_KP: Tensor, present_KP: Tensor, newest_K1: Tensor) -> None:
    """The average after a step, in place."""
    average_KP.lerp_(present_KP, newest_K1)
