"""A session of a small study that keeps the checkpoints of its two best trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hpo.runtime.session import Session
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import open_study, small_study


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        yield open_study(small_study(checkpoints="keep = 2"), store, tmp_path)
