from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo.optim import rules
from hpo.optim.coefficients import coefficients_of, state_tensors
from hpo.studyfile.records import Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, Radam, Rmsprop, Sgd

STEPS = 20
SIZE = 37

OPTIMIZERS: list[Optimizer] = [
    Sgd(name="sgd", learning_rate=0.1),
    Sgd(name="sgd", learning_rate=0.1, weight_decay=0.03),
    Sgd(name="sgd", learning_rate=0.1, dampening=0.4),
    Sgd(name="sgd", learning_rate=0.1, nesterov=True),
    Sgd(name="sgd", learning_rate=0.05, momentum=0.9),
    Sgd(name="sgd", learning_rate=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01),
    Sgd(name="sgd", learning_rate=0.02, momentum=0.95, nesterov=True, weight_decay=0.01),
    Sgd(name="sgd", learning_rate=0.02, momentum=0.8, nesterov=True, dampening=0.6),
    Adagrad(name="adagrad", learning_rate=0.5),
    Adagrad(name="adagrad", learning_rate=0.5, lr_decay=0.1, initial_accumulator_value=0.2, weight_decay=0.02),
    Adagrad(name="adagrad", learning_rate=0.5, eps=0.1),
    Rmsprop(name="rmsprop", learning_rate=0.01),
    Rmsprop(name="rmsprop", learning_rate=0.01, alpha=0.5, eps=1e-3, weight_decay=0.1),
    Rmsprop(name="rmsprop", learning_rate=0.01, alpha=0.0),
    Adam(name="adam", learning_rate=0.03),
    Adam(name="adam", learning_rate=0.03, beta1=0.5, beta2=0.9, eps=1e-2, weight_decay=0.1),
    Adam(name="adam", learning_rate=0.03, beta1=0.0, beta2=0.0),
    AdamW(name="adamw", learning_rate=0.03),
    AdamW(name="adamw", learning_rate=0.03, beta1=0.8, beta2=0.95, weight_decay=0.5),
    Nadam(name="nadam", learning_rate=0.03),
    Nadam(name="nadam", learning_rate=0.03, beta1=0.5, beta2=0.9, eps=1e-2, momentum_decay=0.3, weight_decay=0.1),
    Nadam(name="nadam", learning_rate=0.03, beta1=0.0, weight_decay=0.5, decoupled_weight_decay=True),
    Radam(name="radam", learning_rate=0.03),
    Radam(name="radam", learning_rate=0.03, beta1=0.5, beta2=0.9, eps=1e-2, weight_decay=0.1),
    Radam(name="radam", learning_rate=0.03, beta2=0.5, weight_decay=0.5, decoupled_weight_decay=True),
    Lion(name="lion", learning_rate=0.01),
    Lion(name="lion", learning_rate=0.01, beta1=0.5, beta2=0.8, weight_decay=0.3),
    Lion(name="lion", learning_rate=0.01, beta1=0.0, beta2=0.0),
]
NAMES = [repr(optimizer) for optimizer in OPTIMIZERS]


def reference(optimizer: Optimizer, parameters: list[Tensor]) -> torch.optim.Optimizer:
    plain: dict[str, Any] = {"lr": optimizer.learning_rate, "weight_decay": optimizer.weight_decay}
    match optimizer:
        case Sgd():
            # torch refuses nesterov without momentum or with dampening
            nesterov = optimizer.nesterov and optimizer.momentum > 0
            dampening = 0.0 if nesterov else optimizer.dampening
            return torch.optim.SGD(
                parameters, momentum=optimizer.momentum, dampening=dampening, nesterov=nesterov, **plain
            )
        case Adagrad():
            return torch.optim.Adagrad(
                parameters,
                lr_decay=optimizer.lr_decay,
                initial_accumulator_value=optimizer.initial_accumulator_value,
                eps=optimizer.eps,
                **plain,
            )
        case Rmsprop():
            return torch.optim.RMSprop(parameters, alpha=optimizer.alpha, eps=optimizer.eps, **plain)
        case Adam():
            return torch.optim.Adam(parameters, betas=(optimizer.beta1, optimizer.beta2), eps=optimizer.eps, **plain)
        case AdamW():
            return torch.optim.AdamW(parameters, betas=(optimizer.beta1, optimizer.beta2), eps=optimizer.eps, **plain)
        case Nadam():
            return torch.optim.NAdam(
                parameters,
                betas=(optimizer.beta1, optimizer.beta2),
                eps=optimizer.eps,
                momentum_decay=optimizer.momentum_decay,
                decoupled_weight_decay=optimizer.decoupled_weight_decay,
                **plain,
            )
        case Radam():
            return torch.optim.RAdam(
                parameters,
                betas=(optimizer.beta1, optimizer.beta2),
                eps=optimizer.eps,
                decoupled_weight_decay=optimizer.decoupled_weight_decay,
                **plain,
            )
        case Lion():
            return PlainLion(parameters, betas=(optimizer.beta1, optimizer.beta2), **plain)


