"""Preparing submitted studies for a worker: parsing the stored file, loading the same data once, opening a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hpo.checkpoints.location import recorded_location
from hpo.checkpoints.store import Directory
from hpo.errors import DataError, InputError
from hpo.execution.resources import Resources
from hpo.registry import control, queue
from hpo.registry.studies import study_row
from hpo.service import candidates
from hpo.service.candidates import Candidate, Sessions
from hpo.service.modules import Modules
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.study import StudySpec, trial_epochs
from tests.runtime.small import small_study
from tests.service.test_modules import NET, own
from tests.service.working import submit

DATA = "a,b,y\n" + "\n".join(f"{i % 7},{(i * 3) % 5},{i % 2}" for i in range(60))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(sqlite_url(tmp_path))) as opened:
        yield opened


def on_file(folder: Path) -> StudySpec:
    """A study whose data are a file in the folder."""
    (folder / "data.csv").write_text(DATA, encoding="utf-8")
    return small_study(folder=folder, data='dataset = "data.csv"\ntarget = "y"')


def own_model(folder: Path) -> StudySpec:
    """A study whose model is a file in the folder."""
    (folder / "net.py").write_text(NET, encoding="utf-8")
    return own(folder)


def candidate(store: Store, name: str = "small") -> Candidate:
    return Candidate.of(study_row(store, name))


def sessions(store: Store, home: Path, place: Path | None = None, modules: Modules | None = None) -> Sessions:
    return Sessions(store, home, Directory(place or home), Resources(lanes=8), modules or Modules())


def test_a_candidate_has_the_budgets_that_the_study_has_now(store: Store, tmp_path: Path) -> None:
    submit(small_study(), tmp_path)
    assert (candidate(store).budget, trial_epochs(candidate(store).spec)) == (8, 4)
    control.extend_trials(store, study_row(store, "small"), 11)
    control.extend_epochs(store, study_row(store, "small"), 6, before=4, fingerprint="longer")
    assert (candidate(store).budget, trial_epochs(candidate(store).spec)) == (11, 6)


def test_a_session_has_the_checkpoint_store_of_the_workers_which_is_recorded(store: Store, tmp_path: Path) -> None:
    submit(small_study(), tmp_path)
    here = candidate(store)
    assert sessions(store, tmp_path).session(here).checkpoint_store is not None
    assert recorded_location(store, here.row.study_id) is None, "the home folder needs no record"
    session = sessions(store, tmp_path, tmp_path / "elsewhere").session(here)
    assert session.checkpoint_store is not None
    assert session.checkpoint_store.place == recorded_location(store, here.row.study_id) == str(tmp_path / "elsewhere")
    assert session.study_id == here.row.study_id


def test_data_are_loaded_once_until_the_study_is_forgotten(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(small_study(), tmp_path)
    loads, load = [], candidates.load_inputs
    monkeypatch.setattr(candidates, "load_inputs", lambda spec, home: loads.append(spec) or load(spec))
    opener, (found,) = sessions(store, tmp_path), queue.queue(store)
    first = opener.session(candidate(store))
    control.extend_trials(store, study_row(store, "small"), 11)
    opener.keep([found.key])
    second = opener.session(candidate(store))
    assert len(loads) == 1
    assert first.inputs is second.inputs
    assert second.searcher is not first.searcher
    opener.keep([])
    opener.session(candidate(store))
    assert len(loads) == 2


def test_other_data_than_the_study_was_submitted_with_are_refused(store: Store, tmp_path: Path) -> None:
    submit(on_file(tmp_path), tmp_path)
    opener = sessions(store, tmp_path)
    (tmp_path / "data.csv").write_text(DATA.replace("6,", "5,"), encoding="utf-8")
    with pytest.raises(DataError, match="are not those that the study was submitted with"):
        opener.session(candidate(store))
    (tmp_path / "data.csv").unlink()
    with pytest.raises(InputError, match=r"data\.csv"):
        opener.session(candidate(store))
    (tmp_path / "data.csv").write_text(DATA, encoding="utf-8")
    opener.session(candidate(store))


def test_other_code_than_the_study_was_submitted_with_is_refused(store: Store, tmp_path: Path) -> None:
    submit(own_model(tmp_path), tmp_path)
    opener = sessions(store, tmp_path)
    (tmp_path / "net.py").write_text(NET + "\n# changed\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"net\.py here differ"):
        opener.session(candidate(store, "own"))
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    opener.session(candidate(store, "own"))


def test_a_module_that_the_worker_does_not_run_is_refused_before_anything_is_loaded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(own_model(tmp_path), tmp_path)
    monkeypatch.setattr(candidates, "load_inputs", lambda spec, home: pytest.fail("its code was run"))
    with pytest.raises(InputError, match="this worker does not run it"):
        sessions(store, tmp_path, modules=Modules.of(["none"])).session(candidate(store, "own"))
