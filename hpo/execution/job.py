"""The training job of a study: everything a process needs to train its trials.

A job can be pickled and sent to other processes and machines, and holds no secret. The trials themselves are not part
of it: they arrive in messages.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hpo import own_code
from hpo.data.reshuffled import Reshuffled
from hpo.execution.resources import Resources, variants_of
from hpo.studyfile.custom import Reference
from hpo.studyfile.file import StudySpec
from hpo.training import metrics
from hpo.training.batches import Examples
from hpo.training.feed.reshuffled import TrialExamples
from hpo.training.lane import Setting
from hpo.training.limits import SHARE, Limits
from hpo.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingJob:
    """A study's examples, and the settings of the programs that train on them."""

    spec: StudySpec
    examples: Examples
    """In main memory, whatever the device."""
    device: str
    lanes: int | None
    """Lanes in one program; None: the fastest number, found by timing (`hpo.training.limits`)."""
    compiled_lanes: int | None
    """Lanes of a compiled program; None where steps are not compiled."""
    lanes_file: Path | None
    """File that stores the fastest number of lanes of each program; None: not stored."""
    sources: dict[Reference, bytes]
    """Code of the user's own models, as it was when the study was opened."""
    processes: int = 1
    """Processes that share this machine's memory."""
    reshuffled: Reshuffled | None = None
    """Splits of the trials' own, where the study asks for them."""
    earlier: tuple[StudySpec, ...] = ()
    """The versions of an edited study's file before `spec`, by the number of the edit; trials keep their programs."""

    @property
    def replicas(self) -> int:
        """Lanes of a trial."""
        return self.examples.replicas

    @property
    def counts_flops(self) -> bool:
        """Whether the operations of each model are counted: only where they are an objective."""
        return "flops" in self.spec.study.objectives

    def trainer(self) -> Trainer:
        """A trainer on the device, with no trials yet."""
        own_code.pin_all(self.sources)
        device = torch.device(self.device)
        examples = self.examples.to(device)
        setting = Setting(
            examples=examples,
            seed=self.spec.study.seed,
            metrics=metrics.names_for(examples.task, *self.spec.study.objectives),
            dtype=examples.dtype,
            compiled_lanes=self.compiled_lanes,
            of_trial=None if self.reshuffled is None else TrialExamples(examples, self.reshuffled),
        )
        # A compiled program has a fixed number of lanes; numbers found by timing are stored by machine.
        machine = f"{_processor(device)}, torch {torch.__version__}"
        limits = Limits(self.lanes or self.compiled_lanes, self.lanes_file, machine, SHARE / self.processes)
        return Trainer(setting, variants_of((*self.earlier, self.spec)), limits)


def worker_job(
    job: TrainingJob, resources: Resources, workers: int, *, device: str | None = None, remote: bool = False
) -> TrainingJob:
    """The job of one of several workers; `remote`: on machines that do not have this machine's files."""
    lanes = job.compiled_lanes
    if lanes is not None and resources.lanes is None:
        lanes = -(-lanes // workers)
    return replace(
        job,
        processes=workers,
        compiled_lanes=lanes,
        device=device or job.device,
        lanes_file=None if remote else job.lanes_file,
    )


def _processor(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
