"""What goes past the layers of K lanes: the inputs of residual blocks, and the mask of a sequence's real steps. The
plain layers are in `hpo.models.layers`.

Dimensions: K lanes, B examples, C channels, T steps, V words, F features.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hpo.models.layers.flow import Add, Skip, SkipConv2d, SkipLinear
from hpo.models.layers.steps import Steps, WordSteps
from hpo.training.layers.convolution import conv2d
from hpo.training.layers.dense import IDENTITY, linear, no_backward
from hpo.training.layers.embed import Table
from hpo.training.layers.frame import LayerContext, Pass, Rule


def skip(context: LayerContext, layer: nn.Module) -> Pass:
    """Begins a residual block."""
    return kept_input(context, IDENTITY)


def skip_linear(context: LayerContext, layer: nn.Module) -> Pass:
    """Begins a residual block of another width."""
    return kept_input(context, linear(context, layer))


def skip_conv2d(context: LayerContext, layer: nn.Module) -> Pass:
    """Begins a residual block of other channels or size."""
    return kept_input(context, conv2d(context, layer))


def kept_input(context: LayerContext, shortcut: Pass) -> Pass:
    """Keeps the input after a shortcut, and hands it on as it is."""
    frame = context.frame

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        kept, needed = shortcut.forward(x)
        frame.kept.append(kept)
        return x, needed

    def backward(needed: Any, g: Tensor, wanted: bool) -> Tensor | None:
        past = shortcut.backward(needed, frame.kept_gradients.pop(), wanted)
        return g + past if wanted and past is not None else None

    return Pass(forward, backward)


def add(context: LayerContext, layer: nn.Module) -> Pass:
    """Ends a residual block."""
    frame = context.frame

    def forward(x: Tensor) -> tuple[Tensor, None]:
        return x + frame.kept.pop(), None

    def backward(_: None, g: Tensor, wanted: bool) -> Tensor:
        frame.kept_gradients.append(g)
        return g

    return Pass(forward, backward)


def steps(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T * C (+ T)] -> [K, B, T, C], or ragged [K, N, C]. Nothing asks for the gradient of the input."""
    assert isinstance(layer, Steps)
    frame = context.frame
    numbers, sizes = layer.length * layer.channels, (layer.length, layer.channels)

    def forward(x: Tensor) -> tuple[Tensor, None]:
        # At inference all lanes have the same examples.
        lanes, shared = len(x), len(x) > 1 and x.stride(0) == 0 and not frame.ragged
        rows = x[:1].flatten(2) if shared else x.flatten(2)
        y = rows[..., :numbers].unflatten(2, sizes)
        if not layer.masked:
            return (frame.pack(y, None) if frame.ragged else y.contiguous().expand(lanes, -1, -1, -1)), None
        real = rows[..., numbers:] > 0
        y = y * real.to(x.dtype).unsqueeze(3)
        real[..., 0] = True
        frame.real = real.expand(lanes, -1, -1)
        return (frame.pack(y, real) if frame.ragged else y.expand(lanes, -1, -1, -1)), None

    return Pass(forward, no_backward)


def word_steps(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T] -> [K, B, T, F], or ragged [K, N, F]. It is the first layer with parameters, so nothing asks for the
    gradient of its input."""
    assert isinstance(layer, WordSteps)
    table = Table(context, "words", (layer.vocabulary, layer.width))

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        tokens = x.flatten(2).long()
        real = tokens > 0
        real[..., 0] = True
        context.frame.real = real
        if context.frame.ragged:
            tokens = context.frame.pack(tokens.unsqueeze(3), real).transpose(1, 2)
            return table.vectors(tokens).squeeze(1), (tokens, None)
        share = real.to(table.vector_KND.dtype).unsqueeze(3)
        return table.vectors(tokens.flatten(1, 2).unsqueeze(1)).view(*tokens.shape, -1) * share, (tokens, share)

    def backward(needed: tuple[Tensor, Tensor | None], g: Tensor, wanted: bool) -> None:
        tokens, share = needed
        table.write_gradient(tokens, g.unsqueeze(1) if share is None else g * share)

    return Pass(forward, backward if context.frame.training else no_backward)


FLOW: dict[type[nn.Module], Rule] = {
    Skip: skip,
    SkipLinear: skip_linear,
    SkipConv2d: skip_conv2d,
    Add: add,
    Steps: steps,
    WordSteps: word_steps,
}
"""Type of a plain layer -> how it is bound."""
