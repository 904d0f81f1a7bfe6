"""Studies that a worker leaves to others for a while, and why. What went wrong may pass: it tries again, ever later."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hpo.registry.queue import Key

FIRST_SECONDS, LONGEST_SECONDS = 60.0, 16 * 60.0
"""How long a study is left alone: doubled each time until something could be done for it."""
FAILURES = 5
"""So many failures in a row, with nothing trained in between, are no passing trouble of the database."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setback:
    """Why a worker cannot work on a study."""

    study: str
    text: str
    until: float
    """When it tries again, by the worker's clock."""
    seconds: float
    """How long it leaves the study alone."""


class Backoff:
    """One worker's backoff about studies as they are: a changed study is another one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._setbacks: dict[Key, Setback] = {}
        self._failures: dict[Key, int] = {}

    @property
    def texts(self) -> dict[str, str]:
        """What to tell people, by study."""
        return {setback.study: setback.text for setback in self._setbacks.values()}

    def bar(self, key: Key) -> bool:
        """Whether the study is to be left alone."""
        return key in self._setbacks and self.clock() < self._setbacks[key].until

    def add(self, key: Key, study: str, text: str) -> None:
        before = self._setbacks.get(key)
        seconds = min(2 * before.seconds, LONGEST_SECONDS) if before else FIRST_SECONDS
        self._setbacks[key] = Setback(study=study, text=text, until=self.clock() + seconds, seconds=seconds)
        self._failures.pop(key, None)

    def failed(self, key: Key) -> bool:
        """Counts a failure of the database for which no connection was lost; whether it is time to complain."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key] >= FAILURES

    def worked(self, key: Key) -> None:
        """Something could be done for the study, which ends a setback."""
        self._failures.pop(key, None)
        self._setbacks.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets all other studies."""
        self._setbacks = {key: found for key, found in self._setbacks.items() if key in keys}
        self._failures = {key: count for key, count in self._failures.items() if key in keys}
