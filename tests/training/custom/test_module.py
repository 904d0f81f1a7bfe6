"""Modules of the user's own in the training program: fused, one lane after the other, and the plain loop agree."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hpo.models import CUSTOM
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig
from hpo.training import packing
from hpo.training.cohort import Cohort
from hpo.training.custom import module as custom_module
from hpo.training.custom import plans as custom_plans
from hpo.training.custom.masks import Masked, kept_size, mask_shape, output_sizes
from hpo.training.custom.plans import plan_of
from hpo.training.lane import Setting, new_lane
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer
from tests.training.study import OPTIMIZERS, plain_batches, setting
from tests.training.test_equality import TORCH_OPTIMIZERS, numbers

F64 = torch.float64


def config(module: str, number: int = 0, batch_size: int = 16, **arguments: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": {"family": "custom", "module": module, "arguments": arguments},
            "optimizer": OPTIMIZERS[number % len(OPTIMIZERS)],
            "training": {"epochs": 3, "batch_size": batch_size},
        }
    )


def trainer(lanes: int = 32, dataset: str | Setting = "wine", dtype: torch.dtype = F64) -> Trainer:
    its = setting(dataset, dtype) if isinstance(dataset, str) else dataset
    return Trainer(its, lambda config: [config], Limits(lanes))


def curves(its: Trainer, trials: dict[int, TrialConfig], epochs: int = 2) -> torch.Tensor:
    """[trial, epoch, numbers]; afterwards the trainer holds the lanes."""
    assert its.admit(trials.items()) == []
    ticks = [its.tick() for _ in range(epochs)]
    assert all(tick.failures == () for tick in ticks)
    found = torch.tensor([[numbers(lane)[3:] for lane in tick.epochs] for tick in ticks], dtype=F64)
    return found.transpose(0, 1)


def plain(
    trial: int, config: TrialConfig, dataset: str | Setting, epochs: int = 2
) -> tuple[torch.Tensor, dict[str, Any]]:
    """The same trial in a plain loop: [epoch, (training, validation) loss], and the weights."""
    its = setting(dataset, F64) if isinstance(dataset, str) else dataset
    module = new_lane(its, trial, 0, config).module.double()
    optimizer = TORCH_OPTIMIZERS[config.optimizer.name](module.parameters(), config.optimizer)
    criterion = nn.CrossEntropyLoss()
    found = []
    for epoch in range(1, epochs + 1):
        module.train()
        total, seen = 0.0, 0
        for rows in plain_batches(its, trial, 0, epoch, config.training):
            optimizer.zero_grad()
            loss = criterion(module(its.examples.x_train[rows]), its.examples.y_train[rows])
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item() * len(rows), seen + len(rows)
        module.eval()
        with torch.no_grad():
            real = its.examples.real[0]
            valid = criterion(module(its.examples.x_valid[0][real]), its.examples.y_valid[0][real]).item()
        found.append([total / seen, valid])
    return torch.tensor(found, dtype=F64), dict(module.state_dict())


def cohorts_of(its: Trainer) -> list[Cohort]:
    return its.all_cohorts()


def is_fused(its: Trainer) -> bool:
    (cohort,) = cohorts_of(its)
    layer = cohort.program.positions[0].runs[0].layer
    assert isinstance(layer, custom_module.CustomModules)
    return layer.plan.fused


CASES: list[tuple[str, str, str, bool, dict[str, Any]]] = [
    ("tables", "Plain", "wine", True, {}),
    ("tables", "Plain", "wine", False, {"branch": True}),
    ("tables", "Rows", "wine", True, {"kind": "attention"}),
    ("tables", "Rows", "wine", True, {"kind": "lstm"}),
    ("tables", "Rows", "wine", True, {"kind": "gru"}),
    ("layers", "Cells", "wine", True, {"kind": "GRU", "num_layers": 2, "bidirectional": True}),
    ("layers", "Cells", "wine", True, {"kind": "GRU", "bias": False, "batch_first": True}),
    ("layers", "Cells", "wine", True, {"kind": "LSTM", "num_layers": 2, "bidirectional": True}),
    ("layers", "Cells", "wine", True, {"kind": "RNN", "num_layers": 2, "batch_first": True}),
    ("layers", "Cells", "wine", True, {"kind": "RNN", "nonlinearity": "relu", "bidirectional": True}),
    ("layers", "Attention", "wine", True, {}),
    ("layers", "Attention", "wine", True, {"masked": True, "norm_first": True, "activation": "gelu"}),
    ("layers", "Heads", "wine", True, {}),
    ("layers", "Packed", "wine", False, {}),
    ("layers", "Renormed", "wine", True, {}),
    ("layers", "Body", "wine", True, {}),
    ("layers", "Norms", "wine", True, {"how": "train"}),
    ("layers", "Norms", "wine", False, {"how": "frozen", "branch": True}),
    ("layers", "Norms", "wine", True, {"how": "forward"}),
    ("layers", "Norms", "wine", True, {"how": "class"}),
    ("layers", "Norms", "wine", True, {"how": "init"}),
    ("images", "net", "digits", True, {}),
]


@pytest.mark.parametrize(("file", "name", "dataset", "fused", "arguments"), CASES, ids=lambda case: str(case))
def test_lanes_equal_a_plain_loop(
    file: str, name: str, dataset: str, fused: bool, arguments: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Losses, weights and running averages."""
    module = f"{request.getfixturevalue(file)}:{name}"
    trials = {trial: config(module, trial, **arguments) for trial in range(4)}
    its = trainer(dataset=dataset)
    found = curves(its, trials)
    assert is_fused(its) == fused
    its.keep_best(set(trials))
    for trial, one in trials.items():
        losses, weights = plain(trial, one, dataset)
        mine = found[trial][:, [0, 2]]
        assert torch.allclose(mine, losses, rtol=1e-9, atol=1e-9)
        [state] = packing.best_states(its, trial)
        assert state.keys() == weights.keys()
        for key, value in weights.items():
            if not key.endswith("num_batches_tracked"):
                assert torch.allclose(state[key].to(F64), value.to(F64), rtol=1e-5, atol=1e-6), key


