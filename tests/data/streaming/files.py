"""Small files that are streamed, as they would be if they were larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.parts.splits import Splits, split_data
from hpo.data.prepare import PreparedData, prepare_data
from hpo.studyfile.records import DataTable

ROWS = 240


def rows_of_numbers(missing: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Six features, sorted by class; twenty rows occur twice."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(ROWS, 6)) * [1, 100, 1e-6, 1, 1, 1] + [0, 5, 0, 1e4, 0, 0]).astype(np.float32)
    x[20:40] = x[:20]
    if missing:
        x[rng.random(x.shape) < 0.05] = np.nan
    return x, np.sort(rng.integers(0, 3, ROWS))


def write(folder: Path, kind: str) -> dict[str, Any]:
    """Writes a file of this kind; the keys of `[data]` that name it."""
    x, y = rows_of_numbers()
    rng = np.random.default_rng(1)
    if kind == "parquet":
        frame = pd.DataFrame(x, columns=list("abcdef")).assign(
            flag=rng.integers(0, 2, ROWS, np.int8),
            when=np.arange(ROWS) % 50,
            patient=np.arange(ROWS) // 4,
            kind=[f"k{c}" for c in y],
        )
        frame.to_parquet(folder / "X.parquet", row_group_size=50)
        return {"dataset": "X.parquet", "target": "kind", "group": "patient"}
    if kind == "last":
        np.save(folder / "X.npy", np.column_stack([np.nan_to_num(x), y.astype(np.float32)]))
        return {"dataset": "X.npy", "target": "last"}
    shapes = {"images": (ROWS, 4, 5), "coloured": (ROWS, 4, 5, 3), "sequences": (ROWS, 7, 2)}
    if kind in shapes:
        x = rng.integers(0, 256, shapes[kind], dtype=np.uint8)
    if kind == "numbers":
        y = x[:, 1].astype(np.float64) + np.arange(ROWS)
        y[np.isnan(y)] = 0.5
    np.save(folder / "X.npy", x)
    np.save(folder / "y.npy", y)
    return {"dataset": "X.npy", "target": "y.npy"} | ({"shape": [7, 2]} if kind == "sequences" else {})


KINDS = ("rows", "numbers", "last", "parquet", "images", "coloured", "sequences")


def loaded(folder: Path, home: Path | None = None, **keys: Any) -> tuple[Dataset, Splits, PreparedData]:
    """What a study with these keys of `[data]` gets."""
    table = DataTable.model_validate(keys)
    dataset = load_dataset(table, folder, home=home)
    splits = split_data(dataset, table, 0)
    return dataset, splits, prepare_data(dataset, splits, table)
