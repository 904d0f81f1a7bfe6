"""Time series in `.ts` files."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data.readers.loading import load, refused

HEAD = "# made for tests\n@problemName walks\n@univariate false\n@classLabel true left right\n"
ROWS = "1,2,3:4,5,6:left\n-1,-2.5:0,1e2:right\n"


def test_channels_become_columns_and_the_last_entry_the_class(tmp_path):
    (tmp_path / "w.ts").write_text(f"{HEAD}@data\n{ROWS}\n")
    dataset = load(tmp_path, "w.ts")
    assert (dataset.kind, dataset.target_name, dataset.class_names) == ("sequence", "class", ("left", "right"))
    np.testing.assert_array_equal(dataset.numeric, [[[1, 4], [2, 5], [3, 6]], [[-1, 0], [-2.5, 100], [0, 0]]])
    assert dataset.lengths_N is not None
    assert dataset.lengths_N.tolist() == [3, 2]


def test_numbers_are_predicted_where_the_file_says_so(tmp_path):
    (tmp_path / "w.ts").write_text("@targetlabel true\n@data\n1,2:0.5\n3,4:1.5\n")
    dataset = load(tmp_path, "w.ts", task="regression")
    assert dataset.target_name == "target"
    assert dataset.target_N.tolist() == [0.5, 1.5]
    assert dataset.numeric.shape == (2, 2, 1)
    assert dataset.lengths_N is None


def test_a_second_file_is_the_test_part(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.ts").write_text(f"{HEAD}@data\n{ROWS}")
    dataset = load(tmp_path, "a.ts", test="b.ts")
    assert dataset.part_N is not None
    assert dataset.part_N.tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no example in it"),
        (f"{HEAD}@data\n", "there is no example in it"),
        (f"{HEAD}{ROWS}", "line 5: 1,2,3:4,5,6:left stands before @data"),
        (f"{HEAD}@timestamps true\n@data\n{ROWS}", "its steps have times"),
        (f"{HEAD}@data\n1,2:3:left\n", "line 6: its channels have [1, 2] steps"),
        (f"{HEAD}@data\n1,2:3,4:left\n1,2:left\n", "line 7: it has 1 channels, and the first example has 2"),
        (f"{HEAD}@data\n1,x:3,4:left\n", "line 6: could not convert string to float: 'x'"),
        (f"{HEAD}@data\nleft\n", "line 6: "),
        (f"{HEAD}@data\n1,?:3,4:left\n2,2:2,2:right\n", "example 1 is missing a number at step 2, channel 1"),
        ("@classLabel false\n@data\n1,2\n3,4\n", "data.target: missing"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, text, message):
    (tmp_path / "w.ts").write_text(text)
    assert message in refused(tmp_path, "w.ts")


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "w.ts").write_bytes(b"# caf\xe9\n")
    assert "byte 0xe9 is not UTF-8" in refused(tmp_path, "w.ts")
