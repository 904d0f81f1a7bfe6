"""`Trial`: what a training function of the user's own is called with. No torch, unless the user's code has loaded
it."""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hpo.execution.functions.job import TrialData
from hpo.execution.functions.messages import Begin, FromProcess, Reported, Saved
from hpo.execution.functions.names import as_values

ZIP = b"PK"
"""How a file of `torch.save` begins."""


class Trial:
    """One trial of a study, in the process that trains it."""

    def __init__(
        self,
        begin: Begin,
        connection: Connection,
        *,
        objectives: tuple[str, ...],
        data: TrialData | None,
        folder: Path,
    ):
        self.number: int = begin.number
        """Number of the trial, from 0."""
        self.params: dict[str, Any] = dict(begin.params)
        """What was drawn, and what the study file gives, under the names of `[trial.arguments]`."""
        self.epochs: int = begin.epochs
        """Reports that the trial makes at most: `training.epochs`, or what `hpo extend --epochs` made of it."""
        self.seed: int = begin.seed
        """Of 32 bits, from the study's seed and the trial's number: the same each time that the trial is continued."""
        self.device: str = begin.device
        """`cuda` where `[trial.resources]` asks for GPUs, else `cpu`. The process sees no other GPUs than its own."""
        self.folder: Path = folder
        """A folder for files of the trial. It is kept; what the process prints lies there in `output.txt`."""
        self.data: TrialData | None = data
        """The data that the study names, split and prepared; None where it names none."""
        self._begin = begin
        self._connection = connection
        self._objectives = objectives
        self._epoch: int | None = None
        """The last epoch reported by this process."""
        self._stop = False
        self._measured: tuple[Any, Any] = (None, None)
        self._lock = threading.Lock()

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Reports the metrics of an epoch, among them the study's objectives; returns when they are stored. The last
        epoch is stored when the function has returned, with the state that it saved after it. Epochs are counted from
        1, without gaps. A trial that continues may report epochs again that it had reported before: these are passed
        over. `ValueError` if an epoch is left out, an objective is missing, or a metric has a name that cannot be
        shown."""
        number = self._next(epoch)
        for name in self._objectives:
            if name not in metrics:
                raise ValueError(
                    f"report({epoch}, ...): found {', '.join(map(repr, metrics)) or 'no metrics'}, but study.objective "
                    f"{'is' if len(self._objectives) == 1 else 'has'} {name!r}; report it, too"
                )
        try:
            values = as_values(metrics, self._objectives[0])
        except ValueError as error:
            raise ValueError(f"report({epoch}, ...): {error}") from None
        with self._lock:
            self._epoch = number
            if number > self._begin.known and not self._stop:
                costs = _costs(*self._measured)
                self._send(Reported(epoch=number, metrics=values, cpu_seconds=cpu_seconds(), costs=costs))
                self._stop = self._receive() or self._stop

    def measure(self, model: Any = None, optimizer: Any = None) -> None:
        """Has the costs of a PyTorch model and its optimizer noted with the trial, as they are at each later report:
        the number of trainable parameters, and the bytes of the optimizer's state."""
        self._measured = model, optimizer

    def should_stop(self) -> bool:
        """Whether the trial has ended: because it was pruned, has reported its last epoch, or a budget is spent. The
        function should then return; it is killed if it has not after 30 seconds."""
        with self._lock:
            while not self._stop and self._connection.poll(0):
                self._stop = self._receive()
            return self._stop

    def save(self, state: Any) -> None:
        """Keeps a state from which the trial can continue if its process is killed: anything that `torch.save`, or
        without PyTorch `pickle`, can store, with the epoch in it. Call it after the report of the epoch. It replaces
        the state that was saved before."""
        data = _dumped(state)
        with self._lock:
            self._send(Saved(state=data))

    def resume(self) -> Any:
        """The state that was saved last, with its tensors on the CPU; None if the trial begins."""
        return None if self._begin.state is None else _loaded(self._begin.state)

    def _next(self, epoch: int) -> int:
        """The epoch as a plain number, if it may be reported now."""
        number = int(epoch)
        first, most = (self._epoch + 1,) * 2 if self._epoch is not None else (1, self._begin.known + 1)
        if not first <= number <= most or number != epoch:
            expected = str(first) if first == most else f"one from {first} to {most}"
            text = f"report({epoch!r}, ...): expected epoch {expected}. Epochs are counted from 1 and reported in order"
            if self._epoch is None and number > most:
                text += "; save a state after the report of its epoch, so that it is not ahead of the reports"
            raise ValueError(text)
        return number

    def _send(self, message: FromProcess) -> None:
        try:
            self._connection.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        except OSError:
            os._exit(1)  # the executor has ended

    def _receive(self) -> bool:
        try:
            stop: bool = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(1)
        return stop


def _costs(model: Any, optimizer: Any) -> dict[str, int]:
    """By PyTorch's own accounting; the largest memory of a GPU, where it uses any."""
    found: dict[str, int] = {}
    if model is not None:
        found["parameters"] = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    if optimizer is not None:
        tensors = [t for state in optimizer.state.values() for t in state.values() if hasattr(t, "element_size")]
        found["optimizer_state_bytes"] = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gpus = range(torch.cuda.device_count())
        found["peak_gpu_memory_bytes"] = max(torch.cuda.max_memory_allocated(gpu) for gpu in gpus)
    return found


def cpu_seconds() -> float:
    """Processor time of this process, and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _dumped(state: Any) -> bytes:
    if (torch := sys.modules.get("torch")) is None:
        return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _loaded(data: bytes) -> Any:
    if not data.startswith(ZIP):
        return pickle.loads(data)
    import torch

    # What the trial itself has saved, in a file whose SHA-256 the database has.
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
