"""A dict as the text of a study file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.errors import StudyFileError
from hpo.studyfile.file import fingerprint, parse_study
from hpo.studyfile.write import toml_of

SHIPPED = sorted((Path(__file__).parent.parent.parent / "studies").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_are_read_as_they_were_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    assert tomllib.loads(toml_of(tables)) == tables
    assert fingerprint(parse_study(toml_of(tables), "<dict>")) == fingerprint(parse_study(text, path.name))


@pytest.mark.parametrize(
    "value",
    [0, -7, 10**18, 0.1, 1e-05, 1e300, float("inf"), True, False, "", 'a "b" \\ \n\t\x7f ü', [], [[1, 2.5], ["x"]], {}],
)
def test_values_come_back(value: Any) -> None:
    for study in ({"model": {"arguments": {"a key": value}}}, {"loose": value}, {"": {"": value}}):
        assert tomllib.loads(toml_of(study)) == study


def test_what_python_code_has_at_hand_is_taken() -> None:
    study = {
        "data": {"dataset": Path("data") / "x.csv"},
        "model": {"hidden": (np.int64(8), 16)},
        "dropout": {"p": {"low": np.float64(0.1), "high": np.float32(0.5)}},
    }
    assert tomllib.loads(toml_of(study)) == {
        "data": {"dataset": "data/x.csv"},
        "model": {"hidden": [8, 16]},
        "dropout": {"p": {"low": 0.1, "high": 0.5}},
    }


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"data": {"target": None}}, "<dict>: data.target: None is no value of a study file; leave the key out"),
        ({"model": {"hidden": [8, {1}]}}, "<dict>: model.hidden#2: found set, which is no value"),
        ({"model": {1: 2}}, "<dict>: model: the key 1 is no text"),
        ({1: {}}, "<dict>: the study: the key 1 is no text"),
        ({"study": {"name": "\ud800"}}, "<dict>: study.name: holds half a surrogate pair"),
    ],
)
def test_what_no_file_can_hold_is_refused(study: Any, message: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        toml_of(study)
    assert message in str(refused.value)


def test_a_dict_within_itself_is_refused() -> None:
    study: dict[str, Any] = {}
    study["model"] = study
    with pytest.raises(StudyFileError, match="nested too deeply"):
        toml_of(study)
