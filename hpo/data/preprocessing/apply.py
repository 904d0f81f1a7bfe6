"""Using a preprocessing: rows of the network's input, and targets."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.categories import category_codes
from hpo.data.columns.words import Corpus
from hpo.data.dataset import Dataset, FloatArray, TextArray
from hpo.data.new_rows import NewRows, read_rows
from hpo.data.parts.strata import IndexArray
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.preprocessing.scaling import scaled
from hpo.errors import DataError
from hpo.signature import InputName

if TYPE_CHECKING:
    from pandas import DataFrame

PORTION = 4096
"""Examples that are computed at once, in double precision."""


def apply(
    preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray, corpus: Corpus | None = None
) -> NDArray[np.float32]:
    """The network's input for the chosen examples, [N, *input_shape]. `corpus`: the data set's words, if they are
    known."""
    texts_NW = dataset.texts_NW
    if corpus is None and texts_NW is not None:
        corpus, place = Corpus.of(texts_NW[idx]), np.arange(len(idx))
    else:
        place = idx
    return _rows(
        preprocessing,
        dataset.numeric,
        idx,
        dataset.categorical_NK[idx],
        None if dataset.lengths_N is None else dataset.lengths_N[idx],
        None if corpus is None else corpus.tokens(place, preprocessing.words, preprocessing.tokens),
    )


def apply_target(preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray) -> NDArray[np.int64 | np.float32]:
    """Class indices (int64), or standardised numbers (float32), of the chosen examples, [N]."""
    target_N = dataset.target_N[idx]
    if preprocessing.task == "classification":
        return target_N.astype(np.int64)
    return ((target_N - preprocessing.target_offset) / preprocessing.target_scale).astype(np.float32)


def features_of_frame(preprocessing: Preprocessing, frame: DataFrame) -> NDArray[np.float32]:
    """The network's input for the rows of a table, as `apply` makes it, [N, *input_shape]. Raises `DataError` for a
    missing column or a cell that should be a number."""
    return features_of_rows(preprocessing, read_rows(preprocessing, frame))


def features_of_rows(preprocessing: Preprocessing, rows: NewRows) -> NDArray[np.float32]:
    """The network's input for rows that `read_rows` has read, [N, *input_shape]."""
    p, size = preprocessing, len(rows.categorical_NK)
    tokens = Corpus.of(rows.texts_NW).tokens(np.arange(size), p.words, p.tokens) if p.text_names else None
    return _rows(p, rows.numeric_NF, np.arange(size), rows.categorical_NK, rows.lengths_N, tokens)


def _rows(
    p: Preprocessing,
    numeric: FloatArray,
    idx: IndexArray,
    categorical_NK: TextArray,
    lengths_N: NDArray[np.int64] | None,
    tokens_NT: NDArray[np.int64] | None,
) -> NDArray[np.float32]:
    """All inputs, side by side. `idx`: the rows of `numeric` that are meant; the others are these rows already."""
    signature = p.signature
    result = np.empty((len(idx), prod(signature.shape)), np.float32)
    code_NK = [
        category_codes(column_N.tolist(), names) for names, column_N in zip(p.categories, categorical_NK.T, strict=True)
    ]
    for begin in range(0, len(idx), PORTION):
        part = slice(begin, begin + PORTION)
        lengths = None if lengths_N is None else lengths_N[part]
        blocks: dict[InputName, list[NDArray[Any]]] = {"values": list(_values(p, numeric[idx[part]], lengths))}
        if p.codes:
            blocks["codes"] = [code_N[part, None] + 1 for code_N in code_NK]
        else:
            hot = zip(code_NK, p.categories, strict=True)
            blocks["values"] += [code_N[part, None] == np.arange(len(names)) for code_N, names in hot]
        if tokens_NT is not None:
            blocks["tokens"] = [tokens_NT[part]]
        if lengths is not None:
            blocks["mask"] = [np.arange(p.length) < lengths[:, None]]
        columns = [column for name in signature.names for column in blocks[name]]
        np.concatenate(columns, axis=1, out=result[part], casting="unsafe")
    return result.reshape(len(idx), *signature.shape)


def _values(
    p: Preprocessing, numeric: FloatArray, lengths_N: NDArray[np.int64] | None
) -> Iterator[NDArray[np.float32]]:
    """Scaled numbers and the indicators of missing ones."""
    numeric_NF = numeric.reshape(len(numeric), -1)
    missing_NF = np.isnan(numeric_NF)
    scaled_NF = scaled(p.scaling, np.where(missing_NF, np.array(p.fills), numeric_NF))
    wild_F = ~np.isfinite(scaled_NF).all(axis=0)
    if wild_F.any():
        raise DataError(
            f'Column "{p.numeric_names[int(wild_F.argmax())]}" holds a number that is infinite or, beside those'
            " of the training part, too large for float32. Correct it, or leave it empty if it is unknown."
        )
    if lengths_N is not None and p.length:
        steps = scaled_NF.reshape(len(numeric), p.length, -1)
        steps[np.arange(p.length) >= lengths_N[:, None]] = 0.0
    yield scaled_NF
    positions = {name: position for position, name in enumerate(p.numeric_names)}
    nothing_N = np.zeros(len(numeric), np.float32)
    for indicator in p.indicators:
        present = nothing_N if indicator is None else missing_NF[:, positions[indicator]].astype(np.float32)
        yield present[:, None]
