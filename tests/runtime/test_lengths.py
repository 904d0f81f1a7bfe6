"""Trials that get more epochs under a schedule that depends on how many: what is trained again is what was trained."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.export.source import find_trial, load_trained
from hpo.registry import control
from hpo.runtime import coordinator
from hpo.runtime.local_run import run_study
from hpo.runtime.resume import pick_up
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.settings import fingerprint
from hpo.studyfile.study import StudySpec, trial_epochs, with_epochs
from tests.runtime.small import epochs_of, small_study, trials_of
from tests.service.working import row_of, serve, submit, wait_for, working

SCHEDULES = ['name = "cosine"', 'name = "warmup_cosine"', 'name = "one_cycle"']


def study(schedule: str = SCHEDULES[0], pruner: str = '"none"', epochs: int = 4) -> StudySpec:
    return small_study(
        study='name = "small"\nseed = 3\nobjective = "loss"',
        schedule=schedule,
        training=f"epochs = {epochs}",
        search=f'trials = 6\nconcurrency = 3\nsampler = "random"\npruner = {pruner}',
        checkpoints="keep = 6",
    )


def extend(spec: StudySpec, home: Path, epochs: int, *, pruned: bool = False) -> list[int]:
    with closing(open_store(sqlite_url(home))) as store:
        row = control.submitted(store, "small")
        meaning = fingerprint(with_epochs(spec, epochs))
        before = row.trial_epochs or trial_epochs(spec)
        return control.extend_epochs(store, row, epochs, before=before, fingerprint=meaning, pruned=pruned)


def lose(home: Path) -> None:
    for file in (home / "checkpoints" / "small").glob("*.pt"):
        file.unlink()


def found(spec: StudySpec, home: Path) -> object:
    trials = trials_of(spec, home)
    return [{key: value for key, value in t.items() if key != "restarted"} for t in trials], epochs_of(spec, home)


def weights(home: Path, number: int) -> list[dict[str, torch.Tensor]]:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return list(load_trained(store, home, find_trial(store, "small", number), lambda note: None).states)


def same(one: list[dict[str, torch.Tensor]], other: list[dict[str, torch.Tensor]]) -> bool:
    return all(
        torch.equal(tensor, second[name])
        for first, second in zip(one, other, strict=True)
        for name, tensor in first.items()
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_lost_state_and_a_kept_one_go_on_alike(schedule: str, tmp_path: Path) -> None:
    """Also after several extensions, whatever was lost between them. Homes that have the same past are copies."""
    spec = study(schedule)
    submit(spec, tmp_path / "kept")
    serve(tmp_path / "kept")
    for epochs, pairs in ((6, {"kept": "early"}), (9, {"kept": "late", "early": "at once"})):
        for name, twin in pairs.items():
            assert extend(spec, tmp_path / name, epochs) == list(range(6))
            shutil.copytree(tmp_path / name, tmp_path / twin)
            lose(tmp_path / twin)
        for name in (*pairs, *pairs.values()):
            serve(tmp_path / name)
    for name in ("at once", "late", "early"):
        assert found(spec, tmp_path / name) == found(spec, tmp_path / "kept"), name
    kept = [weights(tmp_path / "kept", number) for number in range(6)]
    lose(tmp_path / "kept")
    for number in range(6):
        assert same(weights(tmp_path / "kept", number), kept[number])


def test_a_trial_that_ended_before_keeps_its_length(tmp_path: Path) -> None:
    spec = study(pruner='{ name = "median", startup_trials = 2 }')
    submit(spec, tmp_path)
    serve(tmp_path)
    ended = {trial["number"]: weights(tmp_path, trial["number"]) for trial in trials_of(spec, tmp_path)}
    pruned = [trial["number"] for trial in trials_of(spec, tmp_path) if trial["state"] == "PRUNED"]
    assert pruned
    extend(spec, tmp_path, 6)
    serve(tmp_path)
    lose(tmp_path)
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as store:
        lengths = {n: find_trial(store, "small", n).config.training.epochs for n in ended}
    assert lengths == {number: 4 if number in pruned else 6 for number in ended}
    for number in pruned:
        assert same(weights(tmp_path, number), ended[number])
    # With more epochs for them, too, they go on as those did that had been kept.
    assert set(extend(spec, tmp_path, 9, pruned=True)) >= set(pruned)


@pytest.mark.parametrize("epochs", [4, 6])
def test_the_file_may_follow_an_extension(epochs: int, tmp_path: Path) -> None:
    """What was trained for 4 epochs stays so when the file says 6."""
    spec = study()
    for name in ("kept", "lost"):
        submit(spec, tmp_path / name)
        serve(tmp_path / name)
        extend(spec, tmp_path / name, 6)
    lose(tmp_path / "lost")
    with closing(open_store(sqlite_url(tmp_path / "lost"))) as store:
        control.stop(store, "small")
    run_study(study(epochs=epochs), sqlite_url(tmp_path / "lost"), tmp_path / "lost", lambda progress: None)
    serve(tmp_path / "kept")
    assert found(spec, tmp_path / "lost") == found(spec, tmp_path / "kept")


def test_more_epochs_in_the_middle_of_a_trial(tmp_path: Path) -> None:
    """What it had trained by then, it has trained as one of the former length."""
    spec = study(epochs=40)
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 20)
        extend(spec, tmp_path, 60)
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    kept = [weights(tmp_path, number) for number in range(6)]
    lose(tmp_path)
    for number in range(6):
        assert same(weights(tmp_path, number), kept[number])


@pytest.mark.parametrize("extensions", [(60,), (60, 80)])
def test_more_epochs_while_a_worker_picks_trials_up(
    extensions: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look at the study and the transaction in which it goes on with trials."""
    spec = study(epochs=40)
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 12)
    coming = list(extensions)

    def late(*arguments: Any) -> Any:
        while coming:
            extend(spec, tmp_path, coming.pop(0))
        return pick_up(*arguments)

    monkeypatch.setattr(coordinator, "pick_up", late)
    serve(tmp_path)
    kept = [weights(tmp_path, number) for number in range(6)]
    lose(tmp_path)
    for number in range(6):
        assert same(weights(tmp_path, number), kept[number])
