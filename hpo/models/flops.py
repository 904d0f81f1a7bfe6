"""Floating-point operations of a model, counted while it runs on one example: those of its matrix products and
convolutions, two for each product that is added. What is done to each number alone (activations, normalisation) is left
out, as usual."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from hpo.models.families.custom import NAME
from hpo.models.named_inputs import example
from hpo.signature import Signature


def flops(module: nn.Module, signature: Signature) -> int | None:
    """Operations of a forward pass of one example, all of whose steps are real. None where the module does not run on
    it, e.g. because it wants other values."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():  # as it is trained
        # A module of the user's own may keep what it has seen.
        run, trains = copy.deepcopy(module) if hasattr(module, NAME) else module, module.training
        counter = _Counter()
        try:
            with counter:
                run.eval()(example(signature, 1))
        except Exception:  # whatever a module of the user's own raises
            return None
        finally:
            run.train(trains)
    return counter.total


class _Counter(TorchDispatchMode):
    """Counts by PyTorch's own formulas. `FlopCounterMode`, which also counts by module, takes far longer, and knows no
    kernel that PyTorch has for the CPU alone."""

    def __init__(self) -> None:
        cast(Any, super()).__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func._overloadpacket
        if packet in flop_registry:
            self.total += int(flop_registry[packet](*args, **kwargs, out_val=out))
        elif packet == torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            self.total += int(sdpa_flop_count(*(tensor.shape for tensor in args[:3])))
        elif packet == torch.ops.aten.mkldnn_rnn_layer:
            x, weights = args[0], args[1:3]
            self.total += 2 * (x.numel() // x.shape[-1]) * sum(weight.numel() for weight in weights)
        return out
