"""The answer to a question: effects by case and seed, the verdicts, and what would be said if the arms' labels meant
nothing. Computed from the figures of studies; nothing is run or read here."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.questions.file import ArmStudy, Effect, Question
from hpo.questions.formula import names_in, value_of
from hpo.questions.measures import Figures, key_of
from hpo.questions.verdict import LEAST_SEEDS, Estimate, Verdict, estimate, judge_cases, together

SHUFFLES = 200
"""How often the labels of arms are shuffled."""
MOST_LEFT_OUT = 0.2
"""Share of measurements that may be missing before nothing is decided."""

Measured = Mapping[tuple[str, int], Mapping[str, Figures]]
"""Case and seed -> arm -> measure -> its figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectAnswer:
    """What was found of one effect."""

    effect: Effect
    by_case: Mapping[str, Mapping[int, float]]
    """Case -> seed -> the effect."""
    estimate: Estimate | None
    """Over all cases; None where a case has no measurement."""
    verdict: Verdict
    reason: str
    """Why nothing is decided; empty where something is."""
    left_out: int
    """Cases times seeds for which the effect has no value, though all of their studies have ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What was found of a question."""

    question: Question
    effects: tuple[EffectAnswer, ...]
    verdict: Verdict
    ended: int
    """Studies that have ended."""
    undecided_when_shuffled: float | None
    """Share of `SHUFFLES` answers with shuffled labels that neither support nor contradict the claim. None where a case
    has fewer than `LEAST_SEEDS`."""

    @property
    def seeds(self) -> int:
        """Seeds of the case that has the fewest."""
        return min((effect.estimate.seeds if effect.estimate else 0) for effect in self.effects)

    @property
    def complete(self) -> bool:
        """Whether all studies have ended."""
        return self.ended == len(self.question.studies)


def answer_of(question: Question, values: Mapping[str, Figures]) -> Answer:
    """The answer from the figures of the studies that have ended, by their name."""
    ended = [study for study in question.studies if study.name in values]
    measured = _by_block(ended, values)
    effects = tuple(_effect(question, effect, measured) for effect in question.effects)
    verdict = together(effect.verdict for effect in effects)
    enough = all(effect.estimate and effect.estimate.seeds >= LEAST_SEEDS for effect in effects)
    return Answer(
        question=question,
        effects=effects,
        verdict=verdict,
        ended=len(ended),
        undecided_when_shuffled=_when_shuffled(question, measured) if enough else None,
    )


def _by_block(studies: Sequence[ArmStudy], values: Mapping[str, Figures]) -> Measured:
    found: dict[tuple[str, int], dict[str, Figures]] = {}
    for study in studies:
        found.setdefault((study.case, study.seed), {})[study.arm] = values[study.name]
    return found


def _effect(question: Question, effect: Effect, measured: Measured) -> EffectAnswer:
    by_case: dict[str, dict[int, float]] = {case: {} for case in question.cases_of(effect)}
    key, arms = key_of(effect.measure, effect.within), names_in(effect.effect)
    left_out = 0
    for (case, seed), figures in measured.items():
        if case not in by_case or not all(arm in figures for arm in arms):
            continue
        numbers = {arm: effect.missing if (n := figures[arm].get(key)) is None else n for arm in arms}
        known = {arm: number for arm, number in numbers.items() if number is not None}
        value = value_of(effect.effect, known) if len(known) == len(arms) else None
        if value is None:
            left_out += 1
        else:
            by_case[case][seed] = value
    series = {case: tuple(found.values()) for case, found in by_case.items()}
    verdict, reason = judge_cases(series, effect.expect, effect.by, question.level)
    if left_out > MOST_LEFT_OUT * (left_out + sum(map(len, series.values()))):
        verdict, reason = Verdict.UNDECIDED, "too many studies have no figure, e.g. because no trial finished"
    return EffectAnswer(
        effect=effect,
        by_case=by_case,
        estimate=estimate(series),
        verdict=verdict,
        reason=reason,
        left_out=left_out,
    )


def _when_shuffled(question: Question, measured: Measured) -> float:
    """How often nothing is said of the claim where the labels of the arms are shuffled within each case and seed."""
    source = random.Random(0)
    nothing_said = 0
    for _ in range(SHUFFLES):
        shuffled = {block: _shuffled(figures, source) for block, figures in measured.items()}
        verdict = together(_effect(question, effect, shuffled).verdict for effect in question.effects)
        nothing_said += verdict in (Verdict.UNDECIDED, Verdict.NEGLIGIBLE)
    return nothing_said / SHUFFLES


def _shuffled(figures: Mapping[str, Figures], source: random.Random) -> dict[str, Figures]:
    found = list(figures.values())
    source.shuffle(found)
    return dict(zip(figures, found, strict=True))
