"""`hpo report` and `hpo compare`: the report of one study, and a comparison of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo import disk
from hpo.cli.terminal.output import console, say, write_data, write_path
from hpo.cli.terminal.place import Place, place_options

if TYPE_CHECKING:
    import pandas as pd

    from hpo.storage.store import Store

spreadsheet_option = click.option(
    "--spreadsheet",
    is_flag=True,
    help="For spreadsheets: text in CSV cells that begins like a formula (= + - @) gets an apostrophe in front.",
)
"""Option of every command that writes CSV."""


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the report.  [default: reports/STUDY in the home folder]",
)
@spreadsheet_option
@place_options
@click.pass_obj
def report(place: Place, study: str, output: Path | None, spreadsheet: bool) -> None:
    """Write the report of STUDY again and print the path of its page.

    \b
    Examples:
      hpo report digits
      hpo report digits -o digits-report
      hpo report digits --spreadsheet
    """
    from hpo.reports.render.build import write_report

    with reading(place) as store:
        page = write_report(store, study, output or _folder(place, study), spreadsheet=spreadsheet)
    write_path(page)


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Also write the comparison as CSV; with -, print CSV instead of the table.",
)
@spreadsheet_option
@place_options
@click.pass_obj
def compare(place: Place, studies: Sequence[str], csv_file: str | None, spreadsheet: bool) -> None:
    """Compare STUDIES: best and median value, cost of finding the best, test score, winner's parameters.

    \b
    Examples:
      hpo compare digits digits-cnn
      hpo compare digits digits-cnn --csv compare.csv
      hpo compare digits digits-cnn --csv - | head
    """
    from hpo.reports.comparison.rows import caution, compare_csv, write_compare_csv
    from hpo.reports.comparison.rows import compare as compare_studies

    if spreadsheet and not csv_file:
        raise click.UsageError("--spreadsheet changes the CSV file only: add --csv FILE.")
    with reading(place) as store:
        frame = compare_studies(store, studies)
    warning = caution(frame)
    if warning:
        say(f"Note: {warning}", err=True)
    if csv_file == "-":
        write_data(compare_csv(frame, spreadsheet=spreadsheet))
        return
    if csv_file:
        write_compare_csv(frame, Path(csv_file), spreadsheet=spreadsheet)
    _print_comparison(frame)
    if csv_file:
        say(f"Written: {csv_file}", err=True)


def _folder(place: Place, study: str) -> Path:
    disk.make_home(place.home)
    return disk.study_folder(place.home / "reports", study)


@contextmanager
def reading(place: Place) -> Iterator[Store]:
    """Opens the database at the place for reading, and closes it after the block."""
    from hpo.storage import open

    with open.reading(place.storage_url) as store:
        yield store


def _print_comparison(frame: pd.DataFrame) -> None:
    """Prints the comparison with one column per study, because there are few studies and many measures."""
    from hpo.reports.text import format_number

    rows = {column: [format_number(value) for value in frame[column]] for column in frame.columns[1:]}
    console().side_by_side("", list(frame["study"]), rows)
