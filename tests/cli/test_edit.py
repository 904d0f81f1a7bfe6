"""`hpo edit`: the steps of its page, and its mistakes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli import hpo
from hpo.errors import InputError
from tests.runtime.small import small_text
from tests.test_docs import PAGES, blocks


def command(*arguments: str) -> str:
    done = CliRunner().invoke(hpo, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_steps_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = 'trials = 6\nconcurrency = 3\npruner = "none"\nconfirm = 0.0'
    text = small_text(study='name = "digits"', training="epochs = 1", search=search)
    (tmp_path / "digits.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPO_HOME", str(tmp_path / "home"))
    told = {}
    for line in blocks(PAGES["edit.md"], "sh")[0].splitlines():
        program, *arguments = shlex.split(line)
        if program == "hpo":
            told[arguments[0]] = command(*arguments)
        else:
            subprocess.run([program, *arguments], check=True)
    assert told["edit"].startswith("Edit 1 of study digits:\n  search.trials: was 6, is 9\n  optimizer.learning_rate: ")
    assert "The study goes on with: hpo run " in told["edit"]
    assert "digits: finished, 9 trials" in told["show"]
    assert "after 6 trials and 6 epochs: search.trials: was 6, is 9; optimizer.learning_rate" in " ".join(
        told["show"].split()
    )
    with pytest.raises(InputError, match=r"study.name is 'digits', not 'other'. Write name = \"other\" under"):
        command("edit", "other", "digits.toml")
