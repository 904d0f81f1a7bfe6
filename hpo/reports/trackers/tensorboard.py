"""A study as a log folder of TensorBoard: a run per trial, with its curves and its row among the hyperparameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import InputError
from hpo.reports.trackers.runs import Run, runs_of

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from hpo.storage.store import Store


def write(store: Store, name: str, place: str) -> int:
    """Writes the trials of the study `name` into the folder `place`, which is made where it is missing, and returns
    their number. Raises `InputError` where the folder has files or the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("TensorBoard's files need its package: pip install tensorboard") from None
    folder = Path(place)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already, and TensorBoard would show both; choose a new or empty folder")
    runs = runs_of(store, name)
    width = len(str(max((run.number for run in runs), default=0)))
    for run in runs:
        with SummaryWriter(str(folder / f"trial-{run.number:0{width}}")) as writer:
            _write(writer, run)
    return len(runs)


def _write(writer: SummaryWriter, run: Run) -> None:
    for point in run.points:
        for metric, value in point.values.items():
            writer.add_scalar(metric, value, point.epoch, walltime=point.at.timestamp())
    params = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in run.params.items()}
    result = {} if run.value is None else {f"result/{run.objective}": run.value}
    writer.add_hparams(params, result, run_name=".")
    writer.add_text("ended", run.ended or run.state)
