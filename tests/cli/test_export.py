"""`hpo export` through the console script's entry point, and its `model.py` on a machine without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from hpo.cli import hpo, main
from hpo.cli.results.export import export
from tests.export import tiny

FILES = {"config.json", "model.py", "preprocessing.json", "weights.safetensors"}

ALONE = """
import sys
sys.modules["hpo"] = None  # import hpo raises ImportError
try:
    import hpo
except ImportError:
    pass
else:
    raise AssertionError("hpo was importable")
sys.path.insert(0, {folder!r})
import torch
from model import load, preprocess
outputs = load()(preprocess(torch.tensor({rows})))
assert not [name for name in sys.modules if name.startswith("hpo.")]
print(outputs.tolist())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.run(tiny.WINE, tmp_path_factory.mktemp("wine"))


def called(*arguments: object) -> object:
    """Exit code of the console script."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


def test_an_export_is_whole_and_says_what_it_is(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("export", "tiny", "-o", tmp_path / "out", "--home", home) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(tmp_path / "out")
    assert "validation accuracy" in shown.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == FILES
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (about["study"], about["dataset"], about["task"], about["target"]) == (
        "tiny",
        "wine",
        "classification",
        "cultivar",
    )
    assert about["test"].keys() >= {"accuracy", "loss"}
    assert about["config"]["optimizer"]["learning_rate"] == about["params"]["optimizer.learning_rate"]
    assert about["config"]["norm"]["kind"] == "batch"
    assert about["class_names"] == ["class_0", "class_1", "class_2"]
    assert about["versions"]["torch"] == torch.__version__
    [fitted] = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    assert len(fitted["numeric_names"]) == 13
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert "norm1_before.running_mean" in weights


def test_the_module_runs_where_this_package_is_not_installed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called("export", "tiny", "-o", tmp_path, "--home", home) == 0
    row = [13.2, 1.8, 2.1, 11.2, 100.0, 2.65, 2.76, 0.26, 1.28, 4.38, 1.05, 3.4, float("nan")]
    script = ALONE.format(folder=str(tmp_path), rows=json.dumps([row]).replace("NaN", "float('nan')"))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    [outputs] = json.loads(done.stdout)
    names = json.loads((tmp_path / "preprocessing.json").read_text())[0]["numeric_names"]
    table = tmp_path / "row.csv"
    table.write_text(",".join(names) + "\n" + ",".join(map(str, row)) + "\n")
    capsys.readouterr()
    assert called("predict", tmp_path, table) == 0
    probabilities = torch.tensor(outputs).softmax(0).tolist()
    cells = capsys.readouterr().out.splitlines()[1].split(",")[2:]
    assert [float(cell) for cell in cells] == pytest.approx(probabilities, abs=1e-5)


def test_a_trial_that_was_not_kept_is_trained_again(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called("export", "tiny", "-o", tmp_path / "best", "--home", home) == 0
    best = json.loads((tmp_path / "best" / "config.json").read_text())["trial"]
    other = (best + 1) % 4
    capsys.readouterr()
    assert called("export", "tiny", "--trial", other, "-o", tmp_path / "other", "--home", home) == 0
    assert "trained again" in capsys.readouterr().err
    about = json.loads((tmp_path / "other" / "config.json").read_text())
    assert about["trial"] == other
    assert about["test"] is None


def test_a_folder_in_use_needs_force(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("mine")
    assert called("export", "tiny", "-o", tmp_path, "--home", home) == 2
    assert "--force" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    assert called("export", "tiny", "-o", tmp_path, "--home", home, "--force") == 0
    assert {file.name for file in tmp_path.iterdir()} == FILES


def test_what_cannot_be_exported_leaves_no_folder(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert called("export", "tini", "-o", out, "--home", home) == 2
    assert "Did you mean 'tiny'?" in capsys.readouterr().err
    assert called("export", "tiny", "--trial", "7", "-o", out, "--home", home) == 2
    assert "no trial 7" in capsys.readouterr().err
    assert called("export", "tiny", "-o", out, "--home", tmp_path / "nowhere") == 1
    assert called("export", "tiny", "--home", home) == 2
    assert not list(tmp_path.iterdir())
    out.write_text("in the way")
    capsys.readouterr()
    assert called("export", "tiny", "-o", out / "deeper", "--home", home) == 1
    assert "cannot write" in capsys.readouterr().err


def test_the_examples_of_the_help_are_valid() -> None:
    examples = [line.split()[2:] for line in (export.help or "").splitlines() if line.strip().startswith("hpo export")]
    assert len(examples) == 5
    for arguments in examples:
        export.make_context("export", arguments)
    assert "export" in CliRunner().invoke(hpo, ["--help"]).output
