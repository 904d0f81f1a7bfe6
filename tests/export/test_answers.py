"""The generated file answers as `hpo predict` does, for all replicas together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo.export.predictor import Predictor, predict
from tests.data.tables import read_table
from tests.export import tiny
from tests.export.test_module import executed
from tests.export.test_predictor import exported, wine_table


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the table and, under `export`, two models for numbers."""
    folder = tmp_path_factory.mktemp("houses")
    tiny.write_houses(folder)
    exported(tiny.HOUSES, folder)
    return folder


def test_numbers_are_those_of_the_ensemble(houses: Path) -> None:
    frame = read_table(houses / "houses.csv")
    expected = predict(Predictor.load(houses / "export"), frame).labels
    found = executed((houses / "export" / "model.py").read_text(), houses / "export")["predict"]
    rows = frame.to_dict("records")
    np.testing.assert_allclose(found(rows), expected, rtol=1e-5)
    np.testing.assert_allclose(found(frame[frame.columns[::-1]]), expected, rtol=1e-5)
    texts = pd.read_csv(houses / "houses.csv", dtype=object, keep_default_na=False)
    np.testing.assert_allclose(found({name: texts[name].tolist() for name in texts}), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="column \"rooms\", row 3: 'many' is no number"):
        found([*rows[:2], rows[2] | {"rooms": "many"}])


@pytest.mark.parametrize("folds", ["", "\nfolds = 3"])
def test_classes_and_probabilities_are_those_of_the_ensemble(folds: str, tmp_path: Path) -> None:
    exported(tiny.WINE.replace('dataset = "wine"', f'dataset = "wine"{folds}'), tmp_path)
    expected = predict(Predictor.load(tmp_path / "export"), wine_table())
    predicted = executed((tmp_path / "export" / "model.py").read_text(), tmp_path / "export")["predict"]
    names, probabilities = predicted(wine_table(target=False).to_dict("records"))
    assert tuple(names) == expected.labels
    np.testing.assert_allclose(probabilities, expected.probabilities_NC, atol=1e-5)


def test_the_file_needs_none_of_this_package(houses: Path) -> None:
    program = "import sys, model; print(len(model.predict([]))); assert 'hpo' not in sys.modules"
    copy = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(houses / 'export')!r}); {program}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (copy.stdout, copy.returncode) == ("0\n", 0), copy.stderr


def test_an_export_of_an_earlier_version_is_read(houses: Path, tmp_path: Path) -> None:
    shutil.copytree(houses / "export", tmp_path / "export")
    path = tmp_path / "export" / "preprocessing.json"
    entries = json.loads(path.read_text())
    for entry in entries:
        assert entry["forms"] == {}
        for key in ["forms", "logarithmic", "knots", "codes", "length", "text_names", "words", "vocabulary", "tokens"]:
            del entry[key]
    path.write_text(json.dumps(entries))
    frame = read_table(houses / "houses.csv")
    expected = predict(Predictor.load(houses / "export"), frame).labels
    assert predict(Predictor.load(tmp_path / "export"), frame).labels == expected


TABLES = {
    "semicolons.csv": lambda text: text.replace(",", ";").replace(".", ","),
    "tabs.tsv": lambda text: text.replace(",", "\t"),
    "packed.csv.gz": lambda text: text,
    "marks.csv": lambda text: "sep=|\r\n" + text.replace(",", "|").replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_however_it_is_written(name: str, houses: Path, tmp_path: Path) -> None:
    """With the columns in another order, none beyond those that are needed, and other marks than in training."""
    import gzip

    frame = read_table(houses / "houses.csv")
    text = TABLES[name](frame[["heating", "rooms", "area"]].to_csv(index=False))
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    predictor = Predictor.load(houses / "export")
    assert predict(predictor, read_table(tmp_path / name)).labels == predict(predictor, frame).labels
