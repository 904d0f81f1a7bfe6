"""Random numbers of a lane: uniform, independent of neighbours, different by purpose."""

from __future__ import annotations

import pytest
import torch

from hpo import models
from hpo.seeds import Purpose, lane_seed
from hpo.signature import Signature
from hpo.studyfile.records import Dropout
from hpo.training import randomness
from hpo.training.layers import masks
from tests.training.study import mixed


def test_keys_differ_by_purpose_and_number() -> None:
    purposes: tuple[Purpose, ...] = ("init", "order", "dropout")
    keys = {lane_seed(purpose, 1, number) for purpose in purposes for number in range(100)}
    assert len(keys) == 300


def test_the_hash_is_uniform_and_uncorrelated() -> None:
    start = randomness.index_hash(20_000, 1, torch.device("cpu"))
    keys = randomness.step_keys([lane_seed("dropout", 0, lane) for lane in range(4)], 2)
    draws = torch.stack([randomness.uniform_24(start, keys[step]) for step in range(2)]).double() / 2**24
    flat = draws.flatten(0, 1)
    assert torch.allclose(flat.mean(1), torch.zeros(8, dtype=torch.float64), atol=0.01)
    assert torch.allclose(flat.var(1), torch.full((8,), 1 / 12, dtype=torch.float64), atol=0.002)
    between = torch.corrcoef(flat) - torch.eye(8)
    assert between.abs().max() < 0.02
    lagged = torch.stack(
        [torch.corrcoef(torch.stack([row[:-lag], row[lag:]]))[0, 1] for row in flat for lag in (1, 2, 8)]
    )
    assert lagged.abs().max() < 0.03


def test_a_lanes_numbers_do_not_depend_on_other_lanes() -> None:
    start = randomness.index_hash(50, 1, torch.device("cpu"))
    keys = torch.tensor([5, -7, 11], dtype=torch.int32)
    together = randomness.uniform_24(start, keys)
    assert torch.equal(together[1:2], randomness.uniform_24(start, keys[1:2]))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_keeps_the_mean_and_drops_the_share(p: float, dtype: torch.dtype) -> None:
    module = models.build(mixed(0).model_copy(update={"dropout": Dropout(input=p)}), Signature.of_values(50), 3)
    drops = masks.drops_of([module], Signature.of_values(50), dtype, torch.device("cpu"))
    mask = drops["dropout_input.Dropout"].masks(torch.tensor([[3]], dtype=torch.int32), 400)[0]
    assert mask.shape == (1, 400, 50)
    assert (mask == 0).double().mean() == pytest.approx(p, abs=0.015)
    assert mask.mean() == pytest.approx(1.0, abs=0.05)
    assert mask[mask != 0].unique() == pytest.approx(1 / (1 - p))


def test_spatial_dropout_drops_whole_channels_and_only_in_lanes_that_ask_for_it() -> None:
    spatial, pixels, none = (
        models.build(mixed(0, "cnn").model_copy(update={"dropout": dropout}), Signature.of_values(1, 8, 8), 3)
        for dropout in (Dropout(p=0.5, spatial=True), Dropout(p=0.5), Dropout())
    )
    drops = masks.drops_of([spatial, pixels, none], Signature.of_values(1, 8, 8), torch.float32, torch.device("cpu"))
    keys = torch.tensor([[1, 2, 3]], dtype=torch.int32)
    channels, single = (drops[f"dropout1.{kind}"].masks(keys, 20)[0] for kind in ("Dropout2d", "Dropout"))
    assert channels.shape == (3, 20, 4, 1, 1)
    assert single.shape == (3, 20, 4, 4, 4)
    assert set(channels[0].unique().tolist()) == set(single[1].unique().tolist()) == {0.0, 2.0}
    assert (channels[1:] == 1).all()
    assert (single[[0, 2]] == 1).all()


def test_masks_of_several_steps_are_those_of_each() -> None:
    module = models.build(mixed(0).model_copy(update={"dropout": Dropout(input=0.3)}), Signature.of_values(50), 3)
    drop = masks.drops_of([module, module], Signature.of_values(50), torch.float32, torch.device("cpu"))[
        "dropout_input.Dropout"
    ]
    keys = torch.tensor([[1, 2], [3, 4], [5, 6]], dtype=torch.int32)
    together = drop.masks(keys, 7)
    assert all(torch.equal(together[i : i + 1], drop.masks(keys[i : i + 1], 7)) for i in range(3))
