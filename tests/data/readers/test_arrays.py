"""Arrays from `.npy` and `.npz`: what their shapes mean, where the targets are, and every way in which they can be
wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.parts.splits import split_data
from hpo.data.prepare import prepare_data
from hpo.data.preprocessing.apply import features_of_frame
from hpo.data.source import read_frame
from hpo.studyfile.records import DataTable
from tests.data.readers.loading import load, refused

Y = np.arange(20) % 2
RANDOM = np.random.default_rng(0)


def save(base: Path, **arrays: Any) -> None:
    np.savez(base / "a.npz", **arrays)


@pytest.mark.parametrize(
    ("shape", "declared", "kind", "formed"),
    [
        ((20, 6), None, "tabular", (6,)),
        ((20, 4, 5), None, "image", (1, 4, 5)),
        ((20, 3, 4, 5), None, "image", (3, 4, 5)),
        ((20, 6, 5, 3), None, "image", (3, 6, 5)),
        ((20, 1, 5, 3), None, "image", (1, 5, 3)),
        ((20, 7, 4, 5), None, "image", (7, 4, 5)),
        ((20, 12), [1, 3, 4], "image", (1, 3, 4)),
        ((20, 3, 4), [1, 3, 4], "image", (1, 3, 4)),
        ((20, 2, 4, 3), [3, 2, 4], "image", (3, 2, 4)),
        ((20, 12), [6, 2], "sequence", (6, 2)),
        ((20, 6, 2), [6, 2], "sequence", (6, 2)),
        ((20, 6), [6, 1], "sequence", (6, 1)),
    ],
)
def test_the_shape_is_the_kind(tmp_path: Path, shape: Any, declared: Any, kind: str, formed: Any) -> None:
    x = RANDOM.random(shape)
    save(tmp_path, X=x, y=Y)
    dataset = load(tmp_path, "a.npz", **({"shape": declared} if declared else {}))
    assert (dataset.kind, dataset.numeric.shape[1:], dataset.target_name) == (kind, formed, "y")
    assert len(set(dataset.numeric_names)) == np.prod(formed)
    assert dataset.class_names == ("0", "1")
    assert (dataset.lengths_N, dataset.part_N) == (None, None)
    channels_last = shape[1:] == (*formed[1:], formed[0]) and len(shape) == 4 and shape[1:] != formed
    expected = np.moveaxis(x, 3, 1) if channels_last else x.reshape(20, *formed)
    np.testing.assert_allclose(dataset.numeric, expected, rtol=1e-6)
    data = DataTable.model_validate({"dataset": "a.npz"})
    prepared = prepare_data(dataset, split_data(dataset, data, 0), data)
    assert (prepared.kind, prepared.signature.shape) == (kind, formed)


@pytest.mark.parametrize(("shape", "declared"), [((20, 6), None), ((20, 6, 5, 3), None), ((20, 12), [6, 2])])
def test_rows_to_predict_are_transformed_like_the_training_data(tmp_path: Path, shape: Any, declared: Any) -> None:
    save(tmp_path, X=RANDOM.random(shape), y=Y)
    data = DataTable.model_validate({"dataset": "a.npz", "shape": declared})
    dataset = load(tmp_path, "a.npz", shape=declared)
    splits = split_data(dataset, data, 0)
    replica = prepare_data(dataset, splits, data).replicas[0]
    frame = read_frame(str(tmp_path / "a.npz"), replica.preprocessing.signature.main.shape)
    rows = features_of_frame(replica.preprocessing, frame.iloc[splits.replicas[0].valid_idx])
    np.testing.assert_allclose(rows, replica.x_valid, rtol=1e-6)


def test_pixels_stay_what_they_are(tmp_path: Path) -> None:
    x = RANDOM.integers(0, 256, (20, 4, 4)).astype(np.uint8)
    x[:, 0, 0] = 0
    save(tmp_path, x=x, Y=Y)
    dataset = load(tmp_path, "a.npz")
    assert dataset.numeric.dtype == np.float32
    np.testing.assert_array_equal(dataset.numeric[:, 0], x)
    assert dataset.numeric_names[:2] == ("pixel_0_0", "pixel_0_1")


def test_sequences_one_after_the_other_are_cut_and_padded(tmp_path: Path) -> None:
    lengths = np.array([2, 5, 3, 1] * 5)
    x = RANDOM.random((lengths.sum(), 2))
    save(tmp_path, X=x, y=Y, lengths=lengths)
    dataset = load(tmp_path, "a.npz")
    assert (dataset.kind, dataset.numeric.shape) == ("sequence", (20, 5, 2))
    assert dataset.lengths_N is not None
    assert dataset.lengths_N.tolist() == lengths.tolist()
    for row, part in enumerate(np.split(x, np.cumsum(lengths)[:-1])):
        np.testing.assert_array_equal(dataset.numeric[row, : len(part)], part)
        assert not dataset.numeric[row, len(part) :].any()
    assert load(tmp_path, "a.npz", shape=[8, 2]).numeric.shape == (20, 8, 2)
    assert "an example of" in refused(tmp_path, "a.npz", shape=[4, 2])
    padded = dataset.numeric.copy()
    padded[0, 3] = np.nan
    save(tmp_path, X=padded, y=Y, lengths=lengths)
    assert load(tmp_path, "a.npz").fingerprint == dataset.fingerprint
    save(tmp_path, X=dataset.numeric, y=Y, lengths=np.full(20, 5))
    full = load(tmp_path, "a.npz")
    assert full.lengths_N is None
    assert full.fingerprint != dataset.fingerprint
    save(tmp_path, X=x[:, 0], y=Y, lengths=lengths)
    assert load(tmp_path, "a.npz").numeric.shape == (20, 5, 1)


def test_the_targets_of_one_array_lie_beside_it(tmp_path: Path) -> None:
    x = RANDOM.random((20, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "labels.npy", np.array(["cat", "dog"])[Y])
    beside = load(tmp_path, "x.npy", target="labels.npy")
    assert (beside.target_name, beside.class_names, beside.numeric_names) == (
        "labels",
        ("cat", "dog"),
        ("x0", "x1", "x2"),
    )
    np.save(tmp_path / "x.npy", np.column_stack([x, Y]))
    last = load(tmp_path, "x.npy", target="last")
    assert (last.target_name, last.class_names, last.numeric.shape) == ("last", ("0", "1"), (20, 3))
    assert 'data.target = "labels.npy"' in refused(tmp_path, "x.npy")
    assert 'data.target: "first" is not in' in refused(tmp_path, "x.npy", target="first")
    np.save(tmp_path / "labels.npy", Y[:-1])
    assert "X has 20 examples and labels has 19 targets" in refused(tmp_path, "x.npy", target="labels.npy")
    assert "absent.npy: no such file" in refused(tmp_path, "x.npy", target="absent.npy")


def test_a_target_of_real_numbers_is_a_quantity(tmp_path: Path) -> None:
    save(tmp_path, X=RANDOM.random((40, 3)), y=RANDOM.random((40, 1)))
    assert load(tmp_path, "a.npz").task == "regression"


def test_columns_of_a_table_make_an_image(tmp_path: Path) -> None:
    cells = RANDOM.integers(0, 9, (20, 6))
    cells[:, 2] = 0
    lines = [f"{','.join(map(str, row))},{'ab'[n % 2]},id{n}" for n, row in enumerate(cells)]
    (tmp_path / "t.csv").write_text("\n".join(["p0,p1,p2,p3,p4,p5,label,id", *lines, ""]))
    settings: dict[str, Any] = {"target": "label", "shape": [1, 2, 3]}
    assert '"id" holds no numbers' in refused(tmp_path, "t.csv", **settings)
    settings["columns"] = {"id": "ignored"}
    image = load(tmp_path, "t.csv", **settings)
    np.testing.assert_array_equal(image.numeric.reshape(20, 6), cells)
    assert (image.kind, image.numeric_names[2], image.class_names) == ("image", "p2", ("a", "b"))
    assert load(tmp_path, "t.csv", **settings | {"shape": [3, 2]}).numeric.shape == (20, 3, 2)
    said = refused(tmp_path, "t.csv", **settings | {"shape": [1, 2, 4]})
    assert "[1, 2, 4] has 8 numbers, but an example of" in said
    assert "has 6 columns of numbers" in said
    (tmp_path / "t.csv").write_text("\n".join(["p0,p1,label", "1,,a", "2,3,b", ""]))
    said = refused(tmp_path, "t.csv", target="label", shape=[1, 1, 2])
    assert "example 1 is missing a number at channel 1, row 1, column 2" in said


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": Y, "y_train": Y}, "it has the arrays x_train, y_train, and is read with X"),
        ({"X": np.ones((20, 2)), "x": np.ones((20, 2)), "y": Y}, "it has the arrays X, x, y"),
        ({"X": np.array([["a", "b"]] * 20), "y": Y}, "X holds <U1, and must hold numbers"),
        ({"X": np.ones(20), "y": Y}, "X has the shape (20,)"),
        ({"X": np.ones((20, 1, 1, 1, 1)), "y": Y}, "X has the shape (20, 1, 1, 1, 1)"),
        ({"X": np.ones((0, 3, 3)), "y": Y[:0]}, "there is no example in it"),
        ({"X": np.ones((20, 3, 3)), "y": Y[:9]}, "X has 20 examples and y has 9 targets"),
        ({"X": np.ones((20, 3, 3)), "y": np.eye(20)}, "take numpy.argmax(y, axis=1)"),
        ({"X": np.ones((20, 3, 3)), "y": np.zeros(20, "M8[s]")}, "y holds datetime64[s]"),
        ({"X": np.ones((20, 3, 3)), "y": np.full(20, np.nan)}, 'target "y" is missing in rows 1, 2'),
        ({"X": np.ones((20, 3, 3)), "y": np.zeros(20)}, "nothing to learn"),
        ({"X": np.ones((20, 3, 3))}, "data.target: missing"),
        ({"X": np.full((20, 3, 3), np.nan), "y": Y}, "example 1 is missing a number at channel 1, row 1, column 1"),
        ({"X": np.full((20, 3, 3), np.inf), "y": Y}, "example 1 holds inf at"),
        ({"X": np.ones((30, 2)), "y": Y, "lengths": np.full(20, 2)}, "X must be [40, channels]"),
        ({"X": np.ones((30, 2)), "y": Y, "lengths": np.zeros(20, int)}, "lengths must be whole numbers from 1 on"),
        ({"X": np.ones((30, 2)), "y": Y, "lengths": np.ones(20)}, "lengths must be whole numbers from 1 on"),
        ({"X": np.array([[1], [1, 2]], dtype=object), "y": Y}, "holds Python objects (dtype object)"),
        ({"X": np.float64(3), "y": Y}, "holds a single value"),
        ({}, "it has the arrays (none)"),
    ],
)
def test_arrays_that_are_no_examples(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    save(tmp_path, **arrays)
    said = refused(tmp_path, "a.npz")
    assert message in said
    assert str(tmp_path / "a.npz") in said


def test_damaged_files_are_named(tmp_path: Path) -> None:
    save(tmp_path, X=np.ones((20, 3)), y=Y)
    np.save(tmp_path / "a.npy", np.ones((20, 3)))
    for name in ("a.npz", "a.npy"):
        whole = (tmp_path / name).read_bytes()
        for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-3], whole[:20] + b"\xff" + whole[21:]):
            (tmp_path / name).write_bytes(content)
            assert str(tmp_path / name) in refused(tmp_path, name, target="y" if name == "a.npz" else "last")
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npy").read_bytes())
    assert "Give it the ending .npy" in refused(tmp_path, "a.npz")
    save(tmp_path, X=np.ones((20, 3)), y=Y)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npz").read_bytes())
    assert "Give it the ending .npz" in refused(tmp_path, "a.npy")
