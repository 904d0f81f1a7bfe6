"""A module of the user's own in an export: a copy of its file, and the code that builds it from there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.models.custom import arguments_of
from hpo.own_code import source_bytes
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
        build = f'''
def build() -> nn.Sequential:
    """The model, untrained."""
    own = {maker}.{self.reference.name}(
{arguments}    )
    return nn.Sequential(OrderedDict([("custom", own)]))
'''
        functions = [self._finding(), build] if self.reference.is_file else [build]
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


def exported_module(config: TrialConfig, input_shape: tuple[int, ...], outputs: int) -> ExportedModule | None:
    """The user's part of an export; None if the model is not of the family `custom`."""
    if not isinstance(config.model, Custom):
        return None
    reference = Reference.of(config.model.module)
    named = (f"{key}={_literal(value)}" for key, value in arguments_of(config.model).items())
    arguments = (repr(tuple(input_shape)), str(outputs), *named)
    if not reference.is_file:
        return ExportedModule(reference=reference, source=None, arguments=arguments)
    name = Path(reference.module).name
    copy = Reference(module="own_model.py" if name == TAKEN else name, name=reference.name)
    return ExportedModule(reference=copy, source=source_bytes(reference), arguments=arguments)


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
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
