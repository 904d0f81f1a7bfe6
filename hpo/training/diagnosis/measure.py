"""What the rules need to know: a model on some training examples, at its start and at its end.

Dimensions: B examples of a probe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo import models
from hpo.attributes import weights
from hpo.attributes.weights import LayerWeights
from hpo.models.families.transformer import unnormalised
from hpo.models.named_inputs import SHOWN, at_hand
from hpo.signs import Sign
from hpo.studyfile.records import TrialConfig
from hpo.training import randomness
from hpo.training.batches import Examples
from hpo.training.diagnosis import rules
from hpo.training.diagnosis.probe import probe
from hpo.training.diagnosis.updates import Ratios, Updates, telling, updates_of
from hpo.training.feed.drawn import DrawnRows
from hpo.training.feed.streamed import StreamedRows
from hpo.training.lane import Lane
from hpo.training.layers.piecewise import fit


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a model shows when its training ends."""

    signs: tuple[Sign, ...]
    weights: tuple[LayerWeights, ...]
    updates: Updates | None


NOTHING = Found(signs=(), weights=(), updates=None)
"""Of a trial that was not looked at."""


class Diagnosis:
    """Finds the signs of models of one study."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.x, self.y = _some(examples)
        self.spreads = _spreads(self.x, examples)
        self.known: dict[str, tuple[Sign, ...]] = {}

    def when_ended(self, lane: Lane, module: nn.Module, *, finished: bool) -> Found:
        """All that is known of a lane that ends with these weights. `finished`: it trained all of its epochs."""
        signs = self.at_start(lane.config) + (self.at_end(lane.config, module) if finished else ())
        return Found(
            signs=signs,
            weights=_weights(module, telling(lane), finished=finished),
            updates=updates_of(lane, finished=finished),
        )

    def at_start(self, config: TrialConfig) -> tuple[Sign, ...]:
        """Signs of a configuration before the first step, of weights drawn with a seed of their own, so that equal
        configurations have equal signs. Each is looked at once."""
        parts = (config.model, config.init, config.norm, config.training.batch_size)
        key = repr(parts)
        if key not in self.known:
            with at_hand(self.examples.some):
                module = models.build(config, self.examples.signature, self.examples.outputs, checked=False)
            models.initialize(module, config, randomness.generator("init", 0, 0, 0))
            fit(module, self.examples, 0)
            seen = probe(module, self.x, self._loss)
            if unnormalised(module):  # branches that begin as the identity have no signal and no gradient at the start
                seen = replace(seen, layers=())
            model = rules.Model(config=config, probe=seen, input_spreads=self.spreads)
            self.known[key] = tuple(rules.at_start(model))
        return self.known[key]

    def at_end(self, config: TrialConfig, module: nn.Module) -> tuple[Sign, ...]:
        """Signs of a trained model."""
        return tuple(rules.at_end(rules.Model(config=config, probe=probe(module, self.x))))

    def _loss(self, outputs: Tensor) -> Tensor:
        if self.examples.task == "classification":
            return F.cross_entropy(outputs, self.y.long())
        return F.mse_loss(outputs.squeeze(1), self.y.float())


def _weights(module: nn.Module, ratios: Ratios, *, finished: bool) -> tuple[LayerWeights, ...]:
    """Of each matrix, kernel and table of the module."""
    return tuple(
        weights.of_layer(
            name.removesuffix(".weight"),
            parameter.detach().numpy(),
            ratios.get(name, ()),
            looked_at=finished and bool(parameter.isfinite().all()),
        )
        for name, parameter in module.named_parameters()
        if parameter.dim() >= 2 and parameter.numel() > 0
    )


def _some(examples: Examples) -> tuple[Tensor, Tensor]:
    """A few training examples from all over the first part; the first ones of streamed data, which are shuffled."""
    x_train = examples.x_train
    if isinstance(x_train, StreamedRows):
        return examples.some.float().cpu(), examples.y_train[:SHOWN].cpu()
    count = examples.size[0]
    rows = torch.arange(0, count, max(1, count // SHOWN))[:SHOWN].to(examples.device)
    x = x_train.select(rows) if isinstance(x_train, DrawnRows) else x_train.index_select(0, rows)
    return x.float().cpu(), examples.y_train.index_select(0, rows).cpu()


def constant_loss(examples: Examples) -> float:
    """The loss of a prediction that knows nothing: of equal probabilities for all classes in nats, or 1 for numbers.
    The frequencies of the classes are left out, because weights and sampling may make up for them."""
    return math.log(max(2, len(examples.class_names))) if examples.task == "classification" else 1.0


def _spreads(x: Tensor, examples: Examples) -> tuple[float, ...]:
    """Smallest and largest standard deviation of inputs that are real numbers alone; images and sequences count as a
    whole."""
    if examples.signature.names != ("values",):
        return ()
    columns = x if x.dim() == 2 else x.flatten(1).reshape(-1, 1)
    spreads = columns.std(0)
    spreads = spreads[spreads > 0]
    return (float(spreads.min()), float(spreads.max())) if len(spreads) else ()
