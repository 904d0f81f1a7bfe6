"""The examples of trials with splits of their own (`data.reshuffle`): a study's rows are on the device once, and each
trial has lists of its own of those to train and to validate on.

Dimensions: V validation examples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from hpo.data.dataset import Dataset
from hpo.data.parts.splits import Replica, Splits
from hpo.data.prepare import PreparedData
from hpo.data.preprocessing.apply import apply_target
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.preprocessing.scaling import scaled
from hpo.data.reshuffled import Reshuffled
from hpo.training.batches import Examples, on_device
from hpo.training.feed.drawn import DrawnRows, Form, SharedRows
from hpo.training.layout import ALIGNMENT


def with_shared_rows(
    prepared: PreparedData, splits: Splits, drawn: Reshuffled, *, device: torch.device, dtype: torch.dtype
) -> Examples:
    """The examples of the split that no trial has, over rows that all trials share."""
    shared = SharedRows.of(drawn, prepared.replicas[0].preprocessing, dtype).to(device)
    return _examples(on_device(prepared, device=device, dtype=dtype), shared, splits, drawn)


class TrialExamples:
    """The examples of each trial."""

    def __init__(self, study: Examples, drawn: Reshuffled) -> None:
        """`study`: of `with_shared_rows`."""
        assert isinstance(study.x_train, DrawnRows), "the study's rows are shared"
        self._study, self._shared, self._drawn = study, study.x_train.shared, drawn
        self._last: tuple[int, Examples] | None = None

    def __call__(self, trial: int) -> Examples:
        """Those of the trial of this number. Raises `DataError` where the trial has no split, `InputError` where its
        numbers cannot be scaled."""
        if self._last is None or self._last[0] != trial:
            self._last = trial, _examples(self._study, self._shared, self._drawn.splits(trial), self._drawn)
        return self._last[1]


def _examples(like: Examples, shared: SharedRows, splits: Splits, drawn: Reshuffled) -> Examples:
    """Examples of a split; what all splits have in common is as in `like`."""
    dataset, device, dtype = drawn.learner.dataset, shared.device, shared.dtype
    parts = [replica for replica in splits.replicas if not replica.repeat]
    learnt = [drawn.fit(part.train_idx) for part in parts]
    longest = max(len(part.valid_idx) for part in parts)
    longest += -longest % ALIGNMENT
    targets = [_targets(dataset, part, preprocessing) for part, preprocessing in zip(parts, learnt, strict=True)]
    forms = tuple(Form.of(drawn, preprocessing).to(device) for preprocessing in learnt)
    for form in forms:
        shared.refuse_infinite(form, dataset.numeric_names)
    sizes = [len(part.train_idx) for part in parts]
    classes = range(len(like.class_names))

    def tensor(values: NDArray[np.generic]) -> torch.Tensor:
        found = torch.from_numpy(values).to(device)
        return found.to(dtype) if found.is_floating_point() else found

    def padded(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.pad(values, (0, longest - len(values)), mode="edge")

    def rows(idx: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(drawn.rest_idx, idx)

    train_N = np.concatenate([rows(part.train_idx) for part in parts])
    valid_PV = np.stack([padded(rows(part.valid_idx)) for part in parts])
    return replace(
        like,
        counts=tuple(tuple(int((train == one).sum()) for one in classes) for train, _ in targets),
        by_class=np.concatenate([np.argsort(train, kind="stable") for train, _ in targets]),
        part=tuple(replica.fold for replica in splits.replicas),
        start=tuple(int(first) for first in np.cumsum([0, *sizes[:-1]])),
        size=tuple(sizes),
        x_train=DrawnRows(shared=shared, forms=forms, rows=tensor(train_N)),
        y_train=tensor(np.concatenate([train for train, _ in targets])),
        x_valid=DrawnRows(shared=shared, forms=forms, rows=tensor(valid_PV)),
        y_valid=tensor(np.stack([padded(valid) for _, valid in targets])),
        real=tensor(np.stack([np.arange(longest) < len(part.valid_idx) for part in parts])),
        target_scale=torch.tensor([one.target_scale for one in learnt], dtype=torch.float64, device=device),
        darkest=tensor(np.stack([_darkest(dataset, part, one) for part, one in zip(parts, learnt, strict=True)])),
    )


def _targets(
    dataset: Dataset, part: Replica, preprocessing: Preprocessing
) -> tuple[NDArray[np.int64 | np.float32], NDArray[np.int64 | np.float32]]:
    """Of the training and the validation part."""
    return apply_target(preprocessing, dataset, part.train_idx), apply_target(preprocessing, dataset, part.valid_idx)


def _darkest(dataset: Dataset, part: Replica, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """[channels] the lowest value of each channel of the training images, scaled; [1] 0 for other data."""
    if dataset.kind != "image":
        return np.zeros(1, np.float32)
    channels = dataset.numeric.shape[1]
    lowest_C = dataset.numeric[part.train_idx].min(axis=(0, 2, 3)).astype(np.float64)
    pixels = np.repeat(lowest_C, dataset.numeric[0, 0].size)
    return scaled(preprocessing.scaling, pixels[None]).reshape(channels, -1)[:, 0]
