"""A study's examples as tensors on the device, and the order in which a lane sees them.

The data is stored once for all lanes: a batch of K lanes is one gather, or is read from the disk (`feed`). Every epoch
of a lane has its own order of the examples, which is cut into batches. `training.last_batch` decides whether a
remainder is filled up, dropped or a smaller batch; `training.sampling`, whether each example comes once or each class
equally often.

Dimensions: K lanes, N examples of an epoch, V validation examples, C classes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.data.prepare import PreparedData, PreparedReplica
from hpo.data.streaming.mapped import in_portions
from hpo.data.streaming.row_file import RowFile
from hpo.models.named_inputs import SHOWN
from hpo.signature import Signature
from hpo.studyfile.records import Training
from hpo.training import randomness
from hpo.training.feed.drawn import DrawnRows, Form, SharedRows
from hpo.training.feed.streamed import StreamedParts, StreamedRows
from hpo.training.feed.windows import WindowOrder
from hpo.training.layout import ALIGNMENT

Batches = tuple[Tensor, Tensor]
"""Inputs [S, K, B, ...] and targets [S, K, B]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """Training and validation examples of all replicas; replicas with the same split share one part."""

    task: str
    signature: Signature
    """What a row of `x_train` holds."""
    outputs: int
    class_names: tuple[str, ...]
    """By class index; empty for regression."""
    positive: int
    """Of two classes the one that `f1` and `average_precision` are of."""
    counts: tuple[tuple[int, ...], ...]
    """[parts][C] training examples of each class; [parts][0] for regression."""
    by_class: NDArray[np.int64]
    """Rows of each part, counted from its first, class after class; in main memory, like the orders drawn from it."""
    part: tuple[int, ...]
    """Number of the part of each replica."""
    start: tuple[int, ...]
    """First row of each part in `x_train`."""
    size: tuple[int, ...]
    """Training examples of each part."""
    x_train: Tensor | StreamedRows | DrawnRows
    """All parts one after the other."""
    y_train: Tensor
    x_valid: Tensor | StreamedParts | DrawnRows
    """[parts, V, ...]; padded with the last example to one size, a multiple of a cache line."""
    y_valid: Tensor
    """[parts, V]"""
    real: Tensor
    """[parts, V] False where padded."""
    target_scale: Tensor
    """[parts] unit of a standardised target; 1 for classes."""
    darkest: Tensor
    """[parts, channels] lowest value of each channel of the training images; [parts, 1] of 0 for other data."""

    @property
    def replicas(self) -> int:
        return len(self.part)

    @property
    def device(self) -> torch.device:
        return self.x_train.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of inputs, parameters and losses."""
        return self.x_train.dtype

    def to(self, device: torch.device) -> Examples:
        """The same examples on another device."""
        kinds = Tensor | StreamedRows | StreamedParts | DrawnRows
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), kinds)}
        return replace(self, **{name: value.to(device) for name, value in tensors.items()})

    def batch_sizes(self, replica: int, training: Training) -> tuple[int, ...]:
        """Examples in each step of an epoch. No batch is larger than the training part."""
        size = self.size[self.part[replica]]
        if training.last_batch == "fill":  # parts of different size have steps of the same size, and as many
            batch = min(training.batch_size, *self.size)
            return (batch,) * -(-max(self.size) // batch)
        batch = min(training.batch_size, size)
        left = size % batch if training.last_batch == "short" else 0
        return (batch,) * (size // batch) + ((left,) if left else ())

    def order(
        self,
        seed: int,
        trial: int,
        replica: int,
        epoch: int,
        count: int,
        sampling: Literal["shuffled", "balanced"] = "shuffled",
    ) -> Tensor | WindowOrder:
        """[N] rows of `x_train` in the lane's order in this epoch (counted from 1). N is `count`; if there are fewer
        rows, they repeat from the first. `sampling`: see `training.sampling`."""
        part = self.part[replica]
        if isinstance(self.x_train, StreamedRows):
            first, size, window = self.start[part], self.size[part], self.x_train.window
            return WindowOrder(
                first=first, size=size, window=window, part=part, seed=seed, lane=(trial, replica, epoch)
            )
        generator = randomness.generator("order", seed, trial, replica, epoch)
        if sampling == "balanced":
            rows = torch.from_numpy(self.by_class[self.start[part] : self.start[part] + self.size[part]])
            order = balanced_order(rows.split(self.counts[part]), count, generator)
        else:
            order = torch.randperm(self.size[part], generator=generator)
        return order.repeat(-(-count // len(order)))[:count] + self.start[part]

    def steps_at_once(self, lanes: int, batch: int) -> int:
        """Most steps of so many lanes and examples whose batches `batches` gathers at once."""
        return self.x_train.steps(lanes, batch) if isinstance(self.x_train, StreamedRows) else sys.maxsize

    def batches(
        self, lanes: Sequence[Callable[[slice], Tensor]], steps: slice, parts: Sequence[LanePart]
    ) -> Callable[[slice], Batches]:
        """A function that gathers the batches of some of these steps, counted from their first; `lanes`: functions that
        give the rows of some steps of a lane, [S, B]; `parts`: theirs."""
        x_train, y_train = self.x_train, self.y_train
        if isinstance(x_train, StreamedRows):

            def read(part: slice) -> Batches:
                mine = slice(steps.start + part.start, steps.start + part.stop)
                rows = [rows_of(mine) for rows_of in lanes]
                return x_train.batches(rows), y_train[torch.stack(rows, dim=1).to(y_train.device)]

            return read
        rows_SKB = torch.stack([rows_of(steps) for rows_of in lanes], dim=1).to(self.device)
        if isinstance(x_train, DrawnRows):
            return drawn_batches(x_train.shared, parts, rows_SKB)

        def gather(part: slice) -> Batches:
            rows = rows_SKB[part]
            x, y = (of.index_select(0, rows.flatten()) for of in (x_train, y_train))
            return x.view(*rows.shape, *x.shape[1:]), y.view(rows.shape)

        return gather

    @property
    def some(self) -> Tensor:
        """The first rows to train on, in memory."""
        return self.x_train[:SHOWN] if isinstance(self.x_train, Tensor) else self.x_train.head(SHOWN)

    def first(self, count: int, valid: int) -> Examples:
        """The first examples to train and to validate on, in memory, as the only replica."""
        x_train, x_valid = self.x_train, self.x_valid
        return replace(
            self,
            part=(0,),
            start=(0,),
            size=(count,),
            x_train=x_train[:count] if isinstance(x_train, Tensor) else x_train.head(count),
            y_train=self.y_train[:count],
            x_valid=x_valid[:1, :valid] if isinstance(x_valid, Tensor) else x_valid.head(valid),
            y_valid=self.y_valid[:1, :valid],
            real=self.real[:1, :valid],
            target_scale=self.target_scale[:1],
        )

    def class_weights(self, replica: int, rule: Literal["balanced"] | Mapping[str, float] | None) -> list[float]:
        """[C] weights of the classes in the lane's loss, see `training.class_weight`. A class that the training part
        does not have weighs 1."""
        if rule is None:
            return [1.0] * len(self.class_names)
        if rule != "balanced":
            return [float(rule.get(name, 1.0)) for name in self.class_names]
        counts = self.counts[self.part[replica]]
        present = sum(count > 0 for count in counts)
        return [sum(counts) / (present * count) if count else 1.0 for count in counts]


LanePart = tuple[Examples, int]
"""The examples that a lane's trial has, the same for all trials unless each has a split of its own; and the number of
the lane's part among them."""


