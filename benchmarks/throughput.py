"""Fused trials against the plain loop: the same model, data, batch and optimizer, both sides in one run.

    python -m benchmarks.throughput [--lanes 32] [--runs 5] [--device cpu] [CASE ...]

The plain side is what a user writes: an nn.Module and a torch.optim optimizer, one trial at a time, with a DataLoader
or with batches indexed from tensors, whichever is faster. The fused side trains the same trials as lanes of one
program. Both train whole epochs, validation included. Printed: milliseconds of a trial's epoch on both sides (median
and range over the runs) and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.machine import processor, spread
from hpo import models
from hpo.data.catalogue import load_dataset
from hpo.data.parts.splits import split_data
from hpo.data.prepare import PreparedData, prepare_data
from hpo.studyfile.records import (
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Cnn,
    Custom,
    DataTable,
    Dropout,
    Init,
    LayerNorm,
    Mlp,
    NoNorm,
    Norm,
    Recurrent,
    Rmsprop,
    Sgd,
    Training,
    Transformer,
    TrialConfig,
)
from hpo.training.batches import on_device
from hpo.training.lane import Setting
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer

OPTIMIZERS = (
    Sgd(name="sgd", learning_rate=0.05, momentum=0.9, nesterov=True),
    Adagrad(name="adagrad", learning_rate=0.02),
    Rmsprop(name="rmsprop", learning_rate=1e-3),
    Adam(name="adam", learning_rate=1e-3),
    AdamW(name="adamw", learning_rate=1e-3),
)
NORMS = (
    NoNorm(),
    BatchNorm(kind="batch"),
    BatchNorm(kind="batch", placement="after_activation"),
    LayerNorm(kind="layer"),
    LayerNorm(kind="layer", placement="after_activation"),
)
DIGITS = DataTable(dataset="digits")
SPOKEN = DataTable(dataset="spoken_digits")
SCHEMES = ("kaiming_normal", "xavier_uniform", "small_normal", "orthogonal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One row of the table."""

    model: Mlp | Cnn | Recurrent | Transformer | Custom
    batch: int
    dropout: float = 0.2
    mixed: bool = False
    """Optimizer, initialisation, norm kind and placement differ from lane to lane."""
    data: DataTable = DIGITS
    norm: Norm = NORMS[0]
    plain: Callable[[PreparedData, float], nn.Module] | None = None
    """What a user writes in place of the family's own modules."""

    def config(self, lane: int) -> TrialConfig:
        return TrialConfig(
            model=self.model,
            init=Init(scheme=SCHEMES[lane % len(SCHEMES)] if self.mixed else "kaiming_uniform"),
            norm=NORMS[lane // 2 % len(NORMS)] if self.mixed else self.norm,
            dropout=Dropout(p=self.dropout),
            optimizer=OPTIMIZERS[lane % len(OPTIMIZERS)] if self.mixed else OPTIMIZERS[3],
            training=Training(epochs=1000, batch_size=self.batch),
        )


class Encoder(nn.Module):
    """A transformer encoder of PyTorch's layers, with a mask; `trim`: each batch is cut to its longest sequence."""

    def __init__(self, data: PreparedData, dropout: float, *, trim: bool = False) -> None:
        super().__init__()
        self.length, self.channels = data.signature.main.shape
        self.trim = trim
        self.project = nn.Linear(self.channels, 32)
        self.positions = nn.Parameter(0.02 * torch.randn(self.length, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 128, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(32), enable_nested_tensor=False)
        self.output = nn.Linear(32, data.outputs)

    def forward(self, rows: Tensor) -> Tensor:
        values, mask = rows.split([self.length * self.channels, self.length], dim=1)
        longest = int(mask.sum(1).max()) if self.trim else self.length
        real = mask[:, :longest] > 0
        x = self.project(values.view(-1, self.length, self.channels)[:, :longest]) + self.positions[:longest]
        x = self.encoder(x, src_key_padding_mask=~real).masked_fill(~real.unsqueeze(2), 0.0)
        return self.output(x.sum(1) / real.sum(1, keepdim=True))


ENCODER = Case(
    model=Transformer(family="transformer", width=32, depth=2, heads=4, feedforward=128),
    batch=64,
    data=DataTable(dataset="spoken_digits"),
    norm=LayerNorm(kind="layer"),
    plain=Encoder,
)


def own(name: str) -> Custom:
    """A module of `benchmarks.own`."""
    return Custom(family="custom", module=f"benchmarks.own:{name}")


CASES = {
    "mlp-64-64": Case(model=Mlp(family="mlp", hidden=(64, 64)), batch=32),
    "mlp-64-64-mixed": Case(model=Mlp(family="mlp", hidden=(64, 64)), batch=32, mixed=True),
    "mlp-128-128": Case(model=Mlp(family="mlp", hidden=(128, 128)), batch=64),
    "cnn-8-16": Case(model=Cnn(family="cnn", channels=(8, 16)), batch=32),
    "cnn-16-32": Case(model=Cnn(family="cnn", channels=(16, 32)), batch=64, data=DataTable(dataset="mnist5k")),
    "adult-128-128": Case(model=Mlp(family="mlp", hidden=(128, 128)), batch=128, data=DataTable(dataset="adult")),
    "adult-codes": Case(
        model=Mlp(family="mlp", hidden=(128, 128)), batch=128, data=DataTable(dataset="adult", categories="codes")
    ),
    "reviews-bag": Case(
        model=Mlp(family="mlp", hidden=(32,), word_vector=32),
        batch=128,
        data=DataTable(dataset="clothing_reviews", vocabulary=5000),
    ),
    "gru": Case(
        model=Recurrent(family="recurrent", width=64),
        batch=32,
        data=DataTable(dataset="spoken_digits"),
    ),
    "transformer": ENCODER,
    "transformer-trimmed": replace(ENCODER, plain=partial(Encoder, trim=True)),
    "own-gru": Case(model=own("Recurrent"), batch=32, data=SPOKEN),
    "own-encoder": Case(model=own("Encoder"), batch=32, data=SPOKEN),
    "own-packed": Case(model=own("Packed"), batch=32, data=SPOKEN),
    "own-branching": Case(model=own("Branching"), batch=32),
}
"""Those with other data than digits get their data from the catalogue, i.e. over the network on first use."""


class Indexed:
    """Batches indexed from tensors, in place of a DataLoader."""

    def __init__(self, dataset: TensorDataset, batch_size: int, shuffle: bool = False) -> None:
        self.tensors, self.batch_size, self.shuffle = dataset.tensors, batch_size, shuffle

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        count = len(self.tensors[0])
        order = torch.randperm(count) if self.shuffle else torch.arange(count)
        for rows in order.split(self.batch_size):
            yield tuple(tensor[rows] for tensor in self.tensors)


def prepared(table: DataTable) -> PreparedData:
    """The data of a case."""
    dataset = load_dataset(table, Path())
    return prepare_data(dataset, split_data(dataset, table, 0), table)


def plain_epoch(case: Case, data: PreparedData, device: torch.device, loader: Any) -> Callable[[], None]:
    """One trial's epoch, written the ordinary way, with a DataLoader or `Indexed`."""
    part = data.replicas[0]
    train, valid = (
        TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        for x, y in ((part.x_train, part.y_train), (part.x_valid, part.y_valid))
    )
    train, valid = loader(train, batch_size=case.batch, shuffle=True), loader(valid, batch_size=256)
    own = case.plain and case.plain(data, case.dropout)
    model = (own or models.build(case.config(0), data.signature, data.outputs)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            sum((model(x.to(device)).argmax(1) == y.to(device)).sum().item() for x, y in valid)

    return epoch


def fused_epoch(
    case: Case, data: PreparedData, device: torch.device, lanes: int, *, compile: bool = False
) -> Callable[[], None]:
    """An epoch of all lanes."""
    setting = Setting(
        examples=on_device(data, device=device, dtype=torch.float32),
        seed=0,
        metrics=("loss", "accuracy", "balanced_accuracy", "macro_f1"),
        compiled_lanes=lanes if compile else None,
    )
    norms = NORMS if case.mixed else (case.norm,)
    trainer = Trainer(setting, lambda c: [c.model_copy(update={"norm": n}) for n in norms], Limits(lanes))
    trainer.admit((lane, case.config(lane)) for lane in range(lanes))

    def epoch() -> None:
        assert len(trainer.tick().epochs) == lanes

    return epoch


def measure(run: Callable[[], None], device: torch.device) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"default: all of {', '.join(CASES)}")
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(args.device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    print(f"{where}, 1 CPU thread, torch {torch.__version__}, Python {platform.python_version()}")
    print(f"K = {args.lanes}, n = {args.runs}\n")
    print("| case | plain ms/epoch | eager ms/epoch | ratio | compiled ms/epoch | ratio | compile s |")
    print("|---|---|---|---|---|---|---|")
    for name in args.cases or CASES:
        case = CASES[name]
        data = prepared(case.data)
        ways = [plain_epoch(case, data, device, loader) for loader in (DataLoader, Indexed)]
        plain = min(ways, key=lambda way: min(measure(way, device) for _ in range(2)))
        eager = fused_epoch(case, data, device, args.lanes)
        fast = fused_epoch(case, data, device, args.lanes, compile=True)
        measure(plain, device), measure(eager, device)
        seconds = measure(fast, device) / 1e3
        times: dict[str, list[float]] = {"plain": [], "eager": [], "fast": []}
        for _ in range(args.runs):
            times["plain"].append(measure(plain, device))
            times["eager"].append(measure(eager, device) / args.lanes)
            times["fast"].append(measure(fast, device) / args.lanes)
        one = statistics.median(times["plain"])
        cells = [spread(times["plain"])]
        for side in ("eager", "fast"):
            cells += [spread(times[side]), f"{one / statistics.median(times[side]):.1f}"]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
