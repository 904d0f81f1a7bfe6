from typing import Any, get_args

import pytest
import torch
from torch import nn

from hpo.errors import InputError
from hpo.models import FAMILIES, initialize, shape_key
from hpo.models.activations import ACTIVATIONS, GAINS
from hpo.models.norm import KINDS
from hpo.studyfile.records import Activation, Mlp, Model, Norm, TrialConfig
from tests.models.values import build


def config(family: str = "mlp", **tables: Any) -> TrialConfig:
    model = tables.pop("model", {"hidden": [8, 12]} if family == "mlp" else {"channels": [4, 8]})
    return TrialConfig.model_validate({"model": {"family": family, **model}, "optimizer": {"name": "sgd"}, **tables})


def names(model: nn.Sequential) -> list[str]:
    return [name for name, _ in model.named_children()]


def norms(model: nn.Sequential) -> dict[str, str]:
    """The normalisation layers that are there, by slot."""
    return {
        name: type(child).__name__
        for name, child in model.named_children()
        if name.startswith("norm") and not isinstance(child, nn.Identity)
    }


def tags(union: Any, field: str) -> set[str]:
    return {get_args(m.model_fields[field].annotation)[0] for m in get_args(get_args(union)[0])}


def test_everything_the_study_file_can_name_is_here() -> None:
    assert set(FAMILIES) == tags(Model, "family")
    assert set(KINDS) == tags(Norm, "kind")
    assert set(ACTIVATIONS) == set(GAINS) == set(get_args(Activation))


def test_mlp_has_every_slot_in_order() -> None:
    model = build(config(), (64,), 10)
    assert names(model) == [
        "flatten", "norm_input", "dropout_input",
        "linear1", "norm1_before", "activation1", "norm1_after", "dropout1",
        "linear2", "norm2_before", "activation2", "norm2_after", "dropout2",
        "output",
    ]  # fmt: skip
    assert [(c.in_features, c.out_features) for c in model if isinstance(c, nn.Linear)] == [
        (64, 8), (8, 12), (12, 10)
    ]  # fmt: skip
    assert model(torch.zeros(3, 64)).shape == (3, 10)


def test_cnn_has_every_slot_in_order() -> None:
    model = build(config("cnn", model={"channels": [4, 8], "hidden": [6], "kernel": 5}), (3, 9, 8), 10)
    assert names(model) == [
        "norm_input", "dropout_input",
        "conv1", "norm1_before", "activation1", "norm1_after", "pool1", "dropout1",
        "conv2", "norm2_before", "activation2", "norm2_after", "pool2", "dropout2",
        "flatten",
        "linear3", "norm3_before", "activation3", "norm3_after", "dropout3",
        "output",
    ]  # fmt: skip
    sizes = [model[: 3 + index](torch.zeros(1, 3, 9, 8)).shape[1:] for index in (0, 4, 6, 10)]
    assert sizes == [(4, 9, 8), (4, 4, 4), (8, 4, 4), (8, 2, 2)]
    assert model(torch.zeros(2, 3, 9, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("given", "hidden"),
    [
        ({}, (64, 64)),
        ({"layers": 3}, (64, 64, 64)),
        ({"width": 5}, (5, 5)),
        ({"layers": 1, "width": 7}, (7,)),
        ({"layers": None, "width": None, "hidden": [4]}, (4,)),
    ],
)
def test_layers_and_width_stand_for_hidden(given: dict[str, Any], hidden: tuple[int, ...]) -> None:
    its = config(model=given)
    assert isinstance(its.model, Mlp)
    assert its.model.hidden == hidden
    assert TrialConfig.model_validate(its.model_dump()) == its


def test_mlp_takes_images_and_needs_no_hidden_layer() -> None:
    model = build(config(model={"hidden": []}), (1, 8, 8), 3)
    assert names(model) == ["flatten", "norm_input", "dropout_input", "output"]
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("kind", "dense", "image"),
    [
        ("batch", "BatchNorm1d", "BatchNorm2d"),
        ("layer", "LayerNorm", "LayerNorm"),
        ("group", "GroupNorm", "GroupNorm"),
    ],
)
@pytest.mark.parametrize("placement", ["before_activation", "after_activation", "input"])
def test_a_placement_gives_the_graph_it_names(kind: str, dense: str, image: str, placement: str) -> None:
    norm = {"kind": kind, "placement": placement}
    mlp = build(config(norm=norm), (64,), 10)
    cnn = build(config("cnn", model={"channels": [4, 8], "hidden": [16]}, norm=norm), (4, 8, 8), 10)
    suffix = placement.removesuffix("_activation")
    if placement == "input":
        assert norms(mlp) == {"norm_input": dense}
        assert norms(cnn) == {"norm_input": image}
    else:
        assert norms(mlp) == {f"norm1_{suffix}": dense, f"norm2_{suffix}": dense}
        assert norms(cnn) == {f"norm1_{suffix}": image, f"norm2_{suffix}": image, f"norm3_{suffix}": dense}
        assert len(norms(cnn)) == 3
        order = names(mlp)
        norm1, activation = order.index(f"norm1_{suffix}"), order.index("activation1")
        assert (norm1 < activation) == (placement == "before_activation")
    assert mlp(torch.randn(5, 64)).shape == (5, 10)
    assert cnn(torch.randn(5, 4, 8, 8)).shape == (5, 10)


