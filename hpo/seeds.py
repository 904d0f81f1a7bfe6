"""The seeds of all random numbers. A seed depends only on the study's seed and on what the numbers are drawn for.

So no draw depends on how many were made before, on the process, or on whether the study was interrupted in between. The
formulas must never change, because studies would not be repeatable.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Literal

Purpose = Literal["init", "order", "windows", "dropout", "augmentation", "mixup"]


DEFAULT_CONFIGURATION = -1
"""In the place of a trial's number: the default configuration, where no trial has it."""
FIRST_OF_EXPLANATIONS = -2
"""In the place of a trial's number: the first configuration that an explanation trains; others are -3, -4 ..."""


def lane_seed(purpose: Purpose, *numbers: int) -> int:
    """A seed of 63 bits for what a lane draws, e.g. `lane_seed("order", seed, trial, replica, epoch)`."""
    text = ":".join([purpose, *map(str, numbers)]).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def lane_of_repeat(number: int, repeat: int) -> int:
    """What stands for the trial's number among the seeds of a repeat of its configuration (from 1), so that these
    differ from those of every trial and of every other repeat. `number`: of the trial, or a negative one, see
    above."""
    return (repeat << 32) + number % (1 << 32)


def drawn_as(lane: int) -> int:
    """What stands for the trial's number among a lane's seeds, given what identifies the lane: the same. But all
    configurations of an explanation, whose numbers are `FIRST_OF_EXPLANATIONS` and below, share the seeds of a repeat,
    so that differences between them are paired."""
    repeat, number = lane >> 32, lane % (1 << 32)
    shared = FIRST_OF_EXPLANATIONS % (1 << 32)
    return (repeat << 32) + shared if repeat and 1 << 31 <= number < shared else lane


def sampler_seed(study_seed: int, trial: int) -> int:
    """A seed of 32 bits for the values that a sampler draws for one trial."""
    digest = hashlib.blake2b(f"sampler:{study_seed}:{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def tpe_seed(study_seed: int, trial: int, group: int) -> tuple[int, int, int]:
    """The seed for TPE's candidates of one trial and one group of parameters, as `numpy.random.default_rng` takes
    it."""
    return study_seed, trial, group


def function_seed(study_seed: int, trial: int) -> int:
    """A seed of 32 bits for a training function of the user's own."""
    digest = hashlib.blake2b(f"function:{study_seed}:{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def split_seed(study_seed: int, part: str, trial: int | None = None) -> int:
    """A seed of 32 bits for drawing a part of the data, `test` or `validation`, for all trials or for one alone."""
    import numpy as np

    numbers = [study_seed, zlib.crc32(part.encode()), *([] if trial is None else [1 + trial])]
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
