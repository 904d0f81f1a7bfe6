"""Edges of ranges in studies whose trials pause at rungs, so that few of them finish."""

from benchmarks import health
from hpo.reports.checks.search.edges import edges
from hpo.reports.health import Verdict


def paused(seed, change=None):
    study = health.sound(seed)
    study.pruned, study.promoted, study.trials = True, True, 120
    if change:
        change(study)
    return health.evidence(study)


def test_an_edge_is_seen_by_the_trials_that_paused():
    studies = [paused(seed, health.narrow_range) for seed in range(3000, 3006)]
    assert all(len(study.best_first) < 40 for study in studies)
    assert sum(edges(study).verdict is Verdict.WARN for study in studies) >= 5
    assert all(edges(study).about == ("optimizer.learning_rate",) for study in studies if edges(study).about)


def test_a_range_that_holds_the_best_value_is_not_accused():
    assert sum(edges(paused(seed)).verdict is Verdict.WARN for seed in range(3000, 3006)) <= 1
