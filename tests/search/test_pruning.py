"""Pruners with a memory against Optuna's, decision by decision, over studies of every kind of curve."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from hpo.search.pruning.optunas import CachedHalving, CachedHyperband, CachedPercentile, percentile_of

EPOCHS = 9
Pair = Callable[[], tuple[BasePruner, BasePruner]]

PAIRS: dict[str, Pair] = {
    "median": lambda: (
        CachedPercentile(50.0, startup_trials=4, warmup_steps=0),
        MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    ),
    "median after a warm-up": lambda: (
        CachedPercentile(50.0, startup_trials=0, warmup_steps=4),
        MedianPruner(n_startup_trials=0, n_warmup_steps=4),
    ),
    "percentile": lambda: (
        CachedPercentile(25.0, startup_trials=3, warmup_steps=2),
        PercentilePruner(25.0, n_startup_trials=3, n_warmup_steps=2),
    ),
    "halving": lambda: (
        CachedHalving(min_resource=1, reduction_factor=2),
        SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    ),
    "hyperband": lambda: (
        CachedHyperband(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
        HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
    ),
}


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # Optuna's, of a trial that has reported no number yet
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("seed", range(3))
def test_every_decision_is_that_of_optuna(pair: str, direction: str, seed: int) -> None:
    """Eight trials at a time, whose epochs are mixed; some fail, some report what is no number."""
    ours, theirs = PAIRS[pair]()
    rng = random.Random(seed)
    ours_in, theirs_in = (optuna.create_study(direction=direction, study_name=f"study-{seed}") for _ in range(2))
    running: dict[int, int] = {}
    decisions = []
    for _ in range(150):
        while len(running) < 8:
            running[ours_in.ask().number] = theirs_in.ask().number
        for number in sorted(rng.sample(sorted(running), 5)):
            values = [rng.choice([math.nan, rng.random()]) if rng.random() < 0.1 else round(rng.random(), 2)]
            verdicts = []
            for study, pruner in ((ours_in, ours), (theirs_in, theirs)):
                trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
                epoch = len(study._storage.get_trial(trial_id).intermediate_values) + 1
                study._storage.set_trial_intermediate_value(trial_id, epoch, values[0])
                verdicts.append(pruner.prune(study, study._storage.get_trial(trial_id)))
            assert verdicts[0] == verdicts[1]
            decisions.append(verdicts[0])
            failed = rng.random() < 0.02
            if failed or verdicts[0] or epoch == EPOCHS:
                state = TrialState.FAIL if failed else TrialState.PRUNED if verdicts[0] else TrialState.COMPLETE
                for study in (ours_in, theirs_in):
                    study.tell(number, None if state != TrialState.COMPLETE else 0.5, state=state)
                del running[number]
    assert 5 < decisions.count(True) < len(decisions) - 50, "else nothing was tried"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.integers(0, 100))
def test_a_percentile_is_that_of_numpy(values: list[float], percentile: int) -> None:
    assert percentile_of(np.sort(values), percentile) == np.percentile(values, percentile)
