"""Signs of trouble in the trials of a study, counted for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.reports.text import plural
from hpo.reports.trials import TrialRow
from hpo.signs import HARMLESS, Code, Sign


@dataclass(frozen=True, kw_only=True, slots=True)
class SignCount:
    """One kind of sign in a study."""

    code: Code
    trials: tuple[int, ...]
    """Numbers of the trials that show it."""
    example: Sign
    """That of the first of them, or of the winner."""
    number: int
    """The trial of the example."""
    of_winner: bool

    @property
    def title(self) -> str:
        """The sign in a word or two: `dead units`."""
        return self.code.replace("_", " ")

    @property
    def count(self) -> str:
        """`3 trials`, `2 trials, the winner among them`."""
        return plural(len(self.trials), "trial") + (", the winner among them" if self.of_winner else "")


def counted(trials: Sequence[TrialRow], winner: TrialRow | None) -> list[SignCount]:
    """The kinds of signs, the most frequent first; those that only say that epochs could be saved come last."""
    found: dict[Code, dict[int, Sign]] = {}
    for trial in trials:
        for sign in trial.signs:
            found.setdefault(sign.code, {}).setdefault(trial.number, sign)
    counts = []
    for code, signs in found.items():
        of_winner = winner is not None and winner.number in signs
        number = winner.number if winner is not None and of_winner else min(signs)
        counts.append(
            SignCount(code=code, trials=tuple(sorted(signs)), example=signs[number], number=number, of_winner=of_winner)
        )
    return sorted(counts, key=lambda one: (one.code in HARMLESS, -len(one.trials), one.code))
