"""A study of the user's own model through the command: run, continue, refuse, export, predict."""

from __future__ import annotations

import ast
import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hpo.cli import main
from hpo.data.catalogue import load_dataset
from hpo.studyfile.records import DataTable
from tests.cli.test_errors import hpo
from tests.cli.test_export import ALONE, called
from tests.models.own import NET, write
from tests.runtime.small import TABLES
from tests.studyfile.texts import study_text

__all__ = ["hpo"]

Command = Callable[..., tuple[int, str]]

MODEL = (
    'family = "custom"\nmodule = "net.py:Net"\n'
    "arguments = { width = { low = 4, high = 12 }, p = { low = 0.0, high = 0.3 } }"
)
STUDY = {"model": MODEL, "training": "epochs = 2", "search": "trials = 4\nconcurrency = 2"}


def text(**tables: str) -> str:
    """The small study with a model of the user's own."""
    wanted = {name: table for name, table in TABLES.items() if name not in ("norm", "dropout")}
    return study_text(**(wanted | STUDY | tables))


def test_from_study_to_prediction(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The study lies elsewhere than where the commands run."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "studies")
    (tmp_path / "studies" / "small.toml").write_text(text())

    assert called("run", "small") == 0
    assert "model.arguments.width = " in capsys.readouterr().out
    assert not caplog.records, "its lanes train together"
    assert called("run", "small", "--lanes", 1, "--home", "narrow") == 0
    tables = [Path(home, "reports", "small", "trials.csv").read_bytes() for home in ("runs", "narrow")]
    assert tables[0] == tables[1]

    assert called("export", "small", "-o", "out") == 0
    assert {file.name for file in Path("out").iterdir()} >= {"model.py", "net.py", "weights.safetensors"}
    rows = [[float(number) for number in range(13)]] * 2
    script = ALONE.format(folder=str(tmp_path / "out"), rows=rows)
    plain = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert plain.returncode == 0, plain.stderr

    names = load_dataset(DataTable(dataset="wine"), Path()).numeric_names
    with open("new.csv", "w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    capsys.readouterr()
    assert called("predict", "out", "new.csv") == 0
    predicted = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    shown = [[float(row[name]) for name in row if name.startswith("p(")] for row in predicted]
    expected = torch.tensor(ast.literal_eval(plain.stdout)).softmax(1)
    assert torch.allclose(torch.tensor(shown), expected, atol=1e-5)

    write(tmp_path / "studies", NET + "\n# another version\n")
    for arguments in (("run", "small"), ("run", "small", "--trials", "9"), ("export", "small", "-o", "other")):
        assert called(*arguments) == 2
        error = capsys.readouterr().err
        assert "net.py has changed since" in error
        assert "Traceback" not in error
    assert not Path("other").exists()
    write(tmp_path / "studies", NET)
    assert called("run", "small") == 0


TWO_FILES = MODEL.replace('"net.py:Net"', '{ choice = ["net.py:Net", "net.py:Other"] }')

MISTAKES: list[tuple[str, dict[str, str], tuple[str, ...]]] = [
    ("", {}, ("there is no Net in it",)),
    (NET, {"model": MODEL.replace("net.py", "ned.py")}, ("there is no file", "ned.py", 'Did you mean "net.py"?')),
    (NET, {"model": MODEL.replace("width", "widht")}, ("model.arguments.widht", 'Did you mean "width"?')),
    (NET, {"model": MODEL.replace("net.py", "no_such_package")}, ("no module no_such_package can be imported",)),
    (NET.replace("(width, outputs)", "(width, 2)"), {}, ("gave torch.float32 [2, 2]", "real numbers [2, 3]")),
    (NET.replace("super()", "1 / 0; super()"), {}, ("raised ZeroDivisionError", "net.py, line 8")),
    (NET + "\n1 / 0\n", {}, ("running net.py raised ZeroDivisionError",)),
    (NET, {"model": TWO_FILES}, ("there is no Other in it", "It defines Net")),
    (NET + "\nNet = 3\n", {}, ("Net is an int",)),
    (
        NET,
        {"model": 'choice = [{ family = "mlp" }, { family = "custom", module = "ned.py:Net" }]'},
        ("there is no file",),
    ),
]


@pytest.mark.parametrize(("net", "tables", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named_and_nothing_is_written(
    net: str, tables: dict[str, str], expected: tuple[str, ...], tmp_path: Path, hpo: Command
) -> None:
    write(tmp_path, net)
    (tmp_path / "small.toml").write_text(text(**tables))
    code, error = hpo("run", "small.toml")
    assert code == 2
    assert error.startswith("hpo: small.toml: model.")
    for words in expected:
        assert words in error
    assert {path.name for path in tmp_path.iterdir()} == {"small.toml", "net.py"}


def test_a_quick_check_does_not_run_the_file(tmp_path: Path, hpo: Command, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "1 / 0")
    (tmp_path / "small.toml").write_text(text())
    main(["check", "small.toml", "--quick"])
    shown = capsys.readouterr().out
    assert "model.arguments.width" in shown
    assert '"net.py:Net"' in shown


def test_a_trial_whose_arguments_do_not_work_fails_alone(tmp_path: Path, hpo: Command) -> None:
    net = NET.replace("super().__init__()", 'super().__init__()\n        if width > 9: raise ValueError("too wide")')
    write(tmp_path, net)
    (tmp_path / "small.toml").write_text(text())
    main(["run", "small.toml"])
    with (tmp_path / "runs" / "reports" / "small" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wide = [row for row in rows if int(row["model.arguments.width"]) > 9]
    assert wide
    assert [row["state"] for row in rows] == ["FAIL" if row in wide else "COMPLETE" for row in rows]
