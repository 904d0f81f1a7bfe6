"""What the entries of the catalogue say is well-formed. `python -m tests.data.catalogue` compares it with the data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpo.data.catalogue import with_settings
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import Bundled
from hpo.studyfile.records import DataTable

FETCHED = {name: entry for name, entry in CATALOGUE.items() if not isinstance(entry.source, Bundled)}


@pytest.mark.parametrize("name", FETCHED)
def test_files_are_known_by_their_content(name: str) -> None:
    files = FETCHED[name].source.files
    names = [file.name for file in files]
    assert len(set(names)) == len(files) > 0
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size > 0 for file in files)


@pytest.mark.parametrize("name", CATALOGUE)
def test_settings_are_valid_and_their_files_come_with_the_data(name: str) -> None:
    entry = CATALOGUE[name]
    settings = DataTable.model_validate({"dataset": name, **entry.settings})
    assert settings.model_fields_set - {"dataset"} == set(entry.settings)
    assert not isinstance(settings.test, str) or settings.test in [file.name for file in entry.source.files]
    assert (entry.classes > 0) == (entry.task == "classification")
    assert not entry.class_names or len(entry.class_names) == entry.classes


def test_what_the_study_gives_goes_before_what_the_entry_gives() -> None:
    given = {"dataset": "clothing_reviews", "target": "Rating", "columns": {"Age": "numeric"}}
    data = with_settings(DataTable.model_validate(given), Path())
    assert (data.target, data.columns["Age"], data.columns["Review Text"]) == ("Rating", "numeric", "text")
    plain = DataTable(dataset="digits")
    assert with_settings(plain, Path()) == plain
