"""The lock on a study's folder: one process holds it, and the next one gets the name of the last holder."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.checkpoints.folder_lock import exclusive, last_holder
from hpo.errors import StudyStateError


def test_a_study_is_held_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "small"
    refused = pytest.raises(StudyStateError, match=r"'small' is already being run by process \d+ ")
    with exclusive(folder, "first"), refused, exclusive(folder, "second"):
        pass
    with exclusive(folder, "third"), exclusive(tmp_path / "checkpoints" / "other", "fourth"):
        pass


def test_the_last_holder_is_known_once_it_has_ended(tmp_path: Path) -> None:
    assert last_holder(tmp_path / "small") is None
    with exclusive(tmp_path / "small", "first") as last:
        assert last is None
        assert last_holder(tmp_path / "small") is None, "it is there"
    assert last_holder(tmp_path / "small") == "first"
    with exclusive(tmp_path / "small", "second") as last:
        assert last == "first"
    with exclusive(tmp_path / "small", "third") as last:
        assert last == "second"
