"""Answers from figures of studies that were never run, and how they are shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from hpo.questions.answer import Answer, answer_of
from hpo.questions.file import Question, read_question
from hpo.questions.page import as_dict, design, figure, lines, markdown, values
from hpo.questions.run import keys_of
from hpo.questions.verdict import Verdict
from tests.questions.test_file import TEXT, written

CLAIMS = sorted(Path("studies/claims").glob("*.toml"))
PAGE = Path("docs/claims.md").read_text(encoding="utf-8")


@pytest.fixture
def question(tmp_path: Path) -> Question:
    return read_question(written(tmp_path), seeds=6)


def answered(question: Question, gain: float, *, lost: int = 0) -> Answer:
    """Arm two is better by `gain`, on average; the first `lost` studies have no figure."""
    draw = np.random.default_rng(1)
    figures: dict[str, dict[str, float | None]] = {
        study.name: {"test.objective": 0.8 + gain * (study.arm == "two") + 0.003 * draw.standard_normal()}
        for study in question.studies
    }
    for study in question.studies[:lost]:
        figures[study.name] = {"test.objective": None}
    return answer_of(question, figures)


def test_the_verdict_follows_the_figures(question: Question) -> None:
    assert answered(question, 0.1).verdict is Verdict.SUPPORTED
    assert answered(question, -0.1).verdict is Verdict.CONTRADICTED
    assert answered(question, 0.0).verdict in (Verdict.UNDECIDED, Verdict.NEGLIGIBLE)


def test_shuffled_labels_decide_nothing(question: Question) -> None:
    for gain in (0.0, 0.1):
        share = answered(question, gain).undecided_when_shuffled
        assert share is not None
        assert share >= 0.95


def test_measurements_without_a_value_are_left_out_and_counted(question: Question) -> None:
    found = answered(question, 0.1, lost=1).effects[0]
    assert (found.left_out, len(found.by_case["wine"])) == (1, 5)
    assert found.verdict is Verdict.SUPPORTED
    found = answered(question, 0.1, lost=8).effects[0]
    assert (found.verdict, found.reason[:24]) == (Verdict.UNDECIDED, "too many studies have no")


def test_a_value_may_stand_for_those_that_are_missing(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace("by = 0.01", 'by = 0.01\nmissing = 0.0\nname = "gain"'))
    found = answered(read_question(path, seeds=6), 0.1, lost=1)
    assert found.effects[0].left_out == 0
    assert found.effects[0].by_case["wine"][0] == pytest.approx(0.9, abs=0.02)
    assert lines(found)[1].startswith("gain of test.objective is above 0")


def test_studies_that_have_not_ended_are_no_measurements(question: Question) -> None:
    figures = {study.name: {"test.objective": float(study.arm == "two")} for study in question.studies[:10]}
    found = answer_of(question, figures)
    assert [sorted(by_seed) for by_seed in found.effects[0].by_case.values()] == [[0, 1, 2], [0, 1]]
    assert (found.ended, found.complete, found.seeds) == (10, False, 2)
    assert found.verdict is Verdict.UNDECIDED
    assert found.undecided_when_shuffled is None
    assert "10 of 24 studies have ended" in lines(found)[-1]


def test_an_answer_in_all_its_forms(question: Question) -> None:
    found = answered(question, 0.1)
    assert lines(found)[0] == "more: supported. Two is more than one."
    root = ElementTree.fromstring(figure(found))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "two - one, test.objective: supported" in texts
    assert {"wine, 6 seeds", "iris, 6 seeds", "all cases"} <= set(texts)
    table = values(found)
    assert len(table) == 12
    assert table[0][:3] == ("wine", 0, "two - one")
    data = json.loads(json.dumps(as_dict(found)))
    assert (data["verdict"], data["seeds"], data["ended"]) == ("supported", 6, 24)
    assert data["effects"][0]["values"]["iris"]["5"] == table[-1][3]


def test_an_effect_without_a_figure_is_drawn_without_bars(question: Question) -> None:
    found = answered(question, 0.1, lost=len(question.studies))
    assert found.verdict is Verdict.UNDECIDED
    assert "two - one" in figure(found)


def test_the_page_has_a_row_and_a_section_for_each_question(question: Question) -> None:
    page = markdown([answered(question, 0.1), answer_of(question, {})], "hpo ask more.toml", "figures")
    assert "| [more](#more) | Two is more than one. | **supported** | 0.1" in page
    assert re.search(r"\| 6 x 2 \| (9\d|100) % \|", page)
    assert "![Effects of more](figures/more.svg)" in page
    assert "- varied: one: `model.hidden = [4]`; two: `model.hidden = [8]`, `training.epochs = 3`" in page
    assert "- searched beside it: optimizer.learning_rate" in page
    assert "**not run yet**" in page
    assert page.count("```sh\nhpo ask ") == 3


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_shuffled_labels_decide_no_shipped_claim(path: Path) -> None:
    """Arms that differ clearly, shuffled 200 times within each case and seed: the null version of each claim. The page
    of claims tells what the question asks."""
    question = read_question(path)
    assert {f"- {line}" for line in design(question)} <= set(PAGE.splitlines())
    assert f"\n{question.table.claim} **" in PAGE
    draw = np.random.default_rng(0)
    levels = dict(zip(question.arms, np.linspace(0.1, 0.9, len(question.arms)), strict=True))
    figures = {
        study.name: {key: float(levels[study.arm] + 0.02 * draw.standard_normal()) for key in keys_of(question)}
        for study in question.studies
    }
    share = answer_of(question, figures).undecided_when_shuffled
    assert share is not None
    assert share >= 0.95
