"""Training functions whose errors and files would harm whoever shows or writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hpo.execution.functions.process import _print_to
from hpo.printable import LONGEST, LONGEST_TRACEBACK
from tests.mutations.kinds import command
from tests.runtime.functions import study

SHOUTS = """
def train(trial):
    trial.report(1, {"score": 1.0})
    if trial.params["mode"] == "long":
        raise RuntimeError("\\x1b[31m" + "x" * 5_000_000)
    raise RuntimeError("half a pair: \\ud800")
"""


@pytest.mark.parametrize(("mode", "shown"), [("long", r"RuntimeError: \x1b[31mxxx"), ("half", "half a pair: ?")])
def test_an_error_is_shown_and_kept_in_a_few_kilobytes(mode: str, shown: str, tmp_path: Path) -> None:
    path = study(tmp_path, trial=f'function = "train.py:train"\narguments = {{ mode = "{mode}" }}', search="trials = 1")
    (tmp_path / "train.py").write_text(SHOUTS)
    answer = command("run", path, "--home", tmp_path / "home")
    assert answer.code == 1
    assert shown in answer.text
    assert len(answer.text) < 2 * LONGEST
    written = {file.name: file.stat().st_size for file in (tmp_path / "home" / "reports" / "own").iterdir()}
    assert written.keys() >= {"index.html", "summary.md", "trials.csv", "epochs.csv"}
    assert written["trials.csv"] < 2 * LONGEST
    assert (tmp_path / "home" / "hpo.db").stat().st_size < 1_000_000 + LONGEST_TRACEBACK


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system cannot refuse links")
def test_what_a_function_prints_follows_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "output.txt").symlink_to(tmp_path / "elsewhere")
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup2", _not_reached)
        with pytest.raises(OSError, match="symbolic link"):
            _print_to(str(tmp_path / "output.txt"))
    assert not (tmp_path / "elsewhere").exists()


def _not_reached(*arguments: Any) -> None:
    raise AssertionError("the link was followed")
