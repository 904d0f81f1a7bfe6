"""Simple models beside the winner, and the caution where it does not beat them."""

from __future__ import annotations

from typing import Any

import pytest

from hpo.reports.comparison.entries import entry_of
from hpo.reports.comparison.rows import comparison_row
from hpo.reports.comparison.table import compared
from hpo.reports.facts import StudyReport
from hpo.reports.render.html import render
from hpo.reports.render.markdown import summary
from tests.reports.factory import small, trial


def report(values: dict[str, float | None], *, value: float = 0.9, objective: str = "accuracy") -> StudyReport:
    """Of a study whose baselines have these scores; none where the baseline was left out."""
    stored: list[dict[str, Any]] = [
        {"name": name, "note": "left out: too slow"}
        if score is None
        else {"name": name, "validation": {objective: score}, "test": {objective: score - 0.01}}
        for name, score in values.items()
    ]
    return small(
        [trial(0, value)], objective=objective, winner_number=0, test={objective: 0.88}, facts={"baselines": stored}
    )


def caution(made: StudyReport) -> str | None:
    """The first caution, if it is the one about baselines."""
    said = [one for one in made.cautions if "does not beat a simple model" in one]
    assert said in ([], [made.cautions[0]]), "it comes first"
    return said[0] if said else None


@pytest.mark.parametrize(
    ("baselines", "expected"),
    [
        ({"majority": 0.5, "logistic": 0.89}, False),
        ({"majority": 0.5, "logistic": 0.9}, True),
        ({"majority": 0.5, "tfidf_logistic": 0.93}, True),
        ({"majority": 0.95, "logistic": None}, True),
        ({"majority": 0.5, "logistic": 0.8, "boosting": 0.99}, False),  # no simple model
        ({"majority": 0.5, "of a later version": 0.9}, True),
        ({"logistic": None}, False),
        ({}, False),
    ],
)
def test_a_winner_that_does_not_beat_a_simple_model(baselines: dict[str, float | None], expected: bool) -> None:
    assert (caution(report(baselines)) is not None) == expected


@pytest.mark.parametrize(("best", "expected"), [(0.19, False), (0.2, True), (0.3, True)])
def test_where_less_is_better(best: float, expected: bool) -> None:
    made = report({"mean": 0.9, "ridge": 0.2}, value=best, objective="rmse")
    assert (caution(made) is not None) == expected


def test_the_caution_names_both_scores() -> None:
    said = caution(report({"majority": 0.5, "logistic": 0.93}))
    assert said is not None
    assert "its validation accuracy is 0.9, that of the baseline logistic regression 0.93" in said


def test_a_study_without_a_winner_has_baselines_and_no_such_caution() -> None:
    stored = [{"name": "mean", "validation": {"accuracy": 0.5}}]
    made = small([], facts={"baselines": stored})
    assert caution(made) is None
    assert [row[0] for row in made.baseline_rows] == ["mean"]


def test_the_report_has_them_beside_the_winner() -> None:
    made = report({"majority": 0.5, "logistic": 0.93, "boosting": None})
    expected = [
        ("winner, trial 0", "0.9", "0.88", ""),
        ("majority class", "0.5", "0.49", ""),
        ("logistic regression", "0.93", "0.92", ""),
        ("gradient boosting", "–", "–", "left out: too slow"),
    ]
    assert made.baseline_rows == expected
    text, page = summary(made), render(made)
    assert "| logistic regression | 0.93 | 0.92 |  |" in text
    assert text.index("## Beside simple models") < text.index("## Figures")
    assert '<tr><th scope="row">Logistic regression</th><td>0.93</td><td>0.92</td><td></td></tr>' in page
    assert "baselines" not in dict(made.provenance.rows())


def test_a_study_without_them_shows_none() -> None:
    made = report({})
    assert "simple models" not in summary(made) + render(made).rpartition("</script>")[2]
    assert not [name for name in comparison_row(made) if "baseline" in name]


def test_a_comparison_has_a_column_for_each() -> None:
    first, second = report({"majority": 0.5, "boosting": None}), report({"majority": 0.6, "logistic": 0.7})
    made = compared([entry_of(first), entry_of(second)], anyway=True)
    frame = made.frame
    assert frame["baseline.majority"].tolist() == [0.5, 0.6]
    assert frame["test_baseline.logistic"].tolist() == [None, 0.69]
    assert "baseline.boosting" not in frame
    assert "baseline.logistic,baseline.majority" in made.csv()
