"""`hpo studies` and `hpo show`: what is in the database."""

from __future__ import annotations

import click

from hpo.cli.place import Place, place_options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
@click.pass_obj
def studies(place: Place, as_json: bool) -> None:
    """List the studies in the database.

    \b
    Examples:
      hpo studies
      hpo studies --json
    """


@click.command()
@click.argument("study")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
@click.pass_obj
def show(place: Place, study: str, as_json: bool) -> None:
    """Show STUDY: where it stands, its best trials and how the others ended.

    \b
    Examples:
      hpo show digits
      hpo show digits --json
    """