class PlainLion(torch.optim.Optimizer):
    """The program of Chen et al. 2023 ("Symbolic Discovery of Optimization Algorithms", program 1), which PyTorch does
    not have."""

    def __init__(self, parameters: Any, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weight in group["params"]:
                average = self.state[weight].setdefault("exp_avg", torch.zeros_like(weight))
                update = torch.sign(beta1 * average + (1 - beta1) * weight.grad)
                weight.sub_(group["lr"] * (update + group["weight_decay"] * weight))
                average.copy_(beta2 * average + (1 - beta2) * weight.grad)


def start(lane: int, dtype: torch.dtype = torch.float64, size: int = SIZE) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(lane), dtype=torch.float64).to(dtype)


def gradient(theta: Tensor) -> Tensor:
    """Of a bumpy bowl, different in every direction; exact operations only, so equal bits for equal theta."""
    stiffness = torch.linspace(0.1, 3.0, theta.shape[-1], dtype=theta.dtype)
    return theta * stiffness + (theta * 4.0).clamp(-1.0, 1.0)


def plain_run(optimizer: Optimizer, steps: int = STEPS) -> Tensor:
    """Parameters after the steps of the reference, whose own numbers are in float64, too."""
    torch.set_default_dtype(torch.float64)
    try:
        theta = start(0).requires_grad_()
        torch_optimizer = reference(optimizer, [theta])
        for _ in range(steps):
            theta.grad = gradient(theta.detach())
            torch_optimizer.step()
        return theta.detach()
    finally:
        torch.set_default_dtype(torch.float32)


def run(
    optimizers: list[Optimizer],
    lanes: list[int],
    *,
    dtype: torch.dtype = torch.float64,
    size: int = SIZE,
    begun: list[int] | None = None,
    update: Callable[..., None] = rules.update_,
) -> Tensor:
    """Parameters after 20 steps; `lanes` seeds the starts, `begun` counts steps already done, at rate zero."""
    coefficients = [coefficients_of(o) for o in optimizers]
    stacked = rules.stack(coefficients, dtype, "cpu")
    theta = torch.stack([start(lane, dtype, size) for lane in lanes])
    m = torch.zeros_like(theta)
    v = m + torch.tensor([[c.initial_v] for c in coefficients], dtype=dtype)
    rates = np.array([[o.learning_rate for o in optimizers]] * STEPS)
    columns = rules.step_columns(coefficients, rates, begun or [0] * len(lanes), dtype, "cpu")
    for step in range(STEPS):
        update(theta, gradient(theta), m, v, columns.at(step), stacked)
    return theta


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=NAMES)
def test_a_rule_steps_like_its_namesake_in_torch(optimizer: Optimizer) -> None:
    expected = plain_run(optimizer)
    assert (expected - start(0)).abs().max() > 1e-3
    torch.testing.assert_close(run([optimizer], [0])[0], expected, rtol=0, atol=1e-12)


def test_a_long_run_steps_like_its_namesake_in_torch() -> None:
    """Of the rules whose coefficients change with the step, in two parts."""
    for optimizer in (Nadam(name="nadam", learning_rate=1e-3), Radam(name="radam", learning_rate=1e-3)):
        numbers = [coefficients_of(optimizer)]
        theta, stacked = start(0).unsqueeze(0), rules.stack(numbers, torch.float64, "cpu")
        m, v = torch.zeros_like(theta), torch.zeros_like(theta)
        for done, steps in ((0, 700), (700, 500)):
            columns = rules.step_columns(numbers, np.full((steps, 1), 1e-3), [done], torch.float64, "cpu")
            for step in range(steps):
                rules.update_(theta, gradient(theta), m, v, columns.at(step), stacked)
        torch.testing.assert_close(theta[0], plain_run(optimizer, 1200), rtol=0, atol=1e-11)


def test_a_changing_rate_acts_at_its_own_step() -> None:
    optimizer = AdamW(name="adamw", learning_rate=1.0, weight_decay=0.1)
    rates = [0.01 * (step + 1) for step in range(STEPS)]
    theta = start(0).requires_grad_()
    torch_optimizer = reference(optimizer, [theta])
    ours = start(0).unsqueeze(0)
    m, v = torch.zeros_like(ours), torch.zeros_like(ours)
    stacked = rules.stack([coefficients_of(optimizer)], torch.float64, "cpu")
    columns = rules.step_columns([coefficients_of(optimizer)], np.array(rates)[:, None], [0], torch.float64, "cpu")
    for step, rate in enumerate(rates):
        torch_optimizer.param_groups[0]["lr"] = rate
        theta.grad = gradient(theta.detach())
        torch_optimizer.step()
        rules.update_(ours, gradient(ours), m, v, columns.at(step), stacked)
    torch.testing.assert_close(ours[0], theta.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, SIZE, 4001])
