"""Balanced classes: weights equal PyTorch's and scikit-learn's, sampling follows its rule, and neither depends on the
other lanes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from hpo.studyfile.records import Dropout, Regularization, Training, TrialConfig
from hpo.training.batches import balanced_order
from hpo.training.lane import new_lane
from tests.training.study import NORMS, OPTIMIZERS, mixed, setting, trainer
from tests.training.test_equality import TORCH_OPTIMIZERS, numbers

FOLDS = {"folds": 3, "test": 0.2}
RULES: tuple[dict[str, Any], ...] = (
    {},
    {"class_weight": "balanced"},
    {"class_weight": {"class_1": 7.5, "class_2": 0.25}},
    {"sampling": "balanced"},
    {"class_weight": "balanced", "sampling": "balanced", "last_batch": "short"},
    {"class_weight": {"class_0": 0.1}, "last_batch": "drop"},
)


def config(trial: int) -> TrialConfig:
    """Without random numbers in the model, so that a plain loop can train it."""
    rule = RULES[trial % len(RULES)]
    return mixed(trial).model_copy(
        update={
            "norm": NORMS[trial % len(NORMS)],
            "dropout": Dropout(),
            "optimizer": OPTIMIZERS[trial % len(OPTIMIZERS)],
            "schedule": TrialConfig.model_fields["schedule"].default,
            "regularization": Regularization(label_smoothing=0.2 * (trial // 6 % 2)),
            "training": Training.model_validate({"epochs": 3, "batch_size": 20, **rule}),
        }
    )


def plain_losses(trial: int, epochs: int) -> list[tuple[float, float]]:
    """Training and validation loss, written the ordinary way."""
    its, mine = setting(dtype=torch.float64), config(trial)
    examples, training = its.examples, mine.training
    module = new_lane(its, trial, 0, mine).module.double()
    optimizer = TORCH_OPTIMIZERS[mine.optimizer.name](module.parameters(), mine.optimizer)
    weight = None
    if training.class_weight == "balanced":
        y = examples.y_train.numpy()
        weight = torch.from_numpy(compute_class_weight("balanced", classes=np.unique(y), y=y))
    elif training.class_weight:
        named = training.class_weight
        weight = torch.tensor([named.get(name, 1.0) for name in examples.class_names], dtype=torch.float64)
    criterion = nn.CrossEntropyLoss(weight=weight, label_smoothing=mine.regularization.label_smoothing)
    sizes = examples.batch_sizes(0, training)
    losses = []
    for epoch in range(1, epochs + 1):
        module.train()
        order, total = examples.order(its.seed, trial, 0, epoch, sum(sizes), training.sampling), 0.0
        for rows in order.split(sizes):
            optimizer.zero_grad()
            loss = criterion(module(examples.x_train[rows]), examples.y_train[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        module.eval()
        with torch.no_grad():
            real = examples.real[0]
            valid = nn.CrossEntropyLoss()(module(examples.x_valid[0][real]), examples.y_valid[0][real]).item()
        losses.append((total / sum(sizes), valid))
    return losses


def test_lanes_with_different_balance_equal_plain_loops() -> None:
    its = trainer(dtype=torch.float64)
    trials = range(2 * len(RULES))
    assert its.admit((trial, config(trial)) for trial in trials) == []
    ticks = [its.tick().epochs for _ in range(2)]
    for trial in trials:
        found = torch.tensor([(epochs[trial].train_loss, epochs[trial].metrics["loss"]) for epochs in ticks])
        assert torch.allclose(found, torch.tensor(plain_losses(trial, 2)), rtol=1e-9, atol=1e-9), config(trial)


def test_lanes_with_different_balance_do_not_depend_on_each_other() -> None:
    curves = []
    for lanes in (1, 5, 32):
        its = trainer(lanes=lanes, **FOLDS)
        assert its.admit((trial, config(trial)) for trial in range(2 * len(RULES))) == []
        curves.append([numbers(e) for _ in range(2) for e in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


def test_balanced_weights_are_scikit_learns_of_each_training_part() -> None:
    examples = setting(**FOLDS).examples
    found = [examples.class_weights(replica, "balanced") for replica in range(3)]
    for replica, weights in enumerate(found):
        part = slice(examples.start[replica], examples.start[replica] + examples.size[replica])
        y = examples.y_train[part].numpy()
        assert weights == pytest.approx(compute_class_weight("balanced", classes=np.unique(y), y=y), rel=1e-15)
    assert found[0] != found[1]
    assert examples.class_weights(0, {"class_1": 2.0}) == [1.0, 2.0, 1.0]
    some = replace(examples, counts=((30, 0, 10),) * 3)
    assert some.class_weights(0, "balanced") == pytest.approx([40 / 60, 1.0, 40 / 20])


@pytest.mark.parametrize("counts", [(50, 30, 1), (7, 0, 900), (5,), (3, 3, 3), (400, 2)])
@pytest.mark.parametrize("count", [1, 2, 100, 101])
def test_classes_are_equally_frequent_and_their_examples_too(counts: tuple[int, ...], count: int) -> None:
    members = torch.arange(sum(counts)).split(counts)
    order = balanced_order(members, count, torch.Generator().manual_seed(count))
    assert len(order) == count
    seen = Counter(order.tolist())
    often = [[seen[int(row)] for row in rows] for rows in members if len(rows)]
    assert max(map(sum, often)) - min(map(sum, often)) <= 1
    assert all(max(times) - min(times) <= 1 for times in often)


def test_a_balanced_epoch_has_the_steps_of_any_and_an_order_of_its_own() -> None:
    examples = setting("digits", **FOLDS).examples
    plain, balanced = (Training.model_validate({"sampling": sampling}) for sampling in ("shuffled", "balanced"))
    assert examples.batch_sizes(1, plain) == examples.batch_sizes(1, balanced)
    count = sum(examples.batch_sizes(1, balanced))
    orders = [
        examples.order(*keys, count, "balanced") for keys in ((7, 3, 1, 1), (7, 3, 1, 2), (7, 4, 1, 1), (8, 3, 1, 1))
    ]
    assert torch.equal(orders[0], examples.order(7, 3, 1, 1, count, "balanced"))
    assert not any(torch.equal(orders[0], other) for other in orders[1:])
    labels = torch.bincount(examples.y_train[orders[0]])
    assert labels.max() - labels.min() <= 1
    part = slice(examples.start[1], examples.start[1] + examples.size[1])
    assert set(orders[0].tolist()) <= set(range(part.start, part.stop))
    assert not torch.equal(labels, torch.bincount(examples.y_train[part]))
