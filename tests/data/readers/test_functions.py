"""Functions of the user's own that give the data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.loading import load, refused

HEAD = """
import numpy as np, pandas as pd, torch
X = np.arange(60.0).reshape(20, 3) % 7
Y = np.arange(20) % 2

class Items(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items
    def __len__(self):
        return len(self.items)
    def __getitem__(self, place):
        return self.items[place]
"""


def write(base: Path, body: str) -> str:
    """A file with a function `data` of this body; returns how a study names it."""
    (base / "own.py").write_text(f"{HEAD}\ndef data():\n    {body}\n")
    return "own.py:data"


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ("return X, Y", "y"),
        ("return [X.tolist(), list(Y)]", "y"),
        ("return {'X': X, 'Y': Y}", "y"),
        ("return torch.tensor(X), torch.tensor(Y)", "y"),
        ("return pd.DataFrame(X, columns=['x0', 'x1', 'x2']), pd.Series(Y, name='y')", "y"),
        ("return pd.DataFrame(X, columns=['x0', 'x1', 'x2']).assign(y=Y)", "y"),
        ("return Items([(x, int(y)) for x, y in zip(X, Y)])", "y"),
        ("return torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))", "y"),
    ],
)
def test_what_a_function_may_give(tmp_path: Path, body: str, target: str) -> None:
    settings = {"target": "y"} if "assign" in body else {}
    found = load(tmp_path, write(tmp_path, body), **settings)
    plain = load(tmp_path, write(tmp_path, "return X, Y"))
    assert found.fingerprint == plain.fingerprint
    assert (found.name, found.target_name, found.class_names) == ("own.py:data", target, ("0", "1"))


def test_images_and_sequences_of_a_data_set(tmp_path: Path) -> None:
    pictures = "return Items([(torch.full((1, 4, 4), n), 'ab'[n % 2]) for n in range(20)])"
    found = load(tmp_path, write(tmp_path, pictures))
    assert (found.kind, found.numeric.shape, found.class_names) == ("image", (20, 1, 4, 4), ("a", "b"))
    unequal = "return Items([(np.full((1 + n % 3, 2), n), n % 2) for n in range(20)])"
    found = load(tmp_path, write(tmp_path, unequal))
    assert (found.kind, found.numeric.shape) == ("sequence", (20, 3, 2))
    assert found.lengths_N is not None
    assert found.lengths_N[:4].tolist() == [1, 2, 3, 1]


def test_an_installed_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data_of_a_test.py").write_text(f"{HEAD}\ndef data():\n    return X, Y\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load(tmp_path, "own_data_of_a_test:data").size == 20
    sys.modules.pop("own_data_of_a_test")


def test_the_content_tells_whether_the_data_changed(tmp_path: Path) -> None:
    first = load(tmp_path, write(tmp_path, "return X, Y"))
    again = load(tmp_path, write(tmp_path, "return X + 0, Y  # as before"))
    other = load(tmp_path, write(tmp_path, "return X + 1, Y"))
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "data() raised ZeroDivisionError: division by zero (own.py, line 15)"),
        ("raise SystemExit(3)", "data() raised SystemExit: 3"),
        ("import nowhere", "data() raised ModuleNotFoundError: No module named 'nowhere'"),
        ("return", "found a NoneType; must be a pandas DataFrame, a pair of arrays"),
        ("return X, Y, X", "found a tuple"),
        ("return {'data': X}", "it has the arrays data, and is read with X"),
        ("return X, Y[:-1]", "X has 20 examples and y has 19 targets"),
        ("return pd.DataFrame(X), Y[:-1]", "X has 20 rows and y has 19"),
        ("return [[1], [1, 2]], Y", "data() raised ValueError: setting an array element"),
        ("return X, None", "data.target: missing. data.dataset own.py:data holds no targets"),
        ("return X, 3", "X has 20 examples and y has 1 targets"),
        ("return Items([(X[0], 1, 2)])", "item 0 is a tuple, and must be a pair (x, y)"),
        ("return Items([])", "a data set without items"),
        ("return Items([(X[:2], 0), (X[:2, :1], 1)])", "item 1 has the shape (2, 1), and item 0 has (2, 3)"),
        ("return pd.DataFrame({'a': [1]})", "data.target: missing. Name the column of data.dataset own.py:data"),
        ("return Items([(x, [0, 1]) for x in X])", "one target for each example is needed"),
    ],
)
def test_what_a_function_may_not_give(tmp_path: Path, body: str, message: str) -> None:
    assert message in refused(tmp_path, write(tmp_path, body))


def test_functions_that_are_not_there(tmp_path: Path) -> None:
    assert "data.dataset" in refused(tmp_path, "absent.py:data")
    assert "there is no file" in refused(tmp_path, "absent.py:data")
    write(tmp_path, "return X, Y")
    assert "there is no dat in it" in refused(tmp_path, "own.py:dat")
    assert "it must be a class or a function that gives a data set" in refused(tmp_path, "own.py:X")
    assert "no module no.such can be imported" in refused(tmp_path, "no.such:data")


def test_a_second_function_gives_the_test_part(tmp_path: Path) -> None:
    name = write(tmp_path, "return X, Y\n\ndef more():\n    return X[:6] + 1, Y[:6]")
    found = load(tmp_path, name, test="own.py:more")
    assert found.part_N is not None
    assert np.bincount(found.part_N).tolist() == [20, 0, 6]
