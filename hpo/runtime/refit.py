"""Training a study's winner again on the training and validation rows together, where the study asks for it
(`study.final = "refit"`).

The training has the configuration and the seed of the winner's trial, and ends at the epoch that was the trial's best.
Nothing of it is saved before its end: where the process is killed, it begins again and ends the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import torch
from optuna.trial import FrozenTrial
from torch import Tensor

from hpo.conclusions.refit import Refit
from hpo.errors import HopelessError
from hpo.execution.engines import AnyExecutor
from hpo.execution.job import TrainingJob
from hpo.execution.messages import Goal
from hpo.execution.resources import CPU
from hpo.runtime.repeats import Watch
from hpo.runtime.resume import in_process, past_of, train_again
from hpo.runtime.session import Session
from hpo.runtime.setup.inputs import Inputs
from hpo.search.objective import best_epoch
from hpo.search.searcher import curve_of
from hpo.studyfile.records import ReduceOnPlateau, TrialConfig
from hpo.training import batches, packing
from hpo.training.trainer import Failure

OpenExecutor = Callable[[TrainingJob], AbstractContextManager[AnyExecutor]]
"""Opens an executor without trials for a job."""
KIND = "refit"
"""Of the checkpoint with the weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refitted:
    """A winner that was trained again just now."""

    about: Refit
    inputs: Inputs
    """The data that it was trained on."""
    weights: bytes = field(repr=False)
    """Packed, one model for each repeat."""
    train_seconds: float
    wall_seconds: float
    cpu_seconds: float

    @property
    def states(self) -> list[dict[str, Tensor]]:
        """The `state_dict` of each model."""
        return packing.replicas_of(packing.unpack(self.weights))


def inputs_of(session: Session) -> Inputs:
    """The data to train on: all that are not in the test part."""
    spec = session.spec
    assert spec.data is not None, "a study that trains models has data"
    return session.inputs.joined(spec.data, spec.conventions)


def refit(
    session: Session,
    trial: FrozenTrial,
    config: TrialConfig,
    watch: Watch = lambda text: None,
    executor: OpenExecutor = in_process,
) -> Refitted:
    """Trains the winner again. `watch`: called before each epoch. Raises `HopelessError` where that cannot be."""
    number, study = trial.number, session.spec.study
    if isinstance(config.schedule, ReduceOnPlateau):  # a file of before an edit allowed it
        raise _impossible(session, number, "its schedule, reduce_on_plateau, follows a validation loss")
    inputs = inputs_of(session)
    examples = batches.on_device(inputs.prepared, device=CPU, dtype=torch.float32)
    job = replace(session.training_job, examples=examples, reshuffled=None)
    past = past_of(session, trial, config, ())
    last = best_epoch(study, curve_of(trial))
    past = replace(past, goal=Goal(epochs=last, best=(last,), former=past.goal.former))
    epoch = 0

    def go_on() -> None:
        nonlocal epoch
        epoch += 1
        watch(f"training the winner on training and validation rows: epoch {epoch} of {last}")

    began, cpu = time.perf_counter(), time.process_time()
    with executor(job) as opened:
        found = train_again(opened, past, go_on)
        seconds, others = opened.train_seconds, opened.cpu_seconds
    if isinstance(found, Failure):
        raise _impossible(session, number, found.error)
    wall = time.perf_counter() - began
    refitted = Refitted(
        about=Refit(
            trial=number,
            epochs=last,
            examples=len(inputs.splits.replicas[0].train_idx),
            models=len(inputs.splits.replicas),
            seconds=round(wall, 3),
        ),
        inputs=inputs,
        weights=found,
        train_seconds=seconds,
        wall_seconds=wall,
        cpu_seconds=time.process_time() - cpu + others,
    )
    if not all(bool(torch.isfinite(value).all()) for state in refitted.states for value in state.values()):
        raise _impossible(session, number, "it diverged")
    return refitted


def _impossible(session: Session, number: int, reason: str) -> HopelessError:
    return HopelessError(
        f"the winner of {session.spec.study.name!r}, trial {number}, cannot be trained again on training and "
        f'validation rows: {reason}. Give the study a file with study.final = "search" by `hpo edit`: then the weights '
        "of its trial are taken."
    )
