"""A module of the user's own as a model: made by calling the user's code, then checked for whether it can be trained.

`hpo.own_code` loads the code; `hpo.models.likeness` decides which of these modules can train in one program.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hpo.conventions import NAMED_INPUTS
from hpo.errors import InputError
from hpo.models.frozen import frozen_parameters, trained_parameters
from hpo.models.named_inputs import NamedInputs, example, places_of
from hpo.models.slots import Children
from hpo.own_code import error_line, load_callable, module_error, reporting_errors, with_article
from hpo.printable import listed
from hpo.signature import Signature
from hpo.studyfile.custom import Reference
from hpo.studyfile.problems import hint
from hpo.studyfile.records import Custom, TrialConfig

NAME = "custom"
"""The one child of a model of this family."""

INPUTS = "inputs"
"""Argument by which a class or function gets the signature of the data, as `Signature.as_dict` gives it: the first one,
in place of `input_shape`, or another one, by its name."""

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""Layers whose running averages training keeps."""


def custom(config: TrialConfig, signature: Signature, outputs: int, *, checked: bool = True) -> Children:
    """The user's module as the only child. It draws its initial weights from torch's global generator. Raises
    InputError if it cannot be made and, where it is to be checked, if it does not return [B, outputs] for B examples,
    or cannot be trained correctly."""
    assert isinstance(config.model, Custom)
    reference = Reference.of(config.model.module)
    arguments = arguments_of(config.model)
    maker = load_callable(reference)
    _check_call(maker, reference, config, arguments)
    where = takes_inputs(maker, config)
    first = signature.as_dict() if where == "first" else signature.main.shape
    given = {INPUTS: signature.as_dict()} if where == "by_name" else {}
    shown = INPUTS if where == "first" else signature.main.shape
    call = f"{reference.name}({shown}, {outputs}{_written(arguments)})"

    def make() -> nn.Module:
        with reporting_errors(reference, call):
            made = maker(first, outputs, **arguments, **given)
        if not isinstance(made, nn.Module):
            raise module_error(reference, f"{call} gave {with_article(made)}; it must give a torch.nn.Module")
        try:
            places = places_of(made, signature)
        except InputError as error:
            raise module_error(reference, f"{call}: {error}") from None
        return made if places is None else NamedInputs(made, places)

    module = make()
    if not checked and not any(map(is_lazy, module.parameters())):
        return [(NAME, module)]
    problems = [*_unregistered_tensors(module)]
    _check_forward(module, reference, call, signature, outputs)
    problems += [*_untrainable(module), *_changed_buffers(module, signature), *_random_buffers(module, make)]
    if config.training.batch_size == 1:
        problems += _single_examples(module, signature)
    if problems:
        raise module_error(reference, f"{call}: {problems[0]}")
    return [(NAME, module)]


def takes_inputs(maker: Callable[..., Any], config: TrialConfig) -> Literal["first", "by_name"] | None:
    """How the class or function takes the signature of the data; None if it does not, as in studies of earlier
    conventions and where the study has an argument of this name."""
    assert isinstance(config.model, Custom)
    if config.conventions < NAMED_INPUTS or INPUTS in config.model.arguments:
        return None
    try:
        names = list(inspect.signature(maker).parameters)
    except ValueError:  # some callables have no signature
        return None
    return None if INPUTS not in names else "first" if names[0] == INPUTS else "by_name"


