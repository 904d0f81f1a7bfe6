"""Reading the epochs of a study's trials as columns of numbers, for reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
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
"""The first columns of `Epochs`; one for each further metric follows."""
WHOLE = EPOCH_COLUMNS[:3]

Column = NDArray[Any]

_INTEGERS: TypeAdapter[Any] = TypeAdapter(list[int])
_CELLS: TypeAdapter[Any] = TypeAdapter(list[float | None])
_ALL_METRICS = TypeAdapter(list[dict[str, float | None]])


@dataclass(frozen=True, slots=True, eq=False)
class Epochs:
    """A row for each trial, replica and epoch, in this order."""

    columns: Mapping[str, Column]
    """Name -> values, shape [rows]: whole numbers in the first three columns, else floats, NaN where a value was not
    finite or not measured."""

    @classmethod
    def of(cls, columns: Mapping[str, Any] | pd.DataFrame) -> Epochs:
        """From columns of equal length, in any order of rows."""
        found = {
            str(name): np.asarray(column, np.int64 if name in WHOLE else np.float64) for name, column in columns.items()
        }
        if len(columns) and len(found["number"]):
            order = np.lexsort([found[name] for name in reversed(WHOLE)])
            found = {name: column[order] for name, column in found.items()}
        return cls(found)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.columns["number"]) if self.columns else 0

    def where(self, chosen: NDArray[np.bool_]) -> Epochs:
        """These rows alone; `chosen`: shape [rows]."""
        return Epochs({name: column[chosen] for name, column in self.columns.items()})

    def of_trials(self, numbers: Iterable[int]) -> Epochs:
        """The rows of these trials."""
        return self.where(np.isin(self["number"], list(numbers)))

    def at(self, epochs: Mapping[int, int]) -> Epochs:
        """The rows of each trial at the epoch that `epochs` gives for its number."""
        numbers, places = np.unique(self["number"], return_inverse=True)
        wanted = np.array([epochs.get(number, -1) for number in numbers.tolist()], np.int64)
        return self.where(self["epoch"] == wanted[places])

    def means(self, names: Sequence[str]) -> dict[int, tuple[list[int], dict[str, list[float]]]]:
        """Trial number -> its epochs, and by name the means over replicas at these; NaN where that of a replica is."""
        if not len(self):
            return {}
        order = np.lexsort([self["epoch"], self["number"]])
        number, epoch = self["number"][order], self["epoch"][order]
        starts = np.flatnonzero(np.r_[True, (np.diff(number) != 0) | (np.diff(epoch) != 0)])
        counts = np.diff(np.r_[starts, len(number)])
        with np.errstate(invalid="ignore"):
            means = {name: (np.add.reduceat(self[name][order], starts) / counts).tolist() for name in names}
        number, epochs = number[starts], epoch[starts].tolist()
        firsts = np.flatnonzero(np.r_[True, np.diff(number) != 0]).tolist()
        return {
            one: (epochs[first:end], {name: column[first:end] for name, column in means.items()})
            for one, first, end in zip(number[firsts].tolist(), firsts, [*firsts[1:], len(number)], strict=True)
        }

    def frame(self) -> pd.DataFrame:
        """The same as a data frame."""
        import pandas as pd

        return pd.DataFrame(dict(self.columns))


def read_epochs(store: Store, name: str) -> Epochs:
    """All epochs of a study. Columns: `EPOCH_COLUMNS`, then one per metric, in the order in which they first appear."""
    own = [hpo_epochs.c[column] for column in EPOCH_COLUMNS if column != "number"]
    statement = (
        select(trials.c.number, *own, hpo_epochs.c.metrics_json)
        .join(trials, trials.c.trial_id == hpo_epochs.c.trial_id)
        .where(trials.c.study_id == study_row(store, name).study_id)
        # Ids of trials are in the order of their numbers; in this order SQLite need not sort the rows.
        .order_by(trials.c.trial_id, hpo_epochs.c.replica, hpo_epochs.c.epoch)
    )
    with store.reading() as connection:
        rows = connection.execute(statement).all()
        *measured, texts = zip(*rows, strict=True) if rows else [()] * (len(EPOCH_COLUMNS) + 1)
        place = f"hpo_epochs, study {name!r},"
        metrics = _metrics(texts, place)
        columns: dict[str, Any] = {
            column: formed(cells, _INTEGERS if column in WHOLE else _CELLS, f"{column} of {place}")
            for column, cells in zip(EPOCH_COLUMNS, measured, strict=True)
        }
    for further in dict.fromkeys(name for found in metrics for name in found):
        if further not in columns:
            columns[further] = [found.get(further) for found in metrics]
    return Epochs.of(columns)


def _metrics(texts: Sequence[Any], place: str) -> list[dict[str, float | None]]:
    """The metrics in each of the cells. All as one list are read faster; what cannot be read so is read cell by cell.

    A list with as many entries as there are cells has one of each cell: where a cell begins, an entry does, since the
    brace may stand at no other place after a comma, and no text in JSON goes on behind a line break.
    """
    try:
        if all(text.startswith("{") for text in texts):
            found = _ALL_METRICS.validate_json("[" + ",\n".join(texts) + "]")
            if len(found) == len(texts):
                return found
    except (AttributeError, ValidationError):
        pass
    return [json_of(text, METRICS, place) for text in texts]
