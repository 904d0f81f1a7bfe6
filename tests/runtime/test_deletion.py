"""A study that is deleted under the worker that trains it."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.service import candidates
from hpo.service.leased import LeasedOwnership
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import small_study
from tests.service.working import submit, wait_for, working


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (candidates, "load_inputs"),
        (candidates, "record_location"),
        (LeasedOwnership, "room"),
        (LeasedOwnership, "confirm"),
        (CheckpointManager, "save_running"),
    ],
)
def test_it_is_told_in_a_line(
    place: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the worker was in the middle of something."""
    original = getattr(place, name)

    def deleted_first(*arguments: Any, **options: Any) -> Any:
        with closing(open_store(sqlite_url(tmp_path))) as store:
            store.delete_study(store.get_study_id_from_name("small"))
        monkeypatch.setattr(place, name, original)
        return original(*arguments, **options)

    submit(small_study(search="trials = 2"), tmp_path)
    submit(small_study(study='name = "other"', search="trials = 2"), tmp_path)
    monkeypatch.setattr(place, name, deleted_first)
    caplog.set_level(logging.INFO)
    with working(tmp_path) as worker:
        wait_for(lambda: any(text.startswith("other: ended") for text in caplog.messages))
    assert not worker.backoff.texts
    assert [text for text in caplog.messages if "small" in text and "train here" not in text] == ["small: deleted"]
    assert not [record for record in caplog.records if record.levelno > logging.INFO], caplog.text
