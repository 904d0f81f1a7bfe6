"""Placement of new trials on shards. It is deterministic, and changes the speed only, not the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpo.studyfile.records import TrialConfig

PROGRAM = 4
"""Fixed cost of a program, in lanes: the time to call its operations, which is the same for few lanes and for many."""


def place(
    new_trials: Mapping[int, TrialConfig], shards: Sequence[Mapping[int, TrialConfig]], replicas: int
) -> list[dict[int, TrialConfig]]:
    """Divides new trials among shards, given the trials of each shard; returns the new trials of each shard.

    A trial goes to a shard that already trains its program, if that shard has less than an even share of the work; else
    to the shard with the least work. `replicas`: lanes of one trial.
    """
    lanes = [replicas * len(shard) for shard in shards]
    programs = [{_program(config) for config in shard.values()} for shard in shards]
    distinct = {_program(config) for config in new_trials.values()}.union(*programs)
    share = (sum(lanes) + replicas * len(new_trials) + PROGRAM * len(distinct)) / len(shards)
    placed: list[dict[int, TrialConfig]] = [{} for _ in shards]
    for number in sorted(new_trials, key=lambda number: (_program(new_trials[number]), number)):
        program = _program(new_trials[number])
        work = [count + PROGRAM * len(known | {program}) for count, known in zip(lanes, programs, strict=True)]
        chosen = min(
            range(len(shards)),
            key=lambda shard: (program not in programs[shard] or work[shard] >= share, work[shard], shard),
        )
        placed[chosen][number] = new_trials[number]
        lanes[chosen] += replicas
        programs[chosen].add(program)
    return placed


def _program(config: TrialConfig) -> str:
    """A key that is equal for trials that may share a program. Options that may differ within a program, such as norms,
    are left out."""
    return f"{config.training.batch_size} {config.model!r}"
