"""The rule of constant epochs: trials come in waves. All of a wave train for the same number of epochs; when all of
them have arrived there, the best go on to the end."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from hpo.search.pruning.promotion import Place, Promotion
from hpo.studyfile.records import StudyTable


class Waves(Promotion):
    """Which trials go on, where those with consecutive numbers make a wave. Of a wave that is not full, when no more
    trials will begin, as many go on as of a full one."""

    def __init__(self, study: StudyTable, rungs: Sequence[int], *, wave: int, best: int, levels: bool = False) -> None:
        """`wave`: its number of trials. `best`: how many of them go on."""
        super().__init__(study, rungs, factor=wave, levels=levels)
        self.best = best

    def kept(self, *, most: int) -> list[FrozenTrial]:
        """The best ones of each wave so far, however many."""
        return self._waiting(self.rungs[0], [place for wave in self._waves() for place in self._best_of(wave)])

    def _best(self, rung: int) -> list[Place]:
        full = (wave for wave in self._waves() if len(wave) == self.factor and self._is_here(wave))
        return [place for wave in full for place in self._best_of(wave)]

    def _last(self) -> list[FrozenTrial]:
        newest = self._waves()[-1:]
        return self._waiting(self.rungs[0], [p for wave in newest if self._is_here(wave) for p in self._best_of(wave)])

    def _waves(self) -> list[list[int]]:
        """The numbers of the trials, wave by wave."""
        numbers = sorted(self._known)
        return [numbers[begin : begin + self.factor] for begin in range(0, len(numbers), self.factor)]

    def _is_here(self, wave: Sequence[int]) -> bool:
        """Whether all of a wave have arrived where they are compared."""
        return all(number in self._places[self.rungs[0]] for number in wave)

    def _best_of(self, wave: Sequence[int]) -> list[Place]:
        """The best places of a wave so far."""
        places = self._places[self.rungs[0]]
        return sorted(places[number] for number in wave if number in places)[: self.best]
