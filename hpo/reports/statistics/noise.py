"""Standard errors of scores, from the number of examples they were measured on or from their spread over folds and
repeats. Pure functions, which return None if the error is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpo.reports.parts import Parts
from hpo.reports.text import plural


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Noise of the scores of a study's best trials."""

    error: float
    """Standard error of a trial's value."""
    source: str
    """What the error was computed from, in words."""
    test_error: float | None
    """Standard error of the winner's score on the test part; None if it is unknown, or if `error` does not contain the
    chance in drawing the examples."""
    freedom: float
    """Degrees of freedom of the estimate; infinite if it was computed from the number of examples."""

    def limit(self, error: float) -> float:
        """The difference that noise alone exceeds with a probability of 2.5 %, for a standard error `error`."""
        from scipy.special import stdtrit  # scipy.stats takes ten times as long to import

        return error * (2.0 if math.isinf(self.freedom) else float(stdtrit(self.freedom, 0.975)))


def noise_of(
    objective: str, best: float, spreads: Sequence[float], replicas: int, parts: Parts, drawn: float | None = None
) -> Noise | None:
    """The noise of the best values of a study, around `best`.

    `spreads`: standard deviations over the replicas (folds and repeats) of the best trials. They are pooled, because
    that of a single trial, over few replicas, is too uncertain. `drawn`: standard error of the winner's score on the
    test part, from parts drawn from it; used where the error does not follow from the number of examples.
    """
    examples, tested = sum(parts.validation), sum(parts.test)
    of_examples = error_of(objective, best, parts.validation)
    of_test = error_of(objective, best, parts.test)
    told = plural(examples, "validation example")
    if of_examples is None and drawn is not None and examples and tested:
        of_test, of_examples = drawn, drawn * math.sqrt(tested / examples)
        told += ", by the spread of the test score"
    spread = math.sqrt(math.fsum(s * s for s in spreads) / len(spreads)) if spreads else 0.0
    freedom = float(max(1, replicas - 1) * len(spreads))
    if parts.folds > 1 and spread:
        # A fold's score varies with its examples and with the randomness of training; the spread contains both.
        error = spread / math.sqrt(parts.folds)
        if of_examples is None or error > of_examples:
            if of_test is None and tested:
                of_test = spread * math.sqrt(examples / parts.folds / tested)
            source = f"the spread over {parts.folds} folds"
            return Noise(error=error, source=source, test_error=of_test, freedom=freedom)
    elif replicas > 1 and spread:
        luck = spread / math.sqrt(replicas)
        over = f"the spread over {plural(replicas, 'repeat')}"
        if of_examples is None:
            return Noise(error=luck, source=f"{over} alone", test_error=None, freedom=freedom)
        error = math.hypot(luck, of_examples)
        return Noise(error=error, source=f"{told} and {over}", test_error=of_test, freedom=math.inf)
    if of_examples is None:
        return None
    return Noise(error=of_examples, source=told, test_error=of_test, freedom=math.inf)


def error_of(objective: str, value: float, classes: Sequence[int]) -> float | None:
    """Standard error of a metric from the number of examples of each class; None if it does not follow from these."""
    if objective not in ERRORS or not sum(classes) or not 0.0 <= value <= 1.0:
        return None
    return ERRORS[objective](value, [count for count in classes if count])


def accuracy_error(accuracy: float, examples: int) -> float:
    """Standard error of an accuracy measured on independent examples (binomial, with Agresti and Coull's centre)."""
    centre = (accuracy * examples + 2.0) / (examples + 4.0)
    return math.sqrt(centre * (1.0 - centre) / (examples + 4.0))


def balanced_accuracy_error(value: float, classes: Sequence[int]) -> float:
    """Standard error of a mean recall, if the recall is alike in all classes."""
    return math.hypot(*(accuracy_error(value, count) for count in classes)) / len(classes)


def auroc_error(area: float, classes: Sequence[int]) -> float:
    """Standard error of an area under the ROC curve (Hanley and McNeil 1982), its centre moved as that of an accuracy
    on the rarer class. With more than two classes, the mean of one against the rest, as if their errors coincided."""
    total = sum(classes)
    pairs = [(classes[0], total - classes[0])] if len(classes) == 2 else [(n, total - n) for n in classes]
    return math.fsum(_area_error(area, ones, rest) for ones, rest in pairs) / len(pairs)


def _area_error(area: float, ones: int, rest: int) -> float:
    if not ones or not rest:
        return 0.0
    few = min(ones, rest)
    a = (area * few + 2.0) / (few + 4.0)
    one_above_two, two_above_one = a / (2.0 - a), 2.0 * a * a / (1.0 + a)
    variance = a * (1.0 - a) + (ones - 1) * (one_above_two - a * a) + (rest - 1) * (two_above_one - a * a)
    return math.sqrt(max(0.0, variance) / (ones * rest))


ERRORS: dict[str, Callable[[float, Sequence[int]], float]] = {
    "accuracy": lambda value, classes: accuracy_error(value, sum(classes)),
    "balanced_accuracy": balanced_accuracy_error,
    "auroc": auroc_error,
}
"""Metric -> its standard error from its value and the number of examples of each class."""
