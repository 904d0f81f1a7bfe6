"""One baseline on one fold of a study: fitted on the training part, asked for the validation and the test part.

Dimensions: N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.baselines.inputs import Examples
from hpo.baselines.models import MODELS, Answer, Problem, names_for
from hpo.data.columns.words import whole_text
from hpo.data.parts.strata import IndexArray
from hpo.data.prepare import PreparedReplica, TargetArray, prepare_test
from hpo.data.study import StudyData
from hpo.seeds import split_seed
from hpo.signature import Signature

MOST_ROWS = 50_000
"""Rows that a baseline is fitted on; of more, so many are drawn by the study's seed."""
MOST_NUMBERS = 20_000_000
"""Numbers in these rows; of wider rows, fewer are drawn."""
PORTION = 4096
"""Examples that are answered at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fold:
    """A fold's parts. Repeats train on the same examples, so there is one for each fold alone."""

    replica: PreparedReplica
    train: Examples
    valid: Examples
    test: Examples | None
    """None without a test part."""
    test_target: TargetArray | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Answers:
    """A baseline's outputs, see `hpo.baselines.models`, on a fold."""

    valid_NC: NDArray[np.float64]
    test_NC: NDArray[np.float64] | None


def folds_of(data: StudyData) -> list[Fold]:
    """The study's folds."""
    found = []
    for replica, parts in zip(data.prepared.replicas, data.splits.replicas, strict=True):
        if replica.repeat:
            continue
        signature, test_idx = data.prepared.signature, data.splits.test_idx
        test = prepare_test(data.dataset, data.splits, replica.preprocessing) if len(test_idx) else None
        found.append(
            Fold(
                replica=replica,
                train=_examples(data, signature, replica.x_train, parts.train_idx),
                valid=_examples(data, signature, replica.x_valid, parts.valid_idx),
                test=None if test is None else _examples(data, signature, test.x, test_idx),
                test_target=None if test is None else test.y,
            )
        )
    return found


def problem_of(data: StudyData, objective: str, seed: int, folds: int) -> Problem:
    """`seed`: the study's."""
    return Problem(
        classes=len(data.prepared.class_names),
        positive=data.prepared.positive,
        objective=objective,
        folds=folds,
        seed=split_seed(seed, "baselines"),
    )


def names(problem: Problem, folds: list[Fold]) -> tuple[str, ...]:
    """The study's baselines, the simplest first."""
    return names_for(problem, folds[0].train)


def drawn_rows(fold: Fold) -> int:
    """Rows that a baseline is fitted on in this fold."""
    rows = len(fold.train)
    return min(rows, MOST_ROWS, max(1, MOST_NUMBERS * rows // max(1, fold.train.x.size)))


def answers(name: str, problem: Problem, fold: Fold) -> Answers:
    """The baseline's outputs on a fold. Raises `LeftOut` where the baseline does not suit the data."""
    train, target_N = fold.train, fold.replica.y_train
    if (count := drawn_rows(fold)) < len(train):
        chosen = np.sort(np.random.default_rng(problem.seed).choice(len(train), count, replace=False))
        if isinstance(train.x, np.memmap):  # streamed, in a random order as it is
            chosen = np.arange(count)
        train, target_N = train.rows(chosen), target_N[chosen]
    answer = MODELS[name](train, target_N, problem)
    return Answers(
        valid_NC=_in_portions(answer, fold.valid),
        test_NC=None if fold.test is None else _in_portions(answer, fold.test),
    )


def _in_portions(answer: Answer, examples: Examples) -> NDArray[np.float64]:
    places = np.arange(len(examples))
    portions = [places[start : start + PORTION] for start in range(0, len(places), PORTION)]
    return np.concatenate([answer(examples.rows(place_N)) for place_N in portions])


def _examples(data: StudyData, signature: Signature, x: NDArray[np.float32], idx: IndexArray) -> Examples:
    texts_NW = data.dataset.texts_NW
    texts = None
    if texts_NW is not None:
        texts = [whole_text(cells) for cells in texts_NW[idx].tolist()]
    return Examples(signature=signature, x=x, texts=texts)
