"""The catalogue of named data sets, and the `Dataset` of a study's `[data]` table. No parsing of files.

A data set is one entry in a module of `entries/`. Heavy modules are imported when a data set is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.data.catalogue.bundled import load_bundled
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import Bundled, CatalogueEntry
from hpo.data.catalogue.files import folder_of
from hpo.data.dataset import Dataset, suggestion
from hpo.data.notes import Note
from hpo.data.readers.idx_file import parts_in
from hpo.data.source import load_source
from hpo.data.streaming.reading import streamed
from hpo.errors import DataError
from hpo.paths import OBJECT
from hpo.printable import listed
from hpo.studyfile.custom import is_reference
from hpo.studyfile.records import DataTable


def load_dataset(
    data: DataTable, base: Path, given: Mapping[str, Any] | None = None, home: Path | None = None
) -> Dataset:
    """The data set that `data.dataset` names: an entry of the catalogue, a function, or a file or folder relative to
    `base`. The files of an entry are fetched where they are not at hand. `given`: as for `load_source`;
    `home`: as for `streamed`.

    Raises `DataError` for an unknown name, data that cannot be used, or a target or task that contradicts them;
    `FetchError` where files cannot be fetched.
    """
    entry = CATALOGUE.get(data.dataset)
    if data.stream:
        if entry is not None or data.dataset == OBJECT or is_reference(data.dataset):
            raise DataError(
                "data.stream: only .npy and Parquet files are streamed. Name one, or leave data.stream out."
            )
        return streamed(data, base, home)
    if entry is not None:
        return _load_entry(entry, data)
    if data.dataset == OBJECT or data.test == OBJECT:
        return load_source(data, base, given=given)
    path = base / os.path.expanduser(data.dataset)
    if parts := parts_in(path):
        return load_source(with_settings(data, base).model_copy(update={"dataset": _in(data.dataset, parts[0])}), base)
    looks_like_path = "/" in data.dataset or "\\" in data.dataset or path.suffix != ""
    if looks_like_path or is_reference(data.dataset) or os.path.exists(path):
        return load_source(data, base)
    raise DataError(
        f"data.dataset: {_unknown(data.dataset)} For data of your own give a file's path, e.g. of a CSV file, and its"
        " target column."
    )


def entry_of(name: str) -> CatalogueEntry:
    """The entry of this name. Raises `DataError` where there is none."""
    if name not in CATALOGUE:
        raise DataError(_unknown(name))
    return CATALOGUE[name]


def with_settings(data: DataTable, base: Path) -> DataTable:
    """The settings, with those that come with the data where the study gives none of its own: of the catalogue's entry,
    or the test part in a folder of idx files."""
    if entry := CATALOGUE.get(data.dataset):
        return _where_not_given(data, entry.settings)
    parts = parts_in(base / os.path.expanduser(data.dataset))
    return _where_not_given(data, {"test": _in(data.dataset, parts[1])}) if parts else data


def _in(folder: str, file: Path) -> str:
    return os.path.join(folder, file.name)


def _unknown(name: str) -> str:
    return f'the catalogue has no "{name}".{suggestion(name, CATALOGUE)} Known: {listed(CATALOGUE)}.'


def _where_not_given(data: DataTable, settings: Mapping[str, Any]) -> DataTable:
    update = {key: value for key, value in settings.items() if key not in data.model_fields_set}
    if data.columns:
        update["columns"] = {**settings.get("columns", {}), **data.columns}
    return data.model_copy(update=update)


def _load_entry(entry: CatalogueEntry, data: DataTable) -> Dataset:
    name, source = data.dataset, entry.source
    if "test" in data.model_fields_set and isinstance(data.test, str):
        raise DataError(f'data.test: "{name}" of the catalogue takes no second file. Give a share, e.g. 0.2.')
    if isinstance(source, Bundled):
        return load_bundled(source, data)
    target = None if data.target == entry.target_name else data.target
    full = _where_not_given(data, entry.settings)
    if target is None:
        full = full.model_copy(update={"target": entry.settings.get("target")})
    folder = folder_of(name, source, entry.licence)
    dataset = load_source(full.model_copy(update={"dataset": source.files[0].name}), folder, distinct=entry.distinct)
    if target is None:
        dataset = replace(
            dataset,
            target_name=entry.target_name or dataset.target_name,
            class_names=entry.class_names or dataset.class_names,
        )
    notes = dataset.notes
    if "test" in entry.settings and not isinstance(full.test, str):
        text = f"The test part that comes with {name} was left out, as data.test asks for another one"
        notes = (Note(kind="left_out", text=text), *notes)
    return replace(dataset, name=name, notes=notes)
