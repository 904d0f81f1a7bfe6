"""The architecture that the lanes of a cohort share: layout, possible structures, and memory of a lane."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from torch import nn

from hpo import models
from hpo.errors import InputError
from hpo.models.layers.attention import Attention
from hpo.models.layers.embed import Embed
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.layers.periodic import Periodic
from hpo.models.layers.piecewise import PiecewiseLinear
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.steps import Steps, WordSteps
from hpo.models.named_inputs import at_hand
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig
from hpo.training import layout as lay
from hpo.training.batches import Examples
from hpo.training.custom.masks import kept_size, output_sizes
from hpo.training.layers.kinds import IDLE, kind, structure
from hpo.training.layers.masks import output_shapes
from hpo.training.layers.mixed_norm import is_dense_norm
from hpo.training.program import PORTION
from hpo.training.recurrent.cells import CELLS

ROWS = 10
"""Rows of parameters of a lane in memory: theta, two moments, the best epoch's, gradient, and copies in training."""
AVERAGE_ROWS = 2
"""Further rows where the weights are averaged: the average, and its copy in training."""
SUM_ROWS = 1
"""Further rows where gradients are accumulated."""
KEPT = 4
"""Tensors of the size of a layer's output that a training step holds at once."""
NORMED = 3
"""Times as many numbers are kept in recurrent cells with normalisation."""

CACHE = 2**23
"""Bytes of the outputs of all layers in a step of convolutional lanes that train together. More of them would gain less
by sharing operations than they lose by leaving the processor's cache."""

ArchitectureKey = tuple[int | str, ...]
"""Equal for lanes that may share a cohort."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Layout and possible structures of the lanes with one key. It does not depend on which of them comes first."""

    layout: lay.Layout
    modules: tuple[nn.Sequential, ...]
    """A plain module for each structure that a lane of this key may have."""
    configs: tuple[TrialConfig, ...]
    """Configurations that together contain every layer and option that a lane may have."""

    def lane_bytes(self, signature: Signature, batch: int, itemsize: int) -> int:
        """Approximate largest memory of a lane: rows of the state and copies of them, tensors that layers keep for the
        backward pass, and inference on a part of the validation examples."""
        sizes = self._sizes(signature)
        training = self.configs[0].training
        each = ROWS + AVERAGE_ROWS * (training.average != "none") + SUM_ROWS * (training.accumulate > 1)
        rows = each * (lay.width(self.layout.parameters) + lay.width(self.layout.stats))
        beside = 0
        if hasattr(self.modules[0], models.CUSTOM):  # such as the gates of recurrent layers and weights of attention
            beside = max(0, kept_size(self.modules[0], signature) - sum(sizes))
        return itemsize * (rows + batch * (KEPT * sum(sizes) + 2 * beside) + 3 * PORTION * max(sizes))

    def lanes_at_once(self, signature: Signature, batch: int, itemsize: int) -> int | None:
        """Lanes that a CPU trains together, since all lanes of a cohort would be slower; None: all."""
        if not any(isinstance(child, nn.Conv2d) for child in self.modules[0]):
            return None
        return max(1, CACHE // (itemsize * batch * sum(self._sizes(signature))))

    def _sizes(self, signature: Signature) -> list[int]:
        """Numbers of an example in the outputs of the layers."""
        module = self.modules[0]
        if hasattr(module, models.CUSTOM):
            return output_sizes(module, signature)
        shapes = output_shapes(module, signature)
        sizes = [prod(shape) for shape in shapes.values()]
        sizes += [child.tokens * child.word_width for child in module if isinstance(child, Embed)]
        sizes += 3 * [child.columns * 2 * child.waves for child in module if isinstance(child, Periodic)]
        sizes += 2 * [child.columns * child.bins for child in module if isinstance(child, PiecewiseLinear)]
        sizes += [
            child.heads * shapes[name][0] ** 2
            for name, child in module.named_children()
            if isinstance(child, Attention)
        ]
        return sizes + _within_recurrent(module)

    @classmethod
    def of(
        cls, examples: Examples, config: TrialConfig, variants: Iterable[TrialConfig], key: ArchitectureKey
    ) -> Architecture:
        """From the variants of a lane's configuration, which together contain all that a lane may have. The
        configuration itself is not used: the layout must not depend on which lane comes first."""
        configs = tuple(variants)
        modules: dict[tuple[str, ...], nn.Sequential] = {}
        alike: dict[tuple[str, ...], nn.Sequential] = {}
        for one in {(str(c.norm), str(c.dropout)): c for c in configs}.values():
            # A variant that cannot be built never becomes a lane.
            with contextlib.suppress(InputError), at_hand(examples.some):
                module = models.build(one, examples.signature, examples.outputs)
                modules.setdefault(structure(module), module)
                if key in (key_of(one, module, compiled=compiled) for compiled in (False, True)):
                    alike.setdefault(structure(module), module)
        layout = lay.Layout.of(sorted((modules[which] for which in sorted(modules)), key=_tensors))
        return cls(layout=layout, modules=tuple(alike[which] for which in sorted(alike)), configs=configs)


def _within_recurrent(module: nn.Sequential) -> list[int]:
    """Numbers of an example that recurrent layers keep beside their outputs, where all steps are real."""
    length = next((child.length for child in module if isinstance(child, Steps | WordSteps)), 0)
    layers = [child for child in module if isinstance(child, Recurrent)]
    kept = [CELLS[layer.cell].kept * (NORMED if isinstance(layer, NormedRecurrent) else 1) for layer in layers]
    each = [length * layer.directions * layer.units for layer in layers]
    return [one * numbers // KEPT for one, numbers in zip(each, kept, strict=True)]


def key_of(config: TrialConfig, module: nn.Sequential, *, compiled: bool) -> ArchitectureKey:
    """The key of a lane: batches and architecture, and for compiled programs the kinds of layers that must agree."""
    kinds, training = _unmixable(module) if compiled else (), config.training
    average = (training.average,) if training.average != "none" else ()
    accumulate = (f"accumulate {training.accumulate}",) if training.accumulate > 1 else ()
    edited = (f"layout {config.layout}",) if config.layout else ()
    return (training.batch_size, training.last_batch, *models.shape_key(module), *kinds, *average, *accumulate, *edited)


def _unmixable(module: nn.Sequential) -> tuple[str, ...]:
    kinds, dense = [], False
    if hasattr(module, models.CUSTOM):  # `shape_key` already compares all of the user's own modules
        return ()
    for child in module.children():
        dense = dense or isinstance(child, nn.Linear | nn.Flatten)
        if not (dense and (is_dense_norm(child) or kind(child) == IDLE)):
            kinds.append(kind(child))
    return tuple(kinds)


def _tensors(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
