"""Random numbers of a lane: uniform, independent of neighbours, different by purpose."""

from __future__ import annotations

import pytest
import torch

from hpo.spec.records import Dropout
from hpo.training import randomness
from hpo.training.program import Program
from tests.training.study import mixed, trainer


def test_keys_differ_by_purpose_and_number() -> None:
    keys = {randomness.key(p, 1, n) for p in ("init", "order", "dropout") for n in range(100)}  # type: ignore[arg-type]
    assert len(keys) == 300


def test_the_hash_is_uniform_and_uncorrelated() -> None:
    start = randomness.index_hash(20_000, 1, torch.device("cpu"))
    keys = randomness.step_keys([randomness.key("dropout", 0, lane) for lane in range(4)], 2)
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


def test_a_lane_draws_the_same_whoever_is_beside_it() -> None:
    start = randomness.index_hash(50, 1, torch.device("cpu"))
    keys = torch.tensor([5, -7, 11], dtype=torch.int32)
    together = randomness.uniform_24(start, keys)
    assert torch.equal(together[1:2], randomness.uniform_24(start, keys[1:2]))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_and_drops_the_share(p: float) -> None:
    config = mixed(0).model_copy(update={"dropout": Dropout(input=p)})
    its = trainer()
    its.admit([(0, config)])
    cohort = its.all_cohorts()[0]
    program = Program([cohort.lanes[0].module], cohort.layout, device=torch.device("cpu"), dtype=torch.float32)
    position = next(x for x in program.positions if x.name == "dropout_input")
    group = position.runs[0]
    _, frame = program.forward(
        cohort.state["theta"], cohort.state["stats"], its.setting.examples.x_valid, torch.tensor([3], dtype=torch.int32)
    )
    ones = torch.ones(1, 400, 50)
    dropped = group.rule(position.name, group.layer, frame, slice(0, 1), ones)
    assert (dropped == 0).double().mean() == pytest.approx(p, abs=0.015)
    assert dropped.mean() == pytest.approx(1.0, abs=0.05)
    assert dropped[dropped != 0].unique() == pytest.approx(1 / (1 - p))
