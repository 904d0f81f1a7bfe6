"""Trying again, ever later, where the connection to the database was lost, and giving up where that is of no use.

A transaction that is cut off writes nothing (`Database` sees to that), so it may be repeated as a whole.
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
"""How long it is tried again without anything having worked."""


class Patience:
    """What is borne until something works again."""

    def __init__(self, seconds: float = GIVEN_UP_SECONDS, *, silent: int = 0) -> None:
        """`silent`: losses of which nothing is said, as nobody has to know."""
        self.seconds = seconds
        self.silent = silent
        self._since = 0.0
        self._losses = 0

    def worked(self) -> None:
        """Something did: the next loss is the first one."""
        self._losses = 0

    def pause(self, lost: LostConnectionError, then: str = "Trying again.") -> None:
        """Waits, ever longer, and says so once; raises the error where that has been done for long enough. A server
        that does not answer has been waited for already."""
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
    """What the action gives, which is one transaction, or can be repeated for another reason."""
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
    """Has a function that makes one transaction in a store be called again where it is cut off, unless the function is
    part of a transaction: then that is what is cut off."""

    @wraps(function)
    def repeated(store: S, /, *arguments: P.args, **options: P.kwargs) -> T:
        if store.in_transaction:
            return function(store, *arguments, **options)
        return retried(lambda: function(store, *arguments, **options))

    return repeated
