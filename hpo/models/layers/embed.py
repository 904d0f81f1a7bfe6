"""Vectors for what numbers only name: the codes of categories and the words of texts.

`Embed` is copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, V values, C coded columns, T tokens, D and E numbers of a vector.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from hpo.signature import Signature
from hpo.studyfile.records import Mlp


class Embed(nn.Module):
    """Values as they are, a vector for each code, the mean vector of a text's words."""

    codes: Tensor
    words: Tensor
    begins: Tensor

    def __init__(
        self,
        values: int,
        code_sizes: tuple[int, ...],
        code_width: int,
        tokens: int,
        vocabulary: int,
        word_width: int,
    ) -> None:
        """Values come first in a row, then codes, then tokens. Without any, 0."""
        super().__init__()
        self.values, self.tokens, self.vocabulary = values, tokens, vocabulary
        self.code_sizes, self.code_width = code_sizes, code_width
        self.word_width = word_width
        ends = torch.tensor((0, *code_sizes)).cumsum(0)
        self.register_buffer("begins", ends[:-1], persistent=False)
        if code_sizes:
            self.codes = nn.Parameter(torch.zeros(sum(code_sizes), code_width))
        if tokens:
            self.words = nn.Parameter(torch.zeros(vocabulary, word_width))

    @torch.no_grad()
    def clear_unknown(self) -> None:
        """What training may never meet, unknown codes and words, has a vector of 0."""
        if self.code_sizes:
            self.codes[self.begins] = 0.0
        if self.tokens:
            self.words[:2] = 0.0

    def extra_repr(self) -> str:
        """The arguments."""
        names = ["values", "code_sizes", "code_width", "tokens", "vocabulary"]
        given = [f"{name}={getattr(self, name)!r}" for name in names]
        return ", ".join([*given, f"word_width={self.word_width}"])

    def forward(self, x: Tensor) -> Tensor:
        """[B, V + C + T] -> [B, V + C * D + E]."""
        coded = self.values + len(self.code_sizes)
        parts = [x[:, : self.values]]
        if self.code_sizes:
            index = x[:, self.values : coded].long() + self.begins
            parts.append(self.codes[index].flatten(1))
        if self.tokens:
            token = x[:, coded : coded + self.tokens].long()
            real = (token > 0).to(x.dtype).unsqueeze(2)
            total = (self.words[token] * real).sum(1)
            parts.append(total / real.sum(1).clamp(min=1))
        return torch.cat(parts, dim=1)


def embed_of(signature: Signature, model: Mlp) -> Embed | None:
    """The layer that a perceptron begins with; None where the inputs are real numbers alone."""
    known = {one.name: one for one in signature.inputs}
    codes, tokens = known.get("codes"), known.get("tokens")
    if codes is None and tokens is None:
        return None
    return Embed(
        values=prod(known["values"].shape) if "values" in known else 0,
        code_sizes=codes.sizes if codes else (),
        code_width=model.embedding if codes else 0,
        tokens=tokens.shape[0] if tokens else 0,
        vocabulary=tokens.sizes[0] if tokens else 0,
        word_width=model.word_vector if tokens else 0,
    )


def width_of(embed: Embed) -> int:
    """Numbers of an example that it gives."""
    return embed.values + len(embed.code_sizes) * embed.code_width + embed.word_width
