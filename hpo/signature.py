"""What a model takes of an example: named inputs, packed in one row of numbers so that a batch is one tensor.

| input | numbers |
| --- | --- |
| values | real numbers: columns, the pixels of an image, the steps of a sequence |
| codes | one code for each categorical column; 0: missing or unknown |
| tokens | one code for each word of a text; 0: behind its end, 1: an unknown word |
| mask | 1 for each step of a sequence, 0 behind its end |
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

InputName = Literal["values", "codes", "tokens", "mask"]

UNKNOWN = 1
"""Token of a word that is not in the vocabulary."""
FIRST_WORD = 2
"""Token of the first word of the vocabulary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One input."""

    name: InputName
    shape: tuple[int, ...]
    """Of one example: (columns,), (channels, height, width), (length, channels) or (length,)."""
    sizes: tuple[int, ...] = ()
    """How many codes each column has, or how many tokens there are; they count from 0."""
    columns: tuple[str, ...] = ()
    """Names of a table's columns, where there is a number for each."""
    features: tuple[int, ...] = ()
    """Number of the feature that each column of a table is made of."""
    numeric: int | None = None
    """How many columns of a table, from the first, hold numbers, not indicators; None: this is no table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The inputs of a model, in the order in which a row has them."""

    inputs: tuple[Input, ...]

    @classmethod
    def of_values(cls, *shape: int) -> Signature:
        """That of examples which are real numbers alone."""
        return cls(inputs=(Input(name="values", shape=shape),))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the row: (numbers,), or the shape of the only input."""
        shapes = [one.shape for one in self.inputs]
        return shapes[0] if len(shapes) == 1 else (sum(map(prod, shapes)),)

    @property
    def main(self) -> Input:
        """The input that a model takes which takes one."""
        return self.inputs[0]

    @property
    def names(self) -> tuple[InputName, ...]:
        return tuple(one.name for one in self.inputs)

    def of(self, name: InputName) -> Input:
        """The input of this name."""
        return self.inputs[self.names.index(name)]

    def start(self, name: InputName) -> int:
        """Where the input begins in a row."""
        return sum(prod(one.shape) for one in self.inputs[: self.names.index(name)])

    def as_dict(self) -> dict[str, Any]:
        """By input: its shape and, where it has them, sizes and columns, as plain lists and numbers."""
        return {
            one.name: {
                "shape": list(one.shape),
                **({"sizes": list(one.sizes)} if one.sizes else {}),
                **({"columns": list(one.columns)} if one.columns else {}),
            }
            for one in self.inputs
        }
