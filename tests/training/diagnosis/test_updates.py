"""The size of an update beside the weights: as a plain loop has it, whoever the neighbours are, and in no one's way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hpo.studyfile.records import Cosine, CosineRestarts, Mlp, OneCycle, Sgd, TrialConfig
from hpo.studyfile.records.base import Record
from hpo.training import packing
from hpo.training.diagnosis import updates
from hpo.training.diagnosis.measure import Diagnosis
from hpo.training.diagnosis.updates import Ratios, Updates, updates_of
from hpo.training.lane import Lane, new_lane
from hpo.training.trainer import Trainer
from tests.training.study import mixed, plain_batches, setting, trainer

EPOCHS = 5


def config(trial: int, accumulate: int = 1) -> TrialConfig:
    """Plain gradient descent, of batches of which the last is smaller."""
    sgd = {"optimizer": Sgd(name="sgd", learning_rate=0.1 / (trial + 1)), "norm": {"kind": "none"}}
    alone = {"dropout": {}, "regularization": {}, "schedule": {"name": "constant"}}
    training = {"epochs": EPOCHS, "batch_size": 16, "accumulate": accumulate}
    plain = {**mixed(trial).model_dump(), **sgd, **alone, "training": training}
    return TrialConfig.model_validate(plain)


def lane_of(its: Trainer, trial: int) -> Lane:
    return next(lane for cohort in its.all_cohorts() for lane in cohort.lanes if lane.trial == trial)


def trained(configs: dict[int, TrialConfig], epochs: int = EPOCHS) -> dict[int, Ratios]:
    its = trainer(dtype=torch.float64)
    assert not its.admit(configs.items())
    for _ in range(epochs):
        its.tick()
    return {trial: lane_of(its, trial).update_ratios for trial in configs}


def plain_ratios(trial: int, mine: TrialConfig) -> dict[str, list[float]]:
    """Of each epoch's last update, measured on the ordinary module."""
    its = setting(dtype=torch.float64)
    module = new_lane(its, trial, 0, mine).module.double()
    optimizer = torch.optim.SGD(module.parameters(), lr=mine.optimizer.learning_rate)
    found: dict[str, list[float]] = {name: [] for name, p in module.named_parameters() if p.dim() == 2}
    for epoch in range(1, EPOCHS + 1):
        batches = plain_batches(its, trial, 0, epoch, mine.training)
        size = mine.training.accumulate
        for group in (batches[begin : begin + size] for begin in range(0, len(batches), size)):
            optimizer.zero_grad()
            for rows in group:
                loss = nn.functional.cross_entropy(module(its.examples.x_train[rows]), its.examples.y_train[rows])
                (loss / len(group)).backward()
            before: dict[str, Tensor] = {name: p.detach().clone() for name, p in module.named_parameters()}
            optimizer.step()
        for name, ratios in found.items():
            change = module.get_parameter(name).detach() - before[name]
            ratios.append(float(change.norm() / before[name].norm()))
    return found


@pytest.mark.parametrize("accumulate", [1, 3])
def test_ratios_are_those_of_a_plain_loop_in_the_epochs_that_are_measured(accumulate: int) -> None:
    mine = config(1, accumulate)
    found, plain = trained({1: mine})[1], plain_ratios(1, mine)
    assert found.keys() == plain.keys() == {"linear1.weight", "linear2.weight", "output.weight"}
    for name, ratios in plain.items():
        assert list(found[name]) == pytest.approx([ratios[0], ratios[1], ratios[3]], rel=1e-3)


def test_a_lane_has_the_ratios_that_it_would_have_alone() -> None:
    together = trained({trial: mixed(trial) for trial in range(6)})
    for trial in range(6):
        assert together[trial] == trained({trial: mixed(trial)})[trial], trial


def test_a_sample_stands_for_a_large_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def ratios() -> Ratios:
        wide = config(1).model_copy(update={"model": Mlp(family="mlp", hidden=(128, 64))})
        return trained({1: wide}, 1)[1]

    sampled = ratios()
    monkeypatch.setattr(updates, "SAMPLE", 10**9)
    whole = ratios()
    assert sampled["linear1.weight"] == whole["linear1.weight"]
    assert sampled["linear2.weight"] != whole["linear2.weight"]
    assert sampled["linear2.weight"] == pytest.approx(whole["linear2.weight"], rel=0.1)