NAMED = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, outputs, inputs, p=0.0):
        super().__init__()
        self.words = nn.Embedding(inputs["tokens"]["sizes"][0], 6, padding_idx=0)
        self.places = nn.ModuleList(nn.Embedding(size, 2) for size in inputs["codes"]["sizes"])
        self.dropout = nn.Dropout(p)
        self.output = nn.Linear(6 + 4 + input_shape[0], outputs)

    def forward(self, values, codes, tokens, mask):
        real = mask.unsqueeze(2)
        text = (self.words(tokens) * real).sum(1) / real.sum(1)
        places = [embed(codes[:, column]) for column, embed in enumerate(self.places)]
        return self.output(self.dropout(torch.cat([text, *places, values], 1)))
"""


def test_named_inputs_equal_a_plain_loop(tmp_path: Path) -> None:
    """Numbers, categories as codes and texts as tokens, of a table."""
    random = np.random.default_rng(0)
    rows = ["price,colour,place,review,good"]
    for number in range(83):
        words = " ".join(random.choice(list("abcdefghij"), random.integers(4, 9)))
        rows.append(f"{random.normal()},{['red', 'blue'][number % 2]},{'xyz'[number % 3]},{words},{number % 5 > 2}")
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(rows))
    (tmp_path / "net.py").write_text(NAMED)
    its = setting(str(table), F64, target="good", categories="codes", min_count=1)
    assert its.examples.signature.names == ("values", "codes", "tokens")
    trials = {trial: config(f"{tmp_path}/net.py:Net", trial) for trial in range(4)}
    mine = trainer(dataset=its)
    found = curves(mine, trials)
    assert is_fused(mine)
    mine.keep_best(set(trials))
    for trial, one in trials.items():
        losses, weights = plain(trial, one, its)
        assert torch.allclose(found[trial][:, [0, 2]], losses, rtol=1e-9, atol=1e-9)
        [state] = packing.best_states(mine, trial)
        assert all(torch.allclose(state[key].to(F64), weights[key], rtol=1e-5, atol=1e-6) for key in weights)


@pytest.mark.parametrize("momentum", [0.1, 0.35])
def test_fused_and_alone_are_the_same(tables: str, momentum: float) -> None:
    """Running averages and dropout included; momentum and p may differ by lane."""
    trials = {
        trial: config(f"{tables}:Plain", trial, momentum=momentum / (trial + 1), p=0.2 * trial) for trial in range(4)
    }
    fused = trainer()
    one = curves(fused, trials)
    assert is_fused(fused)
    for plan in custom_plans._plans.values():
        plan.fused = False
    alone = trainer()
    other = curves(alone, trials)
    assert not is_fused(alone)
    assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)
    for name in ("theta", "stats"):
        mine, theirs = (cohorts_of(its)[0].state[name] for its in (fused, alone))
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-9)
        assert float(mine.abs().max()) > 0


NEIGHBOURS: list[tuple[str, dict[str, Any]]] = [
    ("Plain", {"p": 0.3}),
    ("Plain", {"p": 0.3, "branch": True}),
    ("Rows", {"p": 0.2}),
    ("Rows", {"p": 0.2, "noise": 0.3}),
    ("Rows", {"kind": "lstm", "p": 0.2, "noise": 0.1}),
    ("Rows", {"kind": "gru", "p": 0.2, "random": True}),
]


@pytest.mark.parametrize(("name", "arguments"), NEIGHBOURS, ids=lambda case: str(case))
def test_a_lane_does_not_depend_on_its_neighbours(name: str, arguments: dict[str, Any], tables: str) -> None:
    arguments = {**arguments}
    p = arguments.pop("p")
    trials = {trial: config(f"{tables}:{name}", trial, p=p * trial / 4, **arguments) for trial in range(5)}
    found = {}
    for lanes in (1, 2, 32):
        torch.manual_seed(lanes)
        its = trainer(lanes)
        found[lanes] = curves(its, trials)
        assert len(cohorts_of(its)) == -(-5 // lanes)
    assert torch.allclose(found[1], found[2], rtol=1e-9, atol=1e-9)
    assert torch.allclose(found[1], found[32], rtol=1e-9, atol=1e-9)


def test_training_leaves_the_global_generator_alone(tables: str) -> None:
    its = trainer()
    state = torch.random.get_rng_state()
    curves(its, {0: config(f"{tables}:Rows", noise=0.3, random=True)}, epochs=1)
    assert torch.equal(state, torch.random.get_rng_state())


def test_dropout_drops_its_share_anew_at_every_call_and_step(tables: str) -> None:
    its = trainer()
    assert its.admit([(0, config(f"{tables}:Plain", p=0.25, width=64)), (1, config(f"{tables}:Plain", width=64))]) == []
    (cohort,) = cohorts_of(its)
    keys = torch.tensor([[1, 2], [3, 2]], dtype=torch.int32)
    masks = cohort.program.masks(keys, 50)
    assert torch.equal(masks.pop("custom.keys"), keys)
    assert sorted(masks) == ["custom.drop#0", "custom.drop#1"]
    first, second = masks.values()
    assert first.shape == (2, 2, 50, 64)
    dropping = next(index for index, lane in enumerate(cohort.lanes) if lane.trial == 0)
    for mask in (first, second):
        mine, other = mask[:, dropping], mask[:, 1 - dropping]
        assert torch.equal(other, torch.ones_like(other))
        assert set(mine.unique().tolist()) == {0.0, 1 / 0.75}
        assert abs(float((mine == 0).double().mean()) - 0.25) < 0.02
    assert not torch.equal(first[:, dropping], second[:, dropping])
    assert dropping == 1 or not torch.equal(first[0, dropping], first[1, dropping])


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.Dropout, (4, 3, 5)),
        (nn.Dropout1d, (4, 3, 5)),
        (nn.Dropout1d, (4, 5)),
        (nn.Dropout2d, (4, 3, 5, 5)),
        (nn.Dropout2d, (4, 3, 5)),
        (nn.Dropout3d, (4, 3, 2, 2, 2)),
        (nn.Dropout3d, (3, 2, 2, 2)),
    ],
)
@pytest.mark.filterwarnings("ignore:dropout2d")
def test_masks_have_the_shape_that_the_layer_drops_in(kind: type[nn.Module], shape: tuple[int, ...]) -> None:
    """What the plain layer keeps or drops together is one number of the mask."""
    x = torch.ones(shape)
    torch.manual_seed(0)
    layer = kind(0.5)
    dropped = layer(x)
    expected = mask_shape(kind, x)
    index = tuple(slice(None) if extent > 1 else slice(0, 1) for extent in expected)
    stand_in = Masked(layer)
    stand_in.begin({0: dropped[index].flatten()})
    assert torch.equal(stand_in(x), dropped)
    assert stand_in.sizes == [expected.numel()]
    assert torch.equal(stand_in.eval()(x), x)


def test_the_memory_of_a_lane_counts_the_layers_inside(images: str) -> None:
    lane = new_lane(setting("digits"), 0, 0, config(f"{images}:net", channels=4))
    assert output_sizes(lane.module, Signature.of_values(1, 8, 8)) == [64, 64, 64, 64, 16, 16, 16, 16, 16, 10, 10]


def test_the_memory_of_a_lane_counts_gates_and_weights_of_attention(layers: str) -> None:
    """13 steps; recurrent layers with 5 units, attention with 2 heads over 4 features."""
    signature = Signature.of_values(13)
    cells = new_lane(setting(), 0, 0, config(f"{layers}:Cells", kind="GRU")).module
    assert output_sizes(cells, signature) == [13 * 5, 3, 3]
    assert kept_size(cells, signature) >= 13 * 5 * 4
    heads = new_lane(setting(), 0, 0, config(f"{layers}:Heads", dropout=0.5)).module
    assert output_sizes(heads, signature) == [13 * 4, 13 * 4, 3, 3]
    assert kept_size(heads, signature) >= 2 * 13 * 13


def test_a_module_that_cannot_be_fused_is_reported_once(tables: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="hpo"):
        for number in range(3):
            lane = new_lane(setting(), number, 0, config(f"{tables}:Plain", branch=True, p=number / 4))
            assert not plan_of(lane.module.get_submodule(CUSTOM), Signature.of_values(13)).fused
    [record] = caplog.records
    text = record.getMessage()
    assert text.startswith("lanes of Plain train one after the other, which is slower: its forward cannot be batched")
    assert text.endswith("; take torch.where in place of a branch on values")


def test_a_module_that_vmap_gets_wrong_is_not_fused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A module that counts its passes in Python gives other results when it is fused."""
    text = (
        "import torch\nfrom torch import nn\n\nPASSES = []\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, input_shape, outputs):\n        super().__init__()\n"
        "        self.output = nn.Linear(input_shape[0], outputs)\n\n"
        "    def forward(self, x):\n        PASSES.append(1)\n        return self.output(x) * len(PASSES)\n"
    )
    (tmp_path / "net.py").write_text(text)
    lane = new_lane(setting(), 0, 0, config(f"{tmp_path}/net.py:Net"))
    assert not plan_of(lane.module.get_submodule(CUSTOM), Signature.of_values(13)).fused
    assert "computes something else" in caplog.text


