"""Gradient accumulation and averaged weights: a lane equals a plain loop with PyTorch's own means, and never depends on
its neighbours."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hpo.studyfile.records import Cosine, Dropout, Regularization, TrialConfig
from hpo.training import compiled, packing
from hpo.training.lane import new_lane
from tests.training.study import NORMS, OPTIMIZERS, mixed, plain_batches, setting, trainer
from tests.training.test_equality import TORCH_OPTIMIZERS, numbers
from tests.training.test_last_batch import FOLDS, with_rule

WAYS: list[dict[str, Any]] = [
    {"accumulate": 2},
    {"accumulate": 4, "average": "ema", "average_decay": 0.7},
    {"accumulate": 100},
    {"average": "ema", "average_decay": 0.9},
    {"average": "ema", "average_decay": 0.0},
]
EPOCHS = 3


def config(trial: int, rule: str = "short", family: str = "mlp", **training: Any) -> TrialConfig:
    """Without random numbers in the model, and with a rate that changes with every update."""
    plain = {
        "dropout": Dropout(),
        "norm": NORMS[trial % len(NORMS)],
        "optimizer": OPTIMIZERS[trial % len(OPTIMIZERS)],
        "schedule": Cosine(name="cosine"),
        "regularization": Regularization(),
    }
    return with_rule(mixed(trial, family).model_copy(update=plain), rule, epochs=EPOCHS, **training)


def plain_losses(mine: TrialConfig, trial: int, dataset: str = "wine") -> tuple[list[tuple[float, float]], nn.Module]:
    """Training and validation loss of each epoch, and the model at the end, written the ordinary way."""
    its = setting(dataset, torch.float64)
    training, module = mine.training, new_lane(its, trial, 0, mine).module.double()
    optimizer = TORCH_OPTIMIZERS[mine.optimizer.name](module.parameters(), mine.optimizer)
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(training.average_decay), use_buffers=True)
    judged = averaged.module if training.average == "ema" else module
    count = len(plain_batches(its, trial, 0, 1, training))
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS * -(-count // training.accumulate))
    criterion, losses = nn.CrossEntropyLoss(), []
    for epoch in range(1, EPOCHS + 1):
        module.train()
        total, seen = 0.0, 0
        batches = plain_batches(its, trial, 0, epoch, training)
        for begin in range(0, count, training.accumulate):
            group = batches[begin : begin + training.accumulate]
            optimizer.zero_grad()
            for rows in group:
                loss = criterion(module(its.examples.x_train[rows]), its.examples.y_train[rows])
                (loss / len(group)).backward()
                total, seen = total + loss.item() * len(rows), seen + len(rows)
            optimizer.step()
            scheduler.step()
            averaged.update_parameters(module)
        judged.eval()
        with torch.no_grad():
            real = its.examples.real[0]
            valid = criterion(judged(its.examples.x_valid[0][real]), its.examples.y_valid[0][real]).item()
        losses.append((total / seen, valid))
    return losses, copy.deepcopy(judged)


@pytest.mark.parametrize("training", WAYS, ids=str)
def test_lanes_equal_a_plain_loop(training: dict[str, Any]) -> None:
    its = trainer(dtype=torch.float64)
    configs = {trial: config(trial, ("short", "fill", "drop")[trial % 3], **training) for trial in range(9)}
    assert its.admit(configs.items()) == []
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(EPOCHS):
        for lane in its.tick().epochs:
            found.setdefault(lane.trial, []).append((lane.train_loss, lane.metrics["loss"]))
    its.keep_best(set(configs))
    for trial, mine in configs.items():
        expected, module = plain_losses(mine, trial)
        assert torch.allclose(torch.tensor(found[trial]), torch.tensor(expected), rtol=1e-9, atol=1e-9), mine
        kept = packing.best_states(its, trial)[0]
        for name, value in module.state_dict().items():
            if "num_batches" not in name:
                assert torch.allclose(kept[name].double(), value, rtol=1e-5, atol=1e-6), name


def test_lanes_of_a_cnn_equal_a_plain_loop() -> None:
    its = trainer(dataset="digits", dtype=torch.float64)
    mine = config(1, family="cnn", batch_size=100, accumulate=3, average="ema", average_decay=0.8)
    assert its.admit([(4, mine)]) == []
    found = [next((e.train_loss, e.metrics["loss"]) for e in its.tick().epochs) for _ in range(EPOCHS)]
    expected, _ = plain_losses(mine, 4, "digits")
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-9, atol=1e-9)


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    """Among lanes of folds whose last batches and numbers of batches differ."""
    ways = [*WAYS, {}]
    curves = []
    for lanes in (1, 3, 32):
        its = trainer(lanes=lanes, **FOLDS)
        configs = ((trial, with_rule(mixed(trial), "short", batch_size=5, **ways[trial % 6])) for trial in range(9))
        assert its.admit(configs) == []
        curves.append([numbers(e) for _ in range(2) for e in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


def test_folds_with_another_number_of_batches_end_their_groups_apart() -> None:
    """94, 95 and 95 examples make 47 and 48 batches of 2: groups of 4 end with 3 batches, or with 4."""
    mine = with_rule(mixed(0), "short", batch_size=2, accumulate=4)
    its = trainer(**FOLDS)
    its.admit([(0, mine)])
    assert {len(its.setting.examples.batch_sizes(r, mine.training)) for r in range(3)} == {47, 48}
    together = [numbers(e) for e in its.tick().epochs]
    apart = trainer(lanes=1, **FOLDS)
    apart.admit([(0, mine)])
    assert [numbers(e) for e in apart.tick().epochs] == together


def test_a_resumed_lane_equals_one_never_stopped(tmp_path: Path) -> None:
    through, first = trainer(), trainer()
    configs = {trial: with_rule(mixed(trial), "short", **way) for trial, way in enumerate(WAYS)}
    for its in (through, first):
        its.admit(configs.items())
        its.tick()
        its.keep_best({1, 3})
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=2)
    for trial, mine in configs.items():
        assert packing.restore(second, trial, mine, [saved[trial, 0]])
    for _ in range(2):
        assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]
    for trial in (1, 3):
        before, after = (packing.best_states(its, trial)[0] for its in (through, second))
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_traced_steps_average_weights_and_leave_accumulation_to_plain_ones(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without turning what is traced into native code, which takes long; `test_equality` does."""
    caplog.set_level("WARNING", "hpo")
    monkeypatch.setattr(compiled, "_compiled", {})
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graph)
    eager, fast = trainer(dtype=torch.float64), trainer(dtype=torch.float64)
    fast.setting = replace(fast.setting, compiled_lanes=4)
    for its in (eager, fast):
        its.admit((trial, with_rule(mixed(3 * trial), "fill", **WAYS[3])) for trial in range(3))
        its.admit((9 + trial, with_rule(mixed(3 * trial), "fill", **WAYS[0])) for trial in range(3))
    for _ in range(2):
        one, other = (
            torch.tensor([numbers(e) for e in its.tick().epochs], dtype=torch.float64) for its in (eager, fast)
        )
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
    assert caplog.messages == []
    assert len(compiled._compiled) == 1


def test_a_compiled_step_is_of_one_convention() -> None:
    forms = []
    for conventions in (4, 5):
        its = trainer()
        its.admit([(0, mixed(0).model_copy(update={"conventions": conventions}))])
        forms.append(compiled._program_form(its.all_cohorts()[0].program))
    assert forms[0] != forms[1]


def test_only_lanes_that_need_them_have_the_rows() -> None:
    its = trainer()
    its.admit((trial, with_rule(mixed(0), "fill", **way)) for trial, way in enumerate([{}, WAYS[3], WAYS[0]]))
    plain, ema, accumulates = (its.alone(trial)[0] for trial in range(3))
    assert set(ema.state) - set(plain.state) == {"average_theta", "average_stats"}
    assert set(accumulates.state) == set(plain.state)
    sizes = [c.architecture.lane_bytes(its.setting.examples.signature, 19, 4) for c in (plain, accumulates, ema)]
    assert sizes[0] < sizes[1] < sizes[2]
