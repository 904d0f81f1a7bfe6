"""Inputs of a study beside its file: the prepared data, and the code of the user's own models or training function.

Mistakes in them are found here, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpo import models, own_code, space
from hpo.data.prepare import PreparedData
from hpo.data.study import StudyData, load_data
from hpo.data.without_data import no_data
from hpo.environment import secrets_withheld
from hpo.errors import InputError, StudyFileError
from hpo.execution.resources import TRIED
from hpo.models.flops import flops
from hpo.models.named_inputs import SHOWN, at_hand
from hpo.studyfile.custom import Reference, modules_of
from hpo.studyfile.file import StudySpec
from hpo.studyfile.study import named_code, normalises_batches
from hpo.studyfile.tree import Choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs(StudyData):
    """Inputs of a study beside its file: the data, and the code of the user's own."""

    sources: dict[str, str]
    """SHA-256 of the code of every module of the user's own, by file or module as the study names it."""


def load_inputs(spec: StudySpec, home: Path | None = None) -> Inputs:
    """Loads the data, and reads the code of the user's own. A study of a training function may have no data: that data
    set is empty. `home`: as for `load_data`."""
    data = no_data() if spec.data is None else load_data(spec, home)
    return Inputs(
        dataset=data.dataset,
        splits=data.splits,
        prepared=data.prepared,
        reshuffled=data.reshuffled,
        unkept=data.unkept,
        sources=sources_of(spec),
    )


def sources_of(spec: StudySpec) -> dict[str, str]:
    """SHA-256 of the code of the user's own, see `Inputs.sources`. Raises `StudyFileError` where it cannot be read."""
    named = (reference.module for reference in named_code(spec))
    try:
        return dict(zip(named, map(own_code.pin, references(spec)), strict=True))
    except InputError as error:
        raise StudyFileError(f"{spec.source}: {error}") from None


def references(spec: StudySpec) -> list[Reference]:
    """The code of the user's own, with the paths of its files."""
    return [reference.below(Path(spec.source).parent) for reference in named_code(spec)]


def check_code(spec: StudySpec, inputs: Inputs) -> None:
    """Raises `StudyFileError` where nothing of the study can be trained: see `check_models`, or the training function
    cannot be loaded."""
    if spec.function is None:
        check_models(spec, inputs)
        return
    try:
        with secrets_withheld():
            for reference in references(spec):
                own_code.load_callable(reference)
    except InputError as error:
        raise StudyFileError(f"{spec.source}: {error}") from None


def check_models(spec: StudySpec, inputs: Inputs) -> None:
    """Raises `StudyFileError` where no model family of the study can be built for the data, or where one of the user's
    own modules cannot be built with any of its arguments."""
    model = spec.tree["model"]
    errors: list[str] = []
    fits = False
    for table in _families(model):
        error = _error_of(replace(spec, tree=spec.tree | {"model": table}), inputs.prepared)
        if error and table["family"] == "custom":
            raise StudyFileError(f"{spec.source}: {error}")
        fits = fits or error is None
        errors += [error] if error else []
    if normalises_batches(spec) and any(len(replica.x_train) == 1 for replica in inputs.prepared.replicas):
        raise StudyFileError(
            f"{spec.source}: batch normalisation needs at least 2 examples in a batch, but a training part of "
            f'{inputs.dataset.name!r} has only 1. Add examples, or take norm.kind = "layer".'
        )
    if not fits:
        raise StudyFileError(f"{spec.source}: no model of this study fits {inputs.dataset.name!r}: {errors[0]}")


def _families(model: Any) -> Iterable[dict[str, Any]]:
    """The tables that `model` can be in a trial; one for each of the user's own modules."""
    for table in model.options if isinstance(model, Choice) else (model,):
        if table["family"] == "custom":
            yield from (table | {"module": str(reference)} for reference in modules_of(table))
        else:
            yield table


def _error_of(spec: StudySpec, prepared: PreparedData) -> str | None:
    """Why no model of the spec's one family can be built; None if one can."""
    errors = []
    for config in islice(space.alternatives(spec, "model"), TRIED):
        # Models of this package are built without memory for their weights, which may be large.
        place = nullcontext() if config.model.family == "custom" else torch.device("meta")
        try:
            with place, at_hand(torch.from_numpy(np.array(prepared.replicas[0].x_train[:SHOWN]))):
                model = models.build(config, prepared.signature, prepared.outputs)
        except InputError as error:
            errors.append(str(error))
            continue
        own = config.model.family == "custom"
        if own and "flops" in spec.study.objectives and flops(model, prepared.signature) is None:
            errors.append("study.objective: flops cannot be counted, as the model does not run on a single example")
            continue
        return None
    return next(iter(errors), None)
