"""Tables for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpo.data.readers import read_file
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import DataFrame


def read_table(path: Path, **settings: object) -> DataFrame:
    """The frame in a file."""
    return read_file(path, DataTable.model_validate({"dataset": str(path), **settings})).frame
