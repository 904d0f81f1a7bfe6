"""`hpo predict`: predicts the rows of a table with an exported trial."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hpo import disk
from hpo.cli.results.report import spreadsheet_option
from hpo.cli.terminal.output import say, write_data
from hpo.errors import MachineError
from hpo.printable import few, listed


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("data")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV file to write.  [default: standard output]",
)
@spreadsheet_option
def predict(folder: Path, data: str, output: Path | None, spreadsheet: bool) -> None:
    """Predict the rows of DATA with the export in DIR.

    DATA is a file of any format that studies read, a folder of images, a function, FILE.py:NAME, or the name of a data
    set of the catalogue, of which all rows are predicted, those that the model was trained on too. A table needs the
    columns that the model was trained on, in any order; empty cells are filled as in training, other columns are
    ignored. A CSV file is read as the study declared it, e.g. with its separator. The output is a CSV
    table: the row (from 1), the prediction and, for classes, the probability of each. Standard error has a line for
    each column with missing cells or categories that training did not have and, if the table has the target, the
    accuracy (or root mean squared error). The models of a study with folds or repeats predict as an ensemble: by the
    mean of their probabilities, or of their numbers. An export of a model of your own contains its Python file, which
    is run.

    \b
    Examples:
      hpo predict digits-model new.csv
      hpo predict digits-model new.csv -o predictions.csv
    """
    from hpo.data.catalogue.entries import CATALOGUE
    from hpo.data.catalogue.frame import catalogue_frame
    from hpo.data.source import read_frame
    from hpo.export import predictor as exported
    from hpo.reports.render.csv import csv_text
    from hpo.reports.text import format_number

    predictor = exported.Predictor.load(folder)
    shape = predictor.preprocessing[0].signature.main.shape
    if named := data in CATALOGUE and not os.path.exists(data):
        frame = catalogue_frame(data)
    else:
        frame = read_frame(data, shape, as_text=predictor.text_columns, reading=predictor.reading)
    prediction = exported.predict(predictor, frame)
    text = csv_text(*exported.prediction_table(predictor, prediction), spreadsheet=spreadsheet)
    if output is None:
        write_data(text)
    else:
        _save(output, text)
        say(f"Written: {output}", err=True)
    for line in few(prediction.odd):
        say(line, err=True)
    score = exported.score_predictions(predictor, prediction, frame)
    if score is not None:
        left_out = f", {len(frame) - score.rows} without a target left out" if score.rows < len(frame) else ""
        models = len(predictor.modules)
        whose = f" (ensemble of {models} models)" if models > 1 else ""
        known = f"; rows of {data} that it was trained on are among them" if named else ""
        say(f"{score.metric} {format_number(score.value)}{whose} over {score.rows} rows{left_out}{known}", err=True)
    elif predictor.target_name in frame.columns:
        known = f" none of the classes {listed(predictor.class_names)}" if predictor.class_names else " no numbers"
        say(f'Not scored: the column "{predictor.target_name}" holds{known}.', err=True)


def _save(path: Path, text: str) -> None:
    try:
        disk.save(path, text.encode("utf-8"))
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror}. Give another file with -o.") from error
