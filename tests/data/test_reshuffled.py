"""Splits of the trials' own: the same inputs for all trials, and what is refused."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.parts.splits import split_data
from hpo.data.reshuffled import Reshuffled
from hpo.data.study import load_data
from hpo.errors import DataError, StudyFileError
from hpo.studyfile.file import read_study_file
from tests.data.parts import made
from tests.data.parts.made import table

STUDY = """
[study]
name = "reshuffled"
objective = "accuracy"

[data]
dataset = "wine"
reshuffle = true
{data}

[model]
family = "mlp"

[optimizer]
name = "adam"
"""


def spec(tmp_path: Path, data: str = "", more: str = "") -> Any:
    file = tmp_path / "reshuffled.toml"
    file.write_text(STUDY.format(data=data) + more)
    return read_study_file(file)


def test_the_data_of_a_trial_are_split_by_its_number(tmp_path: Path) -> None:
    data = load_data(spec(tmp_path))
    trials = [data.of_trial(trial) for trial in (0, 1, 0)]
    found = [of.splits.fingerprint for of in (data, *trials)]
    assert len(set(found)) == 3
    assert found[1] == found[3]
    assert all(np.array_equal(of.splits.test_idx, data.splits.test_idx) for of in trials)
    for of in (data, *trials):
        (prepared,), (replica,) = of.prepared.replicas, of.splits.replicas
        assert len(prepared.x_train) == len(replica.train_idx)
        assert of.prepared.signature == data.prepared.signature
        assert np.allclose(prepared.x_train.mean(0), 0.0, atol=1e-5), "scaled by its own training part"


def test_a_study_with_one_split_has_it_for_every_trial(tmp_path: Path) -> None:
    file = tmp_path / "plain.toml"
    file.write_text(STUDY.format(data="").replace("reshuffle = true\n", ""))
    data = load_data(read_study_file(file))
    assert data.of_trial(3) is data


def test_splits_reach_other_processes_as_they_are() -> None:
    dataset, data = made.dataset([n % 3 for n in range(90)]), table()
    drawn = Reshuffled.of(dataset, split_data(dataset, data, 0), data, 0)
    sent = pickle.loads(pickle.dumps(drawn))
    assert [sent.splits(t).fingerprint for t in range(3)] == [drawn.splits(t).fingerprint for t in range(3)]


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        ("stream = true", "", "data.reshuffle: found true beside data.stream = true: streamed rows are written"),
        ('time = "t"', "", 'beside data.time = "t": parts that follow the time cannot be others'),
        ('scaling = "quantile"', "", 'beside data.scaling = "quantile": ranks cannot be computed'),
    ],
)
def test_what_gives_one_split_alone_is_refused(tmp_path: Path, data: str, more: str, said: str) -> None:
    with pytest.raises(StudyFileError) as found:
        spec(tmp_path, data, more)
    assert said in str(found.value)
    assert "Remove one of them" in str(found.value)


def test_a_training_function_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "function.toml"
    study = f'{STUDY.format(data="").partition("[model]")[0]}[trial]\nfunction = "train.py:train"\n'
    file.write_text(f"{study}[trial.arguments]\nx = {{ low = 0, high = 1 }}\n")
    with pytest.raises(StudyFileError, match=r"found true beside \[trial\] function: a function gets one split"):
        read_study_file(file)


def test_a_validation_part_that_the_data_give_is_refused() -> None:
    dataset = replace(made.dataset([n % 3 for n in range(90)]), part_N=np.repeat([0, 1], [70, 20]))
    with pytest.raises(DataError, match="made gives its own validation part, so there is none to draw for each trial"):
        Reshuffled.of(dataset, split_data(dataset, table(), 0), table(), 0)
    tested = replace(dataset, part_N=np.repeat([0, 2], [70, 20]))
    drawn = Reshuffled.of(tested, split_data(tested, table(), 0), table(), 0)
    assert drawn.rest_idx.tolist() == list(range(70))
