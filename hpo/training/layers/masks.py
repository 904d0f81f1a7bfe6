"""Dropout masks of K lanes, by which the dropout layers multiply their input. They are drawn outside the model.

Dimensions: K lanes, B examples, N numbers in one lane's mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpo.models.layers.attention import Attention
from hpo.models.named_inputs import example
from hpo.signature import Signature
from hpo.training import randomness
from hpo.training.layers.dense import mask_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """One dropout layer of K lanes."""

    limit_K1: Tensor
    """int32: a number stays if `uniform_24` draws a larger one for it."""
    scale_K1: Tensor
    """Factor of the numbers that stay."""
    shape: tuple[int, ...]
    """Shape of the mask for one example."""
    salt: int
    """Different for each layer of a model, so that layers draw different masks."""

    @classmethod
    def of(
        cls, p: Sequence[float], shape: tuple[int, ...], salt: int, dtype: torch.dtype, device: torch.device
    ) -> Drop:
        """From each lane's dropout probability."""
        limits = [[round(q * 2**24) - 2**23 - 1] for q in p]
        scales = [[1 / (1 - q) if q < 1 else 0.0] for q in p]
        return cls(
            limit_K1=torch.tensor(limits, dtype=torch.int32, device=device),
            scale_K1=torch.tensor(scales, dtype=dtype, device=device),
            shape=shape,
            salt=salt,
        )

    def masks(self, keys_SK: Tensor, batch: int) -> Tensor:
        """[S, K, B, *shape] for S steps: 0 with the lane's probability p, else 1/(1-p)."""
        steps, device = len(keys_SK), keys_SK.device
        count = batch * torch.Size(self.shape).numel()
        drawn = randomness.uniform_24(randomness.index_hash(count, self.salt, device), keys_SK.flatten())
        mask = randomness.kept(drawn, self.limit_K1.repeat(steps, 1), self.scale_K1.repeat(steps, 1))
        return mask.view(steps, -1, batch, *self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class LateDrop:
    """One dropout layer of K lanes whose masks the layer draws itself, see `hpo.training.ragged.late`."""

    drop: Drop
    shape: tuple[int, ...] = ()

    def masks(self, keys_SK: Tensor, batch: int) -> Tensor:
        """[S, K]: keys of this layer."""
        return randomness.mixed(keys_SK, self.drop.salt)


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """The keys of a step, in place of masks, for modules that draw random numbers themselves."""

    shape: tuple[int, ...] = ()

    def masks(self, keys_SK: Tensor, batch: int) -> Tensor:
        """[S, K]: the keys."""
        return keys_SK


AnyDrop = Drop | LateDrop | Keys
"""What is drawn for a step."""


def drops_of(
    modules: Sequence[nn.Sequential],
    signature: Signature,
    dtype: torch.dtype,
    device: torch.device,
    witnesses: Sequence[nn.Sequential] = (),
) -> dict[str, Drop | LateDrop]:
    """The dropout layers with p > 0 in any lane or witness, by mask name. The mask of a lane without dropout is all
    ones. `witnesses`: modules of possible further lanes."""
    late = any(isinstance(child, Attention) for child in modules[0])
    shapes = {} if late else output_shapes(modules[0], signature)
    found: dict[str, Drop | LateDrop] = {}
    for salt, (name, _) in enumerate(modules[0].named_children(), start=1):
        for kind in (nn.Dropout, nn.Dropout2d, Attention):
            layers = [module.get_submodule(name) for module in (*modules, *witnesses)]
            p = [dropout_of(layer) if isinstance(layer, kind) else 0.0 for layer in layers]
            if any(p):
                p, mask = p[: len(modules)], mask_name(name, next(one for one in layers if isinstance(one, kind)))
                shape = () if late else shapes[name] if kind is nn.Dropout else (shapes[name][0], 1, 1)
                drop = Drop.of(p, shape, salt, dtype, device)
                found[mask] = LateDrop(drop=drop) if late else drop
    return found


def dropout_of(layer: nn.Module) -> float:
    """The probability with which a layer drops numbers."""
    return layer.dropout if isinstance(layer, Attention) else getattr(layer, "p", 0.0)


def late_columns(drops: Mapping[str, AnyDrop]) -> dict[str, Tensor]:
    """Numbers of each lane that layers use which draw their masks themselves."""
    late = {name: one.drop for name, one in drops.items() if isinstance(one, LateDrop)}
    limits = {f"{name}.limit": drop.limit_K1 for name, drop in late.items()}
    return limits | {f"{name}.scale": drop.scale_K1 for name, drop in late.items()}


def output_shapes(module: nn.Sequential, signature: Signature) -> dict[str, tuple[int, ...]]:
    """Shape of one example after each child, found by passing one through."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Tensor) -> None:
        shapes[name] = tuple(output.shape[1:])

    hooks = [
        child.register_forward_hook(lambda _, inputs, output, name=name: note(name, output))
        for name, child in module.named_children()
    ]
    was_training = module.training
    module.eval()
    with torch.no_grad():
        module(example(signature, 1))
    module.train(was_training)
    for hook in hooks:
        hook.remove()
    return shapes
