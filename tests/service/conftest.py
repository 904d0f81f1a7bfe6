"""A study of the service, what a run makes of it, and the warnings of workers."""

from __future__ import annotations

import logging

import pytest

from hpo.studyfile.study import StudySpec
from tests.runtime.small import result_of, small_study
from tests.service.working import LONG, Found


@pytest.fixture
def spec() -> StudySpec:
    return small_study(**LONG)


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Trials and epochs of the study of `spec`, as a run makes them."""
    return result_of(small_study(**LONG), tmp_path_factory.mktemp("expected"))


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
