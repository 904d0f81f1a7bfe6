"""A data set of the catalogue as a table of rows to predict."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.data.catalogue import load_dataset
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import DataFrame


def catalogue_frame(name: str) -> DataFrame:
    """All rows of the data set of this name, its own test part too, with the columns that models are trained on, and
    the target. Behind the end of a sequence, numbers are missing. Errors as of `load_dataset`."""
    import pandas as pd

    dataset = load_dataset(DataTable(dataset=name), Path())
    numbers = dataset.numeric.reshape(dataset.size, -1)
    if dataset.lengths_N is not None:
        ended_NT = np.arange(dataset.numeric.shape[1]) >= dataset.lengths_N[:, None]
        numbers = np.where(np.repeat(ended_NT, prod(dataset.numeric.shape[2:]), axis=1), np.nan, numbers)
    columns = [pd.DataFrame(numbers, columns=list(dataset.numeric_names))]
    columns.append(pd.DataFrame(dataset.categorical_NK, columns=list(dataset.categorical_names)))
    if dataset.texts_NW is not None:
        columns.append(pd.DataFrame(dataset.texts_NW, columns=list(dataset.text_names)))
    target = np.array(dataset.class_names, object)[dataset.target_N] if dataset.class_names else dataset.target_N
    return pd.concat([*columns, pd.Series(target, name=dataset.target_name)], axis=1)
