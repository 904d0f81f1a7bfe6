"""CSV files: what a cell and a column mean, and what is answered when a file cannot be used."""

import numpy as np
import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.readers import read_file
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

MIXED = """\
age, colour, member, height, label
31, red, True, 1.75, yes
?, blue, False, , no
45, "dark, red", True, 1.60, yes
28,, False, 1.82, no
"""


@pytest.fixture
def load(tmp_path):
    def load(content, **values):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        data = DataTable.model_validate({"dataset": "table.csv", "target": "label", **values})
        return load_dataset(data, tmp_path)

    return load


def refused(load, content, *expected, **values):
    with pytest.raises(DataError) as caught:
        load(content, **values)
    for text in expected:
        assert text in str(caught.value)


def rows(cells, column="x"):
    """A table with one column under test, a plain feature and a two-class target."""
    lines = [f"{cell},{position % 7},{'ab'[position % 2]}" for position, cell in enumerate(cells)]
    return "\n".join([f"{column},plain,label", *lines]) + "\n"


def test_columns_are_numeric_or_categorical(load):
    dataset = load(MIXED)
    assert (dataset.name, dataset.kind, dataset.task) == ("table.csv", "tabular", "classification")
    assert dataset.numeric_names == ("age", "height")
    np.testing.assert_array_equal(dataset.numeric, [[31, 1.75], [np.nan, np.nan], [45, 1.60], [28, 1.82]])
    assert dataset.categorical_names == ("colour", "member")
    assert dataset.categorical_NK.tolist() == [
        ["red", "True"],
        ["blue", "False"],
        ["dark, red", "True"],
        [None, "False"],
    ]
    assert dataset.class_names == ("no", "yes")
    assert dataset.target_N.tolist() == [1, 0, 1, 0]
    assert dataset.notes == ()


@pytest.mark.parametrize("cell", ["", "  ", "?", "NA", "N/A", "nan", "NaN", "NULL", "None", "<NA>"])
def test_cells_that_count_as_missing(load, cell):
    dataset = load(rows(["1", cell, "2", "3"]))
    assert np.isnan(dataset.numeric[:, 0]).tolist() == [False, True, False, False]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(load, separator):
    plain = load("a,b,label\n1,2.5,x\n2,3.5,y\n")
    other = load(f"a{separator}b{separator}label\r\n1{separator}2.5{separator}x\r\n2{separator}3.5{separator}y\r\n")
    assert other.fingerprint == plain.fingerprint


