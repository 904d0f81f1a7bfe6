"""The inputs of a module of the user's own: handed to it by the names of its forward's arguments.

`NamedInputs` is copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from typing import get_args

import torch
from torch import Tensor, nn

from hpo.errors import InputError
from hpo.printable import listed
from hpo.signature import UNKNOWN, InputName, Signature

Place = tuple[str, str, int, tuple[int, ...]]
"""An argument's name, the input it takes, where that begins in a row, and its shape."""


class NamedInputs(nn.Module):
    """Takes rows of all inputs apart for a module that takes them by name."""

    def __init__(
        self,
        own: nn.Module,
        places: Sequence[tuple[str, str, int, tuple[int, ...]]],
    ) -> None:
        """`places`: argument, input, begin in a row and shape of each."""
        super().__init__()
        self.own = own
        self.places = tuple(places)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] -> what the module gives. Codes and tokens are int64, a mask bool."""
        rows = x.flatten(1)
        given = {}
        for argument, which, start, shape in self.places:
            part = rows[:, start : start + prod(shape)].reshape(-1, *shape)
            if which in ("codes", "tokens"):
                part = part.long()
            elif which == "mask":
                part = part > 0
            given[argument] = part
        answer: Tensor = self.own(**given)
        return answer


def places_of(module: nn.Module, signature: Signature) -> tuple[Place, ...] | None:
    """What the arguments of the module's forward take; None where it takes a row of values as it is.

    Raises InputError if it leaves out an input other than the mask, or asks for one that the data do not have.
    """
    taken = inspect.signature(module.forward).parameters.values()
    plain = [p for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)]
    known = {one.name: (signature.start(one.name), one.shape) for one in signature.inputs}
    if "tokens" in known:
        known.setdefault("mask", known["tokens"])  # a token of 0 is behind the end
    asked = [p.name for p in plain if p.default is p.empty]
    if signature.names == ("values",) and len(asked) <= 1:
        return None
    named = {p.name: p.name for p in plain if p.name in get_args(InputName)}
    main = signature.main.name
    if main not in named and plain and plain[0].kind != inspect.Parameter.POSITIONAL_ONLY:
        unknown = [name for name in asked if name not in named]
        if unknown in ([], [plain[0].name]):  # whatever it is called, the first argument takes what there is
            named = {plain[0].name: main, **named}
    absent = [name for name, which in named.items() if which not in known and name in asked]
    strange = [name for name in asked if name not in named]
    left_out = [name for name in signature.names if name not in named.values() and name != "mask"]
    given = f"the data give {listed(signature.names)}"
    if strange or left_out:
        wanted = ", ".join(("self", *known))
        what = f"takes {listed(asked)}" if asked else "takes no argument"
        out = ", or declare the columns of texts as ignored in [data.columns]" if "tokens" in left_out else ""
        raise InputError(f"its forward {what}, and {given}; write def forward({wanted}){out}")
    if absent:
        hint = "; sequences have a mask where they come with lengths" if "mask" in absent else ""
        raise InputError(
            f"its forward asks for {listed(absent)}, and {given}; leave it out, or give it a default{hint}"
        )
    return tuple((name, which, *known[which]) for name, which in named.items() if which in known)


def own_module(module: nn.Module) -> nn.Module:
    """The module as the user wrote it."""
    return module.own if isinstance(module, NamedInputs) else module


_at_hand: ContextVar[Tensor | None] = ContextVar("rows at hand", default=None)


SHOWN = 64
"""Rows that `at_hand` needs at most."""


@contextmanager
def at_hand(rows: Tensor) -> Iterator[None]:
    """Within it, `example` gives the first of these training rows: a module may depend on the range of its inputs."""
    token = _at_hand.set(rows)
    try:
        yield
    finally:
        _at_hand.reset(token)


def example(signature: Signature, count: int, generator: torch.Generator | None = None) -> Tensor:
    """[count, ...] rows: real ones where some are at hand. Else numbers of every input's kind: random ones, some of
    which end early, or, without a generator, whole ones with 0 for values and the least code or word that may occur."""
    rows = _at_hand.get()
    if rows is not None and len(rows) and rows.shape[1:] == signature.shape:
        first = rows[: min(count, len(rows))].detach().cpu().to(torch.get_default_dtype())
        return first[torch.arange(count) % len(first)]
    parts = []
    for one in signature.inputs:
        if one.name == "mask":
            parts.append(torch.ones(count, *one.shape))
        elif one.sizes:
            least = UNKNOWN if one.name == "tokens" else 0
            sizes = torch.tensor(one.sizes).expand(one.shape)
            shape = count, *one.shape
            share = torch.zeros(shape) if generator is None else torch.rand(shape, generator=generator)
            parts.append(least + (share * (sizes - least)).floor())
        elif generator is None:
            parts.append(torch.zeros(count, *one.shape))
        else:
            parts.append(torch.randn(count, *one.shape, generator=generator))
    if generator is not None:
        for part, one in zip(parts, signature.inputs, strict=True):
            if one.name in ("tokens", "mask"):
                part[torch.arange(one.shape[0]) > torch.arange(count)[:, None] % one.shape[0]] = 0.0
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.flatten(1) for part in parts], dim=1)
