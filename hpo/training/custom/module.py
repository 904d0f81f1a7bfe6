"""The user's own modules of K lanes as one layer: fused by `vmap` if possible, else computed one lane after the other.

Both ways run the user's own forward on the lanes' tensors and compute gradients by autograd. Dropout layers multiply by
the lane's masks. Other random numbers, which only unfused lanes may draw, come from torch's generator, seeded with the
lane's key of the step. Batch normalisation stores the batch's statistics, from which the program updates the lanes'
averages. `hpo.training.custom.plans` finds out which modules can be fused.

Dimensions: K lanes, B examples, C outputs.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from hpo.models import CUSTOM
from hpo.models.named_inputs import own_module
from hpo.training.custom.masks import Masked, dropouts_in, norms_in, template_of
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass
from hpo.training.layers.masks import Drop, Keys

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

    def stop_fusing(self, module: nn.Module, reason: str) -> None:
        """Computes the lanes one after the other from now on; logs a warning, once."""
        self.fused, self.reason = False, reason
        text = f"lanes of {type(own_module(module)).__name__} train one after the other, which is slower: {reason}"
        if text not in _warned:
            _warned.add(text)
            logging.getLogger("hpo").warning(text)


_warned: set[str] = set()
"""Warnings that have been logged."""


@dataclass(frozen=True, kw_only=True)
class CustomModules:
    """The user's modules of K lanes, bound like one layer."""

    template: nn.Module
    """Module whose forward is run; its own tensors are not used."""
    plan: Plan
    shapes: dict[str, tuple[int, ...]]
    """Shapes of the parameters."""
    averages: dict[str, tuple[int, ...]]
    """Shapes of the running averages of batch normalisation."""
    constants: dict[str, Tensor]
    """All other buffers, [K, ...] each."""
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
            p = {path: tuple(_p(module, path) for module in modules) for path in dropouts_in(first)}
            return cls(
                template=template_of(first).to(device, dtype),
                plan=plan,
                shapes={name: tuple(tensor.shape) for name, tensor in first.named_parameters()},
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
                return self.run(parameters, {**self.constants, **averages}, {}, x, training=False), None

        if not context.frame.training:
            return Pass(infer, no_backward)
        gradients = {name: context.gradient(name, shape) for name, shape in self.shapes.items()}
        batch_stats = {name: context.batch_stat(name, shape) for name, shape in self.averages.items()}

        def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
            masks = {name: context.mask(name) for name in self.drops}
            with torch.inference_mode(False), torch.enable_grad():
                leaves = {name: view.clone().requires_grad_() for name, view in parameters.items()}
                seen = {name: torch.zeros_like(view) for name, view in averages.items()}
                given = {name: mask.clone() for name, mask in masks.items() if mask is not None}
                y = self.run(leaves, {**self.constants, **seen}, given, x.clone(), training=True)
            for name, view in batch_stats.items():
                view.copy_(seen[name])
            return y.detach(), (y, leaves)

        def backward(kept: tuple[Tensor, dict[str, Tensor]], g: Tensor, wanted: bool) -> None:
            y, leaves = kept
            with torch.inference_mode(False):
                found = torch.autograd.grad(y, list(leaves.values()), g.clone(), materialize_grads=True)
            for name, gradient in zip(leaves, found, strict=True):
                gradients[name].copy_(gradient)

        return Pass(forward, backward)

    def run(self, parameters: Tensors, buffers: Tensors, masks: Tensors, x: Tensor, *, training: bool) -> Tensor:
        """Outputs of all lanes. In training, batch normalisation writes the statistics of the batch into its buffers,
        which must be 0 before."""
        self.template.train(training)
        masks = dict(masks)
        keys = masks.pop(KEYS, None)
        for path, p in self.p.items():
            # vmap refuses layers that draw random numbers, so a fused layer without masks must have p = 0.
            self._masked(path).layer.p = max(p)
        if self.plan.fused:
            try:
                with warnings.catch_warnings():  # vmap warns of operations for which it uses a loop
                    warnings.filterwarnings("ignore", message="There is a performance drop")
                    return vmap(self._one, randomness="error")(parameters, buffers, masks, x)
            except RuntimeError as error:
                if "vmap" not in str(error) and "Batching rule" not in str(error):
                    raise
                self.plan.stop_fusing(self.template, first_line(error))
        rows = {name: value.unbind() for name, value in parameters.items()}
        passes = []
        for lane in range(len(x)):
            for path, p in self.p.items():
                self._masked(path).layer.p = p[lane]
            mine = {name: row[lane] for name, row in rows.items()}
            kept, drawn = ({name: value[lane] for name, value in each.items()} for each in (buffers, masks))
            with _drawing(0 if keys is None else int(keys[lane]), x.device):
                # A copy, because a module may write into its input, which lanes may share.
                passes.append(self._one(mine, kept, drawn, x[lane].clone()))
        return torch.stack(passes)

    def _one(self, parameters: Tensors, buffers: Tensors, masks: Tensors, x: Tensor) -> Tensor:
        """Output of one lane."""
        for path in self.p:
            prefix = mask_prefix(path)
            mine = {name.removeprefix(prefix): mask for name, mask in masks.items() if name.startswith(prefix)}
            self._masked(path).begin({int(call): mask for call, mask in mine.items()})
        return cast(Tensor, functional_call(self.template, {**parameters, **buffers}, (x,)))

    def _masked(self, path: str) -> Masked:
        return cast(Masked, self.template.get_submodule(path))


def _p(module: nn.Module, path: str) -> float:
    return cast(nn.Dropout, module.get_submodule(path)).p


def _drops(
    plan: Plan, p: Mapping[str, tuple[float, ...]], dtype: torch.dtype, device: torch.device
) -> dict[str, Drop | Keys]:
    return {
        f"{mask_prefix(path)}{call}": Drop.of(p[path], (size,), salt, dtype, device)
        for salt, (path, call, size) in enumerate(plan.calls, start=1)
        if any(p[path])
    }


def mask_prefix(path: str) -> str:
    """The name of a dropout layer's masks, without the number of the call."""
    return f"{CUSTOM}.{path}#"


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def _drawing(key: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's generators with a key for the duration of the block, and restores them after it."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(key & 0xFFFFFFFF)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(key & 0xFFFFFFFF)
        yield
