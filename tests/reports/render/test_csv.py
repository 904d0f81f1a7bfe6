"""The CSV files: exact numbers, no times in trials.csv, the same bytes for the same study."""

import csv
import io

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hpo.registry.read import Epochs
from hpo.reports.facts import report_of
from hpo.reports.render.csv import cell, csv_text, epochs_csv, importances_csv, trials_csv, without_formula
from tests.reports.factory import DROPOUT, EVERY, NESTEROV, epoch_rows, facts, failed, frozen_study, small, study, trial


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_columns_of_trials():
    header = trials_csv(study(30)).splitlines()[0].split(",")
    assert header[:5] == ["number", "state", "value", "level", "spread"]
    parameters = header[5 : header.index("epochs")]
    assert parameters == sorted(parameters)
    assert "optimizer.momentum" in parameters
    assert header[header.index("epochs") :] == [
        "epochs",
        "best_epoch",
        "model_parameters",
        "optimizer_state_bytes",
        "ended",
    ]


def test_every_kind_of_value_survives():
    value, share = 0.1 + 0.2, 1 / 3
    trials = [
        trial(
            0,
            value,
            {"dropout.p": share, "norm.every": 2, "optimizer.nesterov": True, "model.hidden": "[64, 64]"},
            {
                "dropout.p": DROPOUT,
                "norm.every": EVERY,
                "optimizer.nesterov": NESTEROV,
                "model.hidden": CategoricalDistribution(("[64, 64]", "[32]")),
            },
        ),
        trial(1, None, state=TrialState.FAIL, epochs=0, best_epoch=None, ended=failed('"a", b\nc')),
    ]
    first, second = rows(trials_csv(small(trials)))
    assert float(first["value"]) == value
    assert float(first["dropout.p"]) == share
    assert first["norm.every"] == "2"
    assert first["optimizer.nesterov"] == "true"
    assert first["model.hidden"] == "[64, 64]"
    assert second["state"] == "FAIL"
    assert second["value"] == second["dropout.p"] == second["best_epoch"] == ""
    assert second["ended"] == 'failed: "a", b\nc'


def test_two_runs_that_differ_in_time_alone_give_the_same_bytes():
    trials, epochs = frozen_study(30)
    again, _ = frozen_study(30)
    for slower in again:
        slower.datetime_start = slower.datetime_start.replace(year=2030)
        slower.user_attrs = {**slower.user_attrs, "seconds": 99.0}
    later = epochs.assign(seconds=epochs["seconds"] * 7)
    first = report_of(facts(wall_seconds=1.0), trials, Epochs.of(epochs))
    second = report_of(facts(wall_seconds=500.0), list(reversed(again)), Epochs.of(later))
    assert trials_csv(first) == trials_csv(second)
    strip = [line.rsplit(",", 1)[0] for line in epochs_csv(first).splitlines()]
    assert strip == [line.rsplit(",", 1)[0] for line in epochs_csv(second).splitlines()]


def test_epochs_are_ordered_exact_and_end_with_seconds():
    made = epoch_rows(1, 2, 0.9, replicas=2) + epoch_rows(0, 1, 0.8)
    made[0]["objective"] = None
    report = report_of(facts(), [trial(0, 0.8), trial(1, 0.9)], Epochs.of(pd.DataFrame(made)))
    text = epochs_csv(report)
    read = rows(text)
    assert text.splitlines()[0].endswith(",accuracy,macro_f1,seconds")
    assert [(r["number"], r["replica"], r["epoch"]) for r in read] == [
        ("0", "0", "1"),
        ("1", "0", "1"),
        ("1", "0", "2"),
        ("1", "1", "1"),
        ("1", "1", "2"),
    ]
    assert read[1]["objective"] == ""
    assert float(read[0]["valid_loss"]) == made[-1]["valid_loss"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (float("inf"), "inf"), (1.0, "1.0"), (1e-7, "1e-07"), (False, "false"), (7, "7")],
)
def test_cells(value, text):
    assert cell(value) == text


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=", "-", "-inf", "=HYPERLINK(1)"],
)
def test_text_that_a_spreadsheet_would_compute_is_marked_as_text_on_request(text):
    assert without_formula(text) == f"'{text}"
    plain, marked = csv_text(["x"], [[text]]), csv_text(["x"], [[text]], spreadsheet=True)
    assert next(csv.DictReader(io.StringIO(plain, newline="")))["x"] == text
    assert next(csv.DictReader(io.StringIO(marked, newline="")))["x"] == f"'{text}"


@pytest.mark.parametrize("value", [-1.5, -3, 1e-7, "-1.5", "+3", "-1e-05", ".5", "a=b", "2-3", "", "'", None, True])
def test_numbers_and_harmless_text_stay_as_they_are(value):
    assert csv_text(["x", "y"], [[value, 1]], spreadsheet=True) == csv_text(["x", "y"], [[value, 1]])


def test_headers_are_text_too():
    assert csv_text(["=x", "p(-1)"], [], spreadsheet=True) == "'=x,p(-1)\n"


def test_the_tables_of_a_report_are_neutralised_on_request_only():
    evil = CategoricalDistribution(("=1+1", "ok"))
    report = small([trial(0, -0.5, {"x": "=1+1"}, {"x": evil}, ended="+ended")])
    plain, safe = rows(trials_csv(report))[0], rows(trials_csv(report, spreadsheet=True))[0]
    assert (plain["x"], plain["ended"], plain["value"]) == ("=1+1", "+ended", "-0.5")
    assert (safe["x"], safe["ended"], safe["value"]) == ("'=1+1", "'+ended", "-0.5")
    assert epochs_csv(report) == epochs_csv(report, spreadsheet=True)


def test_importances_by_parameter_and_pair():
    report = study(100)
    found = rows(importances_csv(report))
    assert list(found[0]) == [
        "parameter",
        "with",
        "role",
        "importance",
        "low",
        "high",
        "chance",
        "applies_to",
        "trials",
    ]
    alone = [row for row in found if not row["with"]]
    assert [(row["parameter"], float(row["importance"])) for row in alone] == list(report.importances.shares)
    assert {row["parameter"]: float(row["applies_to"]) for row in alone}["optimizer.learning_rate"] == 1.0
    pairs = [(row["parameter"], row["with"]) for row in found if row["with"]]
    assert pairs == [pair.names for pair in report.importances.pairs]
    assert all(0.0 <= float(row["low"]) <= float(row["high"]) <= 1.0 for row in found)
    assert importances_csv(small([])).count("\n") == 1
