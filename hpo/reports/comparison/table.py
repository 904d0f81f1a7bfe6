"""Compares studies: one row for each, or for each group of repetitions, with how sure the differences are. Writes the
table as CSV; the page is in `page`, and nothing is printed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import InputError
from hpo.reports.comparison.cells import against_first, described, files, ranked, scored, timed
from hpo.reports.comparison.columns import COLUMNS
from hpo.reports.comparison.entries import Entry, Row, read_entries, rows_of
from hpo.reports.comparison.incumbent import Incumbents, incumbents_of
from hpo.reports.comparison.measures import Measure, measure_of
from hpo.reports.comparison.notes import facts_to_know
from hpo.reports.comparison.rows import row_names
from hpo.reports.comparison.sameness import Obstacle, obstacles
from hpo.reports.comparison.scores import all_scores
from hpo.reports.render.build import write_text
from hpo.reports.render.csv import csv_text

if TYPE_CHECKING:
    import pandas as pd

    from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Several studies side by side."""

    measure: Measure
    rows: tuple[Row, ...]
    cells: tuple[Mapping[str, Any], ...]
    """One for each row, by the names of `hpo.reports.comparison.columns`."""
    curves: tuple[tuple[Incumbents, ...], ...]
    """The best so far of every study of each row."""
    notes: tuple[str, ...]
    """What a reader has to know, each a sentence."""

    @property
    def columns(self) -> list[str]:
        """Those of every comparison in their order, then those of these studies in alphabetical order."""
        names = row_names(self.cells)
        return [*(name for name in COLUMNS if name in names), *sorted(name for name in names if name not in COLUMNS)]

    @property
    def frame(self) -> pd.DataFrame:
        """The table; a missing cell is None."""
        import pandas as pd

        columns = self.columns
        return pd.DataFrame([[row.get(name) for name in columns] for row in self.cells], columns=columns, dtype=object)

    def csv(self, *, spreadsheet: bool = False) -> str:
        """The table as CSV text. `spreadsheet`: text that a spreadsheet would compute gets an apostrophe in front."""
        columns = self.columns
        cells = ([row.get(name) for name in columns] for row in self.cells)
        return csv_text(columns, cells, spreadsheet=spreadsheet)

    def write_csv(self, path: Path, *, spreadsheet: bool = False) -> None:
        """Writes the table as a CSV file. Raises MachineError if it cannot be written."""
        write_text(path, self.csv(spreadsheet=spreadsheet), "Give another file with --csv.")

    def write_html(self, path: Path) -> None:
        """Writes one page that opens offline. Raises MachineError if it cannot be written."""
        from hpo.reports.comparison.page import page  # the page is made of this module's record

        write_text(path, page(self), "Give another file with --html.")


def compare(
    store: Store,
    names: Sequence[str],
    *,
    metric: str | None = None,
    group_by: str | None = None,
    anyway: bool = False,
) -> Comparison:
    """Compares studies of the database, in the order of their names. An unknown name raises StudyStateError. Further
    arguments and errors as of `compared`."""
    return compared(read_entries(store, names), metric=metric, group_by=group_by, anyway=anyway)


def compared(
    entries: Sequence[Entry], *, metric: str | None = None, group_by: str | None = None, anyway: bool = False
) -> Comparison:
    """Compares studies by their objective, or by another `metric` that they recorded, e.g. `loss` or `test.accuracy`.

    `group_by`: studies that have the same value of this setting are one row, or for `file` those that differ in name
    and seed alone. Studies with different data, parts or objectives raise InputError unless `anyway`.
    """
    rows = rows_of(entries, group_by)
    reports = [entry.report for entry in entries]
    measure = measure_of(reports, metric)
    found = obstacles(rows, metric)
    if found and not anyway:
        raise InputError(_refusal(found))
    comparable = all(obstacle.kind != "objective" for obstacle in found)
    scores = all_scores(rows, measure)
    curves = tuple(tuple(incumbents_of(report, measure) for report in row.reports) for row in rows)
    cells: list[dict[str, Any]] = [described(row) for row in rows]
    if comparable:
        for parts in (
            scored(rows, scores, measure),
            against_first(scores, measure),
            ranked(scores, measure),
            timed(rows, curves, measure),
        ):
            for cell, part in zip(cells, parts, strict=True):
                cell |= part
    for cell, part in zip(cells, files(rows), strict=True):
        cell |= part
    first = row_names(cells)
    complete = tuple({name: None for name in COLUMNS if name in first or name != "others"} | cell for cell in cells)
    notes = [f"Compared anyway: {obstacle.finding}" for obstacle in found]
    return Comparison(
        measure=measure,
        rows=tuple(rows),
        cells=complete,
        curves=curves if comparable else (),
        notes=(*notes, *facts_to_know(rows, scores, comparable)),
    )


def _refusal(found: Sequence[Obstacle]) -> str:
    ways = [obstacle.way_out for obstacle in found if obstacle.way_out]
    advice = ", or ".join([*ways, "compare them nevertheless with --anyway"])
    return " ".join([*(obstacle.finding for obstacle in found), f"{advice[0].upper()}{advice[1:]}."])
