"""The Pareto front in tables, page and summaries, and that none of them has one where there is one objective."""

from __future__ import annotations

import csv
import io
import json

import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo.cli.terminal.lines import MOST, front_lines
from hpo.cli.terminal.records import BestTrial
from hpo.reports.facts import StudyReport
from hpo.reports.render.csv import trials_csv
from hpo.reports.render.figures import front_figures
from hpo.reports.render.html import render
from hpo.reports.render.json import summary_json
from hpo.reports.render.markdown import summary
from hpo.reports.tables import trials_frame
from tests.reports.factory import RATE, small, trial

VALUES = {0: (0.9, 4000.0), 1: (0.95, 8000.0), 2: (0.9, 6000.0), 3: (0.7, 100.0), 4: (0.95, 8000.0)}
"""By number; trial 2 is not on the front, and trial 5 was pruned."""
NAMES = ("accuracy", "optimizer_bytes")


def several(number: int, values: tuple[float, ...] | None) -> FrozenTrial:
    state = TrialState.PRUNED if values is None else TrialState.COMPLETE
    found = trial(number, 0.5, {"optimizer.learning_rate": 0.1}, {"optimizer.learning_rate": RATE}, state=state)
    found.values = [0.99, 1.0] if values is None else list(values)
    return found


@pytest.fixture(scope="module")
def report() -> StudyReport:
    trials = [*(several(number, values) for number, values in VALUES.items()), several(5, None)]
    return small(trials, objectives=NAMES, directions=("maximize", "minimize"))


def test_the_front_and_the_winner(report: StudyReport) -> None:
    assert [trial.number for trial in report.front] == [1, 4, 0, 3]
    assert report.winner is not None
    assert report.winner.number == 1


def test_the_table_of_trials_has_all_objectives_and_marks_the_front(report: StudyReport) -> None:
    first, *others = csv.DictReader(io.StringIO(trials_csv(report)))
    assert list(first)[:7] == ["number", "state", "value", "level", "spread", "value.optimizer_bytes", "pareto"]
    assert (first["value"], float(first["value.optimizer_bytes"]), first["pareto"]) == ("0.9", 4000.0, "true")
    assert [row["pareto"] for row in others] == ["true", "false", "true", "true", "false"]
    frame = trials_frame(report)
    assert frame[frame["pareto"]]["value.optimizer_bytes"].tolist() == [4000.0, 8000.0, 100.0, 8000.0]


def test_summaries_have_the_front(report: StudyReport) -> None:
    found = json.loads(summary_json(report))
    assert [line["name"] for line in found["objectives"]] == list(NAMES)
    assert [line["direction"] for line in found["objectives"]] == ["maximize", "minimize"]
    assert [line["number"] for line in found["pareto_front"]] == [1, 4, 0, 3]
    assert found["pareto_front"][2]["values"] == {"accuracy": 0.9, "optimizer_bytes": 4000.0}
    text = summary(report)
    assert "## Pareto front\n\n4 trials, none of which another one beats in all objectives." in text
    assert "| 3 | 0.7 | 100 | 0.1 |" in text


def test_the_page_has_the_front(report: StudyReport) -> None:
    page = render(report)
    assert '<section id="front"' in page
    (figure,) = front_figures(report)
    assert figure["x"] == {"title": "optimizer bytes", "kind": "log"}
    named = {layer["name"]: layer for layer in figure["layers"]}
    assert {"finished", "Pareto front", "winner"} <= named.keys()
    assert "are the first" not in page


def test_with_one_objective_there_is_none() -> None:
    report = small([trial(0, 0.9), trial(1, 0.8)])
    assert report.front == ()
    assert front_figures(report) == []
    assert "areto" not in summary(report)
    assert 'id="front"' not in render(report)
    assert "pareto" not in trials_csv(report)
    assert json.loads(summary_json(report))["pareto_front"] == []


def test_a_long_front_is_cut_on_the_screen() -> None:
    def best(number: int) -> BestTrial:
        values = {"accuracy": 0.9, "parameters": 100.0 + number}
        return BestTrial(
            number=number,
            value=0.9,
            values=values,
            level=None,
            spread=None,
            epochs=3,
            best_epoch=3,
            seconds=1.0,
            params={},
            signs=(),
        )

    lines = front_lines([best(number) for number in range(MOST + 3)])
    assert lines[0] == "trial 0: accuracy 0.9, parameters 100"
    assert lines[-1] == "and 3 more; see the report"
    assert len(lines) == MOST + 1
