"""What an explanation says, in sentences, tables and the page."""

from __future__ import annotations

from dataclasses import replace

from hpo.conclusions import Interval
from hpo.conclusions.explanation import Explanation, Measured, Pair, Simpler, Step, Switch
from hpo.reports.render.explanation import explanation_csv, pair_cells, rung_cells, rungs, sentences
from hpo.reports.render.html import render
from hpo.reports.render.json import summary_json
from hpo.reports.render.markdown import summary
from tests.reports.factory import study


def interval(mean: float, reach: float = 0.01) -> Interval:
    return Interval(mean=mean, low=mean - reach, high=mean + reach)


def measured(mean: float, lost: int = 0) -> Measured:
    return Measured(value=interval(mean), lost=lost)


FOUND = Explanation(
    winner=3,
    switches=(
        Switch(name="optimizer.name", default="sgd", winner="adamw", along={"optimizer.weight_decay": 0.01}),
        Switch(name="dropout.p", default=0.0, winner=0.2, along={}),
        Switch(name="norm.kind", default="none", winner="batch", along={}),
    ),
    tried=1,
    seeds=4,
    default=measured(0.7, lost=1),
    steps=(
        Step(
            changes=("optimizer.name",),
            measured=measured(0.9),
            gain=interval(0.2),
            verdict="mattered",
            loss=interval(0.15),
        ),
        Step(
            changes=("dropout.p", "norm.kind"),
            measured=measured(0.905),
            gain=interval(0.005),
            verdict="set back",
            loss=interval(0.005),
        ),
    ),
    gain=interval(0.205),
    pairs=(
        Pair(
            changes=(("optimizer.name",), ("dropout.p", "norm.kind")),
            alone=(interval(0.2), interval(0.1)),
            both=interval(0.205),
            interaction=interval(-0.095),
        ),
    ),
    simpler=Simpler(
        changes=("optimizer.name",), params={"optimizer.name": "adamw"}, measured=measured(0.9), loss=interval(0.005)
    ),
    length=30,
    trainings=20,
    epochs=600,
    searched=6000,
    seconds=12.0,
)


def test_sentences_say_what_matters_first() -> None:
    result, simpler, together, lost, cost = sentences(FOUND, ["accuracy"])
    assert result == (
        "In 2 steps, the default configuration becomes the winner, trial 3: the mean validation accuracy goes from 0.7 "
        "to 0.905, better by 0.205 (95 % interval 0.195 to 0.215)."
    )
    assert simpler.startswith("dropout.p, norm.kind do not matter beyond noise. The simpler configuration, only optim")
    assert "worse than the winner by 0.005 (95 % interval -0.005 to 0.015)" in simpler
    assert together.startswith("optimizer.name and dropout.p, norm.kind together gain 0.095 less than the sum")
    assert lost.startswith("1 training of the steps diverged or failed")
    assert "20 trainings of up to 30 epochs, 4 for each" in cost
    assert "10 % of those of the search" in cost


def test_where_nothing_is_set_back_it_says_why() -> None:
    steps = (FOUND.steps[0], replace(FOUND.steps[1], verdict="untried", loss=None))
    text = sentences(replace(FOUND, steps=steps), ["accuracy"])[1]
    assert text == (
        "None of its changes is set back to the default. What it is without each: optimizer.name: worse; "
        "dropout.p, norm.kind: not tried."
    )


def test_with_several_objectives_it_says_that_it_looks_at_the_first_alone() -> None:
    told = sentences(FOUND, ["accuracy", "optimizer_bytes", "parameters"])
    assert len(told) == 6
    about = "All of this is about accuracy: what does not matter for it may matter for optimizer bytes, parameters."
    assert told[2] == about


def test_tables_have_a_line_for_each_step() -> None:
    default, first, second = rungs(FOUND)
    assert rung_cells(default) == ["0.7", "", ""]
    assert first.details == ("optimizer.name: sgd to adamw, with optimizer.weight_decay = 0.01",)
    assert rung_cells(second) == ["0.905", "0.005 (-0.005 to 0.015)", "no worse"]
    assert second.title == "dropout.p and 1 more"
    assert pair_cells(FOUND.pairs[0])[0] == "optimizer.name x dropout.p and 1 more"
    lines = explanation_csv(FOUND).splitlines()
    assert len({line.count(",") for line in lines}) == 1
    kinds = [line.split(",")[0] for line in lines[1:]]
    assert kinds == ["default", "step", "step", "alone", "alone", "together", "interaction", "simpler"]


def test_the_report_has_it_where_the_study_was_explained() -> None:
    plain = study(20)
    report = replace(plain, explanation=FOUND)
    page = render(report)
    assert 'id="explanation"' in page
    assert 'style="--best:' in page
    assert 'id="explanation"' not in render(plain)
    assert "## Why it is better" in summary(report)
    assert "## Why it is better" not in summary(plain)
    assert '"explanation": {' in summary_json(report)
    assert '"explanation": null' in summary_json(plain)
