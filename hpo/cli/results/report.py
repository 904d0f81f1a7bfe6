"""`hpo report` and `hpo compare`: the report of one study, and a comparison of several."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpo import disk
from hpo.cli.terminal.loading import loading
from hpo.cli.terminal.output import console, say, write_data, write_path
from hpo.cli.terminal.place import Place, place_options
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.comparison.table import Comparison
    from hpo.storage.store import Store

spreadsheet_option = click.option(
    "--spreadsheet",
    is_flag=True,
    help="For spreadsheets: text in CSV cells that begins like a formula (= + - @) gets an apostrophe in front.",
)
"""Option of every command that writes CSV."""
REFRESH_SECONDS = 10
"""Seconds between two reports of a study that is followed."""
BUSY = 0.1
"""Largest share of the time that following a study takes for writing, so that little is taken from training."""

LEAST_BESIDE = 3
"""Rows of a comparison that are shown even if they do not fit beside each other."""


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the report.  [default: reports/STUDY in the home folder]",
)
@click.option(
    "--follow", is_flag=True, help="Write it again and again until the study ends; the page in a browser keeps up."
)
@spreadsheet_option
@place_options
@click.pass_obj
def report(place: Place, study: str, output: Path | None, follow: bool, spreadsheet: bool) -> None:
    """Write the report of STUDY again and print the path of its page.

    \b
    Examples:
      hpo report digits
      hpo report digits --follow
      hpo report digits -o digits-report
      hpo report digits --spreadsheet
    """
    with loading():
        from hpo.reports.render.build import write_report

    with reading(place) as store:
        folder = output or _folder(place, study)
        write = partial(write_report, store, study, folder, spreadsheet=spreadsheet)
        page = write(refresh=REFRESH_SECONDS) if follow else write()
        write_path(page)
        if follow:
            _follow(store, study, write)


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option("--metric", metavar="NAME", help="Compare by another recorded metric, e.g. loss or test.accuracy.")
@click.option(
    "--group-by",
    metavar="KEY",
    help="One row for all studies that have the same value of this setting, e.g. search.sampler.name; with file, for "
    "those that differ in name and seed alone.",
)
@click.option("--anyway", is_flag=True, help="Compare studies of different data, parts or objectives, too.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Also write the comparison as CSV; with -, print CSV instead of the table.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write it as one page that opens offline.",
)
@spreadsheet_option
@place_options
@click.pass_obj
def compare(
    place: Place,
    studies: Sequence[str],
    metric: str | None,
    group_by: str | None,
    anyway: bool,
    csv_file: str | None,
    html_file: Path | None,
    spreadsheet: bool,
) -> None:
    """Compare STUDIES with the first one: score, difference and p value, cost of the search, files and winners.

    \b
    Examples:
      hpo compare digits digits-cnn
      hpo compare digits digits-cnn --metric test.accuracy --html compare.html
      hpo compare tpe-0 tpe-1 tpe-2 random-0 random-1 random-2 --group-by file
      hpo compare digits digits-cnn --csv - | head
    """
    with loading():
        from hpo.reports.comparison.table import compare as compare_studies

    if spreadsheet and not csv_file:
        raise click.UsageError("--spreadsheet changes the CSV file only: add --csv FILE.")
    with reading(place) as store:
        found = compare_studies(store, studies, metric=metric, group_by=group_by, anyway=anyway)
    if html_file:
        found.write_html(html_file)
    for note in found.notes:
        say(f"Note: {note}", err=True)
    if csv_file == "-":
        write_data(found.csv(spreadsheet=spreadsheet))
    else:
        if csv_file:
            found.write_csv(Path(csv_file), spreadsheet=spreadsheet)
        print_comparison(found)
    for written in (csv_file if csv_file != "-" else None, html_file):
        if written:
            say(f"Written: {written}", err=True)


def _follow(store: Store, study: str, write: Callable[..., Path]) -> None:
    """Writes the report again and again until the study has ended, then once more as a page that stays as it is."""
    from hpo.registry.studies import study_row

    took = 0.0
    while (row := study_row(store, study)).state != "finished":
        time.sleep(max(REFRESH_SECONDS, took / BUSY))
        store.forget(row.study_id)  # trials that ended may have been reopened
        begun = time.monotonic()
        write(refresh=REFRESH_SECONDS)
        took = time.monotonic() - begun
    write()


def _folder(place: Place, study: str) -> Path:
    disk.make_home(place.home)
    return disk.study_folder(place.home / "reports", study)


@contextmanager
def reading(place: Place) -> Iterator[Store]:
    """Opens the database at the place for reading, and closes it after the block."""
    from hpo.storage import open

    with open.reading(place.storage_url) as store:
        yield store


def print_comparison(comparison: Comparison) -> None:
    """Prints the comparison with one column per study, because there are few studies and many measures."""
    from hpo.reports.comparison.shown import shown

    out = console()
    texts = shown(comparison)
    while len(texts.heads) > LEAST_BESIDE and not out.fits_beside("", texts.heads, texts.lines):
        texts = shown(comparison, len(texts.heads) - 1)
    out.side_by_side("", texts.heads, texts.lines)
    if texts.settings_omitted:
        say(f"{plural(texts.settings_omitted, 'more setting')} of the study files differ: --csv FILE has them.")
    if texts.omitted:
        say(
            f"{plural(texts.omitted, 'more row')}: --csv FILE and --html FILE have all; these are the first and the "
            "best of the others."
        )
