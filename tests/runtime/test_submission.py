"""A study file that is given again, after its study was given more epochs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo.checkpoints.store import Directory
from hpo.conventions import FIRST
from hpo.data.dataset import Dataset
from hpo.data.parts.undefined import TEST
from hpo.errors import DataError, StudyFileError, StudyStateError
from hpo.execution.resources import Resources
from hpo.export.source import find_trial, load_trained
from hpo.registry import studies
from hpo.runtime.local_run import run_study
from hpo.runtime.session import open_session
from hpo.runtime.setup.inputs import load_inputs
from hpo.runtime.setup.specs import as_begun
from hpo.runtime.setup.submission import submit_study
from hpo.service.candidates import Candidate, Sessions
from hpo.service.modules import Modules
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study
from tests.runtime.test_lengths import extend
from tests.service.working import row_of, submit


def study(epochs: int, seed: int = 3) -> StudySpec:
    return small_study(study=f'name = "small"\nseed = {seed}', training=f"epochs = {epochs}")


def run(spec: StudySpec, home: Path) -> None:
    run_study(spec, sqlite_url(home), home, lambda progress: None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a study of 4 epochs has been given 6."""
    submit(study(4), tmp_path)
    extend(study(4), tmp_path, 6)
    return tmp_path


@pytest.mark.parametrize("epochs", [4, 6])
def test_a_file_may_say_what_it_said_or_what_holds(epochs: int, home: Path) -> None:
    submit(study(epochs), home)
    assert row_of(home).trial_epochs == 6


@pytest.mark.parametrize("give", [submit, run])
@pytest.mark.parametrize(("epochs", "way_out"), [(100, True), (5, False)])
def test_a_file_with_other_epochs_is_refused(
    give: Callable[[StudySpec, Path], None], epochs: int, way_out: bool, home: Path
) -> None:
    with pytest.raises(StudyFileError) as refused:
        give(study(epochs), home)
    assert f"\n  training.epochs: was 6, is {epochs}\n" in str(refused.value)
    assert ("`hpo edit small small.toml`" in str(refused.value)) == way_out


@pytest.mark.parametrize("epochs", [4, 6])
def test_a_refusal_names_only_what_was_changed(epochs: int, home: Path) -> None:
    with pytest.raises(StudyFileError) as refused:
        submit(study(epochs, seed=4), home)
    _, *lines = str(refused.value).splitlines()
    assert lines[0] == "  study.seed: was 3, is 4"
    assert "training.epochs" not in str(refused.value)


def test_the_way_out_names_the_database(home: Path) -> None:
    with pytest.raises(StudyFileError, match=r"or delete its trials from .*hpo\.db with `hpo delete small`\.$"):
        submit(study(4, seed=4), home)


def test_a_study_goes_on_with_the_split_that_it_began_with(tmp_path: Path) -> None:
    """Earlier versions did not keep rare numbers apart, and noted no conventions."""
    target = [0.0] * 57 + [5.5, 7.25, 30.5]
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{row % 7},{value}\n" for row, value in enumerate(target)))
    data = 'dataset = "t.csv"\ntarget = "y"\ntask = "regression"'
    spec = small_study(folder=tmp_path, study='name = "small"\nobjective = "rmse"', data=data)
    begun = replace(spec, conventions=FIRST)
    former, now = load_inputs(begun), load_inputs(spec)
    assert former.splits.balance != now.splits.balance
    with closing(open_store(sqlite_url(tmp_path))) as store:
        open_session(begun, former, store, tmp_path, Resources())
        row = studies.study_row(store, "small")
        studies.set_facts(store, row.study_id, replace(row.facts, conventions=FIRST))
        row = studies.study_row(store, "small")
    assert (as_begun(spec, row), as_begun(spec, None)) == (begun, spec)
    run(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        ended = studies.study_row(store, "small")
        assert (ended.balance, ended.facts.conventions) == (row.balance, FIRST)
    submit_study(spec, sqlite_url(tmp_path), tmp_path, priority=None)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert studies.study_row(store, "small").balance == row.balance
        session = Sessions(store, tmp_path, Directory(tmp_path), Resources(), Modules()).session(Candidate.of(row))
        assert np.array_equal(session.inputs.splits.test_idx, former.splits.test_idx)


def test_a_study_is_not_continued_with_another_split(tmp_path: Path) -> None:
    spec = small_study(training="epochs = 1", search="trials = 2")
    run(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        row = studies.study_row(store, "small")
        assert row.facts.split == load_inputs(spec).splits.fingerprint
        began = dict(row.facts.circumstances) | {"scikit-learn": "1.0"}
        studies.set_facts(store, row.study_id, replace(row.facts, split="0" * 64, circumstances=began))
    said = (
        r"the data of 'wine' is split differently than when study 'small' began \(it began with scikit-learn 1\.0, not"
    )
    for again in (run, submit):
        with pytest.raises(StudyFileError, match=said):
            again(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        row = studies.study_row(store, "small")
        sessions = Sessions(store, tmp_path, Directory(tmp_path), Resources(), Modules())
        with pytest.raises(DataError, match=r"split differently .* Give this worker the same versions of libraries"):
            sessions.session(Candidate.of(row))
        with pytest.raises(StudyStateError, match=r"split differently .* Install the versions that it began with\."):
            load_trained(store, tmp_path, find_trial(store, "small", None), print)
        studies.set_facts(store, row.study_id, replace(row.facts, split=None))
    run(spec, tmp_path)  # a study of an earlier version, which noted no split


def test_a_study_that_has_begun_goes_on_though_its_objective_is_undefined_on_the_test_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions that did not look at the test part had begun such studies."""

    def undefined(objective: str, dataset: Dataset, *parts: object) -> list[tuple[str, str]]:
        return [(TEST, "all of its targets are equal")]

    spec = small_study()
    submit(spec, tmp_path)
    monkeypatch.setattr("hpo.data.study.gaps", undefined)
    submit(spec, tmp_path)
    with pytest.raises(StudyFileError, match="is undefined on the test part"):
        submit(spec, tmp_path / "another")


def test_an_undefined_objective_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,1\n2,2\n3,3\n")
    data = 'dataset = "t.csv"\ntarget = "y"\ntask = "regression"'
    spec = small_study(folder=tmp_path, study='name = "small"\nobjective = "r2"', data=data)
    home = tmp_path / "home"
    with pytest.raises(StudyFileError, match="'r2' is undefined on the validation part"):
        submit_study(spec, sqlite_url(home), home, priority=None)
    with pytest.raises(StudyFileError, match="'r2' is undefined on the validation part"):
        run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu")
    assert not home.exists()
