"""A lane equals a plain PyTorch loop, and never depends on its neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from hpo.studyfile.records import Dropout, Mlp, NoNorm, Sgd, Training, TrialConfig
from hpo.training import compiled, packing
from hpo.training.architecture import Architecture
from hpo.training.lane import LaneEpoch, new_lane
from hpo.training.layers import convolution
from tests.optim.test_rules import PlainLion
from tests.training.study import ADAFACTOR, NORMS, OPTIMIZERS, mixed, plain_batches, setting, trainer

TORCH_OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p, o: torch.optim.SGD(p, lr=o.learning_rate, momentum=o.momentum, nesterov=o.nesterov),
    "adam": lambda p, o: torch.optim.Adam(p, lr=o.learning_rate),
    "adamw": lambda p, o: torch.optim.AdamW(p, lr=o.learning_rate, weight_decay=o.weight_decay),
    "rmsprop": lambda p, o: torch.optim.RMSprop(p, lr=o.learning_rate),
    "adagrad": lambda p, o: torch.optim.Adagrad(
        p, lr=o.learning_rate, initial_accumulator_value=o.initial_accumulator_value
    ),
    "nadam": lambda p, o: torch.optim.NAdam(p, lr=o.learning_rate),
    "radam": lambda p, o: torch.optim.RAdam(p, lr=o.learning_rate),
    "lion": lambda p, o: PlainLion(p, lr=o.learning_rate, betas=(o.beta1, o.beta2), weight_decay=o.weight_decay),
    "adafactor": lambda p, o: torch.optim.Adafactor(
        p, lr=o.learning_rate, eps=(o.eps, o.eps2), weight_decay=o.weight_decay
    ),
}

DATA: dict[str, dict[str, Any]] = {
    "mlp": {"dataset": "wine"},
    "cnn": {"dataset": "digits"},
    "recurrent": {"dataset": "tests.training.sequences:sequences"},
}
"""Family -> data for it."""


def numbers(epoch: LaneEpoch) -> tuple[Any, ...]:
    """All of an epoch but its time."""
    return (epoch.trial, epoch.replica, epoch.epoch, epoch.train_loss, epoch.gradient_norm, *epoch.metrics.values())


def plain_losses(
    config: TrialConfig, trial: int, epochs: int, dataset: str, replica: int = 0, **options: Any
) -> list[tuple[float, float]]:
    """Training and validation loss of the same trial, written the ordinary way."""
    its = setting(dataset, torch.float64, **options)
    module = new_lane(its, trial, replica, config).module.double()
    optimizer = TORCH_OPTIMIZERS[config.optimizer.name](module.parameters(), config.optimizer)
    criterion = nn.CrossEntropyLoss()
    losses = []
    for epoch in range(1, epochs + 1):
        module.train()
        total, seen = 0.0, 0
        for rows in plain_batches(its, trial, replica, epoch, config.training):
            optimizer.zero_grad()
            loss = criterion(module(its.examples.x_train[rows]), its.examples.y_train[rows])
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item() * len(rows), seen + len(rows)
        module.eval()
        with torch.no_grad():
            part = its.examples.part[replica]
            real = its.examples.real[part]
            valid = criterion(module(its.examples.x_valid[part][real]), its.examples.y_valid[part][real]).item()
        losses.append((total / seen, valid))
    return losses


@pytest.mark.parametrize("family", DATA)
def test_lanes_equal_a_plain_loop(family: str) -> None:
    options = DATA[family]
    its = trainer(**options, dtype=torch.float64)
    configs = {
        trial: mixed(trial, family).model_copy(
            update={
                "norm": NORMS[trial % len(NORMS)],
                "dropout": Dropout(),
                "optimizer": optimizer,
                "schedule": TrialConfig.model_fields["schedule"].default,
                "regularization": TrialConfig.model_fields["regularization"].default,
                "training": Training(epochs=3, batch_size=32),
            }
        )
        for trial, optimizer in enumerate([*OPTIMIZERS, *[ADAFACTOR] * 3])
    }
    assert its.admit(configs.items()) == []
    epochs = 2
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(epochs):
        for lane in its.tick().epochs:
            found.setdefault(lane.trial, []).append((lane.train_loss, lane.metrics["loss"]))
    for trial, config in configs.items():
        expected = plain_losses(config, trial, epochs, **options)
        assert torch.allclose(torch.tensor(found[trial]), torch.tensor(expected), rtol=1e-9, atol=1e-9), config


@pytest.mark.parametrize("at_once", [1, 3])
def test_large_images_do_not_depend_on_neighbours(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Lane by lane, a few lanes at a time."""
    monkeypatch.setattr(convolution, "LARGE", 1)
    curves = []
    for most in (None, at_once):
        monkeypatch.setattr(Architecture, "lanes_at_once", lambda *_, most=most: most)
        its = trainer(dataset="digits")
        assert its.admit((trial, mixed(trial, "cnn")) for trial in range(4)) == []
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1]


