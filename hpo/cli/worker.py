"""`hpo worker`: one process of the service."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Collection, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import click

from hpo.cli.run import CountOrAuto
from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, checkpoints_option, place_options
from hpo.cli.terminal.signals import listened

if TYPE_CHECKING:
    from hpo.service.worker import Worker
    from hpo.storage.store import Store


PATIENCE_SECONDS = 15.0
"""How long a worker that starts waits for a database server that does not answer."""


@click.command()
@click.option("--studies", multiple=True, metavar="NAME", help="Work on this study only; may be repeated.")
@click.option(
    "--modules",
    multiple=True,
    metavar="none|PATTERN",
    help="Run only this code of studies' own, for models, training and data: 'PACKAGE.MODULE:NAME' or 'FILE.py:NAME' "
    "with * and ?; may be repeated.  [default: all]",
)
@click.option(
    "--alive", is_flag=True, help="Do not work: exit with 0 if a worker of this machine is alive, else with 1."
)
@checkpoints_option("the home folder")
@click.option(
    "--lease",
    type=click.FloatRange(min=0.5),
    default=30.0,
    show_default=True,
    help="Seconds without a heartbeat after which other workers take this worker's trials.",
)
@click.option(
    "--lanes",
    type=CountOrAuto(),
    default="auto",
    show_default=True,
    help="Trials that train in one program: a number, or auto.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@place_options
@click.pass_obj
def worker(
    place: Place,
    studies: tuple[str, ...],
    modules: tuple[str, ...],
    alive: bool,
    checkpoints: str | None,
    lease: float,
    lanes: int | None,
    device: str,
    threads: int,
) -> None:
    """Work on submitted studies until stopped: the highest priority first, then the oldest.

    At SIGTERM or Ctrl-C, the worker finishes and saves the current epoch, gives its trials back and exits; at a second
    one it exits at once. It may also be killed: when its lease has expired, another worker continues its trials under
    their numbers.

    A study may name Python code that workers run. Whoever can write to the database can name any code on this machine:
    --modules restricts what is run. Studies with other code are left to other workers.

    \b
    Examples:
      hpo worker
      hpo worker --studies digits --studies wine
      hpo worker --modules none
      hpo worker --modules 'ours.models:*' --modules '/shared/models/*.py:*'
      hpo worker --storage postgresql://me@dbhost/hpo --checkpoints /shared/hpo
    """
    if alive:
        _find_alive(place)
        return

    from contextlib import closing

    from hpo.disk import make_home
    from hpo.execution.resources import Resources
    from hpo.runtime.local_run import device_of, prepare_process
    from hpo.runtime.sweeping import sweep
    from hpo.service.modules import Modules
    from hpo.service.worker import Worker
    from hpo.storage.open import open_store

    allowed = Modules.of(modules)
    _log_to_stderr(place.storage_url)
    from hpo.checkpoints.store import open_checkpoint_store, refuse_unwritable

    prepare_process(place.home, threads)
    resources = Resources(device=device_of(device), lanes=lanes, threads=threads)
    checkpoint_store = open_checkpoint_store(checkpoints, place.home)
    if checkpoints is None:
        make_home(place.home)
    refuse_unwritable(checkpoint_store)
    with closing(open_store(place.storage_url, patience=PATIENCE_SECONDS)) as store:
        make_home(place.home)
        sweep(store, place.home, checkpoints)
        own = Worker(
            store, place.home, checkpoint_store, resources, names=studies, modules=allowed, lease_seconds=lease
        )
        _end_on_signals(own)
        logging.getLogger("hpo").info("worker %s begins at %s", own.name, store.place)
        for line in _waited_for(store, studies):
            logging.getLogger("hpo").warning("%s", line)
        own.run()
    logging.getLogger("hpo").info("worker %s has ended; it holds nothing", own.name)


def _find_alive(place: Place) -> None:
    """Raises `MachineError` unless a worker of this machine is alive, by its heartbeat."""
    from hpo.cli.results.report import reading
    from hpo.errors import MachineError
    from hpo.registry.leases import workers

    with reading(place) as store:
        found = [each.name for each in workers(store) if each.alive and each.host == socket.gethostname()]
    if not found:
        raise MachineError(f"no worker of {socket.gethostname()} is alive. Start one with `hpo worker`.")
    say("\n".join(found))


def _waited_for(store: Store, names: Collection[str]) -> Iterator[str]:
    """Messages about studies given by --studies that are not submitted."""
    from hpo.errors import StudyStateError
    from hpo.registry.studies import study_row

    for name in names:
        try:
            submitted = study_row(store, name).submitted_at is not None
        except StudyStateError as error:
            yield f"--studies {name}: {error} Waiting for it to be submitted."
        else:
            if not submitted:
                yield f"--studies {name}: it was not submitted to workers. Waiting for it."


def _log_to_stderr(url: str) -> None:
    from hpo.cli.terminal.secret import Scrubbed

    handler = logging.StreamHandler()
    handler.setFormatter(Scrubbed(url))
    logger = logging.getLogger("hpo")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _end_on_signals(worker: Worker) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        if worker.ending.is_set():
            raise KeyboardInterrupt
        worker.ending.set()

    for heard in listened(signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(heard, end)
