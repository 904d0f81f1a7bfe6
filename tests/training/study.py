"""Small settings and configurations for the tests of the training program."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from hpo.data.catalogue import load_dataset
from hpo.data.parts.splits import split_data
from hpo.data.prepare import PreparedData, prepare_data
from hpo.studyfile.records import (
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    BatchNorm,
    Cnn,
    DataTable,
    Dropout,
    GroupNorm,
    Init,
    LayerNorm,
    Lion,
    Mlp,
    Nadam,
    NoNorm,
    Radam,
    Recurrent,
    ReduceOnPlateau,
    Regularization,
    Rmsprop,
    Sgd,
    Training,
    TrialConfig,
    WarmupCosine,
)
from hpo.training.batches import on_device
from hpo.training.lane import Setting
from hpo.training.limits import Limits
from hpo.training.metrics import names_for
from hpo.training.trainer import Trainer

NORMS = (
    NoNorm(),
    BatchNorm(kind="batch"),
    BatchNorm(kind="batch", placement="after_activation", momentum=0.3),
    BatchNorm(kind="batch", placement="input", affine=False),
    LayerNorm(kind="layer"),
    LayerNorm(kind="layer", placement="after_activation", every=2),
)
OPTIMIZERS = (
    Sgd(name="sgd", learning_rate=0.05, momentum=0.9, nesterov=True),
    Adam(name="adam", learning_rate=2e-3),
    AdamW(name="adamw", learning_rate=2e-3),
    Rmsprop(name="rmsprop", learning_rate=1e-3),
    Adagrad(name="adagrad", learning_rate=2e-2, initial_accumulator_value=0.1),
    Sgd(name="sgd", learning_rate=0.1),
    Nadam(name="nadam", learning_rate=2e-3),
    Lion(name="lion", learning_rate=3e-4, weight_decay=0.1),
    Radam(name="radam", learning_rate=2e-3),
)
"""Those of the common formula, which may be compiled."""
ADAFACTOR = Adafactor(name="adafactor", learning_rate=0.02, weight_decay=0.05, eps=1e-3)


@cache
def prepared(dataset: str = "wine", **options: Any) -> PreparedData:
    table = DataTable(dataset=dataset, **options)
    data = load_dataset(table, Path())
    return prepare_data(data, split_data(data, table, 0), table)


def setting(dataset: str = "wine", dtype: torch.dtype = torch.float32, **options: Any) -> Setting:
    examples = on_device(prepared(dataset, **options), device=torch.device("cpu"), dtype=dtype)
    return Setting(examples=examples, seed=7, metrics=names_for(examples.task, "loss")[:2], dtype=dtype)


def plain_batches(its: Setting, trial: int, replica: int, epoch: int, training: Training) -> list[torch.Tensor]:
    """The rows of each batch of an epoch, as a DataLoader gives them."""
    size, batch = its.examples.size[its.examples.part[replica]], training.batch_size
    order = its.examples.order(its.seed, trial, replica, epoch, size)
    if training.last_batch == "fill":
        order = torch.cat([order, order[: -size % batch]])
    rows: Any = order.tolist()
    return list(DataLoader(rows, batch_size=batch, drop_last=training.last_batch == "drop"))


def mixed(trial: int, family: str = "mlp", epochs: int = 6) -> TrialConfig:
    """Configurations that differ in everything lanes may differ in."""
    norms = (*NORMS, GroupNorm(kind="group", groups=2)) if family == "cnn" else NORMS
    models = {
        "mlp": Mlp(family="mlp", hidden=(12, 10), activation=("relu", "tanh", "gelu")[trial % 3]),
        "cnn": Cnn(family="cnn", channels=(4, 8), hidden=(6,)),
        "recurrent": Recurrent(family="recurrent", width=10, layers=2, bidirectional=True, hidden=(6,)),
    }
    return TrialConfig(
        model=models[family],
        init=Init(scheme=("kaiming_normal", "xavier_uniform", "orthogonal")[trial % 3]),
        norm=norms[trial % len(norms)],
        dropout=Dropout(p=0.1 * (trial % 4), input=0.05 * (trial % 2), spatial=trial % 2 == 1),
        optimizer=OPTIMIZERS[trial % len(OPTIMIZERS)],
        schedule=WarmupCosine(name="warmup_cosine") if trial % 2 else ReduceOnPlateau(name="reduce_on_plateau"),
        regularization=Regularization(
            l1=1e-4 * (trial % 2),
            l2=1e-3 * (trial % 3),
            gradient_clip=1.0 if trial % 3 else None,
            max_norm=2.0 if trial % 4 == 3 else None,
            label_smoothing=0.1 * (trial % 2),
        ),
        training=Training(
            epochs=epochs,
            batch_size=16,
            class_weight=(None, "balanced", {"class_0": 3.0, "1": 0.5})[trial // 2 % 3],
            sampling="balanced" if trial % 5 == 3 else "shuffled",
        ),
    )


def quickly_compiled(its: Trainer, trial: int) -> TrialConfig:
    """A configuration for a trainer that makes room for no other norms and optimizers: few operations are compiled."""
    its.variants = lambda config: [config]
    one = {"model": Mlp(family="mlp", hidden=(6,)), "norm": NORMS[1], "optimizer": OPTIMIZERS[1]}
    return mixed(trial).model_copy(update=one)


def variants(config: TrialConfig) -> list[TrialConfig]:
    norms = (config.norm, *NORMS, GroupNorm(kind="group", groups=2))
    options = [{"norm": norm} for norm in norms] + [{"optimizer": optimizer} for optimizer in OPTIMIZERS]
    return [config.model_copy(update=option) for option in options]


def trainer(lanes: int = 32, dataset: str = "wine", dtype: torch.dtype = torch.float32, **options: Any) -> Trainer:
    return Trainer(setting(dataset, dtype, **options), variants, Limits(lanes))
