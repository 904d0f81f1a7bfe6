"""Whether modules of the user's own can be lanes of one program: their `likeness` must be equal. It contains everything
but the values of tensors and the numbers that a program has per lane, dropout and batch normalisation's momentum.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hpo.models.families.custom import BATCH_NORMS

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Layers whose masks the program draws for each lane."""

INTERNAL = frozenset(vars(nn.Module()))
"""Attributes of every module; of these only tensors, hooks and names of buffers are compared."""

UNIQUE = "@"
"""Precedes the memory address of an object that cannot be compared by its content."""

DROPPING: dict[type[nn.Module], str] = {
    **dict.fromkeys(DROPOUTS, "p"),
    **dict.fromkeys((nn.GRU, nn.LSTM, nn.RNN, nn.MultiheadAttention), "dropout"),
}
"""Types of layers with a dropout probability, and its attribute."""

PER_LANE: dict[type[nn.Module], str] = {**DROPPING, **dict.fromkeys(BATCH_NORMS, "momentum")}
"""Types of layers and the attribute in which lanes may differ."""


def likeness(module: nn.Module) -> str:
    """A text that is equal for modules that compute the same from the same tensors and PER_LANE numbers. A module with
    an attribute that cannot be compared, e.g. a function made for it alone, has a text of its own."""
    lines = [f"{path}: {_kind(child)} {_attributes(child)}" for path, child in module.named_modules()]
    first: dict[int, str] = {}
    for what, tensors in (
        ("parameter", module.named_parameters(remove_duplicate=False)),
        ("buffer", module.named_buffers(remove_duplicate=False)),
    ):
        for name, tensor in tensors:
            shared = first.setdefault(id(tensor), name)  # tied weights
            frozen = "" if what == "buffer" or tensor.requires_grad else " frozen"
            lines.append(f"{what} {name} {tuple(tensor.shape)} {tensor.dtype} {shared}{frozen}")
    return "\n".join(lines)


def _kind(module: nn.Module) -> str:
    """The module's class, with its address if it was defined inside a function: such classes may differ from call to
    call."""
    kind = type(module)
    own = f"{UNIQUE}{id(kind)}" if "<locals>" in kind.__qualname__ else ""
    return f"{kind.__module__}.{kind.__qualname__}{own}"


def _attributes(module: nn.Module) -> str:
    left_out = {"training", "_parameters", "_buffers", "_modules", PER_LANE.get(type(module))}
    if isinstance(module, nn.RNNBase):
        left_out |= {"_flat_weights", "_flat_weight_refs"}  # the parameters once more
    values = {key: value for key, value in vars(module).items() if key not in left_out}
    kept = {key: _text(value) for key, value in values.items() if key not in INTERNAL or _matters(key, value)}
    return repr(kept)


def _matters(key: str, value: Any) -> bool:
    """Whether an internal attribute affects the computation, not only saving."""
    return bool(value) and "state_dict" not in key


def _text(value: Any) -> Any:
    """The value as a text or structure of texts; if texts cannot describe it completely, its type and address."""
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case list() | tuple():
            return [type(value).__name__, *map(_text, value)]
        case set() | frozenset():
            return sorted(map(str, map(_text, value)))
        case dict():
            return {str(_text(key)): _text(item) for key, item in value.items()}
        case Tensor():
            return f"tensor {tuple(value.shape)}"
        case _:
            return f"{type(value).__name__}{UNIQUE}{id(value)}"
