"""The summary in Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hpo.reports.render.markdown import code, escaped, markdown_table, sentence, summary
from tests.reports.factory import failed, small, study, trial


def test_it_names_winner_scores_and_warnings():
    report = study(100)
    text = summary(report)
    assert text.startswith("# digits\n")
    assert report.winner is not None
    assert f"Winner: trial {report.winner.number}, validation accuracy" in text
    assert "test accuracy 0.9722" in text
    assert all(f" | {sentence(check.sentence)} | {sentence(check.way_out)} |" in text for check in report.checks)
    assert "## Best configurations" in text
    assert ("| `dropout.p` | 7.6 % |" in text) == bool(report.importances.shares)


def test_without_a_winner_or_a_test_score():
    assert "there is no winner" in summary(small([]))
    assert "not scored on a test part" in summary(small([trial(0, 0.9)]))


def test_every_line_of_a_table_has_the_same_cells():
    choice = CategoricalDistribution(("a|b", "c"))
    text = summary(small([trial(0, 0.9, {"x": "a|b"}, {"x": choice})]))
    assert "| `x` | a\\|b |" in text
    assert markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


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


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<b>bold</b> & <a href='http://evil.example'>x</a>",
    "[click](javascript:alert(1)) ![i](http://evil.example/i.png)",
    "http://evil.example www.evil.example me@evil.example #12",
    "a|b | c",
    "`code` and ``more` *strong* _em_ ~~gone~~ $x$ &lt;",
    "two\nlines\r\n\n# heading\n- item",
    "- item",
    "1. item",
    "\\",
    "=",
    "a_b_c snake_case __init__",
)
ALLOWED = {"inline", "text", "softbreak", "code_inline", "text_special", "paragraph_open", "paragraph_close"}
READER = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("table")


def shown(markdown):
    """What a reader of Markdown sees, and every kind of mark in it."""
    tokens = READER.parse(markdown)
    inner = [token for one in tokens for token in (one, *(one.children or ()))]
    texts = [token.content for token in inner if token.type in ("text", "code_inline", "text_special")]
    return "".join(texts), {token.type for token in inner}


def in_line(text):
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_is_text_wherever_it_stands(text):
    for markdown in (f"x {escaped(text)}", f"x {code(text)}", sentence(text)):
        seen, marks = shown(markdown)
        assert marks <= ALLOWED, markdown
        assert "\n" not in markdown
        if "`" not in text:
            assert in_line(seen).removeprefix("x ") == in_line(text)
    assert READER.parse(markdown_table(("a", "b"), [(escaped(text), code(text))])) is not None
    cells = [
        token
        for token in READER.parse(markdown_table(("a", "b"), [(escaped(text), code(text))]))
        if "td_open" in token.type
    ]
    assert len(cells) == 2


@given(st.text(alphabet="ab `*_[]()<>&|~$#@:/.-+=1!\\'\"\n", max_size=40))
def test_any_text_is_text(text):
    seen, marks = shown(f"x{escaped(text)}x")
    assert marks <= ALLOWED
    assert in_line(seen) == in_line(f"x{text}x")
    assert shown(sentence(text))[1] <= ALLOWED


def test_nothing_links_by_itself():
    for text in HOSTILE:
        for written in ("://", "www.", "@", " #"):
            assert written not in escaped(text)


def test_the_summary_of_a_hostile_study_is_a_summary():
    evil = HOSTILE[0] + "|" + HOSTILE[6]
    choice = CategoricalDistribution((evil, "ok"))
    trials = [
        trial(i, 0.5 + i / 100, {"model.arguments.kind": evil}, {"model.arguments.kind": choice}) for i in range(12)
    ]
    trials.append(trial(12, None, state=TrialState.FAIL, ended=failed(evil), epochs=0))
    text = summary(small(trials))
    _, marks = shown(text)
    assert not marks & {"html_block", "html_inline", "link_open", "image", "em_open", "strong_open"}
    assert text.count("\n## ") == 5
    assert "<script>" not in text


def test_numbers_and_names_stay_readable():
    assert escaped("-0.5") == "-0.5"
    assert escaped("optimizer.learning_rate") == "optimizer.learning_rate"
    assert sentence("raise `search.trials` and run") == "raise `search.trials` and run"
