"""Several processes on one study: the same table however many they are, and whichever of them is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo.errors import MachineError
from hpo.training.trainer import Trainer
from hpo.workers import coordinator, member
from hpo.workers.coordinator import Progress
from hpo.workers.crew import Crew
from hpo.workers.here import Here
from hpo.workers.hiring import open_crew
from hpo.workers.means import Means
from hpo.workers.member import Died
from hpo.workers.orders import Order, Reply, Train
from hpo.workers.outfit import Outfit
from hpo.workers.process import Child
from hpo.workers.setup import Bench
from tests.workers.small import at_bench, epochs_of, result_of, run, small_study, trials_of

Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]

FOLDS = {"data": 'dataset = "wine"\nfolds = 2', "search": 'trials = 8\nconcurrency = 5\npruner = "hyperband"'}
"""Replicas, two architectures, three norms and a pruner: what could go wrong if a lane minded its neighbours."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The study of folds, by one process."""
    result = result_of(small_study(**FOLDS), tmp_path_factory.mktemp("whole"))
    assert {trial["state"] for trial in result[0]} == {"COMPLETE", "PRUNED"}
    return result


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_nothing(workers: int, whole: Result, tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert result_of(small_study(**FOLDS), tmp_path, means=Means(workers=workers), observer=seen.append) == whole
    assert {(progress.workers, progress.deaths) for progress in seen} == {(workers, 0)}
