"""The rows of a part as models take them, written to a file once for a study and all its processes.

Rows to train on are shuffled on the way, so that any piece of the file is a random sample of the part, in whatever
order the data came: each row gets a place by chance; rows are first written into the bucket of their place, then each
bucket is put in order. Both go through the data once and hold one bucket in memory.
"""

from __future__ import annotations

import hashlib
import json
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hpo import disk
from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray
from hpo.data.preprocessing.apply import apply
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.streaming.mapped import portions, release
from hpo.data.streaming.row_file import RowFile, file_of, make_room, runs
from hpo.errors import MachineError

BUCKET = 2**25
"""Bytes of a bucket."""
FORM = "1"
"""Of the files; another one after a change of how they are written."""


def prepared(preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray) -> NDArray[np.float32]:
    """The network's input for the chosen examples, [N, *input_shape], memory-mapped."""
    return _mapped(dataset, preprocessing, idx, np.arange(len(idx)), "in order")


def shuffled(preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray) -> tuple[NDArray[np.float32], IndexArray]:
    """The same in an order drawn by chance, and the examples in this order."""
    seed = hashlib.blake2b(idx.tobytes(), digest_size=8).digest()
    order = np.random.default_rng(int.from_bytes(seed, "little")).permutation(len(idx))
    return _mapped(dataset, preprocessing, idx, np.argsort(order), "shuffled"), idx[order]


def _mapped(
    dataset: Dataset, preprocessing: Preprocessing, idx: IndexArray, place_N: IndexArray, how: str
) -> NDArray[np.float32]:
    on_disk = dataset.on_disk
    assert on_disk is not None, "only streamed data are written"
    shape = (len(idx), *preprocessing.signature.shape)
    about = json.dumps(preprocessing.as_dict(), sort_keys=True)
    file = file_of(on_disk.folder, shape, FORM, how, on_disk.content, about, idx.tobytes())
    if not len(idx):
        return np.zeros(shape, np.float32)
    if not file.whole:
        _write(file, dataset, preprocessing, idx, place_N)
    return file.mapped()


def _write(file: RowFile, dataset: Dataset, preprocessing: Preprocessing, idx: IndexArray, place_N: IndexArray) -> None:
    make_room(file.path.parent, file.row_bytes * len(idx))
    rows = max(1, BUCKET // file.row_bytes)
    try:
        with disk.replacing(file.path) as out:
            slot_place_N = _into_buckets(out, file, dataset, preprocessing, idx, place_N, rows)
            for begin in range(0, len(idx), rows):
                _put_in_order(out, file, slot_place_N[begin : begin + rows], begin)
    except OSError as error:
        raise MachineError(
            f"{file.path}: streamed data cannot be written there: {error.strerror}. Choose another folder with --home "
            "(or HPO_HOME)."
        ) from None


def _into_buckets(
    out: BinaryIO,
    file: RowFile,
    dataset: Dataset,
    preprocessing: Preprocessing,
    idx: IndexArray,
    place_N: IndexArray,
    rows: int,
) -> IndexArray:
    """Writes each row into the next slot of its bucket; the place that the row of each slot belongs to."""
    slot_place_N = np.empty(len(idx), np.int64)
    next_slot = np.arange(0, len(idx), rows)
    for part in portions(len(idx), file.shape[1:]):
        x = apply(preprocessing, dataset, idx[part])
        release(dataset.numeric)
        bucket_R = place_N[part] // rows
        order_R = np.argsort(bucket_R, kind="stable")
        x, places_R = x[order_R], place_N[part][order_R]
        for bucket, begin, stop in runs(bucket_R[order_R]):
            slot = int(next_slot[bucket])
            _put(out, x[begin:stop], slot * file.row_bytes)
            slot_place_N[slot : slot + stop - begin] = places_R[begin:stop]
            next_slot[bucket] += stop - begin
    return slot_place_N


def _put_in_order(out: BinaryIO, file: RowFile, place_R: IndexArray, begin: int) -> None:
    if (np.diff(place_R) > 0).all():
        return
    found = np.empty((len(place_R), file.row_bytes // 4), np.float32)
    out.seek(begin * file.row_bytes)
    found.reshape(-1)[:] = np.frombuffer(out.read(found.nbytes), np.float32)
    ordered = np.empty_like(found)
    ordered[place_R - begin] = found
    _put(out, ordered, begin * file.row_bytes)


def _put(out: BinaryIO, rows: NDArray[np.float32], offset: int) -> None:
    out.seek(offset)
    out.write(np.ascontiguousarray(rows).data)