def drawn_batches(shared: SharedRows, parts: Sequence[LanePart], rows_SKB: Tensor) -> Callable[[slice], Batches]:
    """A function that gathers the batches of some steps, where each lane has a split of its own."""
    form = form_of(parts)
    place_SKB = torch.stack([drawn(of.x_train).rows[rows_SKB[:, lane]] for lane, (of, _) in enumerate(parts)], dim=1)
    y_SKB = torch.stack([of.y_train[rows_SKB[:, lane]] for lane, (of, _) in enumerate(parts)], dim=1)
    return lambda steps: (shared.inputs(place_SKB[steps], form), y_SKB[steps])


def form_of(parts: Sequence[LanePart]) -> Form:
    """What the training parts of these lanes have taught."""
    return Form.together([drawn(of.x_train).forms[part] for of, part in parts])


def drawn(rows: object) -> DrawnRows:
    """These rows, which are those of one trial."""
    assert isinstance(rows, DrawnRows), "all lanes of a study have splits of their own, or none"
    return rows


def balanced_order(members: Sequence[Tensor], count: int, generator: torch.Generator) -> Tensor:
    """[N] rows in which the classes that have `members` are equally frequent, up to one example; which of them have one
    more is drawn. The rows of a class come in an order of their own, and only when all of them have come, in another
    one again. N is `count`."""
    present = [rows for rows in members if len(rows)]
    first = torch.randperm(len(present), generator=generator).tolist()
    drawn = []
    for rows, rank in zip(present, first, strict=True):
        share = count // len(present) + (rank < count % len(present))
        rounds = [torch.randperm(len(rows), generator=generator) for _ in range(-(-share // len(rows)))]
        drawn.append(rows[torch.cat(rounds)[:share]] if rounds else rows[:0])
    return torch.cat(drawn)[torch.randperm(count, generator=generator)]


def on_device(prepared: PreparedData, *, device: torch.device, dtype: torch.dtype) -> Examples:
    """Moves a prepared data set to the device, once for a study."""
    if device.type == "cuda":  # otherwise convolutions round their inputs to ten bits
        torch.backends.cudnn.allow_tf32 = False
    found: dict[int, int] = {}
    unique: list[PreparedReplica] = []
    for replica in prepared.replicas:
        if id(replica.x_train) not in found:
            found[id(replica.x_train)] = len(unique)
            unique.append(replica)
    longest = max(len(u.x_valid) for u in unique)
    longest += -longest % ALIGNMENT

    def tensor(array: np.ndarray) -> Tensor:
        value = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        return value.to(dtype) if value.is_floating_point() else value

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(array, [(0, longest - len(array))] + [(0, 0)] * (array.ndim - 1), mode="edge")

    sizes = [len(u.x_train) for u in unique]
    x_train: Tensor | StreamedRows
    x_valid: Tensor | StreamedParts
    if streamed := isinstance(unique[0].x_train, np.memmap):
        x_train = StreamedRows(tuple(_file(u.x_train) for u in unique), dtype, device)
        x_valid = StreamedParts(tuple(_file(u.x_valid) for u in unique), longest, dtype, device)
    else:
        x_train = tensor(np.concatenate([u.x_train for u in unique]))
        x_valid = tensor(np.stack([padded(u.x_valid) for u in unique]))
    return Examples(
        task=prepared.task,
        signature=prepared.signature,
        outputs=prepared.outputs,
        class_names=prepared.class_names,
        positive=prepared.positive,
        counts=tuple(tuple(int((u.y_train == c).sum()) for c in range(len(prepared.class_names))) for u in unique),
        by_class=np.concatenate([np.argsort(u.y_train[: 0 if streamed else None], kind="stable") for u in unique]),
        part=tuple(found[id(r.x_train)] for r in prepared.replicas),
        start=tuple(int(s) for s in np.cumsum([0, *sizes[:-1]])),
        size=tuple(sizes),
        x_train=x_train,
        y_train=tensor(np.concatenate([u.y_train for u in unique])),
        x_valid=x_valid,
        y_valid=tensor(np.stack([padded(u.y_valid) for u in unique])),
        real=tensor(np.stack([np.arange(longest) < len(u.x_valid) for u in unique])),
        target_scale=torch.tensor([u.target_scale for u in unique], dtype=torch.float64, device=device),
        darkest=tensor(np.stack([_darkest(u.x_train) for u in unique])),
    )


def _darkest(x: np.ndarray) -> np.ndarray:
    """[channels] of images [N, channels, H, W]; [1] 0 for other data."""
    if x.ndim != 4:
        return np.zeros(1, x.dtype)
    lowest: NDArray[np.float32] = np.stack(
        [rows.min(axis=(0, 2, 3)) for rows in in_portions(x, np.arange(len(x)))]
    ).min(axis=0)
    return lowest


def _file(rows: np.ndarray) -> RowFile:
    """The file of rows that are memory-mapped."""
    assert isinstance(rows, np.memmap), "all rows of streamed data are"
    assert rows.filename is not None, "they are in a file"
    return RowFile(path=Path(rows.filename), shape=rows.shape)
