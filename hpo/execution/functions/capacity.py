"""How many trials of a training function train at once, and on which GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpo.errors import StudyFileError
from hpo.execution.functions.memory import memory_gib
from hpo.studyfile.records import TrialResources

USABLE = 0.9
"""Share of the main memory that trials may take together."""


@dataclass(kw_only=True, slots=True)
class Capacity:
    """The processes that run, and those that may."""

    places: int
    """Processes that train at once, at most."""
    need: float
    """GPUs of each."""
    load: dict[int, float] = field(default_factory=dict)
    """Share of each GPU that is taken, by its number."""
    held: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """GPUs of each process that runs, by its number."""

    @classmethod
    def of(cls, resources: TrialResources, *, cores: int, workers: int | None, gpus: tuple[int, ...]) -> Capacity:
        """What fits on this machine. `workers`: processes that the user asked for, instead of what the cores allow;
        `gpus`: numbers of those that may be used. Raises `StudyFileError` where not even one trial fits."""
        places = workers or max(1, int(cores / resources.cpus))
        if resources.memory_gib is not None:
            there = memory_gib()
            if there is not None and resources.memory_gib > there:
                raise StudyFileError(
                    f"trial.resources.memory_gib = {resources.memory_gib:g}: this machine, or its container, has "
                    f"{there:.1f}. Give trials less, or run the study on a larger machine."
                )
            places = places if there is None else max(1, min(places, int(USABLE * there / resources.memory_gib)))
        need, count = resources.gpus, len(gpus)
        if need > count:
            raise StudyFileError(
                f"trial.resources.gpus = {need:g}: PyTorch sees {count} here that this run may use. Give trials fewer, "
                "or run the study where there are more."
            )
        if need:
            places = min(places, int(count // need) if need >= 1 else count * int(1 / need))
        return cls(places=places, need=need, load=dict.fromkeys(gpus, 0.0))

    def take(self, key: int, gpus: tuple[int, ...]) -> None:
        """Notes that a process runs on these GPUs."""
        self.held[key] = gpus
        for gpu in gpus:
            self.load[gpu] += min(self.need, 1.0)

    def free(self, key: int) -> None:
        """Notes that a process has ended."""
        for gpu in self.held.pop(key, ()):
            self.load[gpu] -= min(self.need, 1.0)

    def gpus(self) -> tuple[int, ...]:
        """The GPUs for a new process: those with the least load."""
        count = int(self.need) if self.need >= 1 else 1 if self.need else 0
        return tuple(sorted(sorted(self.load, key=lambda gpu: (self.load[gpu], gpu))[:count]))