def test_measuring_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers() -> list[tuple[float, float, dict[str, float]]]:
        its = trainer()
        assert not its.admit((trial, mixed(trial)) for trial in range(6))
        ticks = [its.tick() for _ in range(3)]
        assert bool(lane_of(its, 0).update_ratios) == updates.is_due(1)
        return [(lane.train_loss, lane.gradient_norm, lane.metrics) for tick in ticks for lane in tick.epochs]

    measured = numbers()
    monkeypatch.setattr(updates, "is_due", lambda epoch: False)
    assert numbers() == measured


def test_a_trial_that_continues_keeps_its_ratios(tmp_path: Path) -> None:
    first, second = trainer(dtype=torch.float64), trainer(dtype=torch.float64)
    assert not first.admit({1: config(1)}.items())
    for _ in range(3):
        first.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    assert packing.restore(second, 1, config(1), [saved[1, 0]])
    for _ in range(2):
        second.tick()
    assert lane_of(second, 1).update_ratios == trained({1: config(1)})[1]


def test_a_checkpoint_of_an_earlier_version_has_no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    its, written = trainer(), packing.json.dumps
    assert not its.admit({1: config(1)}.items())
    its.tick()

    def without(lanes: list[dict[str, object]]) -> str:
        return written([{key: value for key, value in lane.items() if key != "update_ratios"} for lane in lanes])

    monkeypatch.setattr(packing.json, "dumps", without)
    (lane,) = packing.lanes_of(packing.unpack(packing.pack_running(its.all_cohorts()))).values()
    assert lane.update_ratios == {}


def test_weights_that_are_all_zero_have_no_ratio() -> None:
    zeros = {"init": {"scheme": "zeros"}, "training": {"epochs": 1, "batch_size": 512}}
    assert trained({0: TrialConfig.model_validate({**config(0).model_dump(), **zeros})}, 1)[0] == {}


def test_updates_of_a_lane_and_figures_of_its_layers() -> None:
    its = trainer()
    mine = config(1, accumulate=3)
    assert not its.admit({1: mine}.items())
    assert updates_of(lane_of(its, 1), finished=True) is None
    for _ in range(4):
        its.tick()
    lane, module = packing.trained(its, 1)
    ratios = lane.update_ratios
    steps = len(lane.batch_sizes)
    assert steps % 3 != 0
    largest = max(max(found) for found in ratios.values())
    assert updates_of(lane, finished=False) == Updates(largest=largest, count=4 * (steps // 3 + 1))
    found = Diagnosis(its.setting.examples).when_ended(lane, module, finished=True)
    assert found.updates == updates_of(lane, finished=True)
    assert [layer.name for layer in found.weights] == ["linear1", "linear2", "output"]
    for layer in found.weights:
        assert layer.count == module.get_parameter(f"{layer.name}.weight").numel()
        assert layer.update_ratio == sorted(ratios[f"{layer.name}.weight"])[1]


def test_nothing_is_said_of_updates_while_the_learning_rate_may_rise() -> None:
    its = trainer()
    rising = config(1).model_copy(update={"schedule": OneCycle(name="one_cycle")})
    assert not its.admit({1: rising}.items())
    its.tick()
    assert updates_of(lane_of(its, 1), finished=False) is None
    assert updates_of(lane_of(its, 1), finished=True) is not None


@pytest.mark.parametrize(
    ("schedule", "epochs", "known"),
    [
        (Cosine(name="cosine"), 1, False),
        (Cosine(name="cosine"), 2, True),
        (OneCycle(name="one_cycle"), 1, False),
        (CosineRestarts(name="cosine_restarts", period=1), 2, False),
        (CosineRestarts(name="cosine_restarts", period=2), 2, True),
    ],
)
def test_updates_at_a_rate_of_nearly_nothing_say_nothing(schedule: Record, epochs: int, known: bool) -> None:
    its = trainer()
    once = config(1)
    training = once.training.model_copy(update={"epochs": epochs})
    assert not its.admit({1: once.model_copy(update={"schedule": schedule, "training": training})}.items())
    for _ in range(epochs):
        its.tick()
    lane, module = packing.trained(its, 1)
    found = Diagnosis(its.setting.examples).when_ended(lane, module, finished=True)
    assert (found.updates is not None) == known
    assert all((layer.update_ratio is not None) == known for layer in found.weights)


def test_weights_that_overflowed_have_no_figures() -> None:
    its = trainer()
    assert not its.admit({1: config(1)}.items())
    its.tick()
    lane, module = packing.trained(its, 1)
    with torch.no_grad():
        module.get_parameter("linear2.weight")[0, 0] = torch.inf
    found = Diagnosis(its.setting.examples).when_ended(lane, module, finished=True).weights
    assert {layer.name: layer.near_zero is None for layer in found} == {
        "linear1": False,
        "linear2": True,
        "output": False,
    }
