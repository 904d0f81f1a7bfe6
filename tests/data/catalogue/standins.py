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
from hpo.data.catalogue.entry import Wheel
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


FILES: dict[str, Callable[[], bytes]] = {
    "mnist5k": _mnist5k,
    "spoken_digits": _spoken_digits,
    "clothing_reviews": _clothing_reviews,
}


def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the stand-in for a data set where its file would be, and its sha256 into the catalogue. Does nothing for
    data sets that scikit-learn contains."""
    entry = CATALOGUE[name]
    if not isinstance(entry.source, Wheel):
        return
    (file,) = entry.source.files
    content = FILES[name]()
    kept_in(name).mkdir(parents=True)
    (kept_in(name) / file.name).write_bytes(content)
    known = replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CATALOGUE, name, replace(entry, source=replace(entry.source, files=(known,))))
