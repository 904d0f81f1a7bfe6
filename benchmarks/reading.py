"""Reading a CSV file as a data set against plain `pandas.read_csv`: processor seconds, in one run.

    python -m benchmarks.reading [--runs 5] [FILE TARGET ...]

Without files, two tables of random cells are made: 48,842 rows of 14 columns, eight of which are texts, and 5,000 rows
of 784 whole numbers. Our side ends with the `Dataset`: kinds of columns, target, checks and notes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.machine import processor, spread
from hpo.data.source import load_source
from hpo.studyfile.records import DataTable

TEXTS = (8, 16, 7, 14, 6, 5, 2, 41)
"""Distinct values of each column of texts."""
NUMBERS = (73, 990_000, 15, 99_999, 4_000, 98)
"""Largest values of each column of whole numbers."""


def mixed(rows: int) -> pd.DataFrame:
    """A table of texts, whole numbers and two classes."""
    random = np.random.default_rng(0)
    texts = {f"t{i}": random.choice([f"value {n}" for n in range(many)], rows) for i, many in enumerate(TEXTS)}
    numbers = {f"n{i}": random.integers(0, most, rows) for i, most in enumerate(NUMBERS)}
    return pd.DataFrame({**texts, **numbers, "label": random.choice(["<=50K", ">50K"], rows)})


def pixels(rows: int) -> pd.DataFrame:
    """A table of images as 784 columns, four fifths of which are 0, and ten classes."""
    random = np.random.default_rng(0)
    grey = random.integers(0, 256, (rows, 784)) * (random.random((rows, 784)) < 0.2)
    return pd.DataFrame(grey, columns=[f"p{i}" for i in range(784)]).assign(label=random.integers(0, 10, rows))


def tables(folder: Path, named: list[str]) -> Iterator[tuple[Path, str]]:
    """The files to read, and their targets."""
    yield from ((Path(path), target) for path, target in zip(named[::2], named[1::2], strict=True))
    if not named:
        for name, frame in (("mixed", mixed(48_842)), ("pixels", pixels(5_000))):
            frame.to_csv(folder / f"{name}.csv", index=False)
            yield folder / f"{name}.csv", "label"


def seconds(action: Callable[[], object]) -> float:
    """Processor seconds that it takes."""
    started = time.process_time()
    action()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("files", nargs="*", metavar="FILE TARGET")
    args = parser.parse_args()
    print(f"{processor()}, pandas {pd.__version__}, n = {args.runs}, median (range)\n")
    print("| file | rows x columns | pandas.read_csv s | as a data set s | ratio |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for path, target in tables(Path(folder), args.files):
            data = DataTable(dataset=str(path), target=target)
            shape = pd.read_csv(path).shape
            load_source(data, path.parent)
            plainly, as_data = partial(pd.read_csv, path), partial(load_source, data, path.parent)
            pairs = [(seconds(plainly), seconds(as_data)) for _ in range(args.runs)]
            plain, ours = ([pair[side] for pair in pairs] for side in (0, 1))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"| {path.name} | {shape[0]:,} x {shape[1]} | {spread(plain)} | {spread(ours)} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
