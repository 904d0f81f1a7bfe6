"""Perceptrons with vectors for codes and words: lanes equal PyTorch, whatever their neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpo.models.layers.embed import Embed
from hpo.studyfile.records import Dropout, Training, TrialConfig
from hpo.training import packing
from tests.training.study import NORMS, OPTIMIZERS, mixed, trainer
from tests.training.test_equality import numbers, plain_losses

CASES = {
    "codes": {"categories": "codes", "drop": ["review"]},
    "words": {"drop": ["price", "colour", "place"]},
    "all": {"categories": "codes", "min_count": 1},
}


@pytest.fixture(scope="module", params=CASES)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The [data] settings of a table with numbers, categories and texts of unequal length."""
    random, rows = np.random.default_rng(0), []
    for number in range(93):
        words = " ".join(random.choice(list("abcdefghij"), random.integers(4, 14)))
        rows.append([f"{random.normal():.4f}", ["red", "blue"][number % 2], "xyz"[number % 3], words])
    options: dict[str, Any] = dict(CASES[request.param])
    kept = [name for name in ("price", "colour", "place", "review") if name not in options.pop("drop", ())]
    places = [("price", "colour", "place", "review").index(name) for name in kept]
    path = tmp_path_factory.mktemp("tables") / f"{request.param}.csv"
    lines = [",".join([*(row[place] for place in places), ["no", "yes"][n % 5 > 2]]) for n, row in enumerate(rows)]
    path.write_text("\n".join([",".join([*kept, "good"]), *lines]) + "\n")
    return {"dataset": str(path), "target": "good", **options}


def test_the_layer_is_a_table_for_each_column_and_the_mean_of_the_words() -> None:
    layer = Embed(values=2, code_sizes=(3, 4), code_width=5, tokens=6, vocabulary=9, word_width=7)
    for table in layer.parameters():
        nn.init.normal_(table)
    first, second = nn.Embedding.from_pretrained(layer.codes[:3]), nn.Embedding.from_pretrained(layer.codes[3:])
    bag = nn.EmbeddingBag.from_pretrained(layer.words, mode="mean", padding_idx=0)
    codes, tokens = torch.tensor([[2, 3], [0, 0]]), torch.tensor([[8, 1, 4, 4, 0, 0], [1, 0, 0, 0, 0, 0]])
    values = torch.randn(2, 2)
    expected = torch.cat([values, first(codes[:, 0]), second(codes[:, 1]), bag(tokens)], 1)
    assert torch.allclose(layer(torch.cat([values, codes, tokens], 1)), expected)


def test_lanes_equal_a_plain_loop(data: dict[str, Any]) -> None:
    its = trainer(dtype=torch.float64, **data)
    plain = {name: TrialConfig.model_fields[name].default for name in ("schedule", "regularization")}
    configs = {
        trial: mixed(trial).model_copy(
            update={
                "norm": norm,
                "dropout": Dropout(),
                "optimizer": OPTIMIZERS[trial % len(OPTIMIZERS)],
                "training": Training(epochs=3, batch_size=32),
                **plain,
            }
        )
        for trial, norm in enumerate(NORMS)
    }
    assert its.admit(configs.items()) == []
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(2):
        for lane in its.tick().epochs:
            found.setdefault(lane.trial, []).append((lane.train_loss, lane.metrics["loss"]))
    for trial, config in configs.items():
        expected = plain_losses(config, trial, 2, **data)
        assert torch.allclose(torch.tensor(found[trial]), torch.tensor(expected), rtol=1e-9, atol=1e-9), config


def test_a_lane_does_not_depend_on_its_neighbours(data: dict[str, Any]) -> None:
    curves = []
    for lanes in (1, 2, 4, 32):
        its = trainer(lanes=lanes, **data)
        assert its.admit((trial, mixed(trial)) for trial in range(9)) == []
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2] == curves[3]


def test_a_resumed_lane_equals_one_never_stopped(data: dict[str, Any], tmp_path: Path) -> None:
    through, first, second = (trainer(lanes=lanes, **data) for lanes in (32, 32, 4))
    for its in (through, first):
        its.admit((trial, mixed(trial)) for trial in range(6))
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    for trial in range(6):
        assert packing.restore(second, trial, mixed(trial), [saved[trial, 0]])
    assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_vectors_of_another_width_are_another_program(data: dict[str, Any]) -> None:
    its = trainer(**data)
    wide = mixed(0).model_copy(update={"model": mixed(0).model.model_copy(update={"embedding": 3, "word_vector": 5})})
    assert its.admit([(0, mixed(0)), (1, wide)]) == []
    assert len(its.cohorts) == 2
    assert its.parameters(1) < its.parameters(0)
