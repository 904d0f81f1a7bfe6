"""Former lengths: the number of epochs that trials were planned to have when an epoch was trained.

`hpo extend --epochs` changes that number. Schedules such as `cosine` depend on it, so a trial whose epochs are trained
again needs the number that held at the time. Each trial of an extended study has a list of pairs. The pair `[4, 6]`
says that its epochs up to the fourth, starting where the previous pair ended, were trained when trials were planned to
have 6 epochs. Until the extended trial continues, its last pair is open, `[null, 6]`, and covers all of its remaining
epochs so far.
"""

from __future__ import annotations

from collections.abc import Sequence

ATTRIBUTE = "lengths"
"""The trial's system attribute that holds the list."""

Pairs = Sequence[tuple[int | None, int]]
"""The list as it is stored: (last epoch or None, planned epochs)."""

Former = tuple[tuple[int, int], ...]
"""The list of a trial that continues: no pair is open. Epochs after the last pair have the present length."""


def lengthened(pairs: Pairs, length: int) -> Pairs:
    """The list of a trial after an extension from `length` epochs."""
    return pairs if is_open(pairs) else [*pairs, (None, length)]


def is_open(pairs: Pairs) -> bool:
    """Whether the trial has not continued since the last extension."""
    return bool(pairs) and pairs[-1][0] is None


def closed(pairs: Pairs, reported: int) -> Former:
    """The list of a trial that continues after it has reported `reported` epochs."""
    return tuple((reported if until is None else until, length) for until, length in pairs)


def length_at(former: Former, epoch: int, now: int) -> int:
    """The planned number of epochs when `epoch`, counted from 0, was trained; `now` is the present number."""
    return next((length for until, length in former if epoch < until), now)
