"""`hpo predict`: CSV in, CSV out, the score beside it, and what it refuses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hpo.cli.results.predict import predict
from tests.cli.test_export import called
from tests.export import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the table and, under `export`, the model."""
    folder = tmp_path_factory.mktemp("houses")
    tiny.write_houses(folder)
    home = tiny.run(tiny.HOUSES, folder)
    assert called("export", "houses", "-o", folder / "export", "--home", home) == 0
    return folder


def test_the_table_goes_to_standard_output_and_the_score_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert called("predict", folder / "export", folder / "houses.csv") == 0
    shown = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["row"] for row in rows] == [str(number) for number in range(1, 81)]
    assert all(float(row["prediction"]) > 0 for row in rows)
    *odd, score = shown.err.splitlines()
    assert odd == ['Column "area": 10 of 80 cells are missing.', 'Column "heating": 10 of 80 cells are missing.']
    assert score.startswith("rmse ")
    assert score.endswith("over 80 rows")


def test_it_can_be_written_to_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "houses.csv").read_text().splitlines()
    (tmp_path / "new.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    capsys.readouterr()
    assert called("predict", folder / "export", tmp_path / "new.csv", "-o", tmp_path / "out.csv") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "out.csv" in shown.err
    assert "rmse" not in shown.err
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 81


def test_a_target_of_which_nothing_is_known_is_told(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "houses.csv").read_text().splitlines()
    target = lines[0].rpartition(",")[2]
    (tmp_path / "new.csv").write_text("\n".join([lines[0], lines[1].rpartition(",")[0] + ",cheap"]) + "\n")
    capsys.readouterr()
    assert called("predict", folder / "export", tmp_path / "new.csv") == 0
    assert capsys.readouterr().err == f'Not scored: the column "{target}" holds no numbers.\n'


def test_bad_input_is_answered_in_a_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, out = tmp_path / "new.csv", tmp_path / "out.csv"
    table.write_text("area,heating\n70,gas\n")
    assert called("predict", folder / "export", table, "-o", out) == 2
    assert "rooms" in capsys.readouterr().err
    table.write_text("area,heating,rooms\n70,gas,many\n")
    assert called("predict", folder / "export", table, "-o", out) == 2
    assert "row 1" in capsys.readouterr().err
    assert called("predict", folder, folder / "houses.csv") == 2
    assert "hpo export STUDY" in capsys.readouterr().err
    assert called("predict", folder / "export", tmp_path / "absent.csv") == 2
    assert called("predict", folder / "absent", folder / "houses.csv") == 2
    assert not out.exists()
    capsys.readouterr()
    assert called("predict", folder / "export", folder / "houses.csv", "-o", table / "out.csv") == 1
    assert "cannot write" in capsys.readouterr().err


def test_the_examples_of_the_help_name_two_places() -> None:
    examples = [line.split()[2:] for line in (predict.help or "").splitlines() if line.strip().startswith("hpo ")]
    assert [len(arguments) for arguments in examples] == [2, 4]


def test_a_table_is_read_as_the_study_declared_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One in UTF-8 is read, too, and so is what a function gives."""
    rows = [f"{number % 9}#{('süd', 'nord')[number % 2]}#{number % 9 + number % 2 * 0.5}" for number in range(60)]
    (tmp_path / "t.csv").write_bytes("\n".join(rows).encode("cp1252"))
    declared = 'dataset = "t.csv"\nheader = false\nseparator = "#"\nencoding = "cp1252"\ntarget = "column 3"\n'
    start = tiny.HOUSES.index("[data]")
    end = tiny.HOUSES.index("[model]")
    study = f'{tiny.HOUSES[:start]}[data]\n{declared}task = "regression"\n\n{tiny.HOUSES[end:]}'
    home = tiny.run(study, tmp_path)
    export = tmp_path / "export"
    assert called("export", "houses", "-o", export, "--home", home) == 0
    (tmp_path / "utf8.csv").write_text("\n".join(rows))
    (tmp_path / "given.py").write_text(
        "import pandas as pd\n\n\ndef rows():\n    path = __file__.replace('given.py', 'utf8.csv')\n"
        "    return pd.read_csv(path, sep='#', header=None, names=['column 1', 'column 2', 'column 3'])\n"
    )
    answers = set()
    for named in ("t.csv", "utf8.csv", "given.py:rows"):
        capsys.readouterr()
        assert called("predict", export, f"{tmp_path}/{named}") == 0
        shown = capsys.readouterr()
        assert "over 60 rows" in shown.err
        assert "training did not have" not in shown.err
        answers.add(shown.out)
    assert len(answers) == 1


def test_a_data_set_of_the_catalogue_is_predicted_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny.run(tiny.WINE, tmp_path)
    assert called("export", "tiny", "-o", tmp_path / "export", "--home", home) == 0
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert called("predict", "export", "wine") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 179
    assert shown.err.startswith("accuracy ")
    assert shown.err.endswith("over 178 rows; rows of wine that it was trained on are among them\n")
    (tmp_path / "wine").mkdir()
    assert called("predict", "export", "wine") == 2, "a folder of that name goes before"
