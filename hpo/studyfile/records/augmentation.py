"""`[augmentation]`: random changes to the examples that a trial trains on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from hpo.studyfile.records.base import NonNegative, Probability, Record, WholeNumber


class Augmentation(Record):
    """Strengths of the changes; 0: none. Their order is the order in which they are made."""

    shift: NonNegative = 0.0
    """Images: moved by up to so many pixels along each axis, also by parts of a pixel. What comes in is black: the
    lowest value of the channel in the training part."""
    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Images: turned by up to so many degrees to either side, with black corners."""
    scale: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """A factor between 1 - scale and 1 + scale: images are enlarged by it, with black edges where they shrink;
    the values of a sequence are multiplied by it."""
    flip: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Images: probability of being mirrored, left to right."""
    noise: NonNegative = 0.0
    """Images, sequences and numeric columns of a table: standard deviation of normal noise that is added, in the unit
    of the scaled values; in sequences this is also called jitter."""
    cutout: WholeNumber = 0
    """Images: side in pixels of a black square around a random pixel (DeVries & Taylor 2017)."""
    time_mask: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Sequences: largest share of a sequence's steps that are set to 0, in one run of random length and place (as in
    SpecAugment, Park et al. 2019)."""
    feature_dropout: Probability = 0.0
    """Tables: probability of each feature being replaced, a number by 0, a category by an unknown one; the others are
    not scaled up."""
    word_dropout: Probability = 0.0
    """Texts: probability of each word being replaced by the unknown word."""
    mixup: NonNegative = 0.0
    """Images, and tables without texts or codes: each batch is mixed with itself, every example with the one behind
    it, inputs and loss alike, by a share drawn from Beta(mixup, mixup) for each batch (Zhang et al. 2018). The training
    loss is that of the mixed examples."""

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """The changes that are made, in order."""
        return ((name, value) for name, value in super().__repr_args__() if name is not None and value)

    def __str__(self) -> str:
        """e.g. `shift 2.0, noise 0.1`; `none`."""
        return ", ".join(f"{name} {value}" for name, value in self.__repr_args__()) or "none"
