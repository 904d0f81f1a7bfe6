"""Messages between the executor, the server that starts the trials' processes, and these processes: records that can be
pickled. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# --- executor to server; the socket of a launched process follows its message -------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """Starts a process, which reads its other messages from the socket that is sent after this one."""

    key: int
    """Number of the process, which no other one has."""
    visible_gpus: str
    """The GPUs that it may use, as CUDA_VISIBLE_DEVICES has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """Kills a process and all that it has started."""

    key: int


# --- server to executor -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The user's code is loaded."""

    forks: bool
    """Whether the processes are forks of the server. Otherwise each loads the code itself, and first reads the job,
    because the code has started threads or uses a GPU, neither of which survives a fork."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The user's code cannot be loaded."""

    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Launched:
    """A process runs."""

    key: int
    pid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Exited:
    """A process has ended."""

    key: int
    code: int
    """Its exit code; negative: the signal that killed it."""


# --- executor to process; after `Begin` come answers to reports: whether the trial is to stop ----------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """The trial that the process trains."""

    number: int
    params: Mapping[str, Any]
    seed: int
    device: str
    """`cpu` or `cuda`."""
    state: bytes | None
    """What the trial saved last; None where it has saved nothing."""
    known: int
    """Epochs that it has reported before."""
    epochs: int
    """Epochs that it may report in all."""


# --- process to executor ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """Metrics of an epoch. The process waits for the answer."""

    epoch: int
    """From 1."""
    metrics: Mapping[str, float]
    cpu_seconds: float
    """Processor time of the process so far, and of those that it started and that have ended."""
    costs: Mapping[str, int]
    """What the function has measured: `parameters`, `optimizer_state_bytes` and `peak_gpu_memory_bytes`, or some of
    these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A state to continue from."""

    state: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Returned:
    """The function has returned."""

    cpu_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """The function has raised an error."""

    error: str
    """Type and message."""
    traceback: str
    cpu_seconds: float


FromServer = Ready | Refused | Launched | Exited
FromProcess = Reported | Saved | Returned | Raised
