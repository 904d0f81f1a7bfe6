"""Measures a plain model on a few training examples: how much each layer's output varies, its gradient, and which of
its units do nothing.

Dimensions: B examples, U units of a layer (features, channels), L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BOUNDED = (nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid)
"""Activations with two bounds."""
NORMS = (nn.LayerNorm, nn.RMSNorm)
RECTIFIED = (nn.ReLU, nn.ReLU6)
"""Activations that are exactly 0 for negative inputs."""
Gradients = dict[int, Tensor | None]
"""By the id of the parameter; None where the loss does not depend on it."""
NEAR = 0.01
"""An activation within this share of its range of a bound is saturated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerProbe:
    """One leaf of the model, in the order of its call."""

    name: str
    spread: float
    """Standard deviation of its output over examples and units."""
    gradient: float | None
    """Root mean square of the gradient of its weights; None without weights or without a pass back."""
    weighted: bool
    """Whether it has weights."""
    identical: bool
    """Whether all of several units have the same weights."""
    dead: float | None
    """Share of units that are 0 for every example; None where the layer is no rectifier."""
    saturated: float | None
    """Share of outputs at a bound; None where the layer has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A model on a few examples."""

    input_spread: float
    """Standard deviation over all inputs."""
    layers: tuple[LayerProbe, ...]
    idle: tuple[str, ...] = ()
    """Names of trainable weights to which the pass back gives no gradient."""

    @property
    def weighted(self) -> tuple[LayerProbe, ...]:
        """Layers with weights."""
        return tuple(layer for layer in self.layers if layer.weighted)


def probe(module: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor] | None = None) -> Probe:
    """Passes examples [B, ...] through the module, as in training but without dropout, and back if there is a `loss`: a
    function from the outputs to a number. Module and torch's random state are afterwards as before."""
    outputs: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            outputs[layer] = output.detach()

    leaves = {layer: name for name, layer in module.named_modules() if not any(True for _ in layer.children())}
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    with _undisturbed(module), torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        hooks = [layer.register_forward_hook(note) for layer in leaves]
        try:
            with torch.set_grad_enabled(loss is not None):
                value = module(x.clone())
                value = value if loss is None else loss(value)
            found = torch.autograd.grad(value, [*named.values()], allow_unused=True) if value.requires_grad else ()
        finally:
            for hook in hooks:
                hook.remove()
    gradients: Gradients | None = None
    idle: tuple[str, ...] = ()
    if loss is not None:
        gradients = {id(p): g for p, g in zip(named.values(), found, strict=False)}
        unmoved = (name for name, p in named.items() if p.dim() > 1 and gradients.get(id(p)) is None)
        idle = tuple(name.removesuffix(".weight") for name in unmoved)
    return Probe(
        input_spread=float(x.float().std()),
        layers=tuple(_layer(leaves[layer], layer, output, gradients) for layer, output in outputs.items()),
        idle=idle,
    )


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Training mode without dropout; what a pass changes is put back afterwards."""
    was_training = {layer: layer.training for layer in module.modules()}
    dropped = {layer: layer.p for layer in module.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        module.train()
        for dropout in dropped:
            dropout.p = 0.0
        yield
    finally:
        for dropout, p in dropped.items():
            dropout.p = p
        for name, buffer in module.named_buffers():
            buffer.data.copy_(buffers[name])
        for layer, mode in was_training.items():
            layer.training = mode


def _layer(name: str, layer: nn.Module, output: Tensor, gradients: Gradients | None) -> LayerProbe:
    weights = [p for p in layer.parameters(recurse=False) if p.requires_grad and p.dim() > 1]
    weights = [] if isinstance(layer, NORMS) else weights  # whose scales are equal at the start
    gradient = None
    if weights and gradients is not None:
        squares = [float(g.square().mean()) for p in weights if (g := gradients.get(id(p))) is not None]
        gradient = max(squares, default=0.0) ** 0.5
    return LayerProbe(
        name=name,
        spread=float(output.float().std()) if output.numel() > 1 else 0.0,
        gradient=gradient,
        weighted=bool(weights),
        identical=any(_identical(p) for p in weights if len(p) > 1),
        dead=_dead(output) if isinstance(layer, RECTIFIED) and output.dim() > 1 else None,
        saturated=_saturated(layer, output) if isinstance(layer, BOUNDED) else None,
    )


def _dead(output: Tensor) -> float:
    """Share of units that are 0 everywhere. Units are the first dimension of an example or, of steps, the last one:
    the smaller share counts, as padding makes whole steps 0."""
    zero = output.eq(0)
    shares = [zero.transpose(1, axis).flatten(2).all(2).all(0) if output.dim() > 2 else zero.all(0) for axis in (1, -1)]
    return min(float(share.float().mean()) for share in shares)


def _identical(weight: Tensor) -> bool:
    rows = weight.flatten(1)
    return bool((rows == rows[:1]).all())


def _saturated(layer: nn.Module, output: Tensor) -> float:
    low = -1.0 if isinstance(layer, nn.Tanh | nn.Hardtanh) else 0.0
    margin = NEAR * (1.0 - low)
    return float(((output < low + margin) | (output > 1.0 - margin)).float().mean())
