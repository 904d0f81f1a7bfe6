"""Forms that batch over lanes, of functions that `torch.func.vmap` refuses or that it makes slow.

Within `Forms`, a module's own calls of these functions, and those of PyTorch's layers in it, are computed by the forms
in `FORMS`: recurrent layers, attention and dropout, whose masks are drawn by the lane's key of the step. Lanes that
train one after the other use them where random numbers are drawn, so that both ways draw the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from hpo.conventions import BATCH_FIRST_IS_FUSED, CALLS_COUNT_UNDRAWN
from hpo.training.custom.attention import attention
from hpo.training.custom.masks import mask_shape
from hpo.training.custom.over_lanes import batched, mask_of, over_lanes
from hpo.training.custom.recurrent import lstm, recurrence


class Forms(TorchFunctionMode):
    """One pass of one lane, or within vmap of all lanes."""

    def __init__(self, key: Tensor, conventions: int) -> None:
        """`key`: int32, the lane's key of the step. `conventions`: those of the study, see `hpo.conventions`."""
        super().__init__()
        self.key = key
        self.counts_all = conventions >= CALLS_COUNT_UNDRAWN
        self.any_order = conventions >= BATCH_FIRST_IS_FUSED
        self.seen: set[str] = set()
        """What the pass has done: see `Plan.seen`."""
        self.calls = 0
        """Calls so far in this pass that may draw a mask."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        form = FORMS.get(function)
        if form is None:
            return function(*args, **kwargs or {})
        if function is not F.linear:  # needs its form only beside others
            self.seen.add("forms")
        return form(self, *args, **kwargs or {})

    def count(self, *, drawn: bool) -> None:
        """Counts a call."""
        self.calls += drawn or self.counts_all

    def dropped(self, x: Tensor, p: float, shape: torch.Size) -> Tensor:
        """The input times the mask of this shape that the present call draws."""
        self.seen.add("masks")
        mask = over_lanes(mask_of, self.key, shape.numel(), p, self.calls, x.dtype)
        return x * cast(Tensor, mask).view(shape)


def _dropout(kind: type[nn.Module], plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def form(forms: Forms, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        forms.count(drawn=training and 0 < p < 1 and not inplace)
        if not training or not 0 < p <= 1 or inplace:
            forms.seen.update(["random"] if training and inplace else [])
            return plain(input, p, training, inplace)
        return forms.dropped(input, p, mask_shape(kind, input))

    return form


def _attention(
    forms: Forms,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """F.scaled_dot_product_attention."""
    has_form = query.dim() == 4 and not enable_gqa and 0 <= dropout_p <= 1
    forms.count(drawn=has_form and dropout_p < 1 and (dropout_p > 0 or batched(query, key, value)))
    forms.seen.update([] if has_form else ["random"])
    if not has_form or (dropout_p == 0 and not batched(query, key, value)):
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if is_causal:
        attn_mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        attn_mask = attn_mask[(None,) * (4 - attn_mask.dim())]
    forms.seen.update(["masks"] if dropout_p > 0 else [])
    found: Tensor = over_lanes(attention, query, key, value, attn_mask, forms.key, scale, dropout_p, forms.calls)
    return found


def _recurrent(kind: str) -> Callable[..., Any]:
    plain = getattr(torch, kind)

    def form(forms: Forms, x: Tensor, states: Any, weights: Any, *flags: Any) -> Any:
        if not isinstance(flags[0], bool):  # a packed sequence: input, sizes, states, weights, has_biases, ...
            forms.seen.add("random")
            return plain(x, states, weights, *flags)
        has_biases, layers, dropout, training, bidirectional, batch_first = flags
        drops = training and dropout > 0 and layers > 1
        if not drops and not batched(x, *weights):
            for _ in range(layers - 1):
                forms.count(drawn=False)
            return plain(x, states, weights, *flags)
        directions = 1 + bidirectional
        each = len(weights) // (layers * directions)
        if each > 2 + 2 * has_biases:
            raise RuntimeError("vmap has no form of projections (proj_size)")
        x = x.transpose(0, 1) if batch_first else x
        h = states[0] if kind == "lstm" else states
        last: list[list[Tensor]] = [[], []]
        for layer in range(layers):
            outputs = []
            for direction in range(directions):
                number = layer * directions + direction
                mine = weights[number * each : (number + 1) * each]
                if kind == "lstm":
                    y, *ends = over_lanes(lstm, bool(direction), x, h[number], states[1][number], *mine)
                else:
                    w = [*mine, None, None][:4]
                    y, *ends = over_lanes(recurrence, kind, bool(direction), forms.any_order, x, h[number], *w)
                outputs.append(y)
                for found, end in zip(last, ends, strict=False):
                    found.append(end)
            x = torch.cat(outputs, -1) if bidirectional else outputs[0]
            if layer < layers - 1:
                forms.count(drawn=drops)
                x = forms.dropped(x, dropout, x.shape) if drops else x
        return (x.transpose(0, 1) if batch_first else x, *(torch.stack(found) for found in last if found))

    return form


def _linear(forms: Forms, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.linear."""
    if not batched(weight) or not batched(input):
        return F.linear(input, weight, bias)
    found: Tensor = over_lanes(linear, input, weight, bias)
    return found


def linear(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """[K, ..., I], [K, O, I] and [K, O] -> [K, ..., O]."""
    rows = x.reshape(len(x), -1, x.shape[-1])
    y = rows @ w.transpose(1, 2) if b is None else torch.baddbmm(b.unsqueeze(1), rows, w.transpose(1, 2))
    return y.view(*x.shape[:-1], -1)


def _heads(forms: Forms, *args: Any, **kwargs: Any) -> Any:
    """F.multi_head_attention_forward: PyTorch's own code, with the forms in place of what it calls."""
    inner = {
        "has_torch_function": lambda values: False,
        "dropout": lambda *a, **k: FORMS[F.dropout](forms, *a, **k),
        "scaled_dot_product_attention": lambda *a, **k: _attention(forms, *a, **k),
        "linear": lambda *a, **k: _linear(forms, *a, **k),
    }
    scope = {**vars(F), **inner}
    for name in ("_in_projection_packed", "_in_projection", "multi_head_attention_forward"):
        function = getattr(F, name)
        copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
        copy.__kwdefaults__ = function.__kwdefaults__
        scope[function.__name__] = copy
    before = forms.calls
    found = scope["multi_head_attention_forward"](*args, **kwargs)
    if forms.counts_all:  # it calls dropout only where it drops something
        forms.calls = before + 1
    return found


def _not_nested(forms: Forms, *args: Any, **kwargs: Any) -> bool:
    """Nested tensors have no batched form; what they compute is the same."""
    return False


FORMS: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    F.dropout: _dropout(nn.Dropout, F.dropout),
    F.dropout1d: _dropout(nn.Dropout1d, F.dropout1d),
    F.dropout2d: _dropout(nn.Dropout2d, F.dropout2d),
    F.dropout3d: _dropout(nn.Dropout3d, F.dropout3d),
    F.scaled_dot_product_attention: _attention,
    F.multi_head_attention_forward: _heads,
    torch._nested_tensor_from_mask_left_aligned: _not_nested,
    **{getattr(torch, kind): _recurrent(kind) for kind in ("gru", "lstm", "rnn_tanh", "rnn_relu")},
}
"""Function -> its form, which takes the pass and the function's arguments."""
