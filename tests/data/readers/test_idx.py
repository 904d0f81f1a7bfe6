"""Idx files: images, and their labels beside them; packed or not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hpo.data.catalogue import with_settings
from hpo.studyfile.records import DataTable
from tests.data.readers.loading import load, refused

IMAGES = np.arange(6 * 3 * 2, dtype=np.uint8).reshape(6, 3, 2)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array: np.ndarray, kind: str = "u1") -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, CODES[kind], array.ndim]) + sizes + array.astype(f">{kind}").tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[:2])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[:2])))
    return tmp_path


def test_images_and_the_labels_beside_them(folder):
    dataset = load(folder, "train-images-idx3-ubyte")
    assert (dataset.kind, dataset.task, dataset.class_names) == ("image", "classification", ("0", "1", "2"))
    np.testing.assert_array_equal(dataset.numeric[:, 0], IMAGES)
    assert dataset.target_N.tolist() == LABELS.tolist()


def test_packed_files_have_both_names(folder):
    assert load(folder, "t10k-images-idx3-ubyte.gz").fingerprint == load(folder, "./t10k-images-idx3-ubyte").fingerprint
    assert load(folder, "train-images-idx3-ubyte.gz").size == 6


@pytest.mark.parametrize("kind", CODES)
def test_all_types_of_numbers(tmp_path, kind):
    (tmp_path / "a-images.idx3-ubyte").write_bytes(idx(IMAGES, kind))
    (tmp_path / "a-labels.idx1-ubyte").write_bytes(idx(LABELS))
    np.testing.assert_array_equal(load(tmp_path, "a-images.idx3-ubyte").numeric[:, 0], IMAGES)


def test_a_file_of_labels_may_be_named(folder):
    (folder / "others").write_bytes(idx(LABELS[::-1]))
    assert load(folder, "train-images-idx3-ubyte", target="others").target_N.tolist() == [2, 1, 0, 2, 1, 0]


@pytest.mark.parametrize("below", [False, True])
def test_a_folder_has_a_part_to_train_and_one_to_test(folder, below):
    base, named = (folder.parent, folder.name) if below else (folder, str(folder))
    dataset = load(base, named)
    assert dataset.part_N is not None
    assert dataset.part_N.tolist() == [0] * 6 + [2] * 2
    assert load(base, named, test=0.2).size == 6
    test = with_settings(DataTable(dataset=named), base).test
    assert test == f"{named}/t10k-images-idx3-ubyte.gz"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it does not begin as such a file"),
        (b"\0\0\x08", "it does not begin as such a file"),
        (b"\0\1" + idx(IMAGES)[2:], "it does not begin as such a file"),
        (b"\0\0\x07" + idx(IMAGES)[3:], "it does not begin as such a file"),
        (idx(IMAGES)[:9], "it does not begin as such a file"),
        (idx(IMAGES)[:-1], "35 bytes are no 6 x 3 x 2 numbers of 1"),
        (idx(IMAGES) + b"\0", "37 bytes are no 6 x 3 x 2 numbers of 1"),
        (idx(IMAGES[:5]), "X has 5 examples and label has 6 targets"),
        (idx(IMAGES[:0]), "there is no example in it"),
    ],
)
def test_a_damaged_file_is_refused(folder, content, message):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    assert message in refused(folder, "train-images-idx3-ubyte")


def test_absent_labels_are_told(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    assert "train-labels-idx1-ubyte: no such file" in refused(folder, "train-images-idx3-ubyte")
    (folder / "x.idx3-ubyte").write_bytes(idx(IMAGES))
    assert "data.target: missing" in refused(folder, "x.idx3-ubyte")
