"""A study goes on by the conventions that it began with."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.conventions import FIRST, NEWEST
from hpo.errors import StudyStateError
from hpo.registry import studies
from hpo.runtime.setup.specs import as_begun, spec_of
from hpo.service.candidates import Candidate
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import open_study, small_study

BATCH_NORM = {"norm": 'kind = "batch"'}


def test_a_new_study_notes_the_newest_conventions_and_keeps_them(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        session = open_study(small_study(), store, tmp_path)
        assert session.spec.conventions == NEWEST
        assert studies.study_row(store, "small").facts.conventions == NEWEST


def test_a_study_that_notes_none_goes_on_by_the_first(tmp_path: Path) -> None:
    """As studies of version 0.1.0 are: opened here, by a worker, or for an export."""
    with closing(open_store(sqlite_url(tmp_path))) as store:
        session = open_study(small_study(**BATCH_NORM), store, tmp_path)
        facts = studies.study_row(store, "small").facts
        studies.set_facts(store, session.study_id, replace(facts, conventions=FIRST))
        row = studies.study_row(store, "small")
        with pytest.raises(StudyStateError, match=r"^the study 'small' was begun at this moment"):
            open_study(small_study(**BATCH_NORM), store, tmp_path)
        again = open_study(as_begun(small_study(**BATCH_NORM), row), store, tmp_path)
        row = studies.study_row(store, "small")
        assert [again.spec.conventions, spec_of(row).conventions, Candidate.of(row).spec.conventions] == [FIRST] * 3
        assert again.job.spec.conventions == FIRST, "what workers elsewhere are given"
        (asked,) = again.searcher.ask(1)
        assert asked.config is not None
        assert asked.config.conventions == FIRST
        assert row.facts.conventions == FIRST, "opening it does not make it a new one"
