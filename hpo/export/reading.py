"""Reads the files of an export into models and their preprocessing. Damaged files are refused before they are used.

The model is built from `config.json`: `model.py` is not executed, but the file of a model of the user's own is. The
sizes in `config.json` are compared with those of the weights before memory is allocated for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from hpo import models
from hpo.conventions import FIRST, KEY
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.errors import InputError
from hpo.export.folder import FORMAT, weight_names
from hpo.signature import Signature
from hpo.studyfile.records import Custom, TrialConfig
from hpo.studyfile.records.data import Mark

AGAIN = "Export the trial again with --force."

Size = Annotated[int, Field(ge=1)]


class Reading(BaseModel):
    """How the CSV files of training were declared, as in `[data]`."""

    model_config = ConfigDict(frozen=True, strict=True)

    header: bool = True
    separator: Mark | None = None
    quote: Mark = '"'
    encoding: str | None = None


class About(BaseModel):
    """The fields of `config.json` from which the model is rebuilt; the others are for people."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: Literal[1]
    config: TrialConfig
    input_shape: tuple[Size, ...]
    """Shape of one sample."""
    outputs: Size
    reading: Reading = Reading()


def read_export(folder: Path) -> tuple[tuple[nn.Sequential, ...], tuple[Preprocessing, ...], Reading]:
    """The models and the preprocessing of an export, one of each per replica, and how CSV files are read. Raises
    `InputError` if a file is missing or damaged."""
    about = _about(folder / "config.json")
    preprocessing = _preprocessing(folder / "preprocessing.json", about)
    names = weight_names(len(preprocessing))
    modules = tuple(_module(folder, about, preprocessing[0].signature, name) for name in names)
    return modules, preprocessing, about.reading


def _about(path: Path) -> About:
    found = _json(path)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path} is not from this version of `hpo export`. Export the trial again.")
    if "function" in found:
        raise InputError(
            f"{path} is of a trial that the training function {found['function']} trained, so no model of it is known. "
            "load.py beside it loads what the function saved."
        )
    try:
        return About.model_validate_json(json.dumps(_with_conventions(found)))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {_reason(error)}. {AGAIN}") from None


def _with_conventions(found: dict[str, Any]) -> dict[str, Any]:
    """Adds the first convention to an export that records none."""
    config = found.get("config")
    return {**found, "config": {KEY: FIRST, **config}} if isinstance(config, dict) else found


def _preprocessing(path: Path, about: About) -> tuple[Preprocessing, ...]:
    """One for each replica; all of one kind of table, and of the size that the model takes and gives."""
    found = _json(path)
    if not isinstance(found, list) or not found:
        raise InputError(f"{path} is damaged: it must be a list with an entry for each replica. {AGAIN}")
    try:
        records = tuple(map(Preprocessing.from_dict, found))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {_reason(error)}. {AGAIN}") from None
    for record in records:
        if (record.input_shape, len(record.class_names) or 1) != (about.input_shape, about.outputs):
            raise InputError(
                f"{path} and config.json do not fit together: they disagree about the model's size. {AGAIN}"
            )
        if _columns(record) != _columns(records[0]):
            raise InputError(f"{path} is damaged: its entries are about different columns. {AGAIN}")
    return records


def _columns(record: Preprocessing) -> tuple[object, ...]:
    """The columns of the table, and how they are read."""
    features = (record.numeric_names, record.categorical_names, record.text_names, record.forms)
    return (*features, record.signature.inputs, record.target_name, record.class_names)


def _module(folder: Path, about: About, signature: Signature, name: str) -> nn.Sequential:
    config = about.config.below(folder)
    place = f"{folder / name} and config.json do not fit together"
    if not isinstance(config.model, Custom):  # a module of the user's own need not work without numbers
        with torch.device("meta"):
            wanted = models.build(config, signature, about.outputs).state_dict()
        sizes = _sizes(folder / name)
        if unlike := [key for key in {**wanted, **sizes} if sizes.get(key) != _size(wanted.get(key))]:
            raise InputError(f"{place}: {unlike[0]} is of another size. {AGAIN}")
    module = models.build(config, signature, about.outputs, checked=False)
    try:
        module.load_state_dict(_weights(folder / name))
    except RuntimeError as error:
        raise InputError(f"{place} ({_reason(error)}). {AGAIN}") from None
    return module.eval()


def _size(tensor: torch.Tensor | None) -> list[int] | None:
    return None if tensor is None else list(tensor.shape)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Write an export with `hpo export STUDY -o DIR`.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}). {AGAIN}") from None


def _sizes(path: Path) -> dict[str, list[int]]:
    """The shape of each tensor in the file, from its header alone."""
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118  # it is no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is missing or damaged ({error}). {AGAIN}") from None


def _weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is missing or damaged ({error}). {AGAIN}") from None


def _reason(error: Exception) -> str:
    """One line about the first thing that is wrong."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return str(error).splitlines()[0]
