"""Reading the epochs of a study's trials as a data frame, for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from sqlalchemy import select

from hpo.database.decoding import METRICS, formed, json_of
from hpo.database.tables import hpo_epochs, trials
from hpo.registry.studies import study_row
from hpo.storage.store import Store

if TYPE_CHECKING:
    import pandas as pd

EPOCH_COLUMNS = (
    "number",
    "replica",
    "epoch",
    "objective",
    "train_loss",
    "valid_loss",
    "learning_rate",
    "gradient_norm",
    "seconds",
)
"""The first columns of `epochs_frame`; one for each further metric follows."""


_Cell = float | None
_MEASURED = TypeAdapter(list[tuple[int, int, int, _Cell, _Cell, _Cell, _Cell, _Cell, _Cell]])


def epochs_frame(store: Store, name: str) -> pd.DataFrame:
    """One row per trial, replica and epoch, in this order.

    Columns: `EPOCH_COLUMNS`, then one per metric, in the order in which they first appear. Values that were not
    finite, or not measured, are missing.
    """
    import pandas as pd

    own = [hpo_epochs.c[column] for column in EPOCH_COLUMNS if column != "number"]
    statement = (
        select(trials.c.number, *own, hpo_epochs.c.metrics_json)
        .join(trials, trials.c.trial_id == hpo_epochs.c.trial_id)
        .where(trials.c.study_id == study_row(store, name).study_id)
        .order_by(trials.c.number, hpo_epochs.c.replica, hpo_epochs.c.epoch)
    )
    with store.reading() as connection:
        rows = connection.execute(statement).all()
        place = f"hpo_epochs, study {name!r},"
        metrics = [json_of(row.metrics_json, METRICS, place) for row in rows]
        measured = formed([tuple(row)[:-1] for row in rows], _MEASURED, place)
    names = list(dict.fromkeys(name for found in metrics for name in found))
    frame = pd.DataFrame(measured, columns=list(EPOCH_COLUMNS))
    frame = frame.astype({column: "int64" if column in EPOCH_COLUMNS[:3] else "float64" for column in EPOCH_COLUMNS})
    further = [name for name in names if name not in frame]
    cells = {name: [found.get(name) for found in metrics] for name in further}
    return frame.join(pd.DataFrame(cells, index=frame.index, dtype="float64"))
