"""The examples that a change is made to, and the random numbers that it may draw.

Numbers are compared bit for bit between lanes alone and among others, so changes use only operations whose result does
not depend on the place in a tensor: sums, products, comparisons and tables. Of normal numbers and angles there are
tables, because their functions round differently at the end of a tensor.

Dimensions: S steps, K lanes, B examples, R numbers in a row, F channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from hpo.signature import Signature
from hpo.training import randomness

Salt = Literal["move", "flip", "noise", "cutout", "amplify", "time_mask", "features", "words"]
"""What random numbers are for; one use does not tell anything about another."""
_SALTS: dict[Salt, int] = {
    "move": 1,
    "flip": 2,
    "noise": 3,
    "cutout": 4,
    "amplify": 5,
    "time_mask": 6,
    "features": 7,
    "words": 8,
}
_NORMALS = 2**18
"""Normal numbers in the table, or four times those of an example."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Some steps of the lanes that a change is made to."""

    x: Tensor
    """[S, K, B, *row]; a change may write to it, and returns its result."""
    keys_SK: Tensor
    """Random keys."""
    strengths: Mapping[str, Tensor]
    """[K] by key of the study file; a key that is 0 in all lanes may be absent."""
    signature: Signature
    """What a row holds."""
    darkest_KF: Tensor
    """Lowest value of each channel of an image."""

    def uniform(self, salt: Salt, count: int) -> Tensor:
        """[S, K, B, count] uniform over [0, 1), in steps of 2^-24, in the dtype of the examples."""
        steps, lanes, batch = self.x.shape[:3]
        start = randomness.index_hash(batch * count, _SALTS[salt], self.x.device)
        drawn = randomness.uniform_24(start, self.keys_SK.flatten())
        return drawn.to(self.x.dtype).add_(2.0**23).mul_(2.0**-24).view(steps, lanes, batch, count)

    def strength(self, name: str, dimensions: int) -> Tensor:
        """[K, 1, ...] with so many dimensions of size 1, of the examples and what is in them."""
        found = self.strengths.get(name)
        if found is None:
            found = self.x.new_zeros(self.x.shape[1])
        return found.view(-1, *[1] * dimensions)

    def below(self, bound: Tensor | float, uniform: Tensor) -> Tensor:
        """Whole numbers from 0 to `bound` - 1 (int64), each equally likely."""
        return (uniform * bound).long()

    def normal(self, count: int) -> Tensor:
        """[S, K, B, count] normal numbers: for each example a random stretch of the table."""
        table = _normals(max(_NORMALS, 2 ** math.ceil(math.log2(4 * count))), self.x.dtype, self.x.device)
        starts = len(table) - count + 1
        first = self.below(starts, self.uniform("noise", 1)).flatten()
        return table.as_strided((starts, count), (1, 1)).index_select(0, first).view(*self.x.shape[:3], count)


@lru_cache(maxsize=4)
def _normals(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(0)).to(device, dtype)
