"""Whether modules of the user's own can be lanes of one program: all that is no tensor must agree.

The numbers that the program takes from each lane by itself, dropout's p and batch normalisation's momentum, may differ.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hpo.models.custom import BATCH_NORMS

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Layers whose masks the program draws for each lane."""

INTERNAL = frozenset(vars(nn.Module()))
"""What every module has; of these only tensors, hooks and names of buffers tell modules apart."""

UNIQUE = "@"
"""Stands before the address of what cannot be compared."""

PER_LANE: dict[type[nn.Module], str] = {**dict.fromkeys(DROPOUTS, "p"), **dict.fromkeys(BATCH_NORMS, "momentum")}
"""Types of layers and the attribute in which lanes may differ."""


def likeness(module: nn.Module) -> str:
    """Equal for modules that compute the same from the same tensors and PER_LANE numbers. What cannot be compared,
    e.g. a function made for one module alone, makes a module like no other."""
    lines = [f"{path}: {_kind(child)} {_attributes(child)}" for path, child in module.named_modules()]
    first: dict[int, str] = {}
    for what, tensors in (
        ("parameter", module.named_parameters(remove_duplicate=False)),
        ("buffer", module.named_buffers(remove_duplicate=False)),
    ):
        for name, tensor in tensors:
            shared = first.setdefault(id(tensor), name)  # tied weights
            lines.append(f"{what} {name} {tuple(tensor.shape)} {tensor.dtype} {shared}")
    return "\n".join(lines)


def _kind(module: nn.Module) -> str:
    """The module's class; one that was made inside a function may differ from call to call."""
    kind = type(module)
    own = f"{UNIQUE}{id(kind)}" if "<locals>" in kind.__qualname__ else ""
    return f"{kind.__module__}.{kind.__qualname__}{own}"


def _attributes(module: nn.Module) -> str:
    left_out = {"training", "_parameters", "_buffers", "_modules", PER_LANE.get(type(module))}
    if isinstance(module, nn.RNNBase):
        left_out |= {"_flat_weights", "_flat_weight_refs"}  # the parameters once more
    values = {key: value for key, value in vars(module).items() if key not in left_out}
    return repr({key: _told(value) for key, value in values.items() if key not in INTERNAL or _matters(key, value)})


def _matters(key: str, value: Any) -> bool:
    """Whether something that every module has was used, and for computing, not for saving."""
    return bool(value) and "state_dict" not in key


def _told(value: Any) -> Any:
    """The value as text or a structure of texts if that tells it completely, else its identity."""
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value)
        case list() | tuple():
            return [type(value).__name__, *map(_told, value)]
        case set() | frozenset():
            return sorted(map(str, map(_told, value)))
        case dict():
            return {str(_told(key)): _told(item) for key, item in value.items()}
        case Tensor():
            return f"tensor {tuple(value.shape)}"
        case _:
            return f"{type(value).__name__}{UNIQUE}{id(value)}"
