"""A study's data: loaded, split and prepared. Mistakes are found here, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from hpo.data.augmentation import check_augmentation
from hpo.data.cache.slot import Slot, slot_of
from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset, suggestion
from hpo.data.from_table import without_texts
from hpo.data.notes import Note
from hpo.data.parts.splits import Splits, split_data
from hpo.data.parts.undefined import REASONS, TEST, gaps
from hpo.data.prepare import PreparedData, prepare_data
from hpo.data.reshuffled import Reshuffled
from hpo.errors import StudyFileError
from hpo.studyfile.file import StudySpec
from hpo.studyfile.problems import listing, quote
from hpo.studyfile.records import CLASSIFICATION_METRICS, METRICS, REGRESSION_METRICS, DataTable
from hpo.studyfile.study import options_of, takes_words


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyData:
    """The data that a study's trials train on and its winner is scored on."""

    dataset: Dataset
    splits: Splits
    prepared: PreparedData
    reshuffled: Reshuffled | None = None
    """Splits of the trials' own, where the study asks for them; the others are then those that no trial has."""
    unkept: tuple[Slot, Dataset] | None = None
    """Where the data set can be kept, as it was read; None where it is kept, or is of a kind that is not."""

    def of_trial(self, trial: int) -> Self:
        """The data as the trial of this number has them."""
        if self.reshuffled is None:
            return self
        splits = self.reshuffled.splits(trial)
        return replace(self, splits=splits, prepared=self.reshuffled.prepared(splits))

    def joined(self, data: DataTable, conventions: int) -> Self:
        """The data with the training and validation parts as one to train on, once for each repeat. What was the first
        validation part stays beside it, as training asks for one; its scores mean nothing. `data`, `conventions`: of
        the study."""
        first = [replica for replica in self.splits.replicas if replica.repeat == 0]
        rest_idx = np.unique(
            np.concatenate([idx for replica in first for idx in (replica.train_idx, replica.valid_idx)])
        )
        replicas = tuple(
            replace(replica, train_idx=rest_idx, valid_idx=first[0].valid_idx)
            for replica in self.splits.replicas
            if replica.fold == 0
        )
        splits = replace(self.splits, replicas=replicas)
        if self.reshuffled is None:
            prepared = prepare_data(self.dataset, splits, data, conventions)
        else:
            prepared = self.reshuffled.prepared(splits)
        return replace(self, splits=splits, prepared=prepared, reshuffled=None, unkept=None)

    def keep(self) -> None:
        """Keeps the data set that was read for the next command, if there is a home folder."""
        if self.unkept is not None:
            slot, dataset = self.unkept
            slot.keep(dataset)


def load_data(spec: StudySpec, home: Path | None = None) -> StudyData:
    """Loads, splits and prepares the data. `home`: folder below which data sets are kept; None: always read anew.
    Raises `DataError` if it cannot be used, `StudyFileError` if the objective does not suit its task, or an
    augmentation its kind."""
    assert spec.data is not None, "a study without data is not loaded"
    base = Path(spec.source).parent
    slot = None if spec.data.stream else slot_of(spec.data, base, home)
    kept = slot.load() if slot is not None else None
    dataset = read = load_dataset(spec.data, base, spec.given, home) if kept is None else kept
    suited = REGRESSION_METRICS if dataset.task == "regression" else CLASSIFICATION_METRICS
    for objective in spec.study.objectives if spec.function is None else ():
        if objective in METRICS and objective not in suited:
            raise StudyFileError(
                f"{spec.source}: study.objective is {objective!r}, which does not suit {dataset.task}, "
                f"the task of {dataset.name!r}. Allowed here: {', '.join(sorted(suited))}."
            )
    _check_classes(spec, dataset)
    if not takes_words(spec):
        dataset = without_texts(dataset)
    splits = split_data(dataset, spec.data, spec.study.seed, conventions=spec.conventions)
    reshuffled = None
    if spec.data.reshuffle:
        reshuffled = Reshuffled.of(dataset, splits, spec.data, spec.study.seed, conventions=spec.conventions)
        prepared = reshuffled.prepared(splits)
    else:
        prepared = prepare_data(dataset, splits, spec.data, spec.conventions)
    check_augmentation(spec, dataset, prepared.signature)
    return StudyData(
        dataset=replace(dataset, notes=(*dataset.notes, *_cut_columns(prepared))),
        splits=splits,
        prepared=prepared,
        reshuffled=reshuffled,
        unkept=None if slot is None or kept is not None else (slot, read),
    )


