"""A worker of the service: it takes work from the studies in the database until it is told to end, and holds nothing
that another worker could not go on with.

Whatever goes wrong with the database, it drops what it has in memory and begins again from what is saved, which costs
the epoch in hand. What goes wrong with one study is noted, and the study left to others; a connection that is lost is
no study's fault.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError

from hpo.errors import InputError, RefusedStatementError, StorageError
from hpo.storage import leases, service, studies
from hpo.storage.faults import lost_connection
from hpo.storage.service import Key, Standing
from hpo.storage.store import Store
from hpo.workers import coordinator
from hpo.workers.complaints import Complaints
from hpo.workers.crew import Crew
from hpo.workers.depot import Depot
from hpo.workers.here import Here
from hpo.workers.holds import LostTrials
from hpo.workers.leased import OVER, Leased, Leave, has_work
from hpo.workers.means import Means
from hpo.workers.modules import Modules
from hpo.workers.outlook import Benches, Outlook
from hpo.workers.progress import Lines, Observer, Progress
from hpo.workers.pulse import Pulse, name_of_this_process
from hpo.workers.register import circumstances
from hpo.workers.setup import Bench
from hpo.workers.shelf import Shelf
from hpo.workers.winner import find, note

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
"""The pauses of a worker without work double from the first to the longest ..."""
PAUSE_SECONDS_PER_WORKER = 0.25
"""... or, where many workers look for work, to this times their number: all of them look four times a second."""
ALL_MODULES = Modules()


class Worker:
    """One process of the service."""

    def __init__(
        self,
        store: Store,
        home: Path,
        depot: Depot,
        means: Means,
        *,
        lease_seconds: float,
        names: Collection[str] = (),
        modules: Modules = ALL_MODULES,
    ) -> None:
        """`lease_seconds`: how long it may be silent before others take its trials. `names`: the studies to work on;
        none given: all. `modules`: those of studies' own that it runs."""
        self.store = store
        self.depot = depot
        self.means = means
        self.names = frozenset(names)
        self.lease_seconds = lease_seconds
        self.name = name_of_this_process()
        self.ending = threading.Event()
        """Set it to have the worker finish the epoch in hand, give everything back and return."""
        self.pulse = Pulse(store, self.name, lease_seconds)
        self.complaints = Complaints(self.pulse.clock)
        self.lined_up: int | None = None
        """The study that the database says this worker works on, or waits for a place in."""
        self._holds = False
        """Whether it may hold trials."""
        self._told: dict[str, str] = {}
        """The complaints that the database has."""
        self._outlooks: dict[Key, Outlook] = {}
        self._benches = Benches(store, home, depot, means, modules)
        self._jitter = random.Random()

    def run(self) -> None:
        """Works until `ending` is set."""
        self.pulse.start()
        pause = FIRST_PAUSE_SECONDS
        try:
            while not self.ending.is_set():
                try:
                    worked = self._work()
                except StorageError as error:
                    log.warning("%s Trying again.", error.finding)
                    worked = False
                if worked:
                    pause = FIRST_PAUSE_SECONDS
                else:
                    self.ending.wait(pause * self._jitter.uniform(0.5, 1.5))
                    pause = min(2 * pause, max(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS_PER_WORKER * self.pulse.workers))
        finally:
            self.pulse.stop()
            try:
                leases.resign(self.store, self.name)
            except StorageError as error:
                log.warning("%s What this worker held is free when its lease ends.", error.finding)

    def _work(self) -> bool:
        """Works on the first study for which something can be done; False if there is none."""
        self._let_go()
        self._tell_complaints()
        found = service.queue(self.store, self.name)
        self._forget_all_but({now.key for now in found})
        for now in found:
            if self._suits(now) and self._serve(now):
                return True
            if self.ending.is_set():
                return False
        self._line_up(found)
        return False

    def _let_go(self) -> None:
        """Gives back what it still holds and does not train, because something went wrong."""
        if self._holds:
            leases.give_back(self.store, self.name)
            self._holds = False

    def _forget_all_but(self, keys: Collection[Key]) -> None:
        self._outlooks = {key: outlook for key, outlook in self._outlooks.items() if key in keys}
        self._benches.keep(keys)
        self.complaints.keep(keys)
        self._tell_complaints()

    def _line_up(self, found: Sequence[Standing]) -> None:
        """Lets the workers of a study whose places are all taken know that there is one more to share them with."""
        wanted = None
        for now in found:
            outlook = self._outlook(now)
            places = outlook.spec.search.concurrency if outlook else 0
            others = now.workers - (self.lined_up == now.study_id)
            if outlook and now.spent is None and now.trials < outlook.budget and others < places:
                wanted = now.study_id
                break
        if wanted != self.lined_up:
            self._turn_to(wanted)

    def _turn_to(self, study_id: int | None) -> None:
        leases.turn_to(self.store, self.name, study_id)
        self.lined_up = study_id

    def _suits(self, now: Standing) -> bool:
        outlook = self._outlook(now)
        return outlook is not None and has_work(now, outlook.budget, outlook.spec.search.concurrency)

    def _outlook(self, now: Standing) -> Outlook | None:
        """None where this worker is not to work on the study, or cannot."""
        if (self.names and now.name not in self.names) or self.complaints.bar(now.key):
            return None
        if now.key not in self._outlooks:
            try:
                self._outlooks[now.key] = Outlook.of(studies.study_row(self.store, now.name))
            except InputError as error:
                self._complain(now, str(error))
        return self._outlooks.get(now.key)

    def _serve(self, now: Standing) -> bool:
        """Works on a study until there is a reason to leave it; whether anything was trained or concluded."""
        lines = Lines(now.name)
        concluded = False

        def observe(progress: Progress) -> None:
            lines(progress)
            if progress.epochs:
                self.complaints.worked(now.key)
                self._tell_complaints()

        try:
            concluded = self._attempt(now, observe)
        except _Ending:
            log.info("%s: left, this worker is to end; another one concludes it", now.name)
        except LostTrials as error:
            log.warning("%s: %s This one drops its lanes and goes on from what is saved.", now.name, error)
        except Exception as error:
            self._meet(now, error)
        finally:
            self.store.forget(now.study_id)
        self._let_go()
        self._turn_to(None)
        return concluded or lines.epochs > 0

    def _meet(self, now: Standing, error: Exception) -> None:
        """Whatever went wrong while it worked on a study must not end the worker."""
        lost = lost_connection(error)
        databases = lost or (error if isinstance(error, (StorageError, UpdateFinishedTrialError)) else None)
        if databases is None or isinstance(error, RefusedStatementError):
            self._give_up(now, error)
        elif lost or not self.complaints.failed(now.key):
            log.warning("%s: %s Going on from what is saved.", now.name, getattr(databases, "finding", databases))
        else:
            self._give_up(now, error)

    def _attempt(self, now: Standing, observe: Observer) -> bool:
        """`_train`, where it does not matter what went wrong with a study that is no more."""
        try:
            return self._train(now, observe)
        except Exception:
            if not self._is_deleted(now):
                raise
            log.info("%s: deleted", now.name)
            return False

    def _is_deleted(self, now: Standing) -> bool:
        found = service.standing(self.store, now.study_id)
        return found is None or found.created_at != now.created_at

    def _train(self, now: Standing, observe: Observer) -> bool:
        """Trains until there is a reason to leave the study; whether it was this worker who concluded it."""
        try:
            bench = self._benches.bench(self._outlooks[now.key])
        except (InputError, OSError) as error:
            if self._is_deleted(now):
                raise
            self._complain(now, str(error))
            return False
        self._turn_to(now.study_id)
        self._holds = True
        shelf = Shelf(bench, self.depot, self.name)
        hold = Leased(
            bench,
            shelf,
            self.name,
            self.lease_seconds,
            key=now.key,
            leave=Leave(self.store, now, ending=self.ending, clock=self.pulse.clock, suits=self._suits),
            wait=self._wait,
        )
        with Crew(
            lambda: Here(bench.outfit), workers=1, replicas=bench.outfit.examples.replicas, shares_files=False
        ) as crew:
            coordinator.run(bench, crew, observe, hold, shelf)
        self._holds = False
        log.info("%s: left, %s", now.name, hold.reason)
        concluded = hold.reason == OVER and self._conclude(bench, shelf, now)
        shelf.leave()
        return concluded

    def _conclude(self, bench: Bench, shelf: Shelf, now: Standing) -> bool:
        """Scores the winner, if this worker is the one to do it."""
        if not service.begin_conclusion(self.store, now.study_id, self.name, now.generation):
            return False
        winner, leftovers = find(bench, self._go_on), shelf.leftovers()
        with self.store.tick() as tick:
            tick.lock_study(now.study_id)  # before its other rows, as whoever extends it
            if not service.finish(self.store, now.study_id, self.name, now.generation):
                log.info("%s: goes on, or another worker concludes it", now.name)
                return False
            note(bench, winner, circumstances(bench.spec, bench.material, self.means.device))
            shelf.clear(leftovers)
        shelf.sweep()
        best = f"the winner is trial {winner.number}" if winner else "no trial finished"
        log.info("%s: ended; %s", now.name, best)
        return True

    def _go_on(self) -> None:
        if self.ending.is_set():
            raise _Ending

    def _wait(self, seconds: float) -> None:
        self.ending.wait(seconds)

    def _complain(self, now: Standing, text: str) -> None:
        if self.complaints.texts.get(now.name) != text:
            log.warning("%s: left to other workers for a while: %s", now.name, text)
        self.complaints.add(now.key, now.name, text)
        self._tell_complaints()

    def _give_up(self, now: Standing, error: Exception) -> None:
        """What went wrong is the study's own."""
        log.error("%s: this worker cannot work on it", now.name, exc_info=error)
        self._complain(now, f"{type(error).__name__}: {getattr(error, 'finding', error)}")

    def _tell_complaints(self) -> None:
        """Tells people what has changed about them; again, where that could not be written before."""
        texts = self.complaints.texts
        if texts != self._told:
            leases.complain(self.store, self.name, texts)
            self._told = texts


class _Ending(Exception):
    """The worker is to end, in the middle of something that another one can do."""
