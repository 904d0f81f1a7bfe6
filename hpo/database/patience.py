"""Trying again after a lost connection to the database, with growing pauses and up to a limit of time.

A transaction whose connection is lost writes nothing (`storage.connection.Database` ensures it), so it may be repeated
as a whole.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from hpo.errors import AwayError, LostConnectionError

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 5.0
"""The pauses between two tries double from the first to the longest."""
GIVEN_UP_SECONDS = 120.0
"""How long to try again without a success."""


class Patience:
    """Pauses between tries, growing until a try succeeds, and their limit."""

    def __init__(self, seconds: float = GIVEN_UP_SECONDS, *, silent: int = 0) -> None:
        """`seconds`: how long to try again. `silent`: number of losses in a row that are not logged."""
        self.seconds = seconds
        self.silent = silent
        self._since = 0.0
        self._losses = 0

    def worked(self) -> None:
        """Note a success: pauses and the limit start again."""
        self._losses = 0

    def pause(self, lost: LostConnectionError, then: str = "Trying again.") -> None:
        """Pause before the next try, and log the loss once in a row with `then`. Raises the error when the limit is
        reached, or when the server does not answer, since connecting has waited for it already."""
        now = time.monotonic()
        if self._losses == 0:
            self._since = now
        if isinstance(lost, AwayError) or now - self._since > self.seconds:
            raise lost
        if self._losses == self.silent:
            log.warning("%s %s", lost.finding, then)
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._losses, 10), LONGEST_PAUSE_SECONDS)
        self._losses += 1
        time.sleep(pause * random.uniform(0.5, 1.5))


def retried(action: Callable[[], T], seconds: float = GIVEN_UP_SECONDS) -> T:
    """The result of the action, which is repeated after a lost connection: it must be one transaction or repeatable."""
    patience = Patience(seconds, silent=1)
    while True:
        try:
            return action()
        except LostConnectionError as lost:
            patience.pause(lost)


class _Transactional(Protocol):
    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is in progress."""


S = TypeVar("S", bound=_Transactional)


def one_transaction(function: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Repeats a function, which makes one transaction in a store, after a lost connection. Within an enclosing
    transaction it is not repeated, as the whole of that has to be."""

    @wraps(function)
    def repeated(store: S, /, *arguments: P.args, **options: P.kwargs) -> T:
        if store.in_transaction:
            return function(store, *arguments, **options)
        return retried(lambda: function(store, *arguments, **options))

    return repeated
