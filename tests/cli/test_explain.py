"""`hpo explain`: the commands of its page, what it prints, and what it leaves in the report."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo import load
from hpo.cli import hpo
from tests.runtime.small import small_text

PAGE = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")
STUDY = small_text(
    study='name = "digits"\nseed = 3\nbaselines = false',
    model='family = "mlp"\nhidden = [8]',
    training="epochs = 1",
    search='trials = 40\nconcurrency = 20\nconfirm = 0\npruner = "none"',
)


def test_the_commands_of_the_page_explain_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "digits.toml").write_text(STUDY, encoding="utf-8")
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    said = [CliRunner().invoke(hpo, shlex.split(line)[1:], catch_exceptions=False) for line in block.splitlines()]
    assert [one.exit_code for one in said] == [0, 0, 0]
    last = said[-1].output
    assert "default configuration" in last
    assert "In " in last
    assert "becomes the winner" in last
    folder = tmp_path / "runs" / "reports" / "digits"
    with (folder / "explanation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = [row["kind"] for row in rows]
    assert (kinds[0], kinds[-1]) == ("default", "simpler")
    told = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["explanation"]
    assert len(told["steps"]) == kinds.count("step")
    assert 'id="explanation"' in (folder / "index.html").read_text(encoding="utf-8")
    assert "## Why it is better" in (folder / "summary.md").read_text(encoding="utf-8")
    found = load("digits").explain(share=0.9)
    assert [list(step.changes) for step in found.steps] == [step["changes"] for step in told["steps"]]
    both = CliRunner().invoke(hpo, ["explain", "digits", "--share", "1", "--epochs-budget", "9"])
    assert both.exit_code == 2
    none = CliRunner().invoke(hpo, ["explain", "digits", "--share", "0.01"])
    assert "--share" in str(none.exception)
    assert set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE)) >= {"--share", "--epochs-budget"}
