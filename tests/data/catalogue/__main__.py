"""Gets data sets of the catalogue, all or those named, and compares them with what their entries say: `python -m
tests.data.catalogue [NAME...]`. No test does so, because it may use the network."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from hpo.data.catalogue import entry_of, load_dataset
from hpo.data.catalogue.entries import CATALOGUE
from hpo.errors import HpoError
from hpo.studyfile.records import DataTable


def compare(name: str) -> bool:
    """Whether the data set is as its entry says; prints what it is."""
    entry, begin = entry_of(name), time.monotonic()
    try:
        dataset = load_dataset(DataTable(dataset=name), Path())
    except HpoError as error:
        print(f"{name}: {error}")
        return False
    columns = len(dataset.categorical_names)
    shape = (dataset.numeric.shape[1] + columns,) if columns else dataset.numeric.shape[1:]
    is_as_said = (dataset.size, dataset.task, len(dataset.class_names)) == (entry.examples, entry.task, entry.classes)
    if entry.kind != "text":
        is_as_said &= (dataset.kind, shape) == (entry.kind, entry.shape)
    parts = "" if dataset.part_N is None else f", parts {np.bincount(dataset.part_N).tolist()}"
    print(
        f"{name}: {dataset.size:,} examples, {'x'.join(map(str, shape))}, {len(dataset.class_names)} classes{parts}, "
        f"{time.monotonic() - begin:.1f} s{'' if is_as_said else ', which is not what the entry says'}"
    )
    return is_as_said


if __name__ == "__main__":
    same = [compare(name) for name in sys.argv[1:] or CATALOGUE]
    sys.exit(not all(same))