@pytest.mark.parametrize("family", DATA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_lane_does_not_depend_on_its_neighbours(family: str, dtype: torch.dtype) -> None:
    """Whatever the number of lanes in a program; bit for bit in float32, which is what makes a study repeatable."""
    trials = range(9) if family == "mlp" else range(5)
    curves = {}
    for lanes in (1, 2, 4, 32):
        its = trainer(lanes=lanes, dtype=dtype, **DATA[family])
        assert its.admit((trial, mixed(trial, family)) for trial in trials) == []
        curves[lanes] = [numbers(epoch) for _ in range(2) for epoch in its.tick().epochs]
    if dtype == torch.float32:
        assert curves[1] == curves[2] == curves[4] == curves[32]
    for lanes in (2, 4, 32):
        assert torch.allclose(*(torch.tensor(curves[k], dtype=torch.float64) for k in (1, lanes)), rtol=1e-9, atol=0)


@pytest.mark.parametrize("model", [{"hidden": (5,)}, {"hidden": (33, 7)}, {"family": "cnn", "channels": (3, 8, 16)}])
def test_odd_widths_and_one_output_do_not_depend_on_neighbours(model: dict[str, Any]) -> None:
    options = {"dataset": "digits"} if "family" in model else {"dataset": "diabetes"}
    config = TrialConfig.model_validate(
        {
            "model": {"family": "mlp", **model},
            "norm": {"kind": "batch"},
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "training": {"batch_size": 24},
        }
    )
    curves = []
    for lanes in (1, 3, 7):
        its = trainer(lanes=lanes, **options)
        its.admit((trial, config) for trial in range(7))
        curves.append([numbers(epoch)[:5] for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


@pytest.mark.parametrize("affine", [True, False])
def test_a_single_channel_does_not_depend_on_neighbours(affine: bool) -> None:
    config = TrialConfig.model_validate(
        {
            "model": {"family": "cnn", "channels": (16,)},
            "norm": {"kind": "batch", "placement": "input", "affine": affine},
            "optimizer": {"name": "adam", "learning_rate": 0.01},
        }
    )
    curves = []
    for lanes in (1, 4):
        its = trainer(lanes=lanes, dataset="digits")
        its.admit((trial, config) for trial in range(4))
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1]


def test_a_compiled_cohort_equals_an_eager_one_up_to_rounding(caplog: pytest.LogCaptureFixture) -> None:
    """A full one, one that is made up with repeated lanes, and one of other lanes: all by the same code."""
    caplog.set_level("WARNING", "hpo")
    forms = []
    for trials in ([0, 3, 6, 9, 12, 15], [0, 3, 6, 9], [9, 6, 3, 15, 12]):
        eager, fast = trainer(dtype=torch.float64), trainer(dtype=torch.float64)
        fast.setting = replace(fast.setting, compiled_lanes=6)
        for its in (eager, fast):
            its.admit((trial, mixed(trial)) for trial in trials)
        for _ in range(2):
            one, other = ([numbers(e) for e in its.tick().epochs] for its in (eager, fast))
            assert torch.allclose(
                torch.tensor(one, dtype=torch.float64), torch.tensor(other, dtype=torch.float64), rtol=1e-9, atol=1e-12
            )
        assert caplog.messages == [], "the trainer went on in smaller cohorts"
        forms.append(len(compiled._compiled))
    assert len(set(forms)) == 1
    assert all(code is not None for code in compiled._compiled.values())


def test_without_a_compiler_the_plain_step_goes_on(monkeypatch: Any, caplog: Any) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        def code(*_: Any) -> Any:
            raise torch._dynamo.exc.TorchDynamoException("No working C++ compiler found")

        return code

    monkeypatch.setattr(compiled, "_compiled", {})
    monkeypatch.setattr(torch, "compile", refuse)
    eager, fast = trainer(), trainer()
    fast.setting = replace(fast.setting, compiled_lanes=3)
    for its in (eager, fast):
        its.admit((trial, mixed(3 * trial)) for trial in range(3))
    assert [numbers(e) for e in fast.tick().epochs] == [numbers(e) for e in eager.tick().epochs]
    assert [numbers(e) for e in fast.tick().epochs] == [numbers(e) for e in eager.tick().epochs]
    assert [record.message for record in caplog.records if record.name == "hpo"] == [
        "the training step cannot be compiled, going on without: No working C++ compiler found"
    ]


def test_joining_late_changes_nothing() -> None:
    alone = trainer()
    alone.admit([(5, mixed(5))])
    curve = [numbers(alone.tick().epochs[0]) for _ in range(3)]

    joined = trainer()
    joined.admit((trial, mixed(trial)) for trial in range(4))
    joined.tick()
    joined.release({0, 2})
    joined.admit([(5, mixed(5)), (6, mixed(6))])
    late = [numbers(e) for _ in range(3) for e in joined.tick().epochs if e.trial == 5]
    assert late == curve


def test_a_resumed_lane_equals_one_never_stopped(tmp_path: Any) -> None:
    through, first = trainer(), trainer()
    for its in (through, first):
        its.admit((trial, mixed(trial)) for trial in range(6))
        its.tick()
        its.keep_best({1, 3})
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=4)
    for trial in range(6):
        assert packing.restore(second, trial, mixed(trial), [saved[trial, 0]])
    for _ in range(2):
        assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]
    for trial in (1, 3, 4):
        before, after = (packing.best_states(its, trial)[0] for its in (through, second))
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_diverging_lane_leaves_its_neighbours_alone() -> None:
    def admit(first: float) -> list[tuple[Any, ...]]:
        its = trainer()
        wild = TrialConfig(model=Mlp(family="mlp"), optimizer=Sgd(name="sgd", learning_rate=first), norm=NoNorm())
        its.admit([(0, wild), *((trial, mixed(trial)) for trial in range(1, 5))])
        its.admit([(9, wild.model_copy(update={"optimizer": Sgd(name="sgd", learning_rate=0.01)}))])
        epochs = [e for _ in range(2) for e in its.tick().epochs]
        assert all(e.diverged == (e.trial == 0 and first > 1) for e in epochs if e.epoch == 2)
        return [numbers(e) for e in epochs if e.trial != 0]

    assert admit(1e12) == admit(0.01)


