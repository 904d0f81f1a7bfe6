"""Answers as text for people: lines for a terminal, a page of Markdown with the figures beside it, and a table of all
values. Writing files is left to the caller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hpo import space
from hpo.paths import argument
from hpo.questions.answer import Answer, EffectAnswer
from hpo.questions.figure import Bar, Panel, svg
from hpo.questions.file import Question, flat
from hpo.questions.verdict import LEAST_SEEDS, estimate
from hpo.reports.text import format_number, plural
from hpo.studyfile.tree import toml

EXPECTED = {
    "above": "is above 0, by {by} or more",
    "not_below": "is not below 0 by {by} or more",
    "near": "is within {by} of 0",
}
"""What an effect is expected to be, in words."""
NOT_RUN = "not run yet"
VALUES = ("case", "seed", "effect", "value")
"""Columns of `values.csv`."""


def verdict_of(answer: Answer) -> str:
    """The verdict in words."""
    return str(answer.verdict) if answer.ended else NOT_RUN


def lines(answer: Answer) -> list[str]:
    """The answer for a terminal: the verdict, then an entry for each effect."""
    question = answer.question
    found = [f"{question.name}: {verdict_of(answer)}. {question.table.claim}"]
    for one in answer.effects:
        says = EXPECTED[one.effect.expect].format(by=format_number(one.effect.by))
        reason = f" ({one.reason})" if one.reason else ""
        found.append(f"{one.effect.label} of {one.effect.measure} {says}: {one.verdict}{reason}")
        for label, value, low, high in _rows(one):
            found.append(f"  {label}: {_with_interval(value, low, high)}")
    if not answer.complete:
        found.append(f"{answer.ended} of {len(question.studies)} studies have ended")
    return found


def figure(answer: Answer) -> str:
    """The effects with their intervals as SVG."""
    panels = []
    for one in answer.effects:
        bars = [
            Bar(label=label, value=value, low=low, high=high, whole=label == WHOLE)
            for label, value, low, high in _rows(one)
        ]
        title = f"{one.effect.label}, {one.effect.measure}: {one.verdict}"
        panels.append(Panel(title=title, by=one.effect.by, bars=tuple(bars)))
    return svg(panels)


def values(answer: Answer) -> list[tuple[str, int, str, float]]:
    """Every effect that was measured: case, seed, formula and value, sorted as in the question file."""
    return [
        (case, seed, one.effect.label, value)
        for one in answer.effects
        for case, by_seed in one.by_case.items()
        for seed, value in sorted(by_seed.items())
    ]


def as_dict(answer: Answer) -> dict[str, Any]:
    """The answer for programs; infinite ends of intervals are None."""
    question = answer.question
    return {
        "question": question.name,
        "claim": question.table.claim,
        "verdict": str(answer.verdict),
        "studies": len(question.studies),
        "ended": answer.ended,
        "seeds": answer.seeds,
        "cases": list(question.cases),
        "level": question.level,
        "undecided_when_shuffled": answer.undecided_when_shuffled,
        "effects": [
            {
                "name": one.effect.label,
                "effect": one.effect.effect,
                "measure": one.effect.measure,
                "expect": one.effect.expect,
                "by": one.effect.by,
                "verdict": str(one.verdict),
                "reason": one.reason,
                "value": one.estimate.value if one.estimate else None,
                "interval": [_finite(end) for end in one.estimate.interval()] if one.estimate else None,
                "left_out": one.left_out,
                "values": {case: {str(seed): v for seed, v in found.items()} for case, found in one.by_case.items()},
            }
            for one in answer.effects
        ],
    }


# --- the page ----------------------------------------------------------------------------------------------


def markdown(answers: Sequence[Answer], command: str, figures: str) -> str:
    """A page of all answers. `command`: what repeats them; `figures`: folder of their figures, relative to the page."""
    table = [
        "| | claim | verdict | effect | 95 % interval | seeds x cases | shuffled |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for answer in answers:
        question = answer.question
        for place, one in enumerate(answer.effects if answer.ended else answer.effects[:1]):
            found, first = one.estimate, place == 0
            ends = found.interval() if found else None
            cells = (
                f"[{question.name}](#{_anchor(question.name)})" if first else "",
                question.table.claim if first else "",
                f"**{verdict_of(answer)}**" if first else "",
                format_number(found.value) if found else "",
                f"{format_number(ends[0])} to {format_number(ends[1])}" if ends and math.isfinite(ends[0]) else "",
                f"{found.seeds} x {len(one.by_case)}" if found else "",
                _shuffled(answer) if first else "",
            )
            table.append(f"| {' | '.join(cells)} |")
    return "\n".join([*PREFACE, "", "```sh", command, "```", "", *table, "", *EXPLAINED, *sections(answers, figures)])


PREFACE = (
    "# Claims, tested",
    "",
    "Written by `hpo ask`; [ask.md](ask.md) tells how a question is asked and judged. Everything on this page is",
    "repeated by",
)
EXPLAINED = (
    "The effect is the mean over cases of the means over seeds. *Shuffled* is the share of 200 answers that support or",
    "contradict nothing when the labels of the arms are shuffled within each case and seed: a rule that finds effects",
    "in noise would show here. A claim that arms are alike is supported by shuffled labels, too, as it should be.",
    "",
)


def sections(answers: Sequence[Answer], figures: str) -> list[str]:
    """The lines of a section for each answer."""
    return [line for answer in answers for line in _section(answer, figures)]


def _section(answer: Answer, figures: str) -> list[str]:
    question = answer.question
    text = [f"## {question.name}", "", f"{question.table.claim} **{verdict_of(answer).capitalize()}.**", ""]
    if answer.ended:
        text += [f"![Effects of {question.name}]({figures}/{question.name}.svg)", ""]
    text += [f"- {line}" for line in design(question)]
    for one in answer.effects:
        says = EXPECTED[one.effect.expect].format(by=format_number(one.effect.by))
        within = f" ({format_number(one.effect.within)})" if one.effect.within else ""
        where = f" on {', '.join(one.effect.cases)}" if one.effect.cases else ""
        reason = f" ({one.reason})" if one.reason and answer.ended else ""
        verdict = f": {one.verdict}{reason}" if answer.ended else ""
        name = f"{one.effect.name}, which is " if one.effect.name else ""
        what = f"{name}`{one.effect.effect}` of `{one.effect.measure}`{within}"
        text.append(f"- expected{where}: {what} {says}{verdict}")
        if one.effect.missing is not None:
            text.append(f"  (a figure that a study does not have counts as {format_number(one.effect.missing)})")
        if one.left_out:
            text.append(f"  ({plural(one.left_out, 'measurement')} without a value left out)")
    if answer.ended and not answer.complete:
        text.append(f"- {answer.ended} of {len(question.studies)} studies have ended")
    if answer.ended and answer.seeds < LEAST_SEEDS:
        text.append(f"- too few seeds to say anything: {answer.seeds}, where {LEAST_SEEDS} are the least")
    return [*text, "", "```sh", f"hpo ask {argument(question.source)}", "```", ""]


def design(question: Question) -> list[str]:
    """What is varied, searched and fixed, in words."""
    arms = "; ".join(f"{arm}: {_settings(tables)}" for arm, tables in question.arms.items())
    found = [f"varied: {arms}"]
    specs = [study.spec for study in question.studies[: _one_seed(question)]]
    named = dict.fromkeys(parameter.name for spec in specs for parameter in space.parameters(spec))
    found.append(f"searched beside it: {', '.join(named) or 'nothing'}")
    if any(question.cases.values()):
        found.append("on " + "; ".join(f"{case}: {_settings(tables)}" for case, tables in question.cases.items()))
    found.append(
        f"level of each test: {question.level:.2g} ({format_number(question.table.alpha)} over "
        f"{plural(question.table.family, 'question')} and {plural(len(question.effects), 'effect')} of this one)"
    )
    return found


def plan_lines(question: Question) -> list[str]:
    """What a question will run, in words, with what speaks against the comparison."""
    trials = sum(study.spec.search.trials for study in question.studies)
    found = [
        f"{question.name}: {question.table.claim}",
        f"{len(question.studies)} studies of {trials} trials in all",
        *design(question),
    ]
    without = [
        study.arm
        for study in question.studies[: _one_seed(question)]
        if study.spec.function is None
        and not any(parameter.name.endswith("learning_rate") for parameter in space.parameters(study.spec))
    ]
    if without:
        arms = ", ".join(dict.fromkeys(without))
        found.append(f"caution: no learning rate is searched in {arms}; an effect may be one of the rate alone")
    if question.table.seeds < LEAST_SEEDS:
        found.append(f"caution: with fewer than {LEAST_SEEDS} seeds nothing is decided")
    return found


def _one_seed(question: Question) -> int:
    return len(question.arms) * len(question.cases)


def _settings(tables: Any) -> str:
    return ", ".join(f"`{path} = {toml(value)}`" for path, value in flat(tables).items()) or "as it is"


WHOLE = "all cases"


def _rows(one: EffectAnswer) -> list[tuple[str, float, float, float]]:
    """Label, mean and 95 % interval of each case, and of all where there are several."""
    found = []
    for case, by_seed in one.by_case.items():
        alone = estimate({case: tuple(by_seed.values())})
        if alone is not None:
            found.append((f"{case}, {plural(len(by_seed), 'seed')}", alone.value, *alone.interval()))
    if one.estimate is not None and len(one.by_case) > 1:
        found.append((WHOLE, one.estimate.value, *one.estimate.interval()))
    return found


def _with_interval(value: float, low: float, high: float) -> str:
    ends = f" ({format_number(low)} to {format_number(high)})" if math.isfinite(low) else ""
    return f"{format_number(value)}{ends}"


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None


def _shuffled(answer: Answer) -> str:
    share = answer.undecided_when_shuffled
    return "" if share is None else f"{100 * share:.0f} %"


def _anchor(name: str) -> str:
    """As Markdown makes them of headings."""
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter in "-_ ").replace(" ", "-")
