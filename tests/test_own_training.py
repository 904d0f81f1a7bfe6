"""The callbacks and the launcher of docs/own-training.md work: with the packages where they are at hand, and with
stand-ins for what the callbacks use of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hpo
from tests.runtime.functions import study

PAGE = (Path(__file__).parent.parent / "docs" / "own-training.md").read_text(encoding="utf-8")
LONGEST = 30
"""Lines of a callback."""


def code(heading: str) -> list[str]:
    """The blocks of Python in a section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


class Trial:
    """A trial that remembers what it is told, and stops at its third epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[tuple[int, dict[str, float]]] = []
        self.saved: Any = None

    def report(self, epoch: int, metrics: dict[str, float]) -> None:
        self.reports.append((epoch, dict(metrics)))

    def should_stop(self) -> bool:
        return len(self.reports) >= 3

    def save(self, state: Any) -> None:
        self.saved = state

    def resume(self) -> Any:
        return self.saved


def callback(heading: str, package: str, base: str, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The callback of a section, with a stand-in for the class that it derives from."""
    block = code(heading)[0]
    assert len(block.splitlines()) <= LONGEST
    parts = package.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
    setattr(sys.modules[package], base, object)
    names: dict[str, Any] = {}
    exec(block, names)
    return names["Report"](trial)


def test_the_callback_of_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path)
    report = callback("With Lightning", "lightning.pytorch", "Callback", trial, monkeypatch)
    assert report.ckpt_path() is None
    trainer = SimpleNamespace(should_stop=False, callback_metrics={"val_accuracy": 0.5})
    trainer.save_checkpoint = lambda path: path.write_text(f"after {trainer.current_epoch}")
    for epoch in range(3):
        assert not trainer.should_stop
        trainer.current_epoch = epoch
        report.on_train_epoch_end(trainer, None)
    assert trainer.should_stop
    assert trial.reports == [(epoch, {"val_accuracy": 0.5}) for epoch in (1, 2, 3)]
    (tmp_path / "last.ckpt").unlink()
    assert Path(report.ckpt_path()).read_text() == "after 2", "also on another machine"


def test_the_callback_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial(tmp_path)
    report = callback("With the Trainer of Hugging Face", "transformers", "TrainerCallback", trial, monkeypatch)
    assert report.checkpoint() is None
    control = SimpleNamespace(should_training_stop=False)
    for epoch in range(1, 4):
        assert not control.should_training_stop
        state = SimpleNamespace(epoch=float(epoch), global_step=10 * epoch)
        report.on_evaluate(None, state, control, metrics={"eval_loss": 1 / epoch}, model=None)
        report.on_save(None, state, control, model=None)
    assert control.should_training_stop
    assert trial.reports == [(epoch, {"eval_loss": 1 / epoch}) for epoch in (1, 2, 3)]
    assert report.checkpoint() == str(tmp_path / "checkpoint-30")


LIGHTNING = """
import torch
import lightning


class Model(lightning.LightningModule):
    def __init__(self, rate):
        super().__init__()
        self.rate, self.layer = rate, torch.nn.Linear(4, 1)

    def training_step(self, batch, _):
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch, _):
        self.log("val_loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def make(params):
    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 4)), batch_size=4)
    return Model(params["learning_rate"]), rows, rows
"""
HUGGING_FACE = """
import torch
import transformers


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x, labels=None):
        return {"loss": (self.layer(x)[:, 0] - labels).square().mean(), "logits": self.layer(x)}


def make(params):
    rows = [{"x": torch.ones(4) * k, "labels": torch.tensor(float(k))} for k in range(8)]
    return Model(), rows, rows
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "package", "objective", "given"),
    [
        ("With Lightning", "lightning", "val_loss", LIGHTNING),
        ("With the Trainer of Hugging Face", "transformers", "eval_loss", HUGGING_FACE),
    ],
)
def test_a_study_with_the_package(heading: str, package: str, objective: str, given: str, tmp_path: Path) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed; its callback is tried with a stand-in alone")
    found = run(tmp_path, objective, "\n\n".join([given, *code(heading)]))
    assert found.trials["state"].tolist() == ["COMPLETE"], found.trials["ended"].tolist()
    assert found.trials["epochs"].tolist() == [3]


@pytest.mark.slow
def test_a_study_with_torchrun(tmp_path: Path) -> None:
    train, ranks = code("Several GPUs for a trial: torchrun")
    (tmp_path / "ranks.py").write_text(ranks)
    found = run(tmp_path, "loss", train)
    assert found.trials["state"].tolist() == ["COMPLETE"], found.trials["ended"].tolist()
    losses = found.epochs["objective"].tolist()
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3
    export = found.export(tmp_path / "export")
    assert {path.name for path in export.iterdir()} >= {"train.py", "load.py"}


def run(folder: Path, objective: str, text: str) -> hpo.Study:
    """A study of one trial of three epochs with this function."""
    direction = '\ndirection = "minimize"' if objective != "loss" else ""
    path = study(
        folder,
        study=f'name = "own"\nobjective = "{objective}"{direction}',
        trial='function = "train.py:train"\narguments = { learning_rate = 0.01 }',
        training="epochs = 3",
        search='trials = 1\nsampler = "random"',
    )
    (folder / "train.py").write_text(text)
    return hpo.run(path, home=folder / "home", workers=1)