def test_folds_are_lanes_of_their_own_parts() -> None:
    its = trainer(folds=3, test=0.2)
    assert its.setting.examples.replicas == 3
    its.admit([(0, mixed(1)), (1, mixed(2))])
    together = its.tick().epochs
    assert [(e.trial, e.replica) for e in together] == [(t, r) for t in (0, 1) for r in (0, 1, 2)]
    assert len({e.train_loss for e in together if e.trial == 0}) == 3
    narrow = trainer(lanes=2, folds=3, test=0.2)
    narrow.admit([(0, mixed(1)), (1, mixed(2))])
    assert [numbers(e) for e in narrow.tick().epochs] == [numbers(e) for e in together]


def test_every_epoch_sees_every_example() -> None:
    examples = setting().examples
    size = examples.size[0]
    order = examples.order(7, 3, 0, 1, size + 5)
    assert set(order[:size].tolist()) == set(range(size))
    assert torch.equal(order[size:], order[:5])
    assert not torch.equal(order, examples.order(7, 3, 0, 2, size + 5))
    assert not torch.equal(order, examples.order(7, 4, 0, 1, size + 5))


def test_replace_keeps_a_lane_frozen() -> None:
    lane = new_lane(setting(), 0, 0, mixed(0))
    assert replace(lane, epoch=2).epoch == 2
    with pytest.raises(AttributeError):
        lane.epoch = 3  # type: ignore[misc]  # the very mistake that must raise


@pytest.mark.parametrize("family", DATA)
def test_what_is_kept_of_a_lane_is_what_was_validated(family: str) -> None:
    """Among lanes with other norms, whose rows have room for biases that this lane does not have."""
    its = trainer(**DATA[family], dtype=torch.float64)
    norms = (NoNorm(), *NORMS[1:3])
    configs = {t: mixed(0, family).model_copy(update={"norm": norm}) for t, norm in enumerate(norms)}
    assert its.admit(configs.items()) == []
    for _ in range(5):
        epochs = its.tick().epochs
    examples = its.setting.examples
    part = examples.part[0]
    real = examples.real[part]
    for epoch in epochs:
        if epoch.replica == 0:
            _, module = packing.trained(its, epoch.trial)
            with torch.no_grad():
                outputs = module.double().eval()(examples.x_valid[part][real])
            loss = nn.functional.cross_entropy(outputs, examples.y_valid[part][real]).item()
            assert loss == pytest.approx(epoch.metrics["loss"], rel=1e-5), configs[epoch.trial].norm
            module.float()
