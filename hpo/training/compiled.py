"""The training step as native code: one compiled program for each form that a cohort can take.

The step is traced into a flat graph of tensor operations, which `torch.compile` turns into code. All numbers that
differ between lanes are inputs of the graph, so the code can be used for every cohort of the same form. Compiling takes
seconds; results equal those of the plain step up to rounding. Without a compiler, the plain step is used.

The compiler's libraries take longer to load than the rest of PyTorch: they are loaded when a step is to be compiled.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from hpo.optim import rules
from hpo.optim.coefficients import coefficients_of
from hpo.studyfile.records import TrialConfig
from hpo.training.custom.module import CustomModules
from hpo.training.layers.kinds import kind
from hpo.training.layers.loss import Mixed
from hpo.training.layers.mixed_norm import MixedNorm
from hpo.training.program import Program
from hpo.training.step import Advance, Course, Numbers, plain, step

T = TypeVar("T")

MOST_FORMS = 16
"""Largest number of compiled forms. Cohorts of further forms use the plain step: a study whose cohorts keep changing
their form would otherwise spend its time on compiling."""

_compiled: dict[Any, Any] = {}
"""Native code by form; None where compiling failed."""


def native(
    program: Program,
    state: dict[str, Tensor],
    numbers: Numbers,
    course: Course,
    witnesses: Sequence[TrialConfig],
) -> Advance:
    """The compiled step of these lanes. The first call for a form compiles it. Terms that the optimizer of a witness
    has are computed, even if no lane's has them."""
    from torch._dynamo.exc import TorchDynamoException

    theta = state["theta"]
    coefficients = [coefficients_of(optimizer) for optimizer in course.optimizers]
    stacked = rules.stack(
        coefficients, theta.dtype, theta.device, [coefficients_of(one.optimizer) for one in witnesses]
    )
    lanes = (state, program.columns, program.momentum_KQ, numbers, stacked)
    fixed = list(_tensors(lanes))
    form = (_program_form(program), _form(lanes))
    columns = rules.step_columns(coefficients, course.rate_SK, course.done, theta.dtype, theta.device)
    newest = course.newest(state)
    fallback = plain(program, state, numbers, course)

    def advance(s: int, x: Tensor, y: Tensor | Mixed, masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        batch = (x, y, masks, columns.at(s), newest[s])
        key = (form, _form(batch))
        if key not in _compiled:
            _compiled[key] = None if len(_compiled) >= MOST_FORMS else _compile(program, lanes, batch)
        code = _compiled[key]
        if code is None:
            return fallback(s, x, y, masks)
        try:
            found: tuple[Tensor, Tensor] = code(*fixed, *_tensors(batch))
            return found
        except TorchDynamoException as error:
            _compiled[key] = None
            reason = str(error).strip().splitlines()[0]
            logging.getLogger("hpo").warning("the training step cannot be compiled, going on without: %s", reason)
            return fallback(s, x, y, masks)

    return advance


def _compile(program: Program, lanes: Any, batch: Any) -> Any:
    from torch.fx.experimental.proxy_tensor import make_fx

    def flat(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        given = iter(tensors)
        state, columns, momentum_KQ, numbers, stacked = _refilled(lanes, given)
        x, y, masks, now, newest_K1 = _refilled(batch, given)
        twin = copy(program)
        twin.columns, twin.momentum_KQ = columns, momentum_KQ
        theta, m, v = state["theta"], state["m"], state["v"]
        bound = twin.bind(theta, state["stats"], separate=True)

        def update() -> None:
            rules.update_(theta, bound.gradient_KP, m, v, now, stacked)

        return step(bound, state, numbers, x, y, masks, update, newest_K1)

    # On copies, because tracing runs the step, which changes its state.
    graph = make_fx(flat)(*[tensor.clone() for tensor in (*_tensors(lanes), *_tensors(batch))])
    return torch.compile(graph, dynamic=False, fullgraph=True)


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in tuples, dictionaries and records, in a fixed order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _tensors(getattr(value, one.name))


def _refilled(value: T, tensors: Iterator[Tensor]) -> T:
    """The same value with its tensors replaced by others, in order."""
    found: Any = value
    if isinstance(value, Tensor):
        found = next(tensors)
    elif isinstance(value, tuple):
        found = tuple(_refilled(part, tensors) for part in value)
    elif isinstance(value, Mapping):
        found = {name: _refilled(part, tensors) for name, part in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{one.name: _refilled(getattr(value, one.name), tensors) for one in fields(value)})
    return cast(T, found)


def _form(value: Any) -> Any:
    """A key of everything in a value but the numbers in its tensors."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.device
    if isinstance(value, tuple):
        return tuple(map(_form, value))
    if isinstance(value, Mapping):
        return tuple((name, _form(part)) for name, part in value.items())
    if is_dataclass(value):
        return tuple((one.name, _form(getattr(value, one.name))) for one in fields(value))
    return value


def _program_form(program: Program) -> object:
    """The form of a program: equal for programs that differ only in the numbers of their lanes."""
    return (
        program.layout,
        program.conventions,
        tuple(
            (position.name, position.learns, run.lanes.start, run.lanes.stop, run.last, _layer_form(run.layer))
            for position in program.positions
            for run in position.runs
        ),
    )


def _layer_form(layer: nn.Module | MixedNorm | CustomModules) -> object:
    return kind(layer) if isinstance(layer, nn.Module) else layer