def test_alike_modules_with_different_weights_and_dropout_share_a_cohort(tables: str) -> None:
    its = trainer(dtype=torch.float32)
    its.admit((trial, config(f"{tables}:Plain", p=trial / 8)) for trial in range(4))
    its.admit([(4, config(f"{tables}:Plain", width=9))])
    assert sorted(len(cohort.lanes) for cohort in cohorts_of(its)) == [1, 4]


def test_a_lane_resumes_with_its_own_constant_buffers(tables: str, tmp_path: Path) -> None:
    trials = {trial: config(f"{tables}:Plain", trial, p=0.2) for trial in range(3)}
    through, first = trainer(), trainer()
    for its in (through, first):
        its.admit(trials.items())
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=2)
    for trial, one in trials.items():
        assert packing.restore(second, trial, one, [saved[trial, 0]])
    expected = torch.tensor([numbers(e) for e in through.tick().epochs], dtype=F64)
    found = torch.tensor([numbers(e) for e in second.tick().epochs], dtype=F64)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9)
    buffers = [state["custom.projection"] for trial in trials for state in packing.best_states(second, trial)]
    assert not torch.equal(buffers[0], buffers[1])


def test_a_cohort_that_is_to_be_compiled_trains_all_the_same(tables: str) -> None:
    eager, compiled = trainer(), trainer()
    compiled.setting = replace(compiled.setting, compiled_lanes=2)
    trials = {trial: config(f"{tables}:Plain", trial, p=0.1 * trial) for trial in range(2)}
    assert torch.allclose(curves(eager, trials), curves(compiled, trials), rtol=1e-9, atol=1e-9)


