"""How many epochs trials were to have while one trained, where they have got more since: schedules such as `cosine`
depend on it, so that what is trained again has to know.

Each trial of a study whose trials got more epochs has a list of pairs. `[4, 6]` says that its epochs up to the fourth,
from where the pair before ended, were trained when trials had 6. Until somebody goes on with the trial, the last pair
is about all that it has, `[null, 6]`.
"""

from __future__ import annotations

from collections.abc import Sequence

ATTRIBUTE = "lengths"
"""The trial's system attribute that holds the list."""

Pairs = Sequence[tuple[int | None, int]]
"""The list, as it is stored."""

Former = tuple[tuple[int, int], ...]
"""The list of a trial that somebody goes on with. What is beyond its last epoch has the length that trials have now."""


def lengthened(pairs: Pairs, length: int) -> Pairs:
    """The list of a trial when trials get more epochs than `length`."""
    return pairs if is_open(pairs) else [*pairs, (None, length)]


def is_open(pairs: Pairs) -> bool:
    """Whether nobody has gone on with the trial since trials last got more epochs."""
    return bool(pairs) and pairs[-1][0] is None


def closed(pairs: Pairs, reported: int) -> Former:
    """The list when somebody goes on with a trial that has reported so many epochs."""
    return tuple((reported if until is None else until, length) for until, length in pairs)


def length_at(former: Former, epoch: int, now: int) -> int:
    """How many epochs trials had when this epoch, counted from 0, was trained; they have `now`."""
    return next((length for until, length in former if epoch < until), now)
