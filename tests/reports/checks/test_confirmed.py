"""Checks that use what the repeats of a confirmed winner say."""

from hpo.reports.health import Verdict
from hpo.reports.render.json import summary_of
from tests.reports.factory import START, small, trial

MEASURED = {
    "winner": 0,
    "value": {"mean": 0.97, "low": 0.95, "high": 1.02},
    "spread": 0.01,
    "repeats": 8,
    "configurations": 3,
    "leaders": [0, 2],
    "others": [],
    "searched": 0.99,
    "optimism": 0.02,
    "gain": None,
    "default": None,
    "epochs": 80,
    "seconds": 1.0,
}


def confirmed(**changes):
    trials = [trial(number, 0.99 - 0.01 * number) for number in range(3)]
    facts = {"confirmation": {**MEASURED, **changes}}
    return small(trials, facts=facts, winner_number=0, finished_at=START)


def optimism(report):
    return next(check for check in report.checks if check.code == "optimism")


def test_the_optimism_of_a_confirmed_winner_is_what_was_measured():
    found = optimism(confirmed())
    assert found.verdict is Verdict.WARN
    assert found.figure == 0.02
    assert "8 repeats" in found.sentence
    assert optimism(confirmed(optimism=0.005)).verdict is Verdict.PASS
    assert "worse than the mean" in optimism(confirmed(optimism=-0.005)).sentence


def test_the_summary_has_the_confirmation_and_no_accuracy_above_1():
    told = summary_of(confirmed()).confirmation
    assert told is not None
    assert told.leaders == [0, 2]
    assert (told.value.low, told.value.high) == (0.95, 1.0)
