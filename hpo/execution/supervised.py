"""A supervised shard: it is replaced when its process dies.

The replacement loads the lanes that the shard returned last, and gets the orders that followed once more. It computes
the same results, because these depend on neither time nor chance. A trial whose process dies every time has failed; it
is found by training halves of the shard's trials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from hpo.errors import MachineError
from hpo.execution.messages import Admit, Diagnose, Diagnosed, Load, Order, Reply, Resume, Settle, Settled, Trained
from hpo.studyfile.records import TrialConfig
from hpo.training.trainer import Failure

log = logging.getLogger(__name__)

DEATHS = 3
"""Deaths in a row at one order, after which the trial that causes them is looked for."""


class Died(Exception):
    """The shard's process has ended; the message says how."""


class Channel(Protocol):
    """A connection to a shard. An error that the shard raised is raised by `receive`."""

    def send(self, order: Order) -> None:
        """Sends an order; raises `Died`."""

    def receive(self) -> Reply:
        """Waits for the reply; raises `Died`."""

    def close(self) -> None:
        """Ends the shard at once, without saving anything."""


class SupervisedShard:
    """A shard that is replaced when it dies."""

    def __init__(self, open_channel: Callable[[], Channel]) -> None:
        """`open_channel` starts an empty shard."""
        self.configs: dict[int, TrialConfig] = {}
        """Configurations of its trials, by number."""
        self.deaths = 0
        """How often the shard's process has died."""
        self.behind = 0
        """Number of its trials that are behind (see `Executor.behind`)."""
        self.cpu_seconds = 0.0
        """Processor time that its processes reported."""
        self._open_channel = open_channel
        self._channel = open_channel()
        self._history: list[Order] = []
        """Orders that bring an empty shard to the state of this one."""
        self._order: Order | None = None
        """The order that is being executed."""
        self._death: Died | None = None

    def send(self, order: Order) -> None:
        """Sends an order without waiting for the reply."""
        self._order = order
        if isinstance(order, Admit):
            self.configs |= order.trials
        elif isinstance(order, Resume):
            self.configs |= {past.number: past.config for past in order.trials}
        try:
            self._channel.send(order)
        except Died as death:
            self._death = death

    def receive(self) -> Reply:
        """Waits for the reply to the order sent last; from a replacement, if the shard died."""
        order, self._order = self._order, None
        assert order is not None
        try:
            if self._death is not None:
                raise self._death
            reply = self._receive()
        except Died as death:
            self._death = None
            reply = self._recover(order, death)
        if isinstance(reply, Settled):
            assert isinstance(order, Settle)
            self._drop(order.ended)
            lanes = reply.lanes
            self._history = (
                [] if lanes is None else [Load(lanes=lanes, configs=dict(self.configs), behind=reply.behind)]
            )
        elif not isinstance(reply, Diagnosed):
            self._history.append(order)
            self._drop({failure.trial for failure in reply.failures})
        self.behind = len(reply.behind)
        return reply

    def close(self) -> None:
        self._channel.close()

    def _drop(self, trials: Iterable[int]) -> None:
        for number in trials:
            self.configs.pop(number, None)
        self._history = [order.only(self.configs.keys()) for order in self._history]

    def _recover(self, order: Order, death: Died) -> Reply:
        """Replaces the shard that died; the replacement's reply to the order."""
        trials = sorted(self.configs)
        for _ in range(DEATHS - 1):
            self._note_death(death)
            try:
                return self._replace(order, trials)
            except Died as again:
                death = again
        self._note_death(death)
        if isinstance(order, Diagnose):  # no trial may fail for signs
            log.warning("%s end without a look for signs of trouble", _named(sorted(order.trials)))
            return self._replace(order.only(set()), trials)
        try:
            return self._reply_without_fatal_trials(order, trials, death)
        except Died as again:
            raise MachineError(
                f"a worker process died {DEATHS} times in a row ({again}) while it trained "
                f"{_named(trials)}, and no single trial is the cause. Every trial is saved at its last whole epoch. If "
                "memory ran out, use fewer --workers or --lanes; then run the same command again."
            ) from None

    def _reply_without_fatal_trials(self, order: Order, trials: Sequence[int], death: Died) -> Reply:
        """Replaces the shard by one without the trials that kill its process; its reply, with these trials as failures.
        Raises `Died` where no single trial is the cause."""
        self._replace(order, [])  # raises where even a shard without trials dies
        fatal = [] if isinstance(order, Settle) else self._fatal_trials(order, trials)
        if not fatal or (len(fatal) == len(trials) and len(trials) > 1):
            raise death
        reply = self._replace(order, [number for number in trials if number not in fatal])
        failures = tuple(_failure(number, death) for number in fatal)
        assert not isinstance(reply, Settled | Diagnosed)
        if isinstance(reply, Trained):
            return replace(reply, tick=replace(reply.tick, failures=(*reply.tick.failures, *failures)))
        return replace(reply, failures=(*reply.failures, *failures))

    def _note_death(self, death: Died) -> None:
        self.deaths += 1
        log.warning("a worker died (%s); another one takes its place", death)

    def _replace(self, order: Order, trials: Sequence[int]) -> Reply:
        """Starts another shard, repeats the history of these trials in it, and sends it the order; its reply."""
        self._channel.close()
        self._channel = self._open_channel()
        wanted = set(trials)
        for earlier in self._history:
            reply = self._request(earlier.only(wanted))
            if not isinstance(reply, Settled | Diagnosed) and reply.failures:
                # The trial trained before, so the cause is the replacement, e.g. short of memory: try another one.
                raise Died(reply.failures[0].error)
        return self._request(order.only(wanted))

    def _request(self, order: Order) -> Reply:
        self._channel.send(order)
        return self._receive()

    def _receive(self) -> Reply:
        reply = self._channel.receive()
        self.cpu_seconds += reply.cpu_seconds
        return reply

    def _fatal_trials(self, order: Order, trials: Sequence[int]) -> list[int]:
        """The trials that kill the process even when they are trained alone, found by halving."""
        try:
            self._replace(order, trials)
        except Died:
            if len(trials) == 1:
                return list(trials)
        else:
            return []
        middle = len(trials) // 2
        return [*self._fatal_trials(order, trials[:middle]), *self._fatal_trials(order, trials[middle:])]


def _named(trials: Sequence[int]) -> str:
    return f"trial{'s' if len(trials) > 1 else ''} {', '.join(map(str, trials))}" if trials else "no trial"


def _failure(number: int, death: Died) -> Failure:
    return Failure(
        trial=number,
        error=f"its process died each time this trial was trained ({death})",
        traceback="",
    )
