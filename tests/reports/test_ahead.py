"""A winner that follows from what similar trials scored, and the trial that scored better in the search."""

from __future__ import annotations

import json

import pytest

from hpo.reports.render.html import render
from hpo.reports.render.json import summary_json
from hpo.reports.render.markdown import summary
from tests.reports.factory import START, small, trial

SENTENCE = "Trial 0 scored better in the search"


def test_the_report_names_the_trial_that_scored_better() -> None:
    report = small([trial(0, 0.95), trial(1, 0.9)], winner_number=1, finished_at=START)
    assert report.winner is not None
    assert (report.winner.number, report.ahead) == (1, 0)
    assert SENTENCE in summary(report)
    assert SENTENCE in render(report)
    assert json.loads(summary_json(report))["winner"]["ahead"] == 0


@pytest.mark.parametrize(
    ("values", "ended"), [((0.95, 0.9), False), ((0.9, 0.9), True), ((0.8, 0.9), True)], ids=["goes on", "tie", "best"]
)
def test_it_is_silent_where_none_did_or_the_study_goes_on(values: tuple[float, float], ended: bool) -> None:
    trials = [trial(number, value) for number, value in enumerate(values)]
    report = small(trials, winner_number=1, finished_at=START if ended else None)
    assert report.ahead is None
    assert SENTENCE not in summary(report) + render(report)


def test_trials_are_ordered_by_their_levels() -> None:
    lucky, steady = trial(0, 0.95), trial(1, 0.9)
    lucky.user_attrs["level"], steady.user_attrs["level"] = 0.7, 0.88
    report = small([lucky, steady])
    assert [row.number for row in report.best_first] == [1, 0]
    assert report.winner is not None
    assert report.winner.number == 1
