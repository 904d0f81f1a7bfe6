"""Which curves are drawn, averaged how, and thinned out how far."""

import math

import pandas as pd
from optuna.trial import TrialState

from hpo.registry.read import Epochs
from hpo.reports.facts import report_of
from hpo.reports.render.curves import MOST_NUMBERS, MOST_TRIALS, curves_of, evenly
from tests.reports.factory import epoch_rows, facts, study, trial


def report(trials, rows, **changes):
    return report_of(facts(**changes), trials, Epochs.of(pd.DataFrame(rows)))


def test_replicas_are_averaged_epoch_by_epoch():
    rows = epoch_rows(0, 2, 0.9, replicas=2)
    for row, value in zip(rows, [0.2, 0.4, 0.6, 0.8], strict=True):
        row["objective"] = value
    (curve,) = curves_of(report([trial(0, 0.9)], rows)).curves
    assert curve.epochs == (1, 2)
    assert curve.series["objective"] == (0.4, 0.6)


def test_one_replica_that_is_not_finite_makes_a_gap():
    rows = epoch_rows(0, 2, 0.9, replicas=2)
    rows[1]["valid_loss"] = math.nan
    (curve,) = curves_of(report([trial(0, 0.9)], rows)).curves
    assert curve.series["valid_loss"][0] is not None
    assert curve.series["valid_loss"][1] is None


def test_the_winner_comes_first_and_at_most_sixty_are_drawn():
    full = study(150)
    curves = curves_of(full)
    assert len(curves.curves) == MOST_TRIALS
    assert full.winner is not None
    assert curves.curves[0].number == full.winner.number
    assert [c.rank for c in curves.curves[:20]] == list(range(20))
    with_epochs = len(set(full.epochs["number"]))
    assert curves.omitted == with_epochs - MOST_TRIALS
    assert any(c.state == "PRUNED" for c in curves.curves)


def test_the_objective_is_the_first_measure_and_its_metric_is_not_repeated():
    measures = curves_of(study(10)).measures
    assert measures[0] == "objective"
    assert "macro_f1" in measures
    assert "accuracy" not in measures
    assert "seconds" not in measures


def test_a_measure_nobody_recorded_is_left_out():
    rows = epoch_rows(0, 2, 0.9)
    for row in rows:
        row["gradient_norm"] = None
    assert "gradient_norm" not in curves_of(report([trial(0, 0.9)], rows)).measures


def test_long_trials_are_thinned_out_to_what_a_page_can_carry():
    trials = [trial(i, 0.9, epochs=2000) for i in range(60)]
    rows = [row for i in range(60) for row in epoch_rows(i, 2000, 0.9)]
    curves = curves_of(report(trials, rows))
    assert curves.stride > 1
    assert curves.curves[0].epochs[:2] == (1, 1 + curves.stride)
    assert sum(len(points) for c in curves.curves for points in c.series.values()) <= MOST_NUMBERS


def test_a_study_without_epochs_has_no_curves():
    empty = pd.DataFrame(columns=list(epoch_rows(0, 1, 0.9)[0]))
    failed = trial(0, None, state=TrialState.FAIL, epochs=0)
    assert curves_of(report_of(facts(), [failed], Epochs.of(empty))).curves == ()


def test_evenly_keeps_both_ends():
    assert evenly(range(100), 4) == [0, 33, 66, 99]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly(range(3), 0) == []
