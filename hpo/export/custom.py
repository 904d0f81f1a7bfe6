"""A module of the user's own in an export: a copy of its file, and the code that builds it from there."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from hpo.models.families.custom import INPUTS, NAME, arguments_of, takes_inputs
from hpo.models.named_inputs import NamedInputs, Place
from hpo.own_code import load_callable, source_bytes
from hpo.signature import Signature
from hpo.studyfile.custom import Reference
from hpo.studyfile.records import Custom, TrialConfig

TAKEN = "model.py"
"""The export's own Python file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedModule:
    """The user's part of an export."""

    reference: Reference
    """Where the export finds the module: in a file beside its own, or in a package that must be installed."""
    source: bytes | None
    """Content of the file; None for a package."""
    arguments: tuple[str, ...]
    """Arguments of the call that makes the module, as Python code."""
    places: tuple[Place, ...] = ()
    """What its forward takes by name; empty: a row as it is."""

    @property
    def files(self) -> dict[str, bytes]:
        return {} if self.source is None else {self.reference.module: self.source}

    @property
    def standard(self) -> list[str]:
        """Modules of the standard library that the code imports."""
        return ["importlib.util", "sys"] if self.reference.is_file else []

    @property
    def installed(self) -> list[str]:
        """Other modules that the code imports."""
        return [] if self.reference.is_file else [self.reference.module]

    @property
    def code(self) -> str:
        """Functions of the generated file: finding the module where it is a file, and building it."""
        maker = "own_module()" if self.reference.is_file else self.reference.module
        arguments = "".join(f"        {argument},\n" for argument in self.arguments)
        places = "".join(f"        {_literal(place)},\n" for place in self.places)
        named = f"\n    places = [\n{places}    ]" if places else ""
        build = f'''
def build() -> nn.Sequential:
    """The model, untrained."""
    own = {maker}.{self.reference.name}(
{arguments}    ){named}
    return nn.Sequential(OrderedDict([("custom", {"NamedInputs(own, places)" if places else "own"})]))
'''
        functions = [self._finding(), build] if self.reference.is_file else [build]
        functions += [inspect.getsource(NamedInputs)] if places else []
        return "\n\n\n".join(function.strip() for function in functions)

    def _finding(self) -> str:
        file = json.dumps(self.reference.module)
        return f'''
def own_module() -> ModuleType:
    """The code of {self.reference.module}."""
    file = HERE / {file}
    spec = importlib.util.spec_from_file_location("own_module", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
'''


def exported_module(
    model: nn.Sequential, config: TrialConfig, signature: Signature, outputs: int
) -> ExportedModule | None:
    """The user's part of an export; None if the model is not of the family `custom`."""
    if not isinstance(config.model, Custom):
        return None
    reference = Reference.of(config.model.module)
    named = [f"{key}={_literal(value)}" for key, value in arguments_of(config.model).items()]
    where, first = takes_inputs(load_callable(reference), config), repr(signature.main.shape)
    inputs = 'json.loads((HERE / "config.json").read_text("utf-8"))["inputs"]'
    if where == "first":
        first = inputs
    elif where == "by_name":
        named.append(f"{INPUTS}={inputs}")
    own = model.get_submodule(NAME)
    found = ExportedModule(
        reference=reference,
        source=None,
        arguments=(first, str(outputs), *named),
        places=own.places if isinstance(own, NamedInputs) else (),
    )
    if not reference.is_file:
        return found
    name = Path(reference.module).name
    copy = Reference(module="own_model.py" if name == TAKEN else name, name=reference.name)
    return replace(found, reference=copy, source=source_bytes(reference))


def exported_config(config: TrialConfig, own: ExportedModule | None) -> dict[str, Any]:
    """The configuration for `config.json`, in which the module of the user's own is the copy in the export."""
    stored = config.model_dump(mode="json")
    if own is not None:
        stored["model"]["module"] = str(own.reference)
    return stored


def _literal(value: Any) -> str:
    """The value as Python code in the style of a formatter."""
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        inner = ", ".join(map(_literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
