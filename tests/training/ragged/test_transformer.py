"""Transformers in lanes equal the plain modules, and padding changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpo.training import layout as lay
from hpo.training import randomness
from hpo.training.layers.frame import Frame, LayerContext
from hpo.training.program import Program
from hpo.training.ragged.lanewise import Lanewise, program_of
from hpo.training.ragged.late import LateMask
from hpo.training.ragged.rows import Rows
from tests.training.ragged.models import CASES, MASKED, OUTPUTS, T, build, filled, rows, signature_of

K = 3
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", [Program, Lanewise])
@pytest.mark.parametrize("case", CASES)
def test_lanes_equal_the_plain_module(case: str, kind: type[Program]) -> None:
    """All lanes at once, as on a GPU, and one after the other."""
    modules, x = filled(case, K), rows(case, K)
    layout = lay.Layout.of(modules)
    theta, stats = (torch.stack(part).double() for part in zip(*map(layout.row, modules), strict=True))
    expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    g = torch.randn_like(expected)
    parameters = [parameter for module in modules for parameter in module.parameters()]
    gradients = torch.autograd.grad(expected, parameters, g)

    plain = [build(case) for _ in range(K)]
    program = kind(plain, layout, signature_of(CASES[case][0]), OUTPUTS, device=CPU, dtype=torch.float64)
    assert kind is Program or not program.compiles
    torch.testing.assert_close(program.outputs(theta, stats, x, rows=2), expected.detach(), rtol=1e-10, atol=1e-10)
    bound = program.bind(theta, stats)

    def loss(outputs: Tensor, lanes: slice = slice(None)) -> tuple[Tensor, Tensor]:
        back = torch.zeros_like(outputs)
        back[..., :OUTPUTS] = g[lanes]
        return outputs.sum((1, 2)), back

    for _ in range(2):  # nothing is left over from a step before
        with torch.inference_mode():
            bound.step(x, {}, loss)
        views, found = lay.split(layout.parameters, bound.gradient_KP), iter(gradients)
        for lane, module in enumerate(modules):
            for name, parameter in module.named_parameters():
                torch.testing.assert_close(
                    views[name, tuple(parameter.shape)][lane], next(found), rtol=1e-9, atol=1e-10
                )


@pytest.mark.parametrize("case", [case for case, (names, _, _) in CASES.items() if names != ("values",)])
def test_padding_changes_nothing(case: str) -> None:
    """More room behind the end, and other numbers there, in the plain module, which an export has."""
    module, x = filled(case, 1)[0].eval(), rows(case, 1)[0]
    expected = module(x)
    longer = build(case, T + 9).double().eval()
    state = module.state_dict()
    if "positions.table" in state:
        state["positions.table"] = nn.functional.pad(state["positions.table"], (0, 0, 0, 9), value=3.0)
    longer.load_state_dict(state)
    torch.testing.assert_close(longer(rows(case, 1, T + 9)[0]), expected, rtol=0, atol=1e-6)
    if CASES[case][0] == MASKED:
        other = x.clone()
        other[:, :-T] += 7.0 * (1 - x[:, -T:].repeat_interleave((x.shape[1] - T) // T, 1))
        assert not torch.equal(other, x)
        torch.testing.assert_close(module(other), expected, rtol=0, atol=1e-6)


def test_attention_equals_that_of_pytorch() -> None:
    """A whole layer with the weights of `nn.TransformerEncoderLayer`."""
    case = "pre-norm"
    module, x = filled(case, 1)[0].eval(), rows(case, 1)[0]
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=True, dtype=torch.float64)
    encoder = nn.TransformerEncoder(theirs, 2, nn.LayerNorm(12, dtype=torch.float64), enable_nested_tensor=False)
    names = {
        "self_attn.in_proj_": "query_key_value{}.",
        "self_attn.out_proj.": "attention_out{}.",
        "linear1.": "linear{}.",
        "linear2.": "linear_out{}.",
        "norm1.": "norm_attention{}.",
        "norm2.": "norm_feedforward{}.",
    }
    mine, found = module.state_dict(), {}
    for key in encoder.state_dict():
        if key.startswith("norm."):
            found[key] = mine[key.replace("norm.", "norm_output.")]
            continue
        _, number, rest = key.split(".", 2)
        start = next(start for start in names if rest.startswith(start))
        found[key] = mine[names[start].format(int(number) + 1) + rest.removeprefix(start)]
    encoder.load_state_dict(found)
    real = x[:, -T:] > 0
    steps = module.get_submodule("project")(x[:, :-T].view(len(x), T, -1)) + module.get_parameter("positions.table")
    z = encoder(steps, src_key_padding_mask=~real).masked_fill(~real.unsqueeze(2), 0.0)
    expected = module.get_submodule("output")(z.sum(1) / real.sum(1, keepdim=True))
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-10)


def test_lanes_are_computed_one_after_the_other_on_a_cpu_alone() -> None:
    modules = [build("text") for _ in range(2)]
    layout, options = lay.Layout.of(modules), {"dtype": torch.float32}
    signature = signature_of(("tokens",))
    assert isinstance(program_of(modules, layout, signature, OUTPUTS, device=CPU, **options), Lanewise)
    assert type(program_of(modules[:1], layout, signature, OUTPUTS, device=CPU, **options)) is Program


def late(p: float, lanes: int = 2) -> LateMask:
    """The mask of a layer that drops with this probability in all lanes but the last, where it drops nothing."""
    modules: list[Any] = [build("pre-norm", dropout={"p": p}) for _ in range(lanes - 1)]
    modules.append(build("pre-norm"))
    layout = lay.Layout.of(modules)
    program = Program(modules, layout, signature_of(MASKED), OUTPUTS, device=CPU, dtype=torch.float32)
    keys = randomness.step_keys(list(range(5, 5 + lanes)), 1)
    frame = Frame(parameters={}, stats={}, columns=program.columns, training=True)
    frame.masks = {name: mask[0] for name, mask in program.masks(keys, 3).items()}
    found = LateMask.of(LayerContext(name="attention1", lanes=slice(0, lanes), frame=frame), "attention1.Attention")
    assert found is not None
    return found


def test_weights_of_attention_are_dropped_at_the_lanes_rate() -> None:
    places = Rows(torch.ones(2, 400, 8, dtype=torch.bool))
    (group,) = places.groups
    mask = late(0.25).of_pairs(places, group, 3).view(2, -1)
    assert set(mask[0].unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs((mask[0] == 0).float().mean().item() - 0.25) < 0.01
    assert (mask[1] == 1).all()
    first = mask[0].view(400, -1)
    assert len({tuple(row) for row in first.tolist()}) == 400, "examples share no mask"


def test_a_mask_does_not_depend_on_how_many_steps_are_computed_together() -> None:
    real = torch.zeros(1, 3, T, dtype=torch.bool)
    real[0, 0, :4] = real[0, 1, :9] = real[0, 2, :20] = True
    its = late(0.5, 1 + 1)
    long = Rows(real.expand(2, -1, -1))
    short = Rows(real[:, :2].expand(2, -1, -1))
    many, few = (
        its.of_pairs(one, one.groups[0], 3).view(-1, 3, *[one.groups[0].row_GL.shape[1]] * 2) for one in (long, short)
    )
    assert torch.equal(many[:2], few[:2])
    x = torch.zeros(2, 64, 5)
    assert torch.equal(its.of_rows(x)[:, :16], its.of_rows(x[:, :16]))


def test_rows_are_the_real_steps_example_by_example() -> None:
    real = torch.zeros(2, 3, 40, dtype=torch.bool)
    for k, ends in enumerate([(3, 40, 17), (1, 2, 5)]):
        for b, end in enumerate(ends):
            real[k, b, :end] = True
    x = torch.randn(2, 3, 40, 4)
    places = Rows(real)
    packed = places.pack(x)
    assert packed.shape == (2, 64, 4)
    assert torch.equal(packed[0, :60], x[0][real[0]])
    assert torch.equal(packed[1, :8], x[1][real[1]])
    assert not packed[1, 8:].any()
    assert [sorted(group.example_G.tolist()) for group in places.groups] == [[0, 3, 4, 5], [2], [1]]
    assert torch.equal(places.scatter([group.gather(packed) for group in places.groups]), packed)
    torch.testing.assert_close(
        places.share_KBN(torch.float32) @ packed,
        torch.stack([torch.stack([x[k, b][real[k, b]].mean(0) for b in range(3)]) for k in range(2)]),
    )
