"""The user's own modules of K lanes as one layer: fused by `vmap` if possible, else computed one lane after the other.

Both ways run the user's own forward on the lanes' tensors and compute gradients by autograd. Dropout layers multiply by
the lane's masks; `hpo.training.custom.forms` has what vmap refuses. Other random numbers, which only unfused lanes may
draw, come from torch's generator, seeded with the lane's key of the step. Batch normalisation stores the batch's
statistics, from which the program updates the lanes' averages; one that the module keeps in evaluation mode leaves the
averages as they are. Frozen parameters are constants. Which modules can be
fused, `hpo.training.custom.plans` finds out.

Dimensions: K lanes, B examples, C outputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import vmap

from hpo.conventions import NEWEST, OWN_NORMS_MAY_STAND_STILL, UNUSED_STAY
from hpo.models import CUSTOM
from hpo.models.frozen import frozen_parameters, trained_parameters
from hpo.models.likeness import PER_LANE
from hpo.models.named_inputs import own_module
from hpo.training.custom.causes import cause
from hpo.training.custom.forms import Forms
from hpo.training.custom.masks import dropping_in, mask_prefix, norms_in, template_of
from hpo.training.custom.over_lanes import LaneP
from hpo.training.custom.template import Leaves, Template, drawing
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass
from hpo.training.layers.masks import Drop, Keys
from hpo.training.limits import out_of_memory

Tensors = Mapping[str, Tensor]

KEYS = f"{CUSTOM}.keys"
"""Name among the masks of a step: each lane's key, which seeds random numbers that a module draws itself."""


@dataclass(kw_only=True, slots=True)
class Plan:
    """How modules that are alike are computed."""

    fused: bool = True
    """Whether all lanes are computed at once; set to False if that fails."""
    reason: str = ""
    """Why they are not; empty while they are."""
    calls: tuple[tuple[str, int, int], ...] = ()
    """Calls of dropout layers in one pass: path of the layer, number of the call, and size of the mask for one
    example."""
    forms: bool = True
    """Whether functions are replaced by their forms, see `hpo.training.custom.forms`."""
    draws: bool = True
    """Whether any form draws masks."""
    seen: set[str] = field(default_factory=set)
    """What passes with forms have done so far: "forms" if any was called, "masks" if any drew masks, "random" if any
    left what may draw random numbers to PyTorch."""
    conventions: int = NEWEST
    """Those of the study, see `hpo.conventions`."""
    random: bool = False
    """Whether it draws random numbers that no form draws."""

    normalized: str = ""
    """What is wrong with its outputs, in words, if they look like a softmax; else empty."""

    def stop_fusing(self, module: nn.Module, reason: str) -> None:
        """Computes the lanes one after the other from now on; logs a warning, once."""
        self.fused, self.reason = False, reason
        warn(f"lanes of {type(own_module(module)).__name__} train one after the other, which is slower: {reason}")


def warn(text: str) -> None:
    """Logs a warning, once."""
    if text not in _warned:
        _warned.add(text)
        logging.getLogger("hpo").warning(text)


_warned: set[str] = set()
"""Warnings that have been logged."""


