"""The summary in Markdown."""

from optuna.distributions import CategoricalDistribution

from hpo.reports.markdown import summary, table

from .factory import small, study, trial


def test_it_names_winner_scores_and_warnings():
    report = study(100)
    text = summary(report)
    assert text.startswith("# digits\n")
    assert report.winner is not None
    assert f"Winner: trial {report.winner.number}, validation accuracy" in text
    assert "test accuracy 0.9722" in text
    assert all(f"- {caution}" in text for caution in report.cautions)
    assert "## Best configurations" in text
    assert text.endswith("|\n") == bool(report.importances.shares)


def test_without_a_winner_or_a_test_score():
    assert "there is no winner" in summary(small([]))
    assert "not scored on a test part" in summary(small([trial(0, 0.9)]))


def test_every_line_of_a_table_has_the_same_cells():
    choice = CategoricalDistribution(("a|b", "c"))
    text = summary(small([trial(0, 0.9, {"x": "a|b"}, {"x": choice})]))
    assert "| `x` | a\\|b |" in text
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
