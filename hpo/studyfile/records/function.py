"""`[trial]`: a training function of the user's own, which trains instead of a model of the study file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hpo.studyfile.custom import MODULE_PATTERN, Argument
from hpo.studyfile.records.base import NonNegative, Positive, Record


class TrialResources(Record):
    """What one trial of the function occupies. As many trials train at once as fit on the machine."""

    cpus: Positive = 1.0
    """Processor cores. Less than 1 where the function mostly waits: 0.25 lets four trials share a core. `--workers N`
    trains N at once, whatever this says."""
    gpus: NonNegative = 0.0
    """GPUs: a whole number, which the trial has to itself, or a share of one, e.g. 0.5 where two trials share a GPU.
    With 0 a trial sees none."""
    memory_gib: Positive | None = None
    """Main memory in GiB, of the function's process and those that it starts. A trial that takes more is ended.
    Absent: no limit."""


class FunctionCall(Record):
    """A training function of your own, called as `train(trial)` in a process of its own; see docs/own-training.md. A
    study with this table has no [model] and no [optimizer], and need not have [data]."""

    function: Annotated[str, Field(pattern=MODULE_PATTERN)]
    """`train.py:train`: a function in a Python file, its path relative to the study file; or `package.module:train` in
    something installed."""
    arguments: dict[str, Argument] = Field({})
    """What `trial.params` holds: numbers, texts, true or false, lists of these, ranges and choices."""
    resources: TrialResources = TrialResources()
    """What one trial occupies."""
    seconds: Positive | None = None
    """Longest time that the function's process may take, in seconds, from its start. A trial that takes longer is ended
    as failed: so a function that hangs holds up nothing else. Absent: no limit."""