def arguments_of(model: Custom) -> dict[str, Any]:
    """The keyword arguments with which the module is made; a list of the TOML file is passed as a list."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in model.arguments.items()}


def _check_call(make: Callable[..., Any], reference: Reference, config: TrialConfig, arguments: dict[str, Any]) -> None:
    """Refuses arguments that the class or function does not take, before it is called."""
    try:
        call = inspect.signature(make)
    except ValueError:  # some callables have no signature
        return
    taken = list(call.parameters.values())
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    where = takes_inputs(make, config)
    named = [p.name for p in taken[2:] if p.kind in kinds and (p.name != INPUTS or where is None)]
    first = INPUTS if where == "first" else "input_shape"
    if not any(p.kind == p.VAR_KEYWORD for p in taken):
        for key in arguments:
            if key not in named:
                allowed = f"It takes {listed(named)}" if named else f"It takes none beside ({first}, outputs)"
                text = f"{reference.name} takes no argument {key}.{hint(key, named)} {allowed}"
                raise InputError(f"model.arguments.{key}: {text}.")
    given = {INPUTS: None} if where == "by_name" else {}
    try:
        call.bind(None, None, **arguments, **given)
    except TypeError as error:
        text = f"it is called as {reference.name}({first}, outputs{_written(arguments)}), but: {error}"
        raise module_error(reference, f"{text}. What model.arguments does not give needs a default") from None


def _check_forward(module: nn.Module, reference: Reference, call: str, signature: Signature, outputs: int) -> None:
    """Checks the shape of the output for a small batch. Lazy layers get their shapes here."""
    batch = example(signature, 2)
    with reporting_errors(reference, f"{call}, applied to a batch {list(batch.shape)},"), torch.no_grad():
        found = module.eval()(batch)
    module.train()
    if not isinstance(found, Tensor) or found.shape != (2, outputs) or not found.is_floating_point():
        what = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else with_article(found)
        text = f"{call} gave {what} for a batch {list(batch.shape)}; it must give real numbers [2, {outputs}]"
        raise module_error(reference, text)


# --- problems of training, in modules that run -------------------------------------------------------------


def _unregistered_tensors(module: nn.Module) -> Iterator[str]:
    registered = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    for path, child in module.named_modules():
        for name, value in vars(child).items():
            if any(id(tensor) not in registered for tensor in _tensors(value)):
                yield f"it keeps a tensor in {_join(path, name)}, where nothing saves it; use register_buffer"


def _untrainable(module: nn.Module) -> Iterator[str]:
    trained = trained_parameters(module)
    if not trained and frozen_parameters(module):
        yield "all of its parameters are frozen, so there is nothing to train; leave requires_grad=True in some"
    elif not trained:
        yield "it has no parameters, so there is nothing to train"
    for path, child in module.named_modules():
        if isinstance(child, BATCH_NORMS) and child.track_running_stats and child.momentum is None:
            yield f"{path or 'it'} averages over all batches alike; give it a momentum, e.g. 0.1"


def _random_buffers(module: nn.Module, make: Callable[[], nn.Module]) -> Iterator[str]:
    """Buffers that are not saved, and would have other values when the model is built again."""
    saved = module.state_dict()
    unsaved = {name: buffer for name, buffer in module.named_buffers() if name not in saved}
    again = dict(make().named_buffers()) if unsaved else {}
    for name, buffer in unsaved.items():
        if name in again and not torch.equal(buffer, again[name]):
            yield f"its buffer {name} is random, so it must be saved with the weights; leave out persistent=False"


def _changed_buffers(module: nn.Module, signature: Signature) -> Iterator[str]:
    """Buffers and attributes that training changes, except those of batch normalisation; their values would be lost."""
    try:
        trained = copy.deepcopy(module).train()
        with torch.no_grad():
            for parameter in trained_parameters(
                trained
            ).values():  # as after a step: some buffers depend on the weights
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            trained(example(signature, 4, torch.default_generator))
    except Exception as error:
        yield f"{error_line(error)}, when a copy of it was tried in training mode"
        return
    for (path, child), (_, after_child) in zip(module.named_modules(), trained.named_modules(), strict=True):
        for name, value in _plain(child).items():
            if name != "training" and _plain(after_child).get(name) != value:
                yield (
                    f"its attribute {_join(path, name)} changes in training, but nothing of a model is saved beside "
                    "parameters and the running averages of batch normalisation"
                )
    kept = {path for path, child in module.named_modules() if type(child) in BATCH_NORMS}
    before = dict(module.named_buffers())
    for name, after in trained.named_buffers():
        owner = name.rpartition(".")[0]
        if owner not in kept and (name not in before or not torch.equal(before[name], after)):
            yield (
                f"its buffer {name} changes in training; only the running averages of nn.BatchNorm1d, 2d and 3d may, "
                "since nothing else is saved with a trial"
            )
        if name.endswith("num_batches_tracked") and owner in kept and after > before[name] + 1:
            yield f"{owner} normalises several times in one pass; give each place a layer of its own"


def _single_examples(module: nn.Module, signature: Signature) -> Iterator[str]:
    """Batch normalisation that cannot train on batches of one example, which PyTorch refuses."""
    try:
        with torch.no_grad():
            copy.deepcopy(module).train()(example(signature, 1, torch.default_generator))
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            yield "its batch normalisation needs at least 2 examples in a batch; raise training.batch_size"


def _plain(module: nn.Module) -> dict[str, Any]:
    """Attributes that are plain values, and the lengths of those that are collections."""
    return {
        name: value if isinstance(value, int | float | str | bool | None) else len(value)
        for name, value in vars(module).items()
        if isinstance(value, int | float | str | bool | list | tuple | dict | set | None) and not name.startswith("_")
    }


def _tensors(value: Any) -> Iterable[Tensor]:
    """Tensors among an attribute's values."""
    match value:
        case Tensor():
            return [value]
        case list() | tuple() | set():
            return [item for item in value if isinstance(item, Tensor)]
        case dict():
            return [item for key, item in value.items() if isinstance(item, Tensor)]
        case _:
            return []


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _written(arguments: dict[str, Any]) -> str:
    return "".join(f", {key}={value!r}" for key, value in arguments.items())
