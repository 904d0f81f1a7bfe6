"""Getting a trial out of a study: which one, its weights with and without a checkpoint, and that nothing changes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

from hpo.endings import Ended, Ending
from hpo.errors import StudyStateError
from hpo.export.source import TrainedTrial, find_trial, load_trained
from hpo.registry import control, studies
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.data.tables import read_table
from tests.export import tiny
from tests.storage.writers import end


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.run(tiny.WINE, tmp_path_factory.mktemp("wine"))


@contextmanager
def reading(home: Path) -> Iterator[Store]:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        yield store


def trained(home: Path, number: int | None = None) -> tuple[TrainedTrial, list[str]]:
    """The trial and what was noted."""
    notes: list[str] = []
    with reading(home) as store:
        return load_trained(store, home, find_trial(store, "tiny", number), notes.append), notes


def same(one: TrainedTrial, other: TrainedTrial) -> bool:
    return all(
        torch.equal(tensor, second[name])
        for first, second in zip(one.states, other.states, strict=True)
        for name, tensor in first.items()
    )


def test_without_a_number_it_is_the_best_trial(home: Path) -> None:
    with reading(home) as store:
        source = find_trial(store, "tiny", None)
        assert source.trial.number == source.row.winner_number
        best = max(store.get_all_trials(source.row.study_id), key=lambda trial: trial.values[0])
    assert source.trial.values == best.values
    assert source.config.optimizer.learning_rate == source.trial.params["optimizer.learning_rate"]


def test_kept_weights_are_read_and_lost_or_damaged_ones_trained_again(home: Path, tmp_path: Path) -> None:
    kept, notes = trained(home)
    assert notes == []
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    [file] = (copy / "checkpoints" / "tiny").glob("best-*.pt")
    file.write_bytes(file.read_bytes()[:-10])
    again, notes = trained(copy)
    assert "trained again, 2 epochs" in notes[0]
    assert same(kept, again)
    file.unlink()
    again, notes = trained(copy)
    assert len(notes) == 1
    assert same(kept, again)


def test_a_trial_without_kept_weights_is_trained_again_to_its_best_epoch(home: Path) -> None:
    winner, _ = trained(home)
    other = next(number for number in range(4) if number != winner.source.trial.number)
    found, notes = trained(home, other)
    assert f"weights of trial {other}" in notes[0]
    assert not same(winner, found)


def test_exporting_writes_nothing_to_the_study(home: Path) -> None:
    def content() -> dict[str, str]:
        files = [file for file in home.rglob("*") if file.is_file() and not file.name.endswith(("-shm", "-wal"))]
        return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    before = content()
    trained(home)
    trained(home, 0)
    assert content() == before


def test_unknown_studies_and_trials_are_named(home: Path) -> None:
    with reading(home) as store:
        with pytest.raises(StudyStateError, match="Did you mean 'tiny'"):
            find_trial(store, "tini", None)
        with pytest.raises(StudyStateError, match="no trial 9: its trials are 0 to 3"):
            find_trial(store, "tiny", 9)


def test_trials_without_weights_are_refused_with_their_reason(home: Path, tmp_path: Path) -> None:
    from optuna.trial import TrialState, create_trial

    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    with closing(open_store(sqlite_url(copy))) as store:
        study_id = store.get_study_id_from_name("tiny")
        running, failed, diverged = store.create_trials(study_id, 3)
        store.set_trial_intermediate_value(running, 1, 0.5)
        end(store, failed, TrialState.FAIL, Ended(why=Ending.FAILED, detail="RuntimeError: too large"))
        end(store, diverged, TrialState.PRUNED, Ended(why=Ending.DIVERGED, epoch=1))
        store.create_new_trial(study_id, create_trial(value=1.0, user_attrs={"ended": "finished"}))
    with reading(copy) as store:
        with pytest.raises(StudyStateError, match=r"trial 4 .*still in training, at epoch 1.*best trials: \d, \d, \d"):
            find_trial(store, "tiny", 4)
        with pytest.raises(StudyStateError, match=r"trial 5 .*RuntimeError: too large"):
            find_trial(store, "tiny", 5)
        with pytest.raises(StudyStateError, match=r"trial 6 .*diverged at epoch 1"):
            find_trial(store, "tiny", 6)
        with pytest.raises(StudyStateError, match=r"trial 7 .*was added by another program"):
            find_trial(store, "tiny", 7)


def test_a_study_without_a_finished_trial(home: Path, tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store, reading(home) as known:
        row = find_trial(known, "tiny", None).row
        study_id = studies.register_study(
            store,
            name="tiny",
            direction="maximize",
            metric="accuracy",
            spec_text=row.spec_text,
            source=row.spec_source,
            fingerprint=row.fingerprint,
            dataset_fingerprint=row.dataset_fingerprint,
            seed=row.seed,
            hpo_version=row.hpo_version,
        )

        def refused(text: str) -> None:
            with pytest.raises(StudyStateError, match=f"no trial of 'tiny' has finished. {text}"):
                find_trial(store, "tiny", None)

        refused("Continue it, or wait for it: `hpo run .*toml`.$")
        with pytest.raises(StudyStateError, match="it has none yet"):
            find_trial(store, "tiny", 0)
        control.submit(store, study_id, priority=0, budgets={})
        for trial_id in store.create_trials(study_id, 2)[:1]:
            store.set_trial_intermediate_value(trial_id, 1, 0.5)
            end(store, trial_id, TrialState.PRUNED, Ended(why=Ending.PRUNED, detail="median", epoch=1))
        refused("Follow its workers with `hpo show tiny --watch`. Or take one that was pruned, e.g. --trial 0.$")
        studies.mark_finished(store, study_id)
        refused("Give it more trials: `hpo run .*toml --trials N`. Or take")


def test_data_that_has_changed_is_refused(tmp_path: Path) -> None:
    table = tiny.write_houses(tmp_path)
    home = tiny.run(tiny.HOUSES, tmp_path)
    with reading(home) as store:
        source = find_trial(store, "houses", None)
        assert len(load_trained(store, home, source, print).states) == 2
        frame = read_table(table)
        frame.iloc[::2].to_csv(table, index=False)
        with pytest.raises(StudyStateError, match=r"'houses.csv' has changed since the study 'houses' began"):
            load_trained(store, home, source, print)
