"""One shard as the coordinator knows it: how to reach it, what it was told, and what to do when it dies.

A shard that dies is begun anew from the lanes it last handed over, and hears again what it was told since. What it
computes then is the same, because nothing it computes depends on time or chance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from hpo.errors import MachineError
from hpo.execution.messages import Admit, Load, Order, Reply, Resume, Settle, Settled, Trained
from hpo.studyfile.records import TrialConfig
from hpo.training.trainer import Failure

log = logging.getLogger(__name__)

DEATHS = 3
"""Deaths in a row at one order, after which it is asked which trial is the cause."""


class Died(Exception):
    """The shard's process has ended; the message says how."""


class Channel(Protocol):
    """A way to a shard. An error that the shard raised is raised by `receive`."""

    def send(self, order: Order) -> None:
        """Hands over an order; raises `Died`."""

    def receive(self) -> Reply:
        """Waits for the answer; raises `Died`."""

    def close(self) -> None:
        """Ends the shard at once; it has nothing to lose."""


class SupervisedShard:
    """A shard that is replaced when it dies."""

    def __init__(self, open_channel: Callable[[], Channel]) -> None:
        """`open_channel` begins an empty shard."""
        self.configs: dict[int, TrialConfig] = {}
        """Its trials."""
        self.deaths = 0
        """So far."""
        self.behind = 0
        """Trials that are not yet where they stood."""
        self.cpu_seconds = 0.0
        """Processor time of its processes, as far as they told."""
        self._open_channel = open_channel
        self._channel = open_channel()
        self._told: list[Order] = []
        """What makes an empty shard what this one is."""
        self._order: Order | None = None
        """The one that is being obeyed."""
        self._death: Died | None = None

    def send(self, order: Order) -> None:
        """Hands over an order without waiting for the answer."""
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
        """The answer to the order sent last, from another process where need be."""
        order, self._order = self._order, None
        assert order is not None
        try:
            if self._death is not None:
                raise self._death
            reply = self._heard()
        except Died as death:
            self._death = None
            reply = self._recovered(order, death)
        if isinstance(reply, Settled):
            assert isinstance(order, Settle)
            self._drop(order.ended)
            held = reply.lanes
            self._told = [] if held is None else [Load(lanes=held, configs=dict(self.configs), behind=reply.behind)]
        else:
            self._told.append(order)
            self._drop({failure.trial for failure in reply.failures})
        self.behind = len(reply.behind)
        return reply

    def close(self) -> None:
        self._channel.close()

    def _drop(self, trials: Iterable[int]) -> None:
        for number in trials:
            self.configs.pop(number, None)
        self._told = [told.only(self.configs.keys()) for told in self._told]

    def _recovered(self, order: Order, death: Died) -> Reply:
        """The answer of a shard that takes the place of the one that died."""
        trials = sorted(self.configs)
        for _ in range(DEATHS - 1):
            self._note_death(death)
            try:
                return self._replaced(order, trials)
            except Died as again:
                death = again
        self._note_death(death)
        try:
            return self._answer_without_fatal_trials(order, trials, death)
        except Died as again:
            raise MachineError(
                f"a worker process died {DEATHS} times in a row ({again}) while it trained "
                f"{_named(trials)}, and no single trial is the cause. Every trial is saved at its last whole epoch. If "
                "memory ran out, use fewer --workers or --lanes; then run the same command again."
            ) from None

    def _answer_without_fatal_trials(self, order: Order, trials: Sequence[int], death: Died) -> Reply:
        """The answer of a shard without the trials that kill it; those have failed."""
        self._replaced(order, [])  # raises where even an idle shard dies: then no trial is to blame
        guilty = [] if isinstance(order, Settle) else self._fatal_trials(order, trials)
        if not guilty or (len(guilty) == len(trials) and len(trials) > 1):
            raise death
        reply = self._replaced(order, [number for number in trials if number not in guilty])
        failures = tuple(_fatal(number, death) for number in guilty)
        assert not isinstance(reply, Settled)
        if isinstance(reply, Trained):
            return replace(reply, tick=replace(reply.tick, failures=(*reply.tick.failures, *failures)))
        return replace(reply, failures=(*reply.failures, *failures))

    def _note_death(self, death: Died) -> None:
        self.deaths += 1
        log.warning("a worker died (%s); another one takes its place", death)

    def _replaced(self, order: Order, trials: Sequence[int]) -> Reply:
        """Begins another shard with these trials, and gives it the order."""
        self._channel.close()
        self._channel = self._open_channel()
        wanted = set(trials)
        for told in self._told:
            reply = self._asked(told.only(wanted))
            if not isinstance(reply, Settled) and reply.failures:
                # Lacking memory, perhaps: what had been trained before is not given up for that.
                raise Died(reply.failures[0].error)
        return self._asked(order.only(wanted))

    def _asked(self, order: Order) -> Reply:
        self._channel.send(order)
        return self._heard()

    def _heard(self) -> Reply:
        reply = self._channel.receive()
        self.cpu_seconds += reply.cpu_seconds
        return reply

    def _fatal_trials(self, order: Order, trials: Sequence[int]) -> list[int]:
        """The trials that kill a process even where no others are, found by halving."""
        try:
            self._replaced(order, trials)
        except Died:
            if len(trials) == 1:
                return list(trials)
        else:
            return []
        middle = len(trials) // 2
        return [*self._fatal_trials(order, trials[:middle]), *self._fatal_trials(order, trials[middle:])]


def _named(trials: Sequence[int]) -> str:
    return f"trial{'s' if len(trials) > 1 else ''} {', '.join(map(str, trials))}" if trials else "no trial"


def _fatal(number: int, death: Died) -> Failure:
    return Failure(
        trial=number,
        error=f"its process died each time this trial was trained ({death})",
        traceback="",
    )
