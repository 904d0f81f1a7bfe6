"""Learning a preprocessing from training examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hpo.conventions import NEWEST, SCALED_BY_CHANNEL
from hpo.data.columns.words import Corpus
from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.preprocessing.scaling import fit_scaling, mean_and_spread
from hpo.data.streaming.mapped import in_portions
from hpo.errors import DataError
from hpo.printable import listed
from hpo.signature import FIRST_WORD
from hpo.studyfile.records import DataTable
from hpo.studyfile.tree import toml_key

MOST_TOKENS = 512
"""Tokens that a text has at most, unless the study says otherwise."""
WHOLE = 0.95
"""Share of the texts that are not cut, unless the study says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """What a row has beside the numeric features: the same for all folds, so that all train the same architecture."""

    indicators: tuple[str, ...]
    """Numeric features with missing values."""
    categories: tuple[tuple[str, ...], ...]
    """Categories of each categorical feature, sorted."""
    vocabulary: int
    """How many tokens there are; 0: no texts."""
    tokens: int
    """Tokens of a text; longer ones are cut."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Learner:
    """Learns the preprocessing of a data set from parts of it."""

    dataset: Dataset
    data: DataTable
    corpus: Corpus | None
    conventions: int

    @classmethod
    def of(cls, dataset: Dataset, data: DataTable, conventions: int = NEWEST) -> Learner:
        corpus = None if dataset.texts_NW is None else Corpus.of(dataset.texts_NW)
        return cls(dataset=dataset, data=data, corpus=corpus, conventions=conventions)

    def columns(self, parts: Iterable[IndexArray]) -> Columns:
        """The columns that are needed for any of the training parts."""
        parts = list(parts)
        rows = np.unique(np.concatenate(parts))
        return Columns(
            indicators=self._indicators(rows),
            categories=self._categories(rows),
            vocabulary=max(len(self._words(part)) for part in parts) + FIRST_WORD if self.corpus else 0,
            tokens=self._tokens(self.corpus, rows) if self.corpus else 0,
        )

    def fit(self, train_idx: IndexArray, columns: Columns | None = None) -> Preprocessing:
        """The preprocessing that these examples teach. `columns`: by default those that these examples need."""
        dataset = self.dataset
        columns = columns or self.columns([train_idx])
        indicators, categories = self._indicators(train_idx), self._categories(train_idx)
        scaling = fit_scaling(
            dataset, train_idx, self.data, by_channel=self.conventions >= SCALED_BY_CHANNEL and dataset.numeric.ndim > 2
        )
        offset, scale = 0.0, 1.0
        if dataset.task == "regression":
            offsets, scales = mean_and_spread(dataset.target_N[train_idx, None].astype(np.float64))
            offset, scale = float(offsets[0]), float(scales[0])
        found = Preprocessing(
            kind=dataset.kind,
            task=dataset.task,
            input_shape=dataset.numeric.shape[1:],
            numeric_names=dataset.numeric_names,
            fills=scaling.fills,
            offsets=scaling.offsets,
            scales=scaling.scales,
            logarithmic=scaling.logarithmic,
            knots=scaling.knots,
            indicators=tuple(name if name in indicators else None for name in columns.indicators),
            categorical_names=dataset.categorical_names,
            categories=tuple(
                tuple(name if name in seen else None for name in names)
                for names, seen in zip(columns.categories, categories, strict=True)
            ),
            codes=self.data.categories == "codes",
            length=0 if dataset.lengths_N is None else dataset.numeric.shape[1],
            text_names=dataset.text_names,
            words=self._words(train_idx),
            vocabulary=columns.vocabulary,
            tokens=columns.tokens,
            target_name=dataset.target_name,
            class_names=dataset.class_names,
            target_offset=offset,
            target_scale=scale,
            forms=dataset.forms,
        )
        return replace(found, input_shape=found.signature.shape)

    def _indicators(self, idx: IndexArray) -> tuple[str, ...]:
        """Numeric features of which numbers are missing in these examples."""
        numeric = self.dataset.numeric
        missing_F = np.zeros(numeric.shape[1] if numeric.ndim == 2 else 0, bool)
        if numeric.ndim == 2 and numeric.dtype.kind == "f":
            for rows in in_portions(numeric, idx):
                missing_F |= np.isnan(rows).any(axis=0)
        return tuple(self.dataset.numeric_names[position] for position in np.flatnonzero(missing_F))

    def _categories(self, idx: IndexArray) -> tuple[tuple[str, ...], ...]:
        """The categories that these examples have in each column, sorted."""
        return tuple(tuple(sorted(set(column) - {None})) for column in self.dataset.categorical_NK[idx].T)

    def _words(self, idx: IndexArray) -> tuple[str, ...]:
        """The vocabulary of these examples. Raises `DataError` where it would be empty."""
        if self.corpus is None:
            return ()
        words = self.corpus.vocabulary(idx, self.data.vocabulary, self.data.min_count)
        if not words:
            raise DataError(
                f"{self.dataset.name}: no word of {listed(self.dataset.text_names)} occurs {self.data.min_count} times "
                "in the training part, so nothing can be learnt from texts. Lower data.min_count, or leave them out: "
                f'`[data.columns] {toml_key(self.dataset.text_names[0])} = "ignored"`.'
            )
        return words

    def _tokens(self, corpus: Corpus, idx: IndexArray) -> int:
        if self.data.max_tokens is not None:
            return self.data.max_tokens
        usual = int(np.quantile(corpus.length_N[idx], WHOLE, method="higher"))
        return min(max(usual, 1), MOST_TOKENS)