def test_a_lane_that_fails_leaves_its_neighbours_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, input_shape, outputs, limit=1e9):\n        super().__init__()\n"
        "        self.register_buffer('limit', torch.tensor(limit))\n"
        "        self.output = nn.Linear(input_shape[0], outputs)\n\n"
        "    def forward(self, x):\n"
        "        if len(x) > 4 and x.abs().max() > self.limit:\n            raise ValueError('too large')\n"
        "        return self.output(x)\n"
    )
    (tmp_path / "net.py").write_text(text)
    its = trainer()
    its.admit([(0, config(f"{tmp_path}/net.py:Net", limit=0.01)), (1, config(f"{tmp_path}/net.py:Net"))])
    tick = its.tick()
    assert [failure.error for failure in tick.failures] == ["ValueError: too large"]
    assert [epoch.trial for epoch in tick.epochs] == [1]
    assert "train one after the other" in caplog.text  # the branch shows with batches of more than 4 alone


def test_a_module_that_writes_into_its_input_changes_no_other_lane(tmp_path: Path) -> None:
    text = (
        "from torch import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self, input_shape, outputs):\n        super().__init__()\n"
        "        self.memory = nn.LSTM(input_shape[0], 4, batch_first=True)\n"
        "        self.output = nn.Linear(4, outputs)\n\n"
        "    def forward(self, x):\n        x.mul_(0.5)\n"
        "        return self.output(self.memory(x.unsqueeze(1))[0][:, -1])\n"
    )
    (tmp_path / "net.py").write_text(text)
    curves = []
    for lanes in (1, 4):
        its = trainer(lanes=lanes)
        its.admit((trial, config(f"{tmp_path}/net.py:Net")) for trial in range(4))
        curves.append([(e.trial, e.metrics["loss"]) for e in its.tick().epochs])
    assert torch.allclose(*(torch.tensor(curve) for curve in curves), rtol=1e-9)
