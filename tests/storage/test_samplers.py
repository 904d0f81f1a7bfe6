"""Optuna's own suites for samplers, and its pruners, with the studies kept in `Store`, over both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.testing.pruners import DeterministicPruner
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

from hpo.storage.open import open_store
from hpo.storage.store import Store


class InStore:
    """Has the studies of a suite made in a store: it would make them in memory."""

    @pytest.fixture(autouse=True)
    def made_in_store(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        made: list[optuna.Study] = []
        original = optuna.create_study

        def create_study(**options: Any) -> optuna.Study:
            made.append(original(**{"storage": store, **options}))
            return made[-1]

        monkeypatch.setattr(optuna, "create_study", create_study)
        monkeypatch.setattr(optuna.study, "create_study", create_study)
        yield
        assert made, "the suite made no study this way"
        assert all(study._storage is store for study in made)


class TestRandom(InStore, BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return RandomSampler


class InFile(InStore):
    """Keeps the studies in SQLite alone: what differs between the databases, `TestRandom` and the pruners try."""

    @pytest.fixture
    def store(self, prepared_file: Path, tmp_path: Path) -> Iterator[Store]:
        shutil.copy(prepared_file, tmp_path / "hpo.db")
        with closing(open_store(f"sqlite:///{tmp_path}/hpo.db")) as opened:
            yield opened


class TestTpe(InFile, BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: TPESampler(n_startup_trials=0)


class TestCmaEs(InFile, BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: CmaEsSampler(n_startup_trials=0)


PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=2),
    "percentile": lambda: optuna.pruners.PercentilePruner(40.0, n_startup_trials=2),
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": lambda: optuna.pruners.HyperbandPruner(max_resource=8),
    "patient": lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(n_startup_trials=2), patience=1),
    "threshold": lambda: optuna.pruners.ThresholdPruner(upper=0.9),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.4),
    "always": lambda: DeterministicPruner(True),
    "never": lambda: DeterministicPruner(False),
}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_ends_the_same_trials_as_in_memory(store: Store, pruner: str) -> None:
    def outcome(storage: Any) -> list[tuple[TrialState, dict[int, float]]]:
        sampler = RandomSampler(seed=3)
        study = optuna.create_study(study_name="pruned", storage=storage, sampler=sampler, pruner=PRUNERS[pruner]())

        def objective(trial: optuna.Trial) -> float:
            x = trial.suggest_float("x", 0.0, 1.0)
            for step in range(1, 9):
                trial.report(x + (0.3 * trial.number * step) % 0.25, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return x

        study.optimize(objective, n_trials=15)
        return [(trial.state, trial.intermediate_values) for trial in study.trials]

    found = outcome(store)
    assert found == outcome(InMemoryStorage())
    states = [state for state, _ in found]
    assert (TrialState.PRUNED in states) == (pruner != "never")
    assert (TrialState.COMPLETE in states) == (pruner != "always")
