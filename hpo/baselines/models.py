"""The models: each is a function from training examples and targets to a function that answers other examples.

Answers are outputs as a network's, in float64: [N, C] logarithms of the classes' probabilities, or [N, 1] standardised
numbers. All settings are scikit-learn's own, apart from the number of iterations, which is cut where fitting would take
long: the count of operations decides, never the clock, so that a study has the same baselines everywhere.

Dimensions: N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.baselines.inputs import Examples

BALANCED = ("balanced_accuracy", "min_recall")
"""Objectives for which all classes weigh the same, however many examples they have."""
MEDIAN = ("mae", "median_absolute_error")
"""Objectives for which the median is the best constant, and the absolute error the loss of the boosting."""
MOST_ITERATIONS = 1000
"""Of a logistic regression."""
LEAST_ITERATIONS = 50
"""Of a logistic regression, however large the data; and fewer rounds of boosting are not worth their name."""
ROUNDS = 100
"""Of boosting, scikit-learn's own number."""
LINEAR_WORK = 10**10
"""Products of a number and a weight in all iterations of a logistic regression: some 10 s of one core."""
TREE_COST = 800_000
"""What a tree costs beside its rows, in the numbers of the rows that it could read in that time."""
BOOSTING_WORK = 15 * 10**6
"""Numbers that one round of boosting reads, and the cost of its trees; 100 such rounds take some 15 s of one core."""

Answer = Callable[[Examples], NDArray[np.float64]]


class LeftOut(Exception):
    """The baseline is left out by rule; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What the models are fitted for."""

    classes: int
    """0 for regression."""
    positive: int
    """As in `PreparedData`."""
    objective: str
    """Metric of the study."""
    folds: int
    """How often each model is fitted."""
    seed: int
    """For what boosting draws, 32 bits."""

    @property
    def class_weight(self) -> str | None:
        """As scikit-learn takes it."""
        return "balanced" if self.objective in BALANCED else None


Fit = Callable[[Examples, NDArray[Any], Problem], Answer]
"""From training examples and their targets: class indices or standardised numbers, [N]."""


def majority(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """The shares of the classes, so that the class with the most examples is answered always."""
    return _constant(_logarithm(np.bincount(target_N, minlength=problem.classes) / len(target_N)))


def mean(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """The mean of the targets."""
    return _constant(np.array([target_N.mean(dtype=np.float64)]))


def median(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """The median of the targets."""
    return _constant(np.array([np.median(target_N.astype(np.float64))]))


def logistic(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """Logistic regression on the rows of numbers."""
    model = _logistic(x := examples.linear(), target_N, problem)
    del x
    return lambda asked: _log_probabilities(model, asked.linear(), problem)


def ridge(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """Linear regression with the penalty of a ridge on the rows of numbers."""
    model = _ridge(examples.linear(), target_N)
    return lambda asked: _numbers(model.predict(asked.linear()))


def boosting(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """Gradient boosting of trees over histograms, on the rows of numbers, in which categories are numbers."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x_NF = examples.numbers()
    rounds = boosting_rounds(x_NF.size, problem)
    if problem.classes:
        model = HistGradientBoostingClassifier(
            max_iter=rounds, class_weight=problem.class_weight, random_state=problem.seed
        ).fit(x_NF, target_N)
        return lambda asked: _log_probabilities(model, asked.numbers(), problem)
    loss = "absolute_error" if problem.objective in MEDIAN else "squared_error"
    model = HistGradientBoostingRegressor(loss=loss, max_iter=rounds, random_state=problem.seed).fit(x_NF, target_N)
    return lambda asked: _numbers(model.predict(asked.numbers()))


def boosting_rounds(numbers: int, problem: Problem) -> int:
    """Rounds of boosting on so many numbers of training; raises `LeftOut` where they would be too few."""
    trees = (problem.classes if problem.classes > 2 else 1) * problem.folds
    rounds = min(ROUNDS, ROUNDS * BOOSTING_WORK // (trees * (TREE_COST + numbers)))
    if rounds < LEAST_ITERATIONS:
        grown = f", {trees} trees a round" if trees > 1 else ""
        raise LeftOut(f"left out: too slow on {numbers:,} numbers to train on{grown}")
    return rounds


def tfidf_logistic(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """Logistic regression on the texts' words, weighted by TF-IDF, beside the rows of numbers if there are any."""
    table = _words(examples)
    model = _logistic(_beside(table, examples), target_N, problem)
    return lambda asked: _log_probabilities(model, _beside(table, asked), problem)


def tfidf_ridge(examples: Examples, target_N: NDArray[Any], problem: Problem) -> Answer:
    """The same with linear regression."""
    table = _words(examples)
    model = _ridge(_beside(table, examples), target_N)
    return lambda asked: _numbers(model.predict(_beside(table, asked)))


MODELS: dict[str, Fit] = {
    "majority": majority,
    "mean": mean,
    "median": median,
    "logistic": logistic,
    "ridge": ridge,
    "tfidf_logistic": tfidf_logistic,
    "tfidf_ridge": tfidf_ridge,
    "boosting": boosting,
}


def names_for(problem: Problem, examples: Examples) -> tuple[str, ...]:
    """The baselines of a study: a constant, a linear model, and boosting where there is something beside texts."""
    constant = "majority" if problem.classes else "median" if problem.objective in MEDIAN else "mean"
    linear = "logistic" if problem.classes else "ridge"
    if examples.texts is not None:
        linear = f"tfidf_{linear}"
    return (constant, linear, *(["boosting"] if examples.has_numbers else []))


def _constant(output_C: NDArray[np.float64]) -> Answer:
    return lambda asked: np.tile(output_C, (len(asked), 1))


def _logistic(x: Any, target_N: NDArray[Any], problem: Problem) -> Any:
    from sklearn.linear_model import LogisticRegression

    # A number of a sparse table costs several of a dense one.
    numbers = x.size if isinstance(x, np.ndarray) else 5 * x.nnz + x.shape[1]
    outputs = (problem.classes if problem.classes > 2 else 1) * problem.folds
    iterations = min(MOST_ITERATIONS, max(LEAST_ITERATIONS, LINEAR_WORK // max(1, numbers * outputs)))
    return LogisticRegression(max_iter=iterations, class_weight=problem.class_weight).fit(x, target_N)


def _ridge(x: Any, target_N: NDArray[Any]) -> Any:
    from sklearn.linear_model import Ridge

    # With many columns, the equations of least squares take longer than solving them step by step.
    wide = isinstance(x, np.ndarray) and x.shape[1] > 1000
    return Ridge(solver="lsqr" if wide else "auto").fit(x, target_N.astype(np.float64))


def _words(examples: Examples) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer().fit(examples.texts)


def _beside(table: Any, examples: Examples) -> Any:
    from scipy.sparse import csr_array, hstack

    words = table.transform(examples.texts)
    return hstack([words, csr_array(examples.linear())], format="csr") if examples.has_numbers else words


def _log_probabilities(model: Any, x: Any, problem: Problem) -> NDArray[np.float64]:
    """A class that training did not have is as good as impossible."""
    found = np.zeros((x.shape[0], problem.classes))
    found[:, model.classes_] = model.predict_proba(x)
    return _logarithm(found)


def _logarithm(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm: NDArray[np.float64] = np.log(np.maximum(probability, np.finfo(np.float64).eps))
    return logarithm


def _numbers(predicted_N: NDArray[Any]) -> NDArray[np.float64]:
    return predicted_N.astype(np.float64)[:, None]
