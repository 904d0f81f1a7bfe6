"""Small stand-ins for data sets of the catalogue that are fetched: files of the same form in the user's cache, so that
studies on them can be checked without a network."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import Bundled
from hpo.data.catalogue.files import kept_in

random = np.random.default_rng(0)
ROWS = 200


def _mnist5k() -> bytes:
    rows = np.column_stack([random.integers(0, 256, (ROWS, 784)), np.arange(ROWS) % 10])
    return gzip.compress("".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode())


def _spoken_digits() -> bytes:
    lengths = random.integers(6, 30, ROWS)
    file = io.BytesIO()
    np.savez(file, X=random.normal(size=(lengths.sum(), 13)), lengths=lengths, y=np.arange(ROWS) % 10)
    return file.getvalue()


def _clothing_reviews() -> bytes:
    words = np.array(["love", "this", "dress", "too", "small", "returned", "it", "soft", "fabric", "poor"])
    texts = [" ".join(random.choice(words, count)) for count in random.integers(5, 40, ROWS)]
    frame = pd.DataFrame(dict.fromkeys(CATALOGUE["clothing_reviews"].settings["columns"], [1] * ROWS))
    frame = frame.assign(**{"Review Text": texts, "Recommended IND": (np.arange(ROWS) % 4 > 0).astype(int)})
    file = io.BytesIO()
    frame.to_parquet(file, compression="brotli")
    return file.getvalue()


def _parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file, compression="brotli")
    return file.getvalue()


def _adult() -> bytes:
    return _parquet(
        age=random.integers(17, 90, ROWS),
        workclass=random.choice(["Private", "State-gov", "?"], ROWS),
        education=random.choice(["HS-grad", "Masters", "10th"], ROWS),
        income=np.where(np.arange(ROWS) % 4, "<=50K", ">50K"),
    )


def _california_housing() -> bytes:
    names = ("MedInc", "HouseAge", "AveRooms", "Latitude", "MedHouseVal")
    return _parquet(**{name: random.lognormal(size=ROWS) for name in names})


def _japanese_vowels() -> bytes:
    lines = ["@problemName vowels", "@classLabel true 1 2 3 4 5 6 7 8 9", "@data"]
    for row in range(ROWS):
        channels = (",".join(f"{number:.3f}" for number in steps) for steps in random.normal(size=(12, 25)))
        lines.append(f"{':'.join(channels)}:{row % 9 + 1}")
    return "\n".join(lines).encode()


def _idx(numbers: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, numbers.ndim]) + b"".join(size.to_bytes(4, "big") for size in numbers.shape)
    return head + numbers.astype(np.uint8).tobytes()


def _fashion_mnist(rows: int) -> tuple[bytes, bytes]:
    return _idx(random.integers(0, 256, (rows, 28, 28))), _idx(np.arange(rows) % 10)


FILES: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "mnist5k": lambda: (_mnist5k(),),
    "spoken_digits": lambda: (_spoken_digits(),),
    "clothing_reviews": lambda: (_clothing_reviews(),),
    "adult": lambda: (_adult(),),
    "california_housing": lambda: (_california_housing(),),
    "japanese_vowels": lambda: (_japanese_vowels(), _japanese_vowels()),
    "fashion_mnist": lambda: (*_fashion_mnist(3 * ROWS), *_fashion_mnist(ROWS)),
}
"""The contents of the files of each, in the order of the catalogue."""


def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the stand-in for a data set where its files would be, and their sha256 into the catalogue. Does nothing for
    data sets that scikit-learn contains."""
    entry = CATALOGUE[name]
    if isinstance(entry.source, Bundled):
        return
    kept_in(name).mkdir(parents=True)
    known = []
    for file, content in zip(entry.source.files, FILES[name](), strict=True):
        (kept_in(name) / file.name).write_bytes(content)
        known.append(replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    monkeypatch.setitem(CATALOGUE, name, replace(entry, source=replace(entry.source, files=tuple(known))))