def test_a_byte_order_mark_is_no_part_of_the_first_name(load):
    assert load(b"\xef\xbb\xbfa,label\n1,x\n2,y\n").numeric_names == ("a",)


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        (["10", "9", "10"], "classification", ("9", "10")),
        (["1", "1.0", "2"], "classification", ("1", "1.0", "2")),
        (["1.1", "1.10", "2.0"], "classification", ("1.1", "1.10", "2.0")),
        (["7", "007", "8"], "classification", ("007", "7", "8")),
        ([str(2**53), str(2**53 + 1), "5"], "classification", ("5", str(2**53), str(2**53 + 1))),
        ([f"0{n}" for n in range(30)], "classification", tuple(f"0{n}" for n in range(30))),
        (["0.5", "1", "0.5"], "classification", ("0.5", "1")),
        (["+", "-", "-"], "classification", ("+", "-")),
        (range(20), "classification", tuple(map(str, range(20)))),
        (range(21), "regression", ()),
        (np.linspace(0, 1, 30), "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(load, cells, task, classes):
    content = "a,label\n" + "".join(f"{position % 5},{cell}\n" for position, cell in enumerate(cells))
    dataset = load(content)
    assert (dataset.task, dataset.class_names) == (task, classes)


def test_the_task_may_be_given(load):
    content = "a,label\n1,1\n5,2\n2,3\n"
    assert load(content, task="regression").target_N.tolist() == [1.0, 2.0, 3.0]
    many = "a,label\n" + "".join(f"{n % 5},{n}\n" for n in range(30))
    assert len(load(many, task="classification").class_names) == 30


@pytest.mark.parametrize("cells", [["7"] * 30, ["7", "7.0"] * 15, ["same"] * 30, [""] * 30])
def test_a_column_that_tells_nothing_is_left_out_with_a_note(load, cells):
    dataset = load(rows(cells))
    assert (dataset.numeric_names, dataset.categorical_names) == (("plain",), ())
    assert len(dataset.notes) == 1
    assert (dataset.notes[0].kind, dataset.notes[0].column) == ("constant", "x")


def test_one_value_with_gaps_tells_something(load):
    assert load(rows(["yes", ""] * 5)).categorical_names == ("x",)
    assert load(rows(["7", ""] * 5)).numeric_names == ("x", "plain")


def test_too_many_categories_are_left_out_with_a_note(load):
    kept = load(rows([f"name{n % 50}" for n in range(60)]))
    assert kept.categorical_names == ("x",)
    dropped = load(rows([f"name{n}" for n in range(60)]))
    assert dropped.categorical_names == ()
    assert "identifier" in dropped.notes[0].text
    assert dropped.notes[0].detail == "60 distinct"


def test_a_typing_error_does_not_cost_a_column_of_numbers(load):
    cells = [str(n * 0.37) for n in range(60)]
    cells[6] = "1O.5"
    refused(load, rows(cells), 'column "x" holds numbers, but "1O.5" in row 7', "leave them empty")


def test_a_counter_of_rows_is_noticed(load):
    unnamed = load(rows(range(40), column=""))
    assert unnamed.numeric_names == ("plain",)
    assert "counts the rows" in unnamed.notes[0].text
    named = load(rows(range(1, 41), column="id"))
    assert named.numeric_names == ("id", "plain")
    assert (named.notes[0].kind, named.notes[0].column) == ("suspicious", "id")


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e31"])
def test_infinite_values(load, cell):
    refused(load, rows(["1", "2", cell]), 'column "x" is', "in row 3", "must be finite", "leave them empty")
    content = f"a,label\n1,2\n2,3\n3,{cell}\n"
    refused(load, content, 'target "label" is', "in row 3", task="regression")


def test_a_missing_target_column(load):
    refused(load, "a,labels\n1,x\n", 'no column "label". Did you mean "labels"? Columns: a, labels.')
    refused(load, "5.1,3.5,setosa\n4.9,3.0,setosa\n", "The first line of the file must hold the columns' names")
    refused(load, MIXED, "data.target: missing", "age, colour, member, height, label", target=None)


def test_missing_cells_in_the_target(load):
    content = "a,label\n" + "".join(f"{n},{'' if n % 2 else 'x'}\n" for n in range(30))
    refused(load, content, 'target "label" is missing in rows 2, 4, 6', "and 5 more, 15 of 30 rows", "remove the rows")


def test_text_in_a_regression_target(load):
    refused(load, "a,label\n1,2\n2,n.a.\n3,4\n", '"n.a." in row 2', "regression needs numbers", task="regression")


@pytest.mark.parametrize(("cell", "task"), [("x", "auto"), ("1.0", "auto"), ("1.5", "regression")])
def test_nothing_to_learn(load, cell, task):
    refused(load, f"a,label\n1,{cell}\n2,{cell}\n", "in every row, so there is nothing to learn", task=task)


def test_no_usable_feature(load):
    refused(load, "a,label\n1,x\n1,y\n", "no column is left to predict from", "Left out because constant: a")
    refused(load, "label\nx\ny\n", "no column is left to predict from")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"a,label\n", "2 columns and no rows"),
        ("a,label\n1,x\n2,caf\xe9\n".encode("latin1"), "line 3: byte 0xe9 is not UTF-8"),
        (b"a,label\n1,\0\n", "zero bytes"),
        (b"a,b,a,label\n1,2,3,x\n", 'column name "a" occurs 2 times (columns 1, 3)'),
        (b"a,label\n1,x\n2,y,3\n", "Expected 2 fields in line 3, saw 3"),
        (b"a,label\n1,x,3\n2,y,3\n", "rows have more cells than the first line has names (2)"),
        (b'a,label\n1,"x\n2,y\n', "every quote its end"),
    ],
)
def test_malformed_files(load, content, expected):
    refused(load, content, "table.csv", expected)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, message in (("absent.csv", "no such file"), ("folder.csv", "cannot be read: Is a directory")):
        with pytest.raises(DataError, match=message):
            load_dataset(DataTable(dataset=name, target="label"), tmp_path)


def test_columns_keep_their_text_where_it_is_asked_for(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("code,n,yes\n007, 1,true\n ?,2.50,false\n")
    frame = read_file(path, DataTable(dataset="codes.csv"), as_text=["code"]).frame
    assert frame["code"].isna().tolist() == [False, True]
    assert frame["code"][0] == "007"
    assert frame["n"].tolist() == [1, 2.5]
    assert frame["yes"].tolist() == ["true", "false"]


def test_a_file_without_names_has_numbered_columns(load):
    named = "column 1,column 2,label\n1,red,yes\n2,blue,no\n3,red,yes\n"
    dataset = load(named.partition("\n")[2], header=False, target="column 3")
    assert (dataset.size, dataset.target_name) == (3, "column 3")
    assert dataset.numeric_names == ("column 1",)
    assert dataset.numeric.tolist() == load(named).numeric.tolist()
    assert dataset.categorical_names == ("column 2",)
    refused(load, "1,2,x\n3,4\n5,6,y\n", "1 row has fewer cells", "row 2.", header=False, target="column 3")
    refused(load, "1,2\n1,2,3\n", "not a well-formed CSV file", header=False, target="column 2")
