"""Changes to texts: lost words."""

from __future__ import annotations

from torch import Tensor

from hpo.signature import FIRST_WORD, UNKNOWN
from hpo.training.augment.portion import Portion


def word_dropout(portion: Portion) -> Tensor:
    """Words become the unknown word; what lies behind the end of a text stays."""
    start, (length,) = portion.signature.start("tokens"), portion.signature.of("tokens").shape
    tokens = portion.x[..., start : start + length]
    lost = portion.uniform("words", length) < portion.strength("word_dropout", 2)
    tokens.masked_fill_(lost & (tokens >= FIRST_WORD), float(UNKNOWN))
    return portion.x
