"""Residual perceptrons and vectors of numbers: lanes equal PyTorch, whatever their neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hpo import models
from hpo.errors import InputError
from hpo.models.layers.periodic import Periodic
from hpo.models.layers.piecewise import PiecewiseLinear
from hpo.studyfile.records import Dropout, Mlp, Training, TrialConfig
from hpo.training import packing
from hpo.training.trainer import Trainer
from tests.training.study import NORMS, OPTIMIZERS, mixed, prepared, trainer
from tests.training.test_equality import numbers, plain_losses

CASES: dict[str, dict[str, Any]] = {
    "residual": {"residual": True, "hidden": (12, 12, 7)},
    "periodic": {"numbers": "periodic", "frequencies": 3, "number_vector": 5, "sigma": 0.3},
    "piecewise": {"numbers": "piecewise_linear", "bins": 6, "number_vector": 5},
    "both": {"residual": True, "layers": 2, "width": 9, "numbers": "periodic"},
}


def config_of(case: str, trial: int) -> TrialConfig:
    base = mixed(trial)
    assert isinstance(base.model, Mlp)
    model = {"family": "mlp", "activation": base.model.activation, **CASES[case]}
    return base.model_copy(update={"model": Mlp.model_validate(model)})


def admitted(case: str, trials: range, **options: Any) -> Trainer:
    its = trainer(**options)
    assert its.admit((trial, config_of(case, trial)) for trial in trials) == []
    return its


@pytest.mark.parametrize("case", CASES)
def test_lanes_equal_a_plain_loop(case: str) -> None:
    its = trainer(dtype=torch.float64)
    plain = {name: TrialConfig.model_fields[name].default for name in ("schedule", "regularization")}
    configs = {
        trial: config_of(case, trial).model_copy(
            update={
                "norm": norm,
                "dropout": Dropout(),
                "optimizer": OPTIMIZERS[trial % len(OPTIMIZERS)],
                "training": Training(epochs=3, batch_size=32),
                **plain,
            }
        )
        for trial, norm in enumerate(NORMS)
        # Where batch norm takes the mean away from what vectors feed, a vector's bias may get a gradient of rounding
        # alone, and ReLU its sign from it for the smallest number of a column, whose encoding is 0.
        if not (case == "piecewise" and norm.kind == "batch" and norm.placement != "after_activation")
    }
    assert its.admit(configs.items()) == []
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(2):
        for lane in its.tick().epochs:
            found.setdefault(lane.trial, []).append((lane.train_loss, lane.metrics["loss"]))
    for trial, config in configs.items():
        expected = plain_losses(config, trial, 2, "wine")
        assert torch.allclose(torch.tensor(found[trial]), torch.tensor(expected), rtol=1e-9, atol=1e-9), config


@pytest.mark.parametrize("case", CASES)
def test_a_lane_does_not_depend_on_its_neighbours(case: str) -> None:
    curves = []
    for lanes in (1, 4, 32):
        its = admitted(case, range(9), lanes=lanes)
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_lane_equals_one_never_stopped(case: str, tmp_path: Path) -> None:
    through, first, second = admitted(case, range(6)), admitted(case, range(6)), trainer(lanes=4)
    for its in (through, first):
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    for trial in range(6):
        assert packing.restore(second, trial, config_of(case, trial), [saved[trial, 0]])
    assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_a_block_of_zeros_is_the_identity() -> None:
    data = prepared()
    config = config_of("residual", 0).model_copy(update={"norm": NORMS[0], "dropout": Dropout()})
    model = models.build(config, data.signature, data.outputs).eval()
    for name, child in model.named_children():
        if name.startswith("linear_out"):
            assert isinstance(child, nn.Linear)
            nn.init.zeros_(child.weight)
            nn.init.zeros_(child.bias)
    x = torch.randn(4, *data.signature.shape)
    skipped = model.get_submodule("skip3")(model.get_submodule("project")(x), carried := models.layers.Carried())
    assert skipped.shape == (4, 12)
    expected = model.get_submodule("output")(model.get_submodule("activation4")(carried.kept[0]))
    assert torch.allclose(model(x), expected)


def test_vectors_of_numbers_are_waves_a_layer_and_relu() -> None:
    layer = Periodic(columns=2, waves=3, width=4)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(5, 3)
    expected = []
    for column in range(2):
        angle = 2 * torch.pi * x[:, column : column + 1] * layer.frequency[3 * column : 3 * column + 3]
        rows = slice(4 * column, 4 * column + 4)
        waves = torch.cat([angle.sin(), angle.cos()], 1)
        expected.append(nn.functional.linear(waves, layer.weight[rows], layer.bias[rows]).relu())
    assert torch.allclose(layer(x), torch.cat([*expected, x[:, 2:]], 1), atol=1e-6)


def test_vectors_of_numbers_are_places_between_quantiles_a_layer_and_relu() -> None:
    """By the definition of Gorishniy et al. 2022, for a column of many values, one of three and a constant one."""
    draws = torch.Generator().manual_seed(0)
    rows = torch.stack([torch.randn(101, generator=draws), torch.arange(101) % 3, torch.ones(101)], 1)
    layer = PiecewiseLinear(columns=3, bins=4, width=2)
    layer.fit(rows)
    assert torch.allclose(layer.edges[0], torch.quantile(rows[:, 0], torch.linspace(0, 1, 5)))
    assert layer.edges[1].tolist() == [0, 1, 2, 2, 2]
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=draws)
    x, expected = torch.tensor([[-9.0, -1, 1, 7], [0.1, 0.5, 1, 8], [0.9, 2, 0, 9], [9, 4, 3, 9]]), []
    for row in x:
        vectors = []
        for column in range(3):
            edges = layer.edges[column].unique()
            code = torch.zeros(4)
            for bin in range(len(edges) - 1):
                share = (row[column] - edges[bin]) / (edges[bin + 1] - edges[bin])
                share = share if bin == 0 else share.clamp(min=0.0)
                code[bin] = share if bin == len(edges) - 2 else share.clamp(max=1.0)
            part = slice(2 * column, 2 * column + 2)
            vectors.append((layer.weight[part] @ code + layer.bias[part]).relu())
        expected.append(torch.cat([*vectors, row[3:]]))
    assert torch.allclose(layer(x), torch.stack(expected), atol=1e-5)


def test_edges_are_of_the_training_part_of_a_lane_alone() -> None:
    its = admitted("piecewise", range(1), folds=3)
    examples = its.setting.examples
    found = []
    for lane in (lane for cohort in its.all_cohorts() for lane in cohort.lanes):
        part = examples.part[lane.replica]
        assert isinstance(examples.x_train, torch.Tensor)
        rows = examples.x_train[examples.start[part] : examples.start[part] + examples.size[part]]
        expected = torch.quantile(rows[:, 0], torch.linspace(0, 1, 7))
        found.append(lane.module.state_dict()["numbers.edges"])
        assert torch.allclose(found[-1][0], expected, atol=1e-6)
    assert len(found) == 3
    assert not torch.equal(found[0], found[1])
    assert torch.equal(packing.best_states(its, 0)[1]["numbers.edges"], found[1])


def test_frequencies_start_as_widely_as_the_study_says() -> None:
    data = prepared()
    spreads = []
    for sigma in (0.1, 1.0):
        model = {**CASES["periodic"], "family": "mlp", "sigma": sigma, "frequencies": 64}
        config = config_of("periodic", 0).model_copy(update={"model": Mlp.model_validate(model)})
        built = models.build(config, data.signature, data.outputs)
        models.initialize(built, config, torch.Generator().manual_seed(0))
        layer = built.get_submodule("numbers")
        assert isinstance(layer, Periodic)
        spreads.append(layer.frequency.std().item())
        assert layer.weight.abs().min() > 0
    assert spreads[0] == pytest.approx(0.1, rel=0.1)
    assert spreads[1] == pytest.approx(10 * spreads[0])


def test_only_columns_of_numbers_have_vectors() -> None:
    data = prepared("digits")
    with pytest.raises(InputError, match=r'model.numbers = "periodic" is for the columns of numbers of a table'):
        models.build(config_of("periodic", 0), data.signature, data.outputs)
