"""What the models take of prepared rows, and how much work they are allowed."""

from __future__ import annotations

import numpy as np
import pytest

from hpo.baselines.inputs import Examples, one_hot
from hpo.baselines.models import BOOSTING_WORK, MODELS, ROUNDS, TREE_COST, LeftOut, Problem, boosting_rounds, names_for
from hpo.signature import Input, Signature

TABLE = Signature(
    inputs=(
        Input(name="values", shape=(2,), columns=("a", "b")),
        Input(name="codes", shape=(2,), sizes=(3, 4), columns=("c", "d")),
        Input(name="tokens", shape=(3,), sizes=(9,)),
    )
)
ROWS = np.array([[0.5, 1, 2, 3, 7, 7, 0], [-0.5, 2, 0, 1, 8, 0, 0]], np.float32)


def problem(classes: int = 2, objective: str = "accuracy", folds: int = 1) -> Problem:
    return Problem(classes=classes, positive=0, objective=objective, folds=folds, seed=0)


def test_codes_are_columns_for_linear_models_and_numbers_for_trees() -> None:
    examples = Examples(signature=TABLE, x=ROWS, texts=["x y", "z"])
    assert examples.numbers().tolist() == [[0.5, 1, 2, 3], [-0.5, 2, 0, 1]]
    assert examples.linear().toarray().tolist() == [  # type: ignore[union-attr]
        [0.5, 1, 0, 0, 1, 0, 0, 0, 1],
        [-0.5, 2, 0, 0, 0, 0, 1, 0, 0],
    ]


def test_a_missing_category_has_no_column() -> None:
    assert one_hot(np.array([[0], [1]]), (2,)).toarray().tolist() == [[0, 0], [0, 1]]


def test_images_and_sequences_are_laid_flat() -> None:
    x = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    examples = Examples(signature=Signature.of_values(1, 2, 3), x=x, texts=None)
    assert np.array_equal(examples.linear(), x.reshape(2, 6))


@pytest.mark.parametrize(
    ("asked", "texts", "expected"),
    [
        (problem(), None, ("majority", "logistic", "boosting")),
        (problem(), ["x"], ("majority", "tfidf_logistic", "boosting")),
        (problem(0, "r2"), None, ("mean", "ridge", "boosting")),
        (problem(0, "mae"), ["x"], ("median", "tfidf_ridge", "boosting")),
    ],
)
def test_the_task_and_the_objective_choose(asked: Problem, texts: list[str] | None, expected: tuple[str, ...]) -> None:
    assert names_for(asked, Examples(signature=TABLE, x=ROWS, texts=texts)) == expected
    assert set(expected) <= MODELS.keys()


def test_texts_alone_are_not_for_trees() -> None:
    words = Signature(inputs=(Input(name="tokens", shape=(3,), sizes=(9,)),))
    assert names_for(problem(), Examples(signature=words, x=ROWS[:, 4:], texts=["x", "y"])) == (
        "majority",
        "tfidf_logistic",
    )


def test_boosting_has_fewer_rounds_on_more_data_and_is_left_out_in_the_end() -> None:
    assert boosting_rounds(1000, problem()) == ROUNDS
    rest = BOOSTING_WORK - TREE_COST
    assert boosting_rounds(rest, problem()) == ROUNDS
    assert ROUNDS // 2 <= boosting_rounds(2 * rest, problem()) < ROUNDS
    with pytest.raises(LeftOut, match=r"left out: too slow on 3,600,000 numbers to train on, 10 trees a round"):
        boosting_rounds(3_600_000, problem(classes=10))
    with pytest.raises(LeftOut, match="50 trees a round"):
        boosting_rounds(1000, problem(classes=10, folds=5))


def test_a_class_that_training_lacks_is_as_good_as_impossible() -> None:
    x = np.arange(8, dtype=np.float32)[:, None]
    examples = Examples(signature=Signature.of_values(1), x=x, texts=None)
    for name in ("majority", "logistic", "boosting"):
        outputs_NC = MODELS[name](examples, np.repeat([0, 2], 4), problem(classes=3))(examples)
        assert outputs_NC.shape == (8, 3)
        assert outputs_NC[:, 1].max() < -30
        assert np.exp(outputs_NC).sum(1) == pytest.approx(1)
