"""Random numbers of a lane: functions of (study seed, trial, replica, epoch, step) alone.

A lane's numbers never depend on its neighbours, on how many there are, or on what was drawn before, so a trial
trained alone equals the same trial in a cohort and resuming needs no saved generator. Initial weights and the order of
examples come from generators seeded per use; dropout masks, needed at every step, from an integer hash.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from hpo.seeds import Purpose, lane_seed

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_GOLDEN_32 = -0x61C88647  # the same constant's upper half as int32: spreads consecutive indices over all bits
_LOW_BIAS = (
    0x7FEB352D,
    -0x7B935975,
)  # multipliers of the `lowbias32` integer hash (C. Wellons, hash-prospector)


def generator(purpose: Purpose, *numbers: int) -> torch.Generator:
    """A CPU generator seeded with `lane_seed(purpose, *numbers)`."""
    return torch.Generator().manual_seed(lane_seed(purpose, *numbers))


def step_keys(epoch_keys: list[int], steps: int) -> Tensor:
    """One int32 key for each step and lane, [steps, K], from one key for each lane's epoch (splitmix64)."""
    with np.errstate(over="ignore"):
        z = np.asarray(epoch_keys, dtype=np.uint64)[None, :] + (
            np.arange(1, steps + 1, dtype=np.uint64)[:, None] * _GOLDEN
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(32)).astype(np.uint32).view(np.int32).copy())


@lru_cache(maxsize=256)
def index_hash(count: int, salt: int, device: torch.device) -> Tensor:
    """[count] int32: well spread starting points for `uniform_24`, different for each `salt` (one per layer)."""
    index = torch.arange(count, dtype=torch.int64, device=device) + salt * 0x10000001
    return _as_int32(index * _GOLDEN_32)


def uniform_24(start_N: Tensor, key_K: Tensor) -> Tensor:
    """[K, N] int32, uniform over -2^23 ... 2^23 - 1: a hash of (start, key), no state, no order of drawing."""
    z = start_N.unsqueeze(0) ^ key_K.unsqueeze(1)
    z ^= z >> number(16, z.device)
    z *= number(_LOW_BIAS[0], z.device)
    z ^= z >> number(15, z.device)
    z *= number(_LOW_BIAS[1], z.device)
    return z.bitwise_right_shift_(number(8, z.device))


def mixed(key: Tensor, which: Tensor | int) -> Tensor:
    """Keys from keys, int32: different for each number `which`, and no simple function of it."""
    z = which * number(_GOLDEN_32, key.device) ^ key
    for multiplier, shift in zip(_LOW_BIAS, (15, 16), strict=True):
        z = (z ^ (z >> number(16, z.device))) * number(multiplier, z.device)
        z = z ^ (z >> number(shift, z.device))
    return z


def kept(drawn: Tensor, limit: Tensor, scale: Tensor) -> Tensor:
    """0 where `drawn`, of `uniform_24`, is at most the limit, else the scale; `drawn` is overwritten.

    Integer arithmetic, because comparisons are slow on CPU: all bits are set where the number stays, else none.
    """
    stays = torch.sub(limit, drawn, out=drawn)
    stays = stays.bitwise_right_shift_(number(31, drawn.device))
    if scale.dtype == torch.float32:
        return stays.bitwise_and_(scale.view(torch.int32)).view(torch.float32)
    return stays.neg_().to(scale.dtype) * scale


@lru_cache(maxsize=64)
def number(value: int, device: torch.device) -> Tensor:
    """A constant as int32: a Python number would be converted anew in every operation."""
    return torch.tensor(value, dtype=torch.int32, device=device)


def _as_int32(value: Tensor) -> Tensor:
    """The low 32 bits of an int64 tensor, as signed integers."""
    return ((value + 0x80000000) % 0x100000000 - 0x80000000).to(torch.int32)
