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
    assert text.endswith("|\n")


def test_without_a_winner_or_a_test_score():
    assert "there is no winner" in summary(small([]))
    assert "not scored on a test part" in summary(small([trial(0, 0.9)]))


def test_every_line_of_a_table_has_the_same_cells():
    choice = CategoricalDistribution(("a|b", "c"))
    text = summary(small([trial(0, 0.9, {"x": "a|b"}, {"x": choice})]))
    assert "| `x` | a\\|b |" in text
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_the_mean_of_several_models_and_their_ensemble_are_told_apart():
    scores = {"test": {"accuracy": 0.694, "auroc": None}, "test_ensemble": {"accuracy": 0.729, "auroc": None}}
    text = summary(small([trial(0, 0.7)], winner_number=0, facts={"replicas": 6}, **scores))
    assert "test accuracy, mean of 6 models: 0.694, test accuracy, ensemble of 6 models: 0.729." in text
    assert "| test AUROC, ensemble of 6 models | undefined |" in text
    old = summary(small([trial(0, 0.7)], winner_number=0, facts={"replicas": 6}, test=scores["test"]))
    assert "test accuracy, mean of 6 models: 0.694." in old
    assert "ensemble" not in old
    one = summary(small([trial(0, 0.7)], winner_number=0, test=scores["test"]))
    assert "test accuracy 0.694." in one
    assert "models" not in one