def test_a_lane_among_all_other_rules_equals_it_alone_bit_for_bit(dtype: torch.dtype, size: int) -> None:
    lanes = list(range(len(OPTIMIZERS)))
    together = run(OPTIMIZERS, lanes, dtype=dtype, size=size)
    for lane, optimizer in enumerate(OPTIMIZERS):
        assert torch.equal(together[lane], run([optimizer], [lane], dtype=dtype, size=size)[0]), NAMES[lane]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=NAMES)
def test_a_lane_among_one_other_rule_equals_it_alone_bit_for_bit(optimizer: Optimizer) -> None:
    alone = run([optimizer], [0])[0]
    for neighbour in OPTIMIZERS:
        assert torch.equal(run([neighbour, optimizer], [1, 0])[1], alone), repr(neighbour)


def test_the_number_of_lanes_and_their_age_change_no_bit() -> None:
    adam, ages = Adam(name="adam", learning_rate=0.03), [0, 7, 1000, 123456]
    many = run([adam] * 40, list(range(40)), begun=[ages[lane % 4] for lane in range(40)])
    for lane in range(8):
        assert torch.equal(many[lane], run([adam], [lane], begun=[ages[lane % 4]])[0])


def test_a_diverged_lane_stays_alone_with_its_trouble() -> None:
    wild = Sgd(name="sgd", learning_rate=1e300)
    together = run([wild, *OPTIMIZERS, wild], [99, *range(len(OPTIMIZERS)), 98])
    assert not together[[0, -1]].isfinite().any()
    assert torch.equal(together[1:-1], run(OPTIMIZERS, list(range(len(OPTIMIZERS)))))


def test_a_huge_gradient_is_no_trouble_where_the_rule_does_not_square_it() -> None:
    sgd, adam = (coefficients_of(o) for o in (Sgd(name="sgd"), Adam(name="adam")))
    results = []
    for lanes in ([sgd], [sgd, adam]):
        theta, grad = torch.zeros(len(lanes), 3), torch.full((len(lanes), 3), 1e30)
        m, v = torch.zeros_like(theta), torch.tensor([[lane.initial_v] * 3 for lane in lanes])
        now = rules.step_columns(lanes, np.full((1, len(lanes)), 1e-3), [0] * len(lanes), torch.float32, "cpu").at(0)
        rules.update_(theta, grad, m, v, now, rules.stack(lanes, torch.float32, "cpu"))
        results.append(theta[0])
    assert results[0].isfinite().all()
    assert torch.equal(results[0], results[1])


def test_buffers_that_no_lane_needs_are_not_touched() -> None:
    lanes = [coefficients_of(Sgd(name="sgd"))] * 2
    theta, empty = torch.zeros(2, 3), torch.empty(0)
    now = rules.step_columns(lanes, np.full((1, 2), 0.5), [0, 0], torch.float32, "cpu").at(0)
    rules.update_(theta, torch.ones(2, 3), empty, empty, now, rules.stack(lanes, torch.float32, "cpu"))
    assert torch.equal(theta, torch.full((2, 3), -0.5))


@pytest.mark.parametrize("optimizers", [OPTIMIZERS, OPTIMIZERS[:1]], ids=["mixed", "plain"])
def test_the_update_is_one_graph_for_the_compiler(optimizers: list[Optimizer]) -> None:
    lanes = list(range(len(optimizers)))
    compiled = torch.compile(rules.update_, backend="aot_eager", fullgraph=True)
    assert torch.equal(run(optimizers, lanes, update=compiled), run(optimizers, lanes))


@pytest.mark.parametrize(
    ("optimizer", "count"),
    [
        (Sgd(name="sgd"), 0),
        (Sgd(name="sgd", momentum=0.5), 1),
        (Adagrad(name="adagrad"), 1),
        (Rmsprop(name="rmsprop"), 1),
        (Adam(name="adam"), 2),
        (Adam(name="adam", beta1=0.0), 2),
        (AdamW(name="adamw"), 2),
        (Nadam(name="nadam"), 2),
        (Radam(name="radam"), 2),
        (Lion(name="lion"), 1),
    ],
    ids=repr,
)
def test_state_tensors_counts_what_torch_keeps(optimizer: Optimizer, count: int) -> None:
    theta = start(0).requires_grad_()
    torch_optimizer = reference(optimizer, [theta])
    theta.grad = torch.ones_like(theta)
    torch_optimizer.step()
    kept = [s for s in torch_optimizer.state[theta].values() if isinstance(s, Tensor) and s.shape == theta.shape]
    assert state_tensors(optimizer) == count == len(kept)
