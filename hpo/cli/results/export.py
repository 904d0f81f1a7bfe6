"""`hpo export`: writes a trained trial to files that can be used without this package."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from hpo.cli.terminal.output import say, write_path
from hpo.cli.terminal.place import Place, checkpoints_option, place_options


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the export, new or empty.",
)
@click.option(
    "--trial", "number", type=click.IntRange(min=0), metavar="N", help="Trial number.  [default: the best finished one]"
)
@click.option("--force", is_flag=True, help="Replace an earlier export in DIR.")
@checkpoints_option("where the study's workers noted it")
@place_options
@click.pass_obj
def export(place: Place, study: str, folder: Path, number: int | None, force: bool, checkpoints: str | None) -> None:
    """Write a trial of STUDY into a folder: weights, configuration, preprocessing, and the model in plain PyTorch.

    STUDY is a name in the database. `model.py` rebuilds the model with torch and safetensors alone; `hpo predict`
    applies the export to a table. Only the weights of the best trials are kept: another trial is trained again first,
    with the same result. Of a trial of a training function, what the function saved last and the trial's folder are
    written, with `load.py`, which loads them.

    \b
    Examples:
      hpo export digits -o digits-model
      hpo export digits --trial 7 -o trial-7
      hpo export digits -o digits-model --force
    """
    from hpo.cli.results.report import reading
    from hpo.export import folder as exports
    from hpo.reports.text import format_number as written

    with reading(place) as store:
        tell = partial(say, err=True)
        source = exports.export(store, place.home, study, folder, tell, number=number, force=force, place=checkpoints)
    objective, value = source.spec.study.metric, source.trial.values[0]
    part = "validation " if source.spec.function is None else ""
    say(f"Trial {source.trial.number} of {study}, {part}{objective} {written(value)}", err=True)
    write_path(folder)
