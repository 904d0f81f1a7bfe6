"""What a health check says of a study: a verdict, a sentence, its figure and the way out. No checks, no formatting."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CHANCE = 0.01
"""Probability of a wrong finding that each test of a check is held to."""
SURE = 0.95
"""Probability with which a test has to find an effect that matters, before its silence counts as evidence."""


class Verdict(StrEnum):
    """Verdicts of checks, as `summary.json` has them."""

    PASS = "pass"
    """Nothing speaks against the study's conclusions."""
    WARN = "warn"
    """The conclusions hold with this reservation."""
    FAIL = "fail"
    """The conclusions do not hold as they stand."""
    NOT_APPLICABLE = "not_applicable"
    """The study does not have what the check needs; the sentence says what that is."""

    @property
    def label(self) -> str:
        """The verdict for people: `PASS`, `not applicable`."""
        return "not applicable" if self is Verdict.NOT_APPLICABLE else self.upper()


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check found."""

    verdict: Verdict
    sentence: str
    """One sentence or more, each with its full stop."""
    figure: float | None = None
    """What the verdict rests on; `docs/report.md` says of each check what it is. None where there is none."""
    way_out: str = ""
    """What may help, as a sentence; empty where nothing is to be done."""
    about: tuple[str, ...] = ()
    """Names of the parameters that it finds at fault, where a check does that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(Finding):
    """One line of a study's health card."""

    code: str
    """Name of the check, see `hpo.reports.checks.CHECKS`."""

    @property
    def title(self) -> str:
        """The name for people: `nothing matters`."""
        return self.code.replace("_", " ")

    @property
    def raised(self) -> bool:
        """Whether a reader should know it before trusting the winner."""
        return self.verdict in (Verdict.WARN, Verdict.FAIL)

    @property
    def text(self) -> str:
        """The sentence and the way out."""
        return f"{self.sentence} {self.way_out}".rstrip()


def passed(sentence: str, figure: float | None = None) -> Finding:
    """Nothing to object."""
    return Finding(verdict=Verdict.PASS, sentence=sentence, figure=figure)


def warned(sentence: str, figure: float | None = None, *, way_out: str = "", about: tuple[str, ...] = ()) -> Finding:
    """A reservation."""
    return Finding(verdict=Verdict.WARN, sentence=sentence, figure=figure, way_out=way_out, about=about)


def failed(sentence: str, figure: float | None = None, *, way_out: str = "") -> Finding:
    """The conclusion does not hold."""
    return Finding(verdict=Verdict.FAIL, sentence=sentence, figure=figure, way_out=way_out)


def unknown(sentence: str, *, way_out: str = "") -> Finding:
    """The check cannot be made, and why."""
    return Finding(verdict=Verdict.NOT_APPLICABLE, sentence=sentence, way_out=way_out)


def counted(checks: tuple[Check, ...]) -> str:
    """`1 FAIL, 2 WARN, 15 PASS, 4 not applicable`."""
    order = (Verdict.FAIL, Verdict.WARN, Verdict.PASS, Verdict.NOT_APPLICABLE)
    counts = {verdict: sum(check.verdict is verdict for check in checks) for verdict in order}
    return ", ".join(f"{count} {verdict.label}" for verdict, count in counts.items() if count)
