"""Back-off of a worker: the studies that it could not work on, why, and when it tries each again.

The pauses grow, since the cause may be temporary. Nothing here touches the database.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hpo.registry.queue import Key

FIRST_SECONDS, LONGEST_SECONDS = 60.0, 16 * 60.0
"""The first and the longest pause. The pause of a study doubles until the worker has trained something of it."""
FAILURES = 5
"""Database failures in a row, with nothing trained in between, after which the worker backs off from a study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setback:
    """Why a worker cannot work on a study."""

    study: str
    text: str
    until: float
    """When the worker tries again, in seconds of its clock."""
    seconds: float
    """Length of the pause."""


class Backoff:
    """Back-off of one worker. Studies are told apart by their keys, so a study that was changed is tried at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._setbacks: dict[Key, Setback] = {}
        self._failures: dict[Key, int] = {}

    @property
    def texts(self) -> dict[str, str]:
        """Study name -> why this worker cannot work on the study."""
        return {setback.study: setback.text for setback in self._setbacks.values()}

    def is_paused(self, key: Key) -> bool:
        """Whether the pause of the study has not ended yet."""
        return key in self._setbacks and self.clock() < self._setbacks[key].until

    def add(self, key: Key, study: str, text: str, *, hopeless: bool = False) -> None:
        """Pauses a study for the reason `text`; each time in a row for twice as long, or, if it is `hopeless`, until it
        is changed."""
        before = self._setbacks.get(key)
        seconds = min(2 * before.seconds, LONGEST_SECONDS) if before else FIRST_SECONDS
        seconds = math.inf if hopeless else seconds
        self._setbacks[key] = Setback(study=study, text=text, until=self.clock() + seconds, seconds=seconds)
        self._failures.pop(key, None)

    def failed(self, key: Key) -> bool:
        """Counts a database failure other than a lost connection. Returns whether the study is to be paused."""
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key] >= FAILURES

    def worked(self, key: Key) -> None:
        """Forgets setbacks and failures of a study: some of it was trained."""
        self._failures.pop(key, None)
        self._setbacks.pop(key, None)

    def keep(self, keys: Collection[Key]) -> None:
        """Forgets all studies but these."""
        self._setbacks = {key: found for key, found in self._setbacks.items() if key in keys}
        self._failures = {key: count for key, count in self._failures.items() if key in keys}
