"""Prepared data: arrays of the training and validation parts, ready to become tensors.

`prepare_data` never uses a test example; `prepare_test` is for the winner alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.conventions import NEWEST
from hpo.data.dataset import DataKind, Dataset, Task
from hpo.data.parts.splits import Replica, Splits
from hpo.data.preprocessing.apply import apply, apply_target
from hpo.data.preprocessing.fit import Columns, Learner
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.streaming.prepared import prepared, shuffled
from hpo.signature import Signature
from hpo.studyfile.records import DataTable

TargetArray = NDArray[np.int64 | np.float32]
"""[N]: class indices (int64), or standardised numbers (float32)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Preprocessed examples and their targets."""

    x: NDArray[np.float32]
    """[N, *input_shape]"""
    y: TargetArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedReplica:
    """One training of a trial. Replicas on the same examples share their arrays: do not write to them. Of streamed
    data, `x_train` and `x_valid` are memory-mapped, and the training examples are in a random order."""

    repeat: int
    fold: int
    x_train: NDArray[np.float32]
    y_train: TargetArray
    x_valid: NDArray[np.float32]
    y_valid: TargetArray
    preprocessing: Preprocessing

    @property
    def target_offset(self) -> float:
        """Prediction in original units: output * target_scale + target_offset."""
        return self.preprocessing.target_offset

    @property
    def target_scale(self) -> float:
        """1 for classification."""
        return self.preprocessing.target_scale


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedData:
    """All replicas of a trial; every trial of the study gets the same, unless the study draws splits anew."""

    kind: DataKind
    task: Task
    signature: Signature
    """What a row of `x_train` and `x_valid` holds."""
    outputs: int
    """Number of the network's outputs: one per class, or 1 for regression."""
    class_names: tuple[str, ...]
    """By class index; empty for regression."""
    replicas: tuple[PreparedReplica, ...]

    @property
    def positive(self) -> int:
        """Of two classes the one that metrics of one class are of: the rarer one in the training parts, the second if
        both are equally frequent. With more classes it has no meaning."""
        if len(self.class_names) != 2:
            return 0
        seconds = sum(int(replica.y_train.sum()) for replica in self.replicas)
        return int(2 * seconds <= sum(len(replica.y_train) for replica in self.replicas))


def prepare_data(dataset: Dataset, splits: Splits, data: DataTable, conventions: int = NEWEST) -> PreparedData:
    """Fit the preprocessing on each replica's training part and apply it to its two parts."""
    learner = Learner.of(dataset, data, conventions)
    return prepare_parts(learner, splits, learner.columns(replica.train_idx for replica in splits.replicas))


def prepare_parts(learner: Learner, splits: Splits, columns: Columns) -> PreparedData:
    """The same with columns that are given."""
    dataset = learner.dataset
    shared: dict[tuple[bytes, bytes], PreparedReplica] = {}
    replicas = []
    for replica in splits.replicas:
        examples = (replica.train_idx.tobytes(), replica.valid_idx.tobytes())
        if examples not in shared:
            shared[examples] = _prepared(learner, replica, learner.fit(replica.train_idx, columns))
        replicas.append(replace(shared[examples], repeat=replica.repeat, fold=replica.fold))
    return PreparedData(
        kind=dataset.kind,
        task=dataset.task,
        signature=replicas[0].preprocessing.signature,
        outputs=len(dataset.class_names) or 1,
        class_names=dataset.class_names,
        replicas=tuple(replicas),
    )


def prepare_test(dataset: Dataset, splits: Splits, preprocessing: Preprocessing) -> Part:
    """The test part, preprocessed for the winner's network; without examples if the study has no test part."""
    find = prepared if dataset.streamed else apply
    return Part(
        x=find(preprocessing, dataset, splits.test_idx),
        y=apply_target(preprocessing, dataset, splits.test_idx),
    )


def _prepared(learner: Learner, replica: Replica, preprocessing: Preprocessing) -> PreparedReplica:
    dataset, corpus = learner.dataset, learner.corpus
    if dataset.streamed:
        x_train, train_idx = shuffled(preprocessing, dataset, replica.train_idx)
        return PreparedReplica(
            repeat=replica.repeat,
            fold=replica.fold,
            x_train=x_train,
            y_train=apply_target(preprocessing, dataset, train_idx),
            x_valid=prepared(preprocessing, dataset, replica.valid_idx),
            y_valid=apply_target(preprocessing, dataset, replica.valid_idx),
            preprocessing=preprocessing,
        )
    return PreparedReplica(
        repeat=replica.repeat,
        fold=replica.fold,
        x_train=apply(preprocessing, dataset, replica.train_idx, corpus),
        y_train=apply_target(preprocessing, dataset, replica.train_idx),
        x_valid=apply(preprocessing, dataset, replica.valid_idx, corpus),
        y_valid=apply_target(preprocessing, dataset, replica.valid_idx),
        preprocessing=preprocessing,
    )
