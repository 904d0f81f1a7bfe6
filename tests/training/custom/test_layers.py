"""Layers inside a module of the user's own in lanes: dropout, frozen parameters, and what is said of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.models import CUSTOM
from hpo.signature import Signature
from hpo.training import packing
from hpo.training.custom import plans as custom_plans
from hpo.training.custom.plans import plan_of
from hpo.training.lane import new_lane
from tests.training.custom.test_module import F64, cohorts_of, config, curves, is_fused, plain, trainer
from tests.training.study import setting


def test_the_layer_that_cannot_be_fused_is_named(layers: str, caplog: pytest.LogCaptureFixture) -> None:
    lane = new_lane(setting(), 0, 0, config(f"{layers}:Inside"))
    assert not plan_of(lane.module.get_submodule(CUSTOM), Signature.of_values(13)).fused
    assert "its layer blocks.1 (Block) cannot be batched" in caplog.text
    lane = new_lane(setting(), 0, 0, config(f"{layers}:Packed"))
    assert not plan_of(lane.module.get_submodule(CUSTOM), Signature.of_values(13)).fused
    assert "leave out packing, and take the mask" in caplog.text


DRAWING: list[tuple[str, dict[str, Any]]] = [
    ("Heads", {}),
    ("Cells", {"kind": "GRU", "num_layers": 2}),
    ("Functions", {}),
]


@pytest.mark.parametrize(("name", "arguments"), DRAWING, ids=lambda case: str(case))
def test_dropout_inside_is_drawn_for_each_lane_alone(name: str, arguments: dict[str, Any], layers: str) -> None:
    """Lanes with different dropout are one cohort. Fused, among fewer neighbours and one after the other, their numbers
    are the same."""
    varied = [{} if name == "Functions" else {"dropout": 0.15 * trial} for trial in range(4)]
    trials = {trial: config(f"{layers}:{name}", trial, **arguments, **varied[trial]) for trial in range(4)}
    fused = trainer()
    one = curves(fused, trials)
    assert is_fused(fused)
    two = curves(trainer(lanes=3), trials)
    for plan in custom_plans._plans.values():
        plan.fused = False
    alone = trainer()
    before = torch.random.get_rng_state()
    three = curves(alone, trials)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not is_fused(alone)
    assert torch.allclose(one, two, rtol=1e-9, atol=1e-9)
    assert torch.allclose(one, three, rtol=1e-9, atol=1e-9)
    if name != "Functions":
        without = curves(trainer(), {3: config(f"{layers}:{name}", 3, dropout=0.0, **arguments)})
        assert not torch.allclose(one[3], without[0], rtol=1e-3)


@pytest.mark.parametrize("branch", [False, True])
@pytest.mark.parametrize("inner", ["cells", "heads", "weights", "transformer"])
def test_masks_do_not_depend_on_what_other_lanes_drop(inner: str, branch: bool, layers: str) -> None:
    """The trial that drops nothing inside comes out as alone, whatever its neighbours drop; fused and not."""
    p = {0: 0.0, 1: 0.4, 2: 1.0}
    trials = {trial: config(f"{layers}:Behind", inner=inner, dropout=p[trial], branch=branch) for trial in p}
    together = trainer()
    found = curves(together, trials)
    assert is_fused(together) != branch
    for trial, one in trials.items():
        # On some processors products of other sizes end in other digits; another mask changes the first ones.
        alone = curves(trainer(), {trial: one})[0]
        assert torch.allclose(found[trial], alone, rtol=1e-9, atol=1e-9), trial


def test_studies_that_have_begun_draw_as_before(layers: str) -> None:
    """Their masks depend on what the neighbours drop."""
    trials = {
        trial: config(f"{layers}:Behind", inner="weights", dropout=0.4 * trial).model_copy(update={"conventions": 4})
        for trial in range(2)
    }
    assert not torch.allclose(curves(trainer(), trials)[0], curves(trainer(), {0: trials[0]})[0], rtol=1e-3)


def test_attention_with_dropout_takes_a_learnt_mask(layers: str) -> None:
    its = trainer()
    found = curves(its, {trial: config(f"{layers}:Biased", trial) for trial in range(3)})
    assert is_fused(its)
    for plan in custom_plans._plans.values():
        plan.fused = False
    alone = curves(trainer(), {trial: config(f"{layers}:Biased", trial) for trial in range(3)})
    assert torch.allclose(found, alone, rtol=1e-9, atol=1e-9)
    without = {trial: config(f"{layers}:Biased", trial, dropout=0.0) for trial in range(3)}
    losses, _ = plain(1, without[1], "wine")
    assert torch.allclose(curves(trainer(), without)[1][:, [0, 2]], losses, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found[1][:, [0, 2]], losses, rtol=1e-3)


def test_dropout_between_packed_layers_is_drawn_by_the_lane(layers: str) -> None:
    trials = {trial: config(f"{layers}:Packed", trial, num_layers=2, dropout=0.4) for trial in range(2)}
    found = []
    for lanes in (1, 2):
        torch.manual_seed(lanes)
        found.append(curves(trainer(lanes), trials))
    assert torch.equal(*found)


def test_frozen_parameters_stay_as_they_are_and_are_no_part_of_a_lane(layers: str) -> None:
    trials = {trial: config(f"{layers}:Body", trial) for trial in range(3)}
    its = trainer()
    curves(its, trials)
    (cohort,) = cohorts_of(its)
    assert not any("body" in entry.name for entry in cohort.layout.parameters)
    its.keep_best(set(trials))
    body = torch.load(Path(layers).with_name("body.pt"))
    for trial in trials:
        [state] = packing.best_states(its, trial)
        assert torch.equal(state["custom.body.weight"], body["weight"])
    places = {lane.module.get_parameter("custom.body.weight").data_ptr() for lane in cohort.lanes}
    assert len(places) == 1, "one tensor for all lanes"


def test_frozen_parameters_may_differ_by_lane(layers: str) -> None:
    trials = {trial: config(f"{layers}:Features", trial) for trial in range(3)}
    its = trainer()
    found = curves(its, trials)
    assert is_fused(its)
    for trial, one in trials.items():
        losses, _ = plain(trial, one, "wine")
        assert torch.allclose(found[trial][:, [0, 2]], losses, rtol=1e-9, atol=1e-9)


def test_a_module_is_rehearsed_with_real_rows(layers: str) -> None:
    """It takes what the data hold, and refuses random numbers."""
    its = trainer(dataset=setting("digits", F64, scaling="none"))
    assert its.admit([(0, config(f"{layers}:Ranged"))]) == []
    assert is_fused(its)
    assert [epoch.trial for epoch in its.tick().epochs] == [0]


@pytest.mark.parametrize(("last", "said"), [("softmax", "too even"), ("log_softmax", "changes nothing"), ("tanh", "")])
def test_a_softmax_before_the_loss_is_noticed(
    last: str, said: str, layers: str, caplog: pytest.LogCaptureFixture
) -> None:
    its = trainer()
    its.admit((trial, config(f"{layers}:Ends", trial, last=last)) for trial in range(2))
    its.tick()
    assert [said in record.getMessage() for record in caplog.records] == ([True] if said else [])
    assert (f"leave out the last {last}" in caplog.text) == bool(said)
