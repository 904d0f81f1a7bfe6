"""All baselines of a study, scored by the metrics of trials. An error in one is noted and ends nothing."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from hpo.baselines import folds as fitting
from hpo.baselines.models import LeftOut, Problem
from hpo.data.prepare import TargetArray
from hpo.data.study import StudyData
from hpo.registry.baselines import Baseline
from hpo.search.objective import rounded
from hpo.studyfile.records import StudyTable
from hpo.training.ensemble import Scores, defined, measured, metrics_of

log = logging.getLogger(__name__)


def fitted(study: StudyTable, data: StudyData, go_on: Callable[[], None] = lambda: None) -> tuple[Baseline, ...]:
    """All baselines of a study of these data, the simplest first."""
    folds = fitting.folds_of(data)
    problem = fitting.problem_of(data, study.metric, study.seed, len(folds))
    metrics = metrics_of(data.prepared.task)
    return tuple(_baseline(name, problem, folds, metrics, go_on) for name in fitting.names(problem, folds))


def _baseline(
    name: str, problem: Problem, folds: list[fitting.Fold], metrics: tuple[str, ...], go_on: Callable[[], None]
) -> Baseline:
    began, scores = time.perf_counter(), []
    for fold in folds:
        go_on()
        try:
            with _one_baseline():
                scores.append(_scores(fitting.answers(name, problem, fold), fold, problem.positive, metrics))
        except LeftOut as reason:
            return Baseline(name=name, note=str(reason))
        except Exception as error:
            log.warning("baseline %s: %s: %s", name, type(error).__name__, error)
            return Baseline(name=name, note=f"failed: {type(error).__name__}: {error}")
    rows, of = (min(map(count, folds)) for count in (fitting.drawn_rows, lambda fold: len(fold.train)))
    return Baseline(
        name=name,
        validation=_mean([validation for validation, _ in scores]),
        test=_mean([test for _, test in scores if test is not None]),
        note=f"fitted on {rows:,} of {of:,} rows" if rows < of else "",
        seconds=round(time.perf_counter() - began, 3),
    )


@contextmanager
def _one_baseline() -> Iterator[None]:
    """With as many threads as training has; without warnings, e.g. that a limit of ours stopped the iterations."""
    import sklearn.linear_model  # noqa: F401  threads of libraries that are loaded later would not be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(torch.get_num_threads()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _scores(
    answers: fitting.Answers, fold: fitting.Fold, positive: int, metrics: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, float] | None]:
    """Metrics on the validation and the test part."""

    def scored(outputs_NC: NDArray[np.float64], target_N: TargetArray) -> dict[str, float]:
        outputs, target = torch.from_numpy(outputs_NC), torch.from_numpy(target_N)
        return measured(outputs, target, fold.replica.target_scale, positive, metrics)

    validation = scored(answers.valid_NC, fold.replica.y_valid)
    if answers.test_NC is None or fold.test_target is None:
        return validation, None
    return validation, scored(answers.test_NC, fold.test_target)


def _mean(scores: list[dict[str, float]]) -> Scores:
    """Over the folds, rounded as the values of trials are."""
    if not scores:
        return {}
    return defined({name: rounded(fmean(score[name] for score in scores)) for name in scores[0]})
