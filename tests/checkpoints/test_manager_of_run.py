"""Which checkpoint files a study keeps, and that the database names exactly those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.runtime.session import Session
from hpo.storage.rows import CheckpointRow
from tests.checkpoints.ended import ask, cut, settled
from tests.runtime.small import in_session, run, small_study, trials_of, with_trials
from tests.service.working import serve, submit


def on_disk(home: Path) -> set[str]:
    return {file.name for file in (home / "checkpoints" / "small").glob("*.pt")}


def in_database(home: Path) -> set[str]:
    def names(session: Session) -> set[str]:
        return {Path(row.path).name for row in session.store.checkpoints(session.study_id)}

    found: set[str] = in_session(small_study(), home, names)
    return found


@pytest.mark.parametrize("keep", [1, 3, 100])
def test_the_best_trials_weights_and_last_states_are_kept(keep: int, tmp_path: Path) -> None:
    spec = small_study(checkpoints=f"keep = {keep}")
    run(spec, tmp_path)
    ended = sorted(
        trials_of(spec, tmp_path),
        key=lambda t: (t["state"] != "COMPLETE", -t["level"], -t["values"][0], t["valid_loss"], t["number"]),
    )
    for kind in ("best", "final"):
        kept = sorted(name[: len(kind) + 7] for name in on_disk(tmp_path) if name.startswith(kind))
        assert kept == sorted(f"{kind}-{trial['number']:06d}" for trial in ended[:keep])
    assert in_database(tmp_path) == on_disk(tmp_path)


def test_running_trials_have_the_files_of_the_last_two_epochs(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    run(small_study(), tmp_path, observer=lambda progress: seen.append(on_disk(tmp_path)))
    running = [sorted(name for name in names if name.startswith("running")) for names in seen]
    assert running[:4] == [
        [],
        ["running-0000001.pt"],
        ["running-0000001.pt", "running-0000002.pt"],
        ["running-0000002.pt", "running-0000003.pt"],
    ]
    assert running[-1] == []


def test_files_that_no_row_names_are_deleted(tmp_path: Path) -> None:
    run(small_study(), tmp_path)
    folder = tmp_path / "checkpoints" / "small"
    kept = on_disk(tmp_path)
    for name in ("best-000099.pt", "running-0000099.pt", ".running-0000007.pt.123"):
        (folder / name).write_bytes(b"left by a killed process")
    (folder / "notes.txt").write_text("a user's own")
    in_session(small_study(), tmp_path, lambda session: CheckpointManager(session.checkpoints))
    assert on_disk(tmp_path) == kept
    assert not (folder / ".running-0000007.pt.123").exists()
    assert (folder / "notes.txt").exists()


def test_a_run_finds_the_checkpoints_of_workers(tmp_path: Path) -> None:
    spec = small_study(checkpoints="keep = 1")
    submit(with_trials(spec, 1), tmp_path)
    serve(tmp_path)
    left = on_disk(tmp_path)
    assert sum(name.startswith("final-") for name in left) == 1
    in_session(spec, tmp_path, lambda session: CheckpointManager(session.checkpoints))
    assert in_database(tmp_path) == on_disk(tmp_path) == left
    run(with_trials(spec, 8), tmp_path)
    assert in_database(tmp_path) == on_disk(tmp_path)
    assert sum(name.startswith("best-") for name in on_disk(tmp_path)) == 1
    assert on_disk(tmp_path) != left, "choose a study whose further trials are better"


def test_a_trial_that_ends_again_before_its_first_epoch_keeps_its_last_state(session: Session) -> None:
    """A budget was raised, and another one is spent already; the state is the one from which the trial goes on."""
    (trial,) = ask(session, 1)
    cut(session, trial, 0.5)
    ends = settled(ends={0: (1, b"state")})

    def end(manager: CheckpointManager) -> list[CheckpointRow]:
        with session.store.transaction():
            manager.save_ends({0}, ends)
            manager.save_running({}, ends)
        manager.sweep()
        return session.store.checkpoints(session.study_id)

    (row,) = end(CheckpointManager(session.checkpoints))
    session.store.remove_checkpoints([row.path])
    session.store.add_checkpoints([replace(row, kind="running")])
    assert end(CheckpointManager(session.checkpoints)) == [row]
    assert (session.home / row.path).read_bytes() == b"state"


def test_the_home_folder_may_be_moved(tmp_path: Path) -> None:
    """Paths in the database are relative to it."""
    run(small_study(), tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")

    def found(session: Any) -> bool:
        return all((session.home / row.path).is_file() for row in session.store.checkpoints(session.study_id))

    assert in_session(small_study(), tmp_path / "new", found)
