"""Writes the files of a report: a page, a summary as text and as JSON, the tables `trials.csv`, `epochs.csv` and
`importances.csv`, and `confirmation.csv` and `explanation.csv` where a winner was confirmed or explained. No facts, no
formatting."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpo import disk
from hpo.errors import MachineError
from hpo.reports.facts import StudyReport, gather
from hpo.reports.render.confirmation import confirmation_csv
from hpo.reports.render.csv import epochs_csv, importances_csv, trials_csv
from hpo.reports.render.explanation import explanation_csv
from hpo.reports.render.html import render
from hpo.reports.render.json import summary_json
from hpo.reports.render.markdown import summary

if TYPE_CHECKING:
    from hpo.storage.store import Store

TABLES = {"trials.csv": trials_csv, "epochs.csv": epochs_csv, "importances.csv": importances_csv}
"""File name -> CSV text of a report."""
TEXTS = {"summary.md": summary, "summary.json": summary_json}
"""File name -> text of a report."""


def write_report(
    store: Store, name: str, folder: Path, *, spreadsheet: bool = False, refresh: int | None = None
) -> Path:
    """Write the report of study `name` into `folder` (made if missing) and return the path of its page. `spreadsheet`:
    text in the CSV files that a spreadsheet would compute as a formula gets an apostrophe in front. `refresh`: seconds
    after which a browser is to load the page again."""
    with _without_collection():
        return write_report_files(gather(store, name), folder, spreadsheet=spreadsheet, refresh=refresh)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Python looks for garbage again and again while trials are read, and finds none: all of them are kept. That takes
    a fifth of the time of a large study's report."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def write_report_files(
    report: StudyReport, folder: Path, *, spreadsheet: bool = False, refresh: int | None = None
) -> Path:
    """Render everything first, then replace the files one by one; returns the path of the page. Raises MachineError if
    a file cannot be written."""
    texts = {name: table(report, spreadsheet=spreadsheet) for name, table in TABLES.items()}
    if report.repeated:
        texts["confirmation.csv"] = confirmation_csv(report.repeated, spreadsheet=spreadsheet)
    if report.explanation is not None:
        texts["explanation.csv"] = explanation_csv(report.explanation, spreadsheet=spreadsheet)
    texts |= {name: text(report) for name, text in TEXTS.items()}
    texts["index.html"] = render(report, refresh=refresh)  # the last: if it is new, so are the files beside it
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / "index.html"


def write_text(
    path: Path,
    text: str,
    way_out: str = "A report needs a folder that can be written and has room; choose another with --home or --output.",
) -> None:
    """Replace `path` by a file with this text; a reader sees the old file or the new one, never a part. `way_out`:
    advice in the MachineError that is raised if it cannot be written."""
    try:
        disk.save(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise MachineError(f"Cannot write {path}: {error.strerror or error}. {way_out}") from error