def test_layer_norm_normalises_a_sample_over_channels_and_pixels() -> None:
    model = build(config("cnn", norm={"kind": "layer"}), (1, 8, 8), 10)
    z = model[:4](torch.randn(3, 1, 8, 8)).detach()
    torch.testing.assert_close(z.mean((1, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std((1, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-2)


@pytest.mark.parametrize(("every", "layers"), [(1, [1, 2, 3, 4, 5, 6, 7]), (2, [1, 3, 5, 7]), (3, [1, 4, 7]), (9, [1])])
def test_every_counts_hidden_layers_from_the_first(every: int, layers: list[int]) -> None:
    norm = {"kind": "batch", "every": every}
    deep = build(config(model={"hidden": [4] * 7}, norm=norm), (5,), 2)
    assert list(norms(deep)) == [f"norm{layer}_before" for layer in layers]
    mixed = build(config("cnn", model={"channels": [4] * 3, "hidden": [4] * 4}, norm=norm), (1, 8, 8), 2)
    assert list(norms(mixed)) == [f"norm{layer}_before" for layer in layers]


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("affine", [True, False])
def test_affine_decides_on_scale_and_shift(kind: str, affine: bool) -> None:
    model = build(config(norm={"kind": kind, "affine": affine}), (5,), 2)
    assert any(name.startswith("norm") for name, _ in model.named_parameters()) == affine


def test_momentum_and_groups_arrive() -> None:
    batch = build(config(norm={"kind": "batch", "momentum": 0.3}), (5,), 2)
    assert batch.get_submodule("norm1_before").momentum == 0.3
    group = build(config(norm={"kind": "group", "groups": 2}), (5,), 2)
    assert group.get_submodule("norm2_before").num_groups == 2


def test_dropouts_are_where_they_are_named() -> None:
    dropout = {"p": 0.2, "input": 0.1, "first": 0.8}
    for family, shape in (("mlp", (5,)), ("cnn", (1, 8, 8))):
        model = build(config(family, dropout=dropout), shape, 2)
        found = {name: child.p for name, child in model.named_children() if name.startswith("dropout")}
        assert found == {"dropout_input": 0.1, "dropout1": 0.8, "dropout2": 0.2}


def test_first_dropout_may_be_zero() -> None:
    model = build(config(dropout={"p": 0.2, "first": 0.0}), (5,), 2)
    assert model.get_submodule("dropout1").p == 0.0
    assert model.get_submodule("dropout2").p == 0.2


@pytest.mark.parametrize(("spatial", "kind"), [(True, nn.Dropout2d), (False, nn.Dropout)])
def test_spatial_dropout_is_for_channels_of_blocks_only(spatial: bool, kind: type[nn.Module]) -> None:
    model = build(
        config("cnn", model={"channels": [4], "hidden": [4]}, dropout={"p": 0.5, "spatial": spatial}),
        (1, 8, 8),
        2,
    )
    assert type(model.get_submodule("dropout_input")) is nn.Dropout
    assert type(model.get_submodule("dropout1")) is kind
    assert type(model.get_submodule("dropout2")) is nn.Dropout


def test_models_that_differ_in_slots_alone_share_a_key() -> None:
    for family, shape in (("mlp", (5,)), ("cnn", (4, 8, 8))):
        plain = build(config(family), shape, 2)
        other = build(
            config(
                family,
                model={("hidden" if family == "mlp" else "channels"): [8, 12] if family == "mlp" else [4, 8],
                       "activation": "tanh"},
                norm={"kind": "group", "placement": "after_activation"},
                dropout={"p": 0.5, "spatial": True},
            ),
            shape,
            2,
        )  # fmt: skip
        assert names(plain) == names(other)
        assert shape_key(plain) == shape_key(other)


@pytest.mark.parametrize(
    "other",
    [
        build(config("cnn", model={"channels": [4, 9]}), (1, 8, 8), 2),
        build(config("cnn", model={"channels": [4, 8], "kernel": 5}), (1, 8, 8), 2),
        build(config("cnn", model={"channels": [4]}), (1, 8, 8), 2),
        build(config("cnn"), (3, 8, 8), 2),
        build(config("cnn"), (1, 12, 12), 2),
        build(config("cnn"), (1, 8, 8), 3),
        build(config(), (64,), 2),
    ],
)
def test_models_of_other_shape_have_another_key(other: nn.Sequential) -> None:
    assert shape_key(other) != shape_key(build(config("cnn"), (1, 8, 8), 2))


def test_building_leaves_the_global_random_state() -> None:
    before = torch.random.get_rng_state()
    build(config("cnn"), (1, 8, 8), 2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("trial", "shape", "words"),
    [
        (config("cnn"), (64,), ["model.family", "(64,)", "mlp"]),
        (config("cnn", model={"channels": [4, 4, 4, 4]}), (1, 8, 8), ["model.channels", "1x1", "at most 3"]),
        (config("cnn", model={"channels": [4, 4]}), (1, 2, 9), ["2x9", "1x4 after 1", "at most 1"]),
        (config(norm={"kind": "group", "groups": 3}), (5,), ["norm.groups = 3", "8 channels", "hidden layer 1"]),
        (
            config("cnn", norm={"kind": "group", "placement": "input"}),
            (1, 8, 8),
            ["norm.groups = 4", "1 channels of the input", "multiple"],
        ),
    ],
)
def test_what_only_the_data_reveal_is_told_with_the_rule(
    trial: TrialConfig, shape: tuple[int, ...], words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        build(trial, shape, 2)
    for word in words:
        assert word in str(caught.value)


def test_an_even_kernel_is_refused() -> None:
    trial = config("cnn")
    even = trial.model_copy(update={"model": trial.model.model_copy(update={"kernel": 4})})
    with pytest.raises(InputError, match=r"model.kernel = 4 .* Take 3 or 5"):
        build(even, (1, 8, 8), 2)


def test_groups_need_to_divide_only_the_widths_that_are_normalised() -> None:
    norm = {"kind": "group", "groups": 4, "every": 2}
    assert norms(build(config(model={"hidden": [8, 7]}, norm=norm), (5,), 2)) == {"norm1_before": "GroupNorm"}


def biases(model: nn.Sequential) -> dict[str, bool]:
    return {n: c.bias is not None for n, c in model.named_children() if isinstance(c, nn.Linear | nn.Conv2d)}


@pytest.mark.parametrize(
    ("norm", "idle"),
    [
        ({"kind": "none"}, []),
        ({"kind": "batch"}, ["conv1", "conv2", "linear3"]),
        ({"kind": "batch", "affine": False}, ["conv1", "conv2", "linear3"]),
        ({"kind": "batch", "every": 2}, ["conv1", "linear3"]),
        ({"kind": "batch", "placement": "after_activation"}, []),
        ({"kind": "batch", "placement": "input"}, []),
        ({"kind": "layer"}, []),
    ],
)
def test_no_layer_has_a_bias_that_normalisation_subtracts(norm: dict[str, Any], idle: list[str]) -> None:
    model = build(config("cnn", model={"channels": [4, 8], "hidden": [6]}, norm=norm), (1, 8, 8), 3)
    assert biases(model) == {name: name not in idle for name in ("conv1", "conv2", "linear3", "output")}


@pytest.mark.parametrize(("groups", "has"), [(4, False), (2, True)])
def test_groups_of_one_channel_subtract_it_too(groups: int, has: bool) -> None:
    norm = {"kind": "group", "groups": groups}
    assert biases(build(config("cnn", model={"channels": [4]}, norm=norm), (1, 8, 8), 3))["conv1"] == has


def test_the_gradient_of_a_bias_that_is_left_out_would_be_zero() -> None:
    torch.manual_seed(0)
    model = build(config(norm={"kind": "batch"}, conventions=1), (5,), 3).double()
    model(torch.randn(16, 5, dtype=torch.float64)).square().sum().backward()
    assert isinstance(model.linear1, nn.Linear)
    assert model.linear1.bias.grad is not None
    assert model.linear1.bias.grad.abs().max() < 1e-12


def test_studies_and_exports_of_before_keep_their_layers() -> None:
    assert all(biases(build(config(norm={"kind": "batch"}, conventions=1), (5,), 3)).values())


def test_a_bias_more_or_less_leaves_weights_and_the_program_as_they_are() -> None:
    with_bias, without = (build(config(norm={"kind": kind}), (5,), 3) for kind in ("none", "batch"))
    assert shape_key(with_bias) == shape_key(without)
    drawn = []
    for model, kind in ((with_bias, "none"), (without, "batch")):
        initialize(model, config(norm={"kind": kind}), torch.Generator().manual_seed(3))
        assert isinstance(model.linear2, nn.Linear)
        drawn.append(model.linear2.weight.detach().clone())
    assert torch.equal(*drawn)


@pytest.mark.parametrize("placement", ["before_activation", "after_activation", "input"])
def test_residual_blocks_have_their_norm_where_the_study_says(placement: str) -> None:
    model = build(
        config(model={"hidden": [8, 8, 4], "residual": True}, norm={"kind": "batch", "placement": placement}), (13,), 3
    )
    expected = {
        "before_activation": ["norm1_before", "norm2_before", "norm3_before", "norm4_before"],
        "after_activation": ["norm1_after", "norm2_after", "norm3_after"],
        "input": ["norm_input"],
    }
    assert list(norms(model)) == expected[placement]
    block = names(model)[names(model).index("skip3") : names(model).index("add3") + 1]
    assert block == [
        *("skip3", "norm3_before", "linear3", "activation3"),
        *("norm3_after", "dropout3", "linear_out3", "add3"),
    ]
    assert type(model.get_submodule("skip2")).__name__ == "Skip"
    assert type(model.get_submodule("skip3")).__name__ == "SkipLinear"