def _cut_columns(prepared: PreparedData) -> Iterator[Note]:
    """That the last of several columns of texts are cut first, which no figure would show."""
    first = prepared.replicas[0]
    names, tokens = first.preprocessing.text_names, first.preprocessing.tokens
    if len(names) < 2:
        return
    last = prepared.signature.start("tokens") + tokens - 1
    share = float((first.x_train.reshape(len(first.x_train), -1)[:, last] > 0).mean())
    if share:
        yield Note(
            kind="read_as",
            text=f"Columns of texts are read one after the other, up to {tokens:,} words of a row together, which "
            f"{share:.2%} of the rows reach; what is behind is not read, of the last columns first (data.max_tokens "
            "says how many words are)",
            column=", then ".join(names),
        )


def _check_classes(spec: StudySpec, dataset: Dataset) -> None:
    """Raises `StudyFileError` if settings that are of classes do not suit the data set's."""
    for table in options_of(spec, "training"):
        if spec.data is not None and spec.data.stream and table.get("sampling", "shuffled") != "shuffled":
            raise StudyFileError(
                f"{spec.source}: training.sampling = {quote(table['sampling'])} needs all examples at hand, and "
                'data.stream reads piece by piece. Take training.class_weight = "balanced", or leave data.stream out.'
            )
        weights = table.get("class_weight")
        key = "class_weight" if weights is not None else "sampling"
        if dataset.task == "regression" and (weights is not None or table.get("sampling", "shuffled") != "shuffled"):
            raise StudyFileError(
                f"{spec.source}: training.{key} balances classes, but {dataset.name!r} has none: its task is "
                f'regression. Remove it, or set data.task = "classification".'
            )
        unknown = sorted(weights.keys() - set(dataset.class_names)) if isinstance(weights, dict) else []
        if unknown:
            raise StudyFileError(
                f"{spec.source}: training.class_weight has a weight of {quote(unknown[0])}, which is no class of "
                f"{dataset.name!r}.{suggestion(unknown[0], dataset.class_names)} "
                f"Classes: {listing(dataset.class_names)}."
            )


def check_objective(spec: StudySpec, data: StudyData, *, begun: bool = False) -> None:
    """Raises `StudyFileError` if the study's objective is undefined on a validation part, where no trial could finish,
    or on the test part. A study that has `begun` is not refused for the test part, which its trials do not depend
    on."""
    if spec.function is not None or spec.data is None:  # the function reports what it likes
        return
    found = [
        (objective, *gap)
        for objective in spec.study.objectives
        for gap in gaps(objective, data.dataset, data.splits, data.prepared)
        if not begun or gap[0] != TEST
    ]
    if not found:
        return
    objective, part, reason = found[0]
    others = f" (and on {len(found) - 1} more)" if len(found) > 1 else ""
    suited = REGRESSION_METRICS if data.dataset.task == "regression" else CLASSIFICATION_METRICS
    always = ", ".join(sorted(suited - REASONS.keys()))
    asks = [f"choose an objective that always has a value ({always})"]
    if part == TEST:
        asks.append("give data.test a larger share (or 0)")
    else:
        asks.append("take fewer data.folds" if spec.data.folds else "give data.validation a larger share")
    asks.append("give the study another study.name, and it is split anew" if begun else "add examples that differ")
    raise StudyFileError(
        f"{spec.source}: study.objective {objective!r} is undefined on {part} of {data.dataset.name!r}{others}: "
        f"{reason}. A study needs a value on every part: {', or '.join(asks)}."
    )
