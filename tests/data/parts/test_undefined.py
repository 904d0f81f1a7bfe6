"""A study whose objective is undefined on a part is refused with the part, the reason and a way out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.conventions import FIRST, NEWEST
from hpo.data.study import StudyData, check_objective, load_data
from hpo.errors import StudyFileError
from hpo.studyfile.file import StudySpec, parse_study

TEXT = """
[study]
name = "rare"
objective = "{objective}"
seed = {seed}

[data]
dataset = "t.csv"
target = "y"
task = "regression"
{data}

[model]
family = "mlp"
hidden = [4]

[optimizer]
name = "adam"
"""


def rare(folder: Path, target: list[float], *, objective: str = "r2", data: str = "", seed: int = 0) -> StudySpec:
    (folder / "t.csv").write_text(
        "a,y\n" + "".join(f"{row % 7}.{row:03},{value}\n" for row, value in enumerate(target))
    )
    return parse_study(TEXT.format(objective=objective, data=data, seed=seed), str(folder / "study.toml"))


def loaded(spec: StudySpec, *, tied_apart: bool = True) -> StudyData:
    return load_data(replace(spec, conventions=NEWEST if tied_apart else FIRST))


@pytest.mark.parametrize("data", ["", "folds = 2", "test = 0.0\nfolds = 3", "validation = 0.1"])
@pytest.mark.parametrize("seed", range(4))
def test_three_rare_values_reach_three_parts(data: str, seed: int, tmp_path: Path) -> None:
    spec = rare(tmp_path, [0.0] * 57 + [5.5, 7.25, 30.5], data=data, seed=seed)
    check_objective(spec, loaded(spec))


@pytest.mark.parametrize(
    ("target", "data", "said"),
    [
        ([0.0] * 40 + [1.0], "test = 0.0", "the validation part of 't.csv': all its targets are equal"),
        ([0.0] * 40 + [1.0], "test = 0.0\nfolds = 4", "take fewer data.folds"),
        ([0.0] * 40 + [1.0], "folds = 4", "(and on 4 more)"),
        ([1.0, 2.0, 3.0], "", "the validation part of 't.csv' (and on 1 more): it has one example"),
        ([float(n) for n in range(20)], "test = 0.05", "the test part of 't.csv': it has one example"),
    ],
    ids=["validation", "fold", "several", "one row", "test"],
)
def test_what_cannot_be_scored_is_refused(target: list[float], data: str, said: str, tmp_path: Path) -> None:
    spec = rare(tmp_path, target, data=data)
    if "folds" in data or "all its" in said:
        seeds = (rare(tmp_path, target, data=data, seed=seed) for seed in range(20))
        spec = next(s for s in seeds if _refused(s) is not None)
    message = _refused(spec)
    assert message is not None
    if "more" in said and "folds" in data:
        said = "more)"
    assert re.search(re.escape(said), message), message
    assert "study.objective 'r2' is undefined on" in message
    assert (
        "choose an objective that always has a value (loss, mae, median_absolute_error, quantile_loss, rmse)" in message
    )
    check_objective(rare(tmp_path, target, data=data, objective="rmse"), loaded(spec))


def _refused(spec: StudySpec) -> str | None:
    try:
        check_objective(spec, loaded(spec))
    except StudyFileError as error:
        return str(error)
    return None


def test_a_study_that_has_begun_is_not_refused_for_its_test_part(tmp_path: Path) -> None:
    spec = rare(tmp_path, [float(n) for n in range(20)], data="test = 0.05")
    check_objective(spec, loaded(spec), begun=True)
    begun = (rare(tmp_path, [0.0] * 57 + [5.5, 7.25, 30.5], seed=seed) for seed in range(20))
    spec = next(s for s in begun if not loaded(s, tied_apart=False).prepared.replicas[0].y_valid.std())
    check_objective(spec, loaded(spec))
    with pytest.raises(StudyFileError, match=r"the validation part .* another study.name, and it is split anew"):
        check_objective(spec, loaded(spec, tied_apart=False), begun=True)
