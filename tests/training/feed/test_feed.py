"""Streamed examples: the order in which they are read, and lanes that train on them as on examples in memory."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.errors import MachineError
from hpo.studyfile.records import Augmentation, Mlp, Training, TrialConfig
from hpo.training.batches import Examples, on_device
from hpo.training.feed import streamed, windows
from hpo.training.feed.streamed import StreamedParts, StreamedRows
from hpo.training.feed.windows import WindowOrder
from hpo.training.lane import Setting, new_lane
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer
from tests.data.streaming.files import loaded, write
from tests.runtime.small import result_of, small_study
from tests.training.study import mixed, variants


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many windows as large files have."""
    monkeypatch.setattr(windows, "WINDOW", 0)
    monkeypatch.setattr(windows, "LEAST", 20)
    monkeypatch.setattr(streamed, "READ", 4000)
    monkeypatch.setattr(streamed, "EVALUATED", 16)


def order(trial: int = 0, epoch: int = 1, part: int = 0, seed: int = 0, first: int = 0) -> WindowOrder:
    return WindowOrder(first=first, size=110, window=20, part=part, seed=seed, lane=(trial, 0, epoch))


def test_an_epoch_has_every_row_once_window_by_window() -> None:
    rows = order(first=7)[0:110]
    assert rows.sort().values.tolist() == list(range(7, 117))
    visited = torch.unique_consecutive((rows - 7) // 20).tolist()
    assert sorted(visited) == list(range(6))
    assert visited != sorted(visited)
    assert torch.equal(torch.cat([order(first=7)[begin : begin + 9] for begin in range(0, 117, 9)])[:110], rows)
    assert torch.equal(order(first=7)[105:130], torch.cat([rows[105:], rows[:20]])), "it begins again"


def test_lanes_of_one_epoch_read_the_same_windows_and_have_their_own_order() -> None:
    def visited(rows: torch.Tensor) -> list[int]:
        return torch.unique_consecutive(rows // 20).tolist()

    one = order()[0:110]
    assert visited(order(trial=1)[0:110]) == visited(one)
    assert not torch.equal(order(trial=1)[0:110], one)
    for other in (order(epoch=2), order(part=1), order(seed=1)):
        assert visited(other[0:110]) != visited(one)
    assert torch.equal(order()[0:110], one)


def examples_of(folder: Path, kind: str, **keys: Any) -> Examples:
    _, _, prepared = loaded(folder, folder, stream=True, **write(folder, kind), **keys)
    return on_device(prepared, device=torch.device("cpu"), dtype=torch.float32)


def in_memory(examples: Examples) -> Examples:
    """The same examples in memory."""
    assert isinstance(examples.x_train, StreamedRows)
    assert isinstance(examples.x_valid, StreamedParts)
    parts = range(len(examples.size))
    return replace(
        examples,
        x_train=torch.cat([torch.from_numpy(file.read(0, file.shape[0])) for file in examples.x_train.files]),
        x_valid=torch.cat(list(examples.x_valid.portions(parts)), dim=1),
    )


def config_of(trial: int, kind: str) -> TrialConfig:
    config = mixed(trial, "cnn" if kind == "images" else "mlp")
    training = Training(epochs=6, batch_size=16, last_batch=("fill", "drop", "short")[trial % 3])
    changes = Augmentation(noise=0.1) if trial % 2 else Augmentation()
    return config.model_copy(update={"training": training, "augmentation": changes})


def trained(examples: Examples, kind: str, trials: range, ticks: int = 3) -> list[Any]:
    """Epochs of these trials; the second half begins an epoch later."""
    setting = Setting(examples=examples, seed=7, metrics=("loss",))
    trainer = Trainer(setting, variants, Limits(32))
    found = []
    for tick in range(ticks):
        began = [number for number in trials if number % 2 == tick] if tick < 2 else []
        assert not trainer.admit([(number, config_of(number, kind)) for number in began])
        done = trainer.tick()
        assert not done.failures
        found += [(e.trial, e.replica, e.epoch, e.train_loss, e.gradient_norm, e.metrics) for e in done.epochs]
    return sorted(found, key=lambda epoch: epoch[:3])


@pytest.mark.parametrize("kind", ["parquet", "numbers", "images"])
def test_a_lane_trains_as_in_memory_in_the_same_order(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = examples_of(tmp_path, kind, folds=3)
    found = trained(examples, kind, range(6))
    by_window = Examples.order

    def same_order(self: Examples, seed: int, trial: int, replica: int, epoch: int, count: int, *_: Any) -> Any:
        return by_window(examples, seed, trial, replica, epoch, count)[0:count]

    monkeypatch.setattr(Examples, "order", same_order)
    assert trained(in_memory(examples), kind, range(6)) == found


def test_the_edges_of_bins_are_those_of_rows_in_memory(tmp_path: Path) -> None:
    streamed_rows = examples_of(tmp_path, "parquet", folds=3)
    model = Mlp(family="mlp", numbers="piecewise_linear", bins=5)
    config = config_of(0, "parquet").model_copy(update={"model": model})
    for replica in (0, 2):
        lanes = [
            new_lane(Setting(examples=examples, seed=7, metrics=("loss",)), 0, replica, config)
            for examples in (streamed_rows, in_memory(streamed_rows))
        ]
        assert torch.equal(*(lane.module.state_dict()["numbers.edges"] for lane in lanes))


def test_a_lane_is_the_same_alone_and_where_windows_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = examples_of(tmp_path, "rows")
    together = trained(examples, "rows", range(6))
    monkeypatch.setattr(streamed, "KEPT", 0)
    for trial in (2, 3):
        alone = trained(examples, "rows", range(trial, trial + 1))
        assert alone == [epoch for epoch in together if epoch[0] == trial]


def test_examples_are_sent_to_other_processes_without_their_rows(tmp_path: Path) -> None:
    examples = examples_of(tmp_path, "images")
    assert isinstance(examples.x_train, StreamedRows)
    rows = torch.arange(12).view(3, 4)
    expected = examples.x_train.batches([rows, rows + 1])
    sent = pickle.dumps(examples)
    assert len(sent) < examples.x_train.files[0].row_bytes * len(examples.x_train) / 2
    again = pickle.loads(sent)
    assert torch.equal(again.x_train.batches([rows, rows + 1]), expected)
    again.x_train.files[0].path.unlink()
    with pytest.raises(MachineError, match="run all workers on this machine"):
        again.x_train.head(3)


def test_only_windows_of_the_latest_batches_are_kept(tmp_path: Path) -> None:
    rows = examples_of(tmp_path, "rows").x_train
    assert isinstance(rows, StreamedRows)
    for begin in (0, 20, 40, 60):
        rows.batches([torch.arange(begin, begin + 10).view(1, 10)])
        assert len(rows._kept) <= 2


def test_a_streamed_study_is_the_same_whatever_the_lanes(tmp_path: Path) -> None:
    keys = write(tmp_path, "rows")
    data = "\n".join([*(f'{key} = "{value}"' for key, value in keys.items()), "stream = true"])
    spec = small_study(folder=tmp_path, data=data, search="trials = 4\nconcurrency = 3")
    first = result_of(spec, tmp_path / "first")
    assert len(first[0]) == 4
    assert result_of(spec, tmp_path / "second", lanes=1) == first
