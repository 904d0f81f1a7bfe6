"""Whether modules of the user's own can be fused: tested on a small batch, once for all modules that are alike.

Fused lanes are computed as one batch by `torch.func.vmap`. It refuses operations without a batched form (nn.LSTM, a
branch on the values of a tensor, random numbers that a module draws by itself); such lanes train one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from hpo.conventions import FUNCTIONS_OVER_LANES, NEWEST
from hpo.models.frozen import trained_parameters
from hpo.models.likeness import UNIQUE, likeness
from hpo.models.named_inputs import example, own_module
from hpo.signature import Signature
from hpo.training.custom.causes import cause
from hpo.training.custom.masks import Masked, dropouts_in, mask_prefix, template_of
from hpo.training.custom.module import KEYS, CustomModules, Plan, warn
from hpo.training.custom.template import Leaves

BATCH = 5
"""Examples of the test batch."""

_plans: dict[tuple[str, Signature, int], Plan] = {}


def plan_of(module: nn.Module, signature: Signature, conventions: int = NEWEST) -> Plan:
    """The plan for modules that are like this one, in a study of these conventions. Logs a warning, once, if they
    cannot be fused."""
    key = (likeness(module), signature, conventions)
    if key in _plans:
        return _plans[key]
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        forms = conventions >= FUNCTIONS_OVER_LANES
        plan = Plan(calls=tuple(_calls(module, signature)), forms=forms, conventions=conventions)
        _try(plan, module, signature)
    if UNIQUE not in key[0]:  # otherwise the key contains an address, which may be used again
        _plans[key] = plan
    return plan


def _try(plan: Plan, module: nn.Module, signature: Signature) -> None:
    """Turns fusing off if it fails or gives other results. Finds out what the module draws and calls."""
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in trained_parameters(twin).values():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    alone = replace(plan, fused=False, seen=set())
    before = torch.random.get_rng_state()
    try:
        separate, tolerance = _test_pass([module, twin], alone, signature, torch.float64), 1e-6
    except Exception:  # a module may support one precision only
        before = torch.random.get_rng_state()
        separate, tolerance = _test_pass([module, twin], alone, signature, torch.float32), 1e-2
    # Without forms, dropout inside layers draws from PyTorch's generator, though not in the test pass.
    drew = not torch.equal(before, torch.random.get_rng_state())
    plan.random = not plan.forms or drew or "random" in alone.seen
    plan.forms, plan.draws = "forms" in alone.seen, "masks" in alone.seen
    plan.normalized = _normalized(module, separate[0])
    if plan.normalized:
        warn(plan.normalized)
    try:
        together = _test_pass([module, twin], plan, signature, separate[0].dtype)
    except Exception as error:
        plan.stop_fusing(module, cause(error, module))
        return
    pairs = zip(together, separate, strict=True)
    if plan.fused and not all(torch.allclose(one, other, rtol=tolerance, atol=tolerance) for one, other in pairs):
        plan.stop_fusing(module, "it computes something else when many lanes are one batch")


def _normalized(module: nn.Module, y: Tensor) -> str:
    """What to say of outputs [K, B, C] that a softmax seems to have made; empty for others."""
    if y.shape[-1] < 2:
        return ""
    sums, logs = y.sum(-1), y.logsumexp(-1)
    if bool((y >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        last, harm = "softmax", "with two, it learns slowly and its probabilities are too even"
    elif torch.allclose(logs, torch.zeros_like(logs), atol=1e-4):
        last, harm = "log_softmax", "a second one changes nothing and takes time"
    else:
        return ""
    name = type(own_module(module)).__name__
    return (
        f"outputs of {name} look like those of a {last}, and the loss, which takes logits, has a softmax of its own: "
        f"{harm}; leave out the last {last}"
    )


def _calls(module: nn.Module, signature: Signature) -> Iterator[tuple[str, int, int]]:
    """The calls of the dropout layers, found with batches of two and of three examples. A layer whose masks do not grow
    with the batch is left out, because the size of its masks cannot be predicted."""
    template = template_of(module).train()
    layers = {path: cast(Masked, template.get_submodule(path)) for path in dropouts_in(module)}
    sizes: dict[str, list[list[int]]] = {path: [] for path in layers}
    for batch in (2, 3):
        for layer in layers.values():
            layer.begin({})
        with torch.no_grad():
            template(example(signature, batch, torch.default_generator))
        for path, layer in layers.items():
            sizes[path].append(layer.sizes)
    for path, (two, three) in sizes.items():
        if [size * 3 for size in two] == [size * 2 for size in three]:
            yield from ((path, call, size // 2) for call, size in enumerate(two))


def _test_pass(modules: list[nn.Module], plan: Plan, signature: Signature, dtype: torch.dtype) -> list[Tensor]:
    """Outputs, gradients and statistics of a small batch without dropout."""
    own = CustomModules.of(modules, plan, dtype, torch.device("cpu"))
    own.p.update(dict.fromkeys(own.p, (0.0, 0.0)))
    tensors = [dict(module.named_parameters()) for module in modules]
    stacked = {name: torch.stack([of[name].detach() for of in tensors]).to(dtype) for name in own.shapes}
    leaves = Leaves.of(stacked, by_lane=not plan.fused)
    buffers = [dict(module.named_buffers()) for module in modules]
    averages = {name: torch.stack([of[name] for of in buffers]).to(dtype) for name in own.averages}
    masks = {f"{mask_prefix(path)}{call}": torch.ones(2, BATCH * size, dtype=dtype) for path, call, size in plan.calls}
    masks[KEYS] = torch.tensor([1, 2], dtype=torch.int32)
    x = example(signature, 2 * BATCH, torch.Generator().manual_seed(0)).to(dtype).view(2, BATCH, *signature.shape)
    y = own.run(leaves, {**own.constants, **averages}, masks, x, training=True)
    found = torch.autograd.grad(y.square().sum(), leaves.all, materialize_grads=True)
    gradients = replace(leaves, all=list(found)).stacked()
    with torch.no_grad():
        inferred = own.run(leaves, {**own.constants, **averages}, {}, x, training=False)
    return [y.detach(), *gradients.values(), *averages.values(), inferred]
