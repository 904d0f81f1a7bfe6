"""The job of a study with a training function: everything that the processes of its trials need. No torch.

It can be pickled and sent to other processes. The trials themselves are not part of it: they arrive in messages.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.prepare import PreparedData
from hpo.data.streaming.row_file import mapped
from hpo.studyfile.custom import Reference
from hpo.studyfile.records import TrialResources


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialData:
    """The data that the study names, split and prepared: what `trial.data` is. All trials share the arrays: do not
    write to them. The test part is kept back. Of streamed data, `x_train` and `x_valid` are memory-mapped: take rows of
    them as they are needed."""

    task: str
    """`classification` or `regression`."""
    class_names: tuple[str, ...]
    """By class index; empty for regression."""
    x_train: NDArray[Any]
    """[N, *input_shape] float32: the examples to train on."""
    y_train: NDArray[Any]
    """[N]: class indices (int64), or standardised numbers (float32)."""
    x_valid: NDArray[Any]
    """[V, *input_shape] float32: the examples to validate on."""
    y_valid: NDArray[Any]
    """[V], as `y_train`."""
    target_offset: float
    """A prediction in the target's own unit is output * target_scale + target_offset."""
    target_scale: float
    """1 for classification."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Arrays that are memory-mapped from a file, as streamed data are, go to other processes as that file."""
        return _restored, ({field.name: _by_file(getattr(self, field.name)) for field in fields(self)},)

    @classmethod
    def of(cls, prepared: PreparedData) -> TrialData:
        """The data of a study's one split."""
        (replica,) = prepared.replicas
        return cls(
            task=prepared.task,
            class_names=prepared.class_names,
            x_train=replica.x_train,
            y_train=replica.y_train,
            x_valid=replica.x_valid,
            y_valid=replica.y_valid,
            target_offset=replica.target_offset,
            target_scale=replica.target_scale,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _InFile:
    """An array that is the whole of a file of streamed data."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def _by_file(value: Any) -> Any:
    if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap) and value.filename is not None:
        return _InFile(path=Path(value.filename), dtype=value.dtype, shape=value.shape)
    return value


def _restored(values: dict[str, Any]) -> TrialData:
    for name, value in values.items():
        if isinstance(value, _InFile):
            values[name] = mapped(value.path, value.dtype, value.shape)
    return TrialData(**values)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FunctionJob:
    """A study's training function, its data and its limits."""

    study: str
    """Name of the study."""
    function: Reference
    """With the path of its file."""
    sources: Mapping[Reference, bytes]
    """The function's code, as it was when the study was opened."""
    objectives: tuple[str, ...]
    """The metric that every report needs."""
    seed: int
    """Of the study."""
    data: TrialData | None
    """None where the study names none."""
    folder: Path
    """Absolute path of the folder below which each trial has one of its own."""
    device: str
    """`cpu`, `cuda` for all GPUs, or one, `cuda:N`: which GPUs trials may get."""
    resources: TrialResources
    """What one trial occupies."""
    seconds: float | None
    """Longest time of a process, in seconds."""
    at_own_pace: bool
    """Whether each trial advances as fast as it can; else all trials in flight report an epoch before any goes on."""

    @property
    def replicas(self) -> int:
        """Results that a trial has for each epoch."""
        return 1

    def folder_of(self, number: int) -> Path:
        """The folder of a trial."""
        return folder_of_trial(self.folder, number)


def folder_of_trial(above: Path, number: int) -> Path:
    """The folder of one trial below that of its study."""
    return above / f"{number:06d}"
