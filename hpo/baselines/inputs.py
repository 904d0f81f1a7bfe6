"""What baselines take of an example: a row of numbers, made from the inputs of a network (`hpo.signature`), and its
texts.

Dimensions: N examples, F numbers of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.streaming.mapped import release
from hpo.signature import Signature

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Examples:
    """The examples of a part, as a network takes them, and their texts."""

    signature: Signature
    x: NDArray[np.float32]
    """[N, *shape of the signature]"""
    texts: list[str] | None
    """One for each example; None where models take no texts."""

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, place_N: NDArray[np.int64]) -> Examples:
        """The examples at these places."""
        texts = None if self.texts is None else [self.texts[place] for place in place_N]
        x = self.x[place_N]
        release(self.x)
        return Examples(signature=self.signature, x=x, texts=texts)

    @property
    def has_numbers(self) -> bool:
        """Whether there is something beside texts."""
        return self.signature.names != ("tokens",)

    def numbers(self) -> NDArray[np.float32]:
        """[N, F] values, codes and masks, side by side; sequences and images step by step and pixel by pixel."""
        x_NF = self.x.reshape(len(self.x), -1)
        if "tokens" not in self.signature.names:
            return x_NF
        return np.concatenate([self._block(one.name) for one in self.signature.inputs if one.name != "tokens"], axis=1)

    def linear(self) -> NDArray[np.float32] | csr_array:
        """[N, F] the same with a column for each category in the place of its code; sparse where there are codes."""
        if "codes" not in self.signature.names:
            return self.numbers()
        from scipy.sparse import csr_array, hstack

        blocks: list[Any] = []
        for one in self.signature.inputs:
            if one.name == "codes":
                blocks.append(one_hot(self._block("codes").astype(np.int64), one.sizes))
            elif one.name != "tokens":
                blocks.append(csr_array(self._block(one.name)))
        return hstack(blocks, format="csr")

    def _block(self, name: Any) -> NDArray[np.float32]:
        x_NF = self.x.reshape(len(self.x), -1)
        start = self.signature.start(name)
        shape = next(one.shape for one in self.signature.inputs if one.name == name)
        return x_NF[:, start : start + prod(shape)]


def one_hot(code_NK: NDArray[np.int64], sizes: tuple[int, ...]) -> csr_array:
    """[N, sum of sizes] 1 where a column has the code. Code 0, for a missing or unknown category, has no 1."""
    from scipy.sparse import csr_array

    starts_K = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    row_M, column_M = np.nonzero(code_NK)
    place_M = (starts_K + code_NK)[row_M, column_M]
    return csr_array((np.ones(len(row_M), np.float32), (row_M, place_M)), shape=(len(code_NK), sum(sizes)))
