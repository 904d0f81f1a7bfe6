"""The two shipped studies of a model that is too large for its data: what the diagnosis says of each."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import hpo
from hpo.cli import hpo as command

STUDIES = Path(__file__).parents[3] / "studies"
TRIALS = 3


def overfitting(name: str, home: Path) -> int:
    """Number of the study's trials with a sign of overfitting."""
    hpo.run(STUDIES / f"{name}.toml", home=home, trials=TRIALS)
    shown = CliRunner().invoke(command, ["show", name, "--json", "--home", str(home)], catch_exceptions=False)
    signs = json.loads(shown.stdout)["signs"]
    return len({number for sign in signs if sign["code"].startswith("overfits") for number in sign["trials"]})


def test_the_oversized_model_overfits_and_the_regularised_one_hardly_does(tmp_path: Path) -> None:
    assert overfitting("oversized", tmp_path) == TRIALS
    assert overfitting("regularised", tmp_path) <= 1
