from dataclasses import asdict
from math import inf, nan
from typing import get_args

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from hpo.optim.schedules import SCHEDULES, Plateau, advance, rates
from hpo.studyfile.records import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmupCosine,
)

BASE = 0.2
EPOCHS = 7
STEPS = 5
TOTAL = EPOCHS * STEPS


def curve(schedule: Schedule, epochs: int = EPOCHS, steps: int = STEPS) -> np.ndarray:
    return np.concatenate([rates(schedule, BASE, epoch, epochs, steps) for epoch in range(epochs)])


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)


def torch_curve(sgd: torch.optim.Optimizer, scheduler: lr_scheduler.LRScheduler, count: int) -> np.ndarray:
    seen = []
    for _ in range(count):
        seen.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if len(seen) < count:
            scheduler.step()
    return np.array(seen)


def test_every_schedule_of_the_study_file_is_here() -> None:
    members = get_args(get_args(Schedule)[0])
    assert set(SCHEDULES) == {get_args(m.model_fields["name"].annotation)[0] for m in members}


def test_constant() -> None:
    assert curve(Constant()).tolist() == [BASE] * TOTAL


def test_step_equals_torch() -> None:
    sgd = optimizer()
    expected = torch_curve(sgd, lr_scheduler.StepLR(sgd, step_size=3, gamma=0.4), EPOCHS)
    np.testing.assert_allclose(
        curve(Step(name="step", step_epochs=3, gamma=0.4)), np.repeat(expected, STEPS), rtol=1e-12
    )


def test_exponential_equals_torch() -> None:
    sgd = optimizer()
    expected = torch_curve(sgd, lr_scheduler.ExponentialLR(sgd, gamma=0.8), EPOCHS)
    np.testing.assert_allclose(
        curve(Exponential(name="exponential", gamma=0.8)), np.repeat(expected, STEPS), rtol=1e-12
    )


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_equals_torch(final: float) -> None:
    sgd = optimizer()
    scheduler = lr_scheduler.CosineAnnealingLR(sgd, T_max=TOTAL, eta_min=final * BASE)
    np.testing.assert_allclose(curve(Cosine(name="cosine", final=final)), torch_curve(sgd, scheduler, TOTAL), rtol=1e-9)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_with_restarts_equals_torch(factor: int, final: float) -> None:
    sgd, epochs = optimizer(), 19
    scheduler = lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=2 * STEPS, T_mult=factor, eta_min=final * BASE)
    schedule = CosineRestarts(name="cosine_restarts", period=2, factor=factor, final=final)
    expected = torch_curve(sgd, scheduler, epochs * STEPS)
    np.testing.assert_allclose(curve(schedule, epochs), expected, rtol=1e-9, atol=1e-12)


def test_restarts_come_later_by_a_factor_that_is_no_whole_number() -> None:
    found = curve(CosineRestarts(name="cosine_restarts", period=4, factor=1.5), 4 + 6 + 9)
    assert [int(step) for step in np.flatnonzero(np.diff(found) > 0) + 1] == [4 * STEPS, 10 * STEPS]


@pytest.mark.parametrize("warmup", [0.001, 0.2, 0.5])
def test_warmup_cosine_equals_torch(warmup: float) -> None:
    rising = max(round(warmup * TOTAL), 1)
    sgd = optimizer()
    linear = lr_scheduler.LinearLR(sgd, start_factor=1 / (rising + 1), total_iters=rising)
    cosine = lr_scheduler.CosineAnnealingLR(sgd, T_max=TOTAL - rising, eta_min=0.05 * BASE)
    scheduler = lr_scheduler.SequentialLR(sgd, [linear, cosine], milestones=[rising])
    found = curve(WarmupCosine(name="warmup_cosine", warmup=warmup, final=0.05))
    np.testing.assert_allclose(found, torch_curve(sgd, scheduler, TOTAL), rtol=1e-9)
    assert found.max() == BASE == found[rising]


@pytest.mark.parametrize("rise", [0.05, 0.1, 0.3, 0.9])
def test_one_cycle_equals_torch(rise: float) -> None:
    sgd = optimizer()
    scheduler = lr_scheduler.OneCycleLR(
        sgd,
        BASE,
        total_steps=TOTAL,
        pct_start=rise,
        div_factor=10.0,
        final_div_factor=50.0,
        cycle_momentum=False,
    )
    schedule = OneCycle(name="one_cycle", rise=rise, initial_divisor=10.0, final_divisor=50.0)
    np.testing.assert_allclose(curve(schedule), torch_curve(sgd, scheduler, TOTAL), rtol=1e-9)


def test_one_cycle_leaves_out_a_rise_shorter_than_a_step() -> None:
    found = curve(OneCycle(name="one_cycle", rise=0.01))
    assert found[0] == BASE
    assert (np.diff(found) < 0).all()


@pytest.mark.parametrize(
    "schedule",
    [
        Step(name="step"),
        Exponential(name="exponential"),
        Cosine(name="cosine"),
        CosineRestarts(name="cosine_restarts", period=1),
        WarmupCosine(name="warmup_cosine"),
        OneCycle(name="one_cycle"),
        ReduceOnPlateau(name="reduce_on_plateau"),
    ],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("epochs", [1, 2])
def test_the_shortest_trainings_have_positive_rates_up_to_the_base(schedule: Schedule, epochs: int) -> None:
    found = curve(schedule, epochs=epochs, steps=1)
    assert found.shape == (epochs,)
    assert ((found > 0) & (found <= BASE)).all()
    assert epochs == 2 or found[0] == BASE


LOSSES = [1.0, 0.9, 0.9, 0.95, 0.8999, 0.91, 0.5, 0.6, 0.7, nan, 0.6, 0.55, 0.5, 0.4999, 0.3, 0.4, 0.4, 0.4, 0.4, inf]


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.0, 1e-2])
@pytest.mark.parametrize("minimum", [0.0, 0.2])
def test_plateau_equals_torch(patience: int, threshold: float, minimum: float) -> None:
    schedule = ReduceOnPlateau(
        name="reduce_on_plateau", factor=0.5, patience=patience, threshold=threshold, minimum=minimum
    )
    sgd = optimizer()
    scheduler = lr_scheduler.ReduceLROnPlateau(
        sgd, factor=0.5, patience=patience, threshold=threshold, min_lr=minimum * BASE, eps=0.0
    )
    state = Plateau()
    for epoch, loss in enumerate(LOSSES):
        found = rates(schedule, BASE, epoch, len(LOSSES), 3, state.factor)
        np.testing.assert_allclose(found, [sgd.param_groups[0]["lr"]] * 3, rtol=1e-12)
        scheduler.step(loss)
        state = Plateau(**asdict(advance(schedule, state, loss)))
    assert state.factor < 1.0


def test_other_schedules_have_no_memory() -> None:
    assert advance(Constant(), Plateau(), 1.0) == Plateau()