@dataclass(frozen=True, kw_only=True)
class CustomModules:
    """The user's modules of K lanes, bound like one layer."""

    layers: Template
    """The module whose forward is run."""
    plan: Plan
    shapes: dict[str, tuple[int, ...]]
    """Shapes of the parameters that are trained."""
    averages: dict[str, tuple[int, ...]]
    """Shapes of the running averages of batch normalisation."""
    constants: dict[str, Tensor]
    """All other buffers, and frozen parameters that differ between lanes, [K, ...] each."""
    p: dict[str, tuple[float, ...]]
    """Dropout probabilities by path of the layer, one for each lane."""
    drops: dict[str, Drop | Keys]
    """The masks and keys that are drawn for a step."""

    @classmethod
    def of(cls, modules: Sequence[nn.Module], plan: Plan, dtype: torch.dtype, device: torch.device) -> CustomModules:
        """From the lanes' modules, which must be alike."""
        first, kept = modules[0], norms_in(modules[0])
        with torch.inference_mode(False):
            buffers = [dict(module.named_buffers()) for module in modules]
            constants = {
                name: torch.stack([found[name] for found in buffers])
                for name in buffers[0]
                if name.rpartition(".")[0] not in kept
            }
            constants |= _unlike(modules)
            p = {path: tuple(_p(module, path) for module in modules) for path in dropping_in(first)}
            return cls(
                layers=Template(template_of(first).to(device, dtype), plan.calls),
                plan=plan,
                shapes={name: tuple(tensor.shape) for name, tensor in trained_parameters(first).items()},
                averages={
                    f"{path}.{which}": (layer.num_features,)
                    for path, layer in kept.items()
                    if layer.track_running_stats
                    for which in ("running_mean", "running_var")
                },
                constants={
                    name: value.to(device, dtype if value.is_floating_point() else None)
                    for name, value in constants.items()
                },
                p=p,
                drops={KEYS: Keys(), **_drops(plan, p, dtype, device)},
            )

    def bind(self, context: LayerContext) -> Pass:
        """[K, B, ...] -> [K, B, C]."""
        parameters = {name: context.parameter(name, shape) for name, shape in self.shapes.items()}
        averages = {name: context.average(name, shape) for name, shape in self.averages.items()}

        def infer(x: Tensor) -> tuple[Tensor, None]:
            with torch.no_grad():
                leaves = Leaves(names=tuple(parameters), all=list(parameters.values()), by_lane=False)
                return self.run(leaves, {**self.constants, **averages}, {}, x, training=False), None

        if not context.frame.training:
            return Pass(infer, no_backward)
        gradients = [context.gradient(name, shape) for name, shape in self.shapes.items()]
        batch_stats = {name: context.batch_stat(name, shape) for name, shape in self.averages.items()}
        keeps = context.frame.conventions >= OWN_NORMS_MAY_STAND_STILL

        def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Leaves]]:
            masks = {name: context.mask(name) for name in self.drops}
            with torch.inference_mode(False), torch.enable_grad():
                leaves = Leaves.of(parameters, by_lane=not self.plan.fused)
                seen = {name: view.clone() if keeps else torch.zeros_like(view) for name, view in averages.items()}
                given = {name: mask.clone() for name, mask in masks.items() if mask is not None}
                y = self.run(leaves, {**self.constants, **seen}, given, x.clone(), training=True)
            for name, view in batch_stats.items():
                view.copy_(seen[name])
            return y.detach(), (y, leaves)

        def backward(kept: tuple[Tensor, Leaves], g: Tensor, wanted: bool) -> None:
            y, leaves = kept
            with torch.inference_mode(False):
                found = torch.autograd.grad(y, leaves.all, g.clone(), allow_unused=True)
            places = [row for one in gradients for row in one.unbind()] if leaves.by_lane else gradients
            used = [(place, one) for place, one in zip(places, found, strict=True) if one is not None]
            torch._foreach_copy_([place for place, _ in used], [one for _, one in used])
            if len(used) < len(found) and context.frame.conventions >= UNUSED_STAY:
                for name, missing in leaves.by_name([one is None for one in found]).items():
                    if any(missing):
                        key = f"{context.name}.{name}", self.shapes[name]
                        context.frame.unused[key] = torch.tensor(missing, device=g.device).expand(len(g))

        return Pass(forward, backward)

    def run(self, parameters: Leaves, buffers: Tensors, masks: Tensors, x: Tensor, *, training: bool) -> Tensor:
        """Outputs of all lanes. In training, batch normalisation writes the statistics of the batch into its buffers,
        unless it is in evaluation mode all the same."""
        self.layers.train(training)
        masks = dict(masks)
        keys = masks.pop(KEYS, None)
        if keys is None:
            keys = torch.zeros(len(x), dtype=torch.int32, device=x.device)
        try:
            if self.plan.fused:
                try:
                    return self._fused(parameters, buffers, masks, keys, x)
                except Exception as error:
                    if out_of_memory(error):
                        raise
                    found = self._one_by_one(parameters, buffers, masks, keys, x)  # may raise the same
                    self.plan.stop_fusing(self.layers.module, cause(error, self.layers.module))
                    return found
            return self._one_by_one(parameters, buffers, masks, keys, x)
        finally:
            self.layers.reset()

    def _fused(self, parameters: Leaves, buffers: Tensors, masks: Tensors, keys: Tensor, x: Tensor) -> Tensor:
        for path, p in self.p.items():
            self.layers.set_p(path, LaneP(p))

        def one(parameters: Tensors, buffers: Tensors, masks: Tensors, key: Tensor, x: Tensor) -> Tensor:
            return self._pass({**parameters, **buffers}, masks, key, x, forms=self.plan.forms)

        with warnings.catch_warnings():  # vmap warns of operations for which it uses a loop
            warnings.filterwarnings("ignore", message="There is a performance drop")
            return vmap(one, randomness="error")(parameters.stacked(), buffers, masks, keys, x)

    def _one_by_one(self, parameters: Leaves, buffers: Tensors, masks: Tensors, keys: Tensor, x: Tensor) -> Tensor:
        rows = parameters.lanes()
        apart = {name: value.unbind() for name, value in buffers.items()}
        passes = []
        with drawing(keys, x.device) if self.plan.random else nullcontext([lambda: None] * len(x)) as begin:
            for lane, one in enumerate(x.unbind()):
                for path, p in self.p.items():
                    self.layers.set_p(path, p[lane])
                begin[lane]()
                given = {name: row[lane] for name, row in (*rows.items(), *apart.items())}
                drawn = {name: value[lane] for name, value in masks.items()}
                # A copy, because a module may write into its input, which lanes may share.
                drops = self.plan.draws or any(p[lane] for p in self.p.values())
                passes.append(self._pass(given, drawn, keys[lane], one.clone(), forms=self.plan.forms and drops))
        return torch.stack(passes)

    def _pass(self, tensors: Tensors, masks: Tensors, key: Tensor, x: Tensor, *, forms: bool) -> Tensor:
        """Output of one lane."""
        self.layers.fill(tensors, masks)
        if not forms:
            return cast(Tensor, self.layers.module(x))
        with Forms(key, self.plan.conventions) as used:
            y = cast(Tensor, self.layers.module(x))
        self.plan.seen.update(used.seen)
        return y


def _p(module: nn.Module, path: str) -> float:
    layer = module.get_submodule(path)
    return float(getattr(layer, PER_LANE[type(layer)]))


def _drops(
    plan: Plan, p: Mapping[str, tuple[float, ...]], dtype: torch.dtype, device: torch.device
) -> dict[str, Drop | Keys]:
    return {
        f"{mask_prefix(path)}{call}": Drop.of(p[path], (size,), salt, dtype, device)
        for salt, (path, call, size) in enumerate(plan.calls, start=1)
        if any(p[path])
    }


def _unlike(modules: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Frozen parameters that differ between lanes, [K, ...] each. The lanes share the memory of the others."""
    found = {}
    for name, frozen in frozen_parameters(modules[0]).items():
        lanes = [module.get_parameter(name) for module in modules]
        for lane in lanes:
            if lane.data_ptr() != frozen.data_ptr() and torch.equal(lane, frozen):
                lane.data = frozen.data
        if any(lane.data_ptr() != frozen.data_ptr() for lane in lanes):
            found[name] = torch.stack([lane.detach() for lane in lanes])
    return found
