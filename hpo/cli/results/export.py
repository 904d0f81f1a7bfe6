"""`hpo export`: writes a trained trial to files that can be used without this package, or a study's trials as runs of
an experiment tracker."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from hpo.cli.terminal.output import say, write_data, write_path
from hpo.cli.terminal.place import Place, checkpoints_option, place_options

if TYPE_CHECKING:
    from hpo.storage.store import Store

TRACKERS = {"mlflow": "hpo.reports.trackers.mlflow", "tensorboard": "hpo.reports.trackers.tensorboard"}
"""Name -> module with `write(store, study, place)`, which returns the number of trials written."""


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="DIR",
    help="Folder for the export, new or empty; for MLflow, a folder of its files or the address of a server.",
)
@click.option(
    "--to",
    "target",
    type=click.Choice(["files", *TRACKERS]),
    default="files",
    show_default=True,
    help="files: the model of one trial; otherwise all trials as runs of an experiment tracker.",
)
@click.option(
    "--trial", "number", type=click.IntRange(min=0), metavar="N", help="Trial number.  [default: the best finished one]"
)
@click.option("--force", is_flag=True, help="Replace an earlier export in DIR.")
@checkpoints_option("where the study's workers noted it")
@place_options
@click.pass_obj
def export(
    place: Place, study: str, output: str, target: str, number: int | None, force: bool, checkpoints: str | None
) -> None:
    """Write a trial of STUDY into a folder: weights, configuration, preprocessing, and the model in plain PyTorch.

    STUDY is a name in the database. `model.py` rebuilds the model with torch and safetensors alone; `hpo predict`
    applies the export to a table. Only the weights of the best trials are kept: another trial is trained again first,
    with the same result. Of a trial of a training function, what the function saved last and the trial's folder are
    written, with `load.py`, which loads them.

    With --to, the curves and parameters of all trials go to TensorBoard or MLflow instead, whose package is needed.

    \b
    Examples:
      hpo export digits -o digits-model
      hpo export digits --trial 7 -o trial-7
      hpo export digits -o digits-model --force
      hpo export digits --to tensorboard -o logs/digits
      hpo export digits --to mlflow -o http://localhost:5000
    """
    from hpo.cli.results.report import reading
    from hpo.export import folder as exports
    from hpo.reports.text import format_number as written

    with reading(place) as store:
        if target != "files":
            _track(store, study, target, output)
            return
        folder, tell = Path(output), partial(say, err=True)
        source = exports.export(store, place.home, study, folder, tell, number=number, force=force, place=checkpoints)
    objective, value = source.spec.study.metric, source.trial.values[0]
    part = "validation " if source.spec.function is None else ""
    say(f"Trial {source.trial.number} of {study}, {part}{objective} {written(value)}", err=True)
    write_path(folder)


def _track(store: Store, study: str, target: str, output: str) -> None:
    """Writes the study's trials for the tracker."""
    from hpo.reports.text import plural

    context = click.get_current_context()
    for option in ("number", "force", "checkpoints"):
        if context.get_parameter_source(option) == ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{'trial' if option == 'number' else option} goes with --to files only.")
    written = import_module(TRACKERS[target]).write(store, study, output)
    say(f"{plural(written, 'trial')} of {study} written for {target}", err=True)
    write_data(f"{output}\n")
