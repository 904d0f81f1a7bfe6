"""Which shard a new trial goes to. The rule is the same every time, and changes the speed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpo.studyfile.records import TrialConfig

PROGRAM = 4
"""A program costs about as much as this many more lanes: its operations are called however few lanes it has."""


def place(
    newcomers: Mapping[int, TrialConfig], shards: Sequence[Mapping[int, TrialConfig]], replicas: int
) -> list[dict[int, TrialConfig]]:
    """The newcomers of each shard, given the trials that it has.

    A trial goes where others of its program are, as long as that shard has less than its even share to do; else to the
    shard with the least to do.
    """
    lanes = [replicas * len(shard) for shard in shards]
    programs = [{_program(config) for config in shard.values()} for shard in shards]
    distinct = {_program(config) for config in newcomers.values()}.union(*programs)
    share = (sum(lanes) + replicas * len(newcomers) + PROGRAM * len(distinct)) / len(shards)
    placed: list[dict[int, TrialConfig]] = [{} for _ in shards]
    for number in sorted(newcomers, key=lambda number: (_program(newcomers[number]), number)):
        program = _program(newcomers[number])
        work = [count + PROGRAM * len(known | {program}) for count, known in zip(lanes, programs, strict=True)]
        chosen = min(
            range(len(shards)),
            key=lambda shard: (program not in programs[shard] or work[shard] >= share, work[shard], shard),
        )
        placed[chosen][number] = newcomers[number]
        lanes[chosen] += replicas
        programs[chosen].add(program)
    return placed


def _program(config: TrialConfig) -> str:
    """Equal for trials that may share a program: what is mixed within one, such as norms, is left out."""
    return f"{config.training.batch_size} {config.model!r}"
