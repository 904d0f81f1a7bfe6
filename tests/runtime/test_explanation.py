"""An explanation trains what lies between the default configuration and the winner, repeatably."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.conclusions.explanation import Explanation
from hpo.errors import InputError, StudyStateError
from hpo.execution.engines import open_executor
from hpo.execution.resources import Resources
from hpo.registry.conclusions import explained
from hpo.registry.deletion import delete_study
from hpo.registry.repeats import configurations_of, repeats_between, repeats_of
from hpo.registry.studies import study_row
from hpo.runtime.explanation.study import explain_study
from hpo.runtime.local_run import run_study
from hpo.runtime.repeats import train
from hpo.runtime.session import Session
from hpo.space.default import default_configuration
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from hpo.training.trainer import Trainer
from tests.runtime.small import in_session, run, small_study

SEARCH = 'trials = 10\nconcurrency = 5\nconfirm = 0\npruner = "none"'
ENOUGH = 3.0
"""Share that pays for some steps of a study as short as these."""


def study(**tables: str) -> StudySpec:
    fixed = {"model": 'family = "mlp"\nhidden = [8]', "training": "epochs = 2", "norm": 'kind = "none"'}
    about = 'name = "small"\nseed = 3\nbaselines = false'
    return small_study(**{"study": about, "search": SEARCH} | fixed | tables)


def ended(folder: Path, **tables: str) -> Path:
    run_study(study(**tables), sqlite_url(folder), folder, lambda now: None)
    return folder


def explanation_in(folder: Path, share: float = ENOUGH, **options: Any) -> Explanation:
    found = explain_study("small", sqlite_url(folder), folder, share=share, device="cpu", **options)
    return found.explanation


def rows(folder: Path) -> list[tuple[Any, ...]]:
    """The repeats of an explanation, without times."""
    with closing(open_store(sqlite_url(folder), readonly=True)) as store:
        study_id = study_row(store, "small").study_id
        keys = {number: key for key, number in configurations_of(store, study_id).items()}
        found = repeats_between(store, study_id)
        assert repeats_of(store, study_id) == []
    return sorted((keys[one.number], one.repeat, one.value, one.epochs, one.ended) for one in found)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Explanation]:
    folder = ended(tmp_path_factory.mktemp("whole"))
    return folder, explanation_in(folder)


def test_steps_lead_from_the_default_configuration_to_the_winner(whole: tuple[Path, Explanation]) -> None:
    folder, found = whole
    with closing(open_store(sqlite_url(folder), readonly=True)) as store:
        row = study_row(store, "small")
        assert explained(row) == found
        assert explained(replace(row, finished_at=None)) is None
        assert row.winner_number == found.winner
        count = len(repeats_between(store, row.study_id))
    assert found.trainings == count
    assert found.epochs <= ENOUGH * found.searched
    assert {name for step in found.steps for name in step.changes} == {switch.name for switch in found.switches}
    assert sum(step.gain.mean for step in found.steps) == pytest.approx(found.gain.mean)
    assert found.steps[-1].measured.value.mean - found.default.value.mean == pytest.approx(found.gain.mean)
    assert set(found.simpler.changes) <= {switch.name for switch in found.switches}


def test_again_it_trains_nothing_and_says_the_same(
    whole: tuple[Path, Explanation], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = whole
    before = rows(folder)
    monkeypatch.setattr(Trainer, "tick", None)
    assert explanation_in(folder) == found
    assert rows(folder) == before


class Stopped(BaseException):
    """Like a kill, nothing handles it."""


def test_a_killed_explanation_goes_on_to_the_same_table(whole: tuple[Path, Explanation], tmp_path: Path) -> None:
    folder = ended(tmp_path)
    said: list[str] = []

    def watch(text: str) -> None:
        said.append(text)
        if len(said) in (2, 5):
            raise Stopped

    for _ in range(2):
        with pytest.raises(Stopped):
            explanation_in(folder, watch=watch)
    found = explanation_in(folder, watch=watch)
    assert replace(found, seconds=0.0) == replace(whole[1], seconds=0.0)
    assert rows(folder) == rows(whole[0])
    assert "trainings; " in said[0]


def test_a_repeat_has_the_same_seeds_in_all_configurations(tmp_path: Path) -> None:
    def values(session: Session) -> dict[tuple[int, int], float | None]:
        found = default_configuration(session.spec)
        assert found is not None
        configs = dict.fromkeys((-3, -2, 0, 1), found[1])
        missing = [(-2, 2), (-3, 2), (-2, 3), (-3, 3), (0, 2), (1, 2)]
        with open_executor(session.job, Resources()) as executor:
            repeats = train(session, executor, configs, missing, lambda text: None)
        return {(one.number, one.repeat): one.valid_loss for one in repeats}

    found = in_session(study(), tmp_path, values)
    assert found[-2, 2] == found[-3, 2]
    assert found[-2, 3] == found[-3, 3]
    assert len(set(found.values())) == 4


def test_what_cannot_be_explained_is_refused(tmp_path: Path) -> None:
    run(study(), tmp_path)
    with pytest.raises(StudyStateError, match=r"'small' has not ended.*`hpo run .*small\.toml`"):
        explanation_in(tmp_path)
    folder = ended(tmp_path)
    with pytest.raises(
        InputError, match=r"the least that explains .* trainings of 2 epochs.*hpo explain small --share"
    ):
        explanation_in(folder, 0.1)
    with pytest.raises(InputError, match="share must be more than 0"):
        explanation_in(folder, 0.0)
    with pytest.raises(StudyStateError, match="no study 'other'"):
        explain_study("other", sqlite_url(folder), folder)


def test_a_deleted_study_leaves_nothing(whole: tuple[Path, Explanation]) -> None:
    """The last test of the module's study."""
    with closing(open_store(sqlite_url(whole[0]))) as store:
        study_id = study_row(store, "small").study_id
        delete_study(store, "small")
        assert configurations_of(store, study_id) == {}
        assert repeats_between(store, study_id) == []
