"""Texts as words, and words as tokens. Exports have copies of the functions, which therefore need NumPy alone and have
lines of 88 columns.

Dimensions: N texts, W distinct words, L words of all texts, T tokens of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.signature import FIRST_WORD, UNKNOWN

WORD = r"\w+(?:['\u2019]\w+)*|[^\w\s]"
"""Pattern of a word or a mark of punctuation."""


def words_of(cells: Iterable[str | None]) -> list[str]:
    """The words and marks of the texts in a row's cells, in small letters."""
    return re.findall(WORD, whole_text(cells).lower())


def whole_text(cells: Iterable[str | None]) -> str:
    """The texts in a row's cells, one after the other."""
    return " ".join(cell for cell in cells if cell is not None)


def tokens_of(
    rows: Sequence[Sequence[str | None]],
    vocabulary: Sequence[str],
    length: int,
) -> NDArray[np.int64]:
    """[N, length] tokens of each row's words: 0 behind the end, 1 for an unknown word.

    What is longer is cut. A row without words has one unknown word.
    """
    known = {word: token for token, word in enumerate(vocabulary, 2)}
    tokens = np.zeros((len(rows), length), np.int64)
    for row, cells in enumerate(rows):
        found = [known.get(word, 1) for word in words_of(cells)[:length]] or [1]
        tokens[row, : len(found)] = found
    return tokens


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Corpus:
    """The words of many texts, taken apart once."""

    words: tuple[str, ...]
    """Distinct, in the order in which they occur."""
    word_L: NDArray[np.int32]
    """Index into `words` of every word of every text, text after text."""
    length_N: NDArray[np.int64]
    """Words of each text."""

    @classmethod
    def of(cls, texts_NW: NDArray[np.object_]) -> Corpus:
        """From the cells of the text columns, None where missing."""
        place: dict[str, int] = {}
        found: list[int] = []
        lengths = []
        for cells in texts_NW.tolist():
            words = words_of(cells)
            found += [place.setdefault(word, len(place)) for word in words]
            lengths.append(len(words))
        return cls(words=tuple(place), word_L=np.array(found, np.int32), length_N=np.array(lengths, np.int64))

    def vocabulary(self, idx: NDArray[np.int64], size: int, least: int) -> tuple[str, ...]:
        """The most frequent words of some texts, at most `size` of those that occur `least` times; among equally
        frequent ones the alphabet decides."""
        chosen_N = np.zeros(len(self.length_N), bool)
        chosen_N[idx] = True
        count_W = np.bincount(self.word_L[np.repeat(chosen_N, self.length_N)], minlength=len(self.words))
        places = np.flatnonzero(count_W >= least).tolist()
        ranked = sorted(places, key=lambda place: (-count_W[place], self.words[place]))
        return tuple(self.words[place] for place in ranked[:size])

    def tokens(self, idx: NDArray[np.int64], vocabulary: Sequence[str], length: int) -> NDArray[np.int64]:
        """[n, length] what `tokens_of` gives for some of the texts."""
        known = {word: token for token, word in enumerate(vocabulary, FIRST_WORD)}
        token_W = np.array([known.get(word, UNKNOWN) for word in self.words], np.int64)
        tokens = np.zeros((len(idx), length), np.int64)
        starts_N = np.cumsum(self.length_N) - self.length_N
        counts = np.minimum(self.length_N[idx], length)
        rows, places = np.repeat(np.arange(len(idx)), counts), _counting(counts)
        tokens[rows, places] = token_W[self.word_L[np.repeat(starts_N[idx], counts) + places]]
        tokens[counts == 0, 0] = UNKNOWN
        return tokens


def _counting(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... up to each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
