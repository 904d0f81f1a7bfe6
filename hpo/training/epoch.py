"""The steps of one epoch of K lanes: the batches, learning rates and random keys of each lane, which lanes train
together in a step, and their training.

Lanes whose batches have the same size train together. The last batches of an epoch may be smaller, and folds may differ
by an example: lanes with such batches train separately, without padding, so that every mean and every statistic is over
real examples only.

Dimensions: K lanes, S steps, B examples a batch, N examples of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.attributes import lengths
from hpo.optim import schedules
from hpo.seeds import drawn_as, lane_seed
from hpo.studyfile.records import Optimizer, Training
from hpo.training import randomness
from hpo.training.augment.plan import Augmenter, LaneChanges
from hpo.training.batches import Examples, LanePart
from hpo.training.feed.windows import WindowOrder
from hpo.training.lane import Lane, Setting
from hpo.training.layers.loss import Mixed
from hpo.training.program import Program
from hpo.training.step import Advance, Course


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneSteps:
    """The steps of one lane's epoch."""

    sizes: tuple[int, ...]
    """Examples in each step."""
    rows_N: Tensor | WindowOrder
    """Rows of the training examples, step after step."""
    key: int
    """Random key of the epoch's dropout masks."""
    rates: NDArray[np.float64]
    """Learning rate of each update."""
    done: int
    """Updates made in the epochs before."""
    optimizer: Optimizer
    training: Training
    changes: LaneChanges
    """Augmentation of the epoch's batches."""
    part: LanePart

    @classmethod
    def of(cls, lane: Lane, setting: Setting) -> LaneSteps:
        """The lane's next epoch."""
        config, (examples, part), sizes = lane.config, lane.part, lane.batch_sizes
        numbers = setting.seed, drawn_as(lane.trial), lane.replica, lane.epoch + 1
        updates = -(-len(sizes) // config.training.accumulate)
        return cls(
            sizes=sizes,
            rows_N=examples.order(*numbers, sum(sizes), config.training.sampling),
            key=lane_seed("dropout", *numbers),
            rates=schedules.rates(
                config.schedule,
                config.optimizer.learning_rate,
                lane.epoch,
                lengths.length_at(lane.former, lane.epoch, config.training.epochs),
                updates,
                lane.plateau.factor,
            ),
            done=lane.epoch * updates,
            optimizer=config.optimizer,
            training=config.training,
            changes=LaneChanges.of(config.augmentation, examples.darkest[part], numbers, len(sizes)),
            part=lane.part,
        )

    def averaged(self, steps: slice) -> tuple[int, ...]:
        """For each of some steps: the number of batches whose gradients its update averages; 0: none follows yet."""
        size, last = self.training.accumulate, len(self.sizes) - 1
        numbers = range(steps.start, steps.stop)
        return tuple(s % size + 1 if s % size == size - 1 or s == last else 0 for s in numbers)

    def rows_SB(self, steps: slice) -> Tensor:
        """The rows of some steps, all of one size."""
        batch = self.sizes[steps.start]
        begin, count = self.sizes[0] * steps.start, steps.stop - steps.start  # the last alone may be smaller
        return self.rows_N[begin : begin + count * batch].view(-1, batch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Consecutive steps with one batch size that some lanes train together."""

    lanes: tuple[int, ...]
    """Positions of the lanes in the cohort."""
    first: int
    """Number of the first step in the epoch, from 0."""
    steps: int
    """Number of steps."""
    batch: int
    """Examples in each batch."""


def groups(lanes: int, most: int | None) -> list[range]:
    """The lanes in groups of at most `most`, as equal as possible; None: in one."""
    count = 1 if most is None else -(-lanes // most)
    return [range(i * lanes // count, (i + 1) * lanes // count) for i in range(count)]


def stretches(sizes: Sequence[Sequence[int]], most: int | None = None, *, apart: bool = False) -> Iterator[Stretch]:
    """The stretches of an epoch, given the batch sizes of each lane's steps. Each lane's steps are in order. `most`:
    lanes that may train together; None: all. `apart`: lanes train together only if they have as many steps."""
    pending = []
    for group in groups(len(sizes), most):
        counts = {lane: len(sizes[lane]) if apart else 0 for lane in group}
        for count in dict.fromkeys(counts.values()):
            pending.append((tuple(lane for lane in group if counts[lane] == count), 0))
    while pending:
        lanes, first = pending.pop(0)
        for batch in dict.fromkeys(sizes[lane][first] for lane in lanes if first < len(sizes[lane])):
            alike = tuple(lane for lane in lanes if sizes[lane][first : first + 1] == (batch,))
            steps = min(sum(1 for _ in takewhile(batch.__eq__, sizes[lane][first:])) for lane in alike)
            yield Stretch(lanes=alike, first=first, steps=steps, batch=batch)
            pending.append((alike, first + steps))


def train(
    stretch: Stretch,
    lanes: Sequence[LaneSteps],
    examples: Examples,
    program: Program,
    advance_on: Callable[[Course], Advance],
) -> tuple[Tensor, Tensor]:
    """Trains the steps of a stretch; the program's lanes must be those of the stretch. Returns the steps' losses and
    gradient norms, [S, K] each."""
    mine, steps = [lanes[place] for place in stretch.lanes], slice(stretch.first, stretch.first + stretch.steps)
    batches = examples.batches([lane.rows_SB for lane in mine], steps, [lane.part for lane in mine])
    keys_SK = randomness.step_keys([lane.key for lane in mine], steps.stop)[steps].to(examples.device)
    averaged = mine[0].averaged(steps)
    before = stretch.first // mine[0].training.accumulate
    updates = slice(before, before + sum(map(bool, averaged)))
    course = Course(
        optimizers=tuple(lane.optimizer for lane in mine),
        rate_SK=np.stack([lane.rates[updates] for lane in mine], axis=1),
        done=tuple(lane.done + before for lane in mine),
        averaged=averaged,
        decays=tuple(lane.training.average_decay for lane in mine),
    )
    advance = advance_on(course)
    shape = stretch.steps, len(mine)
    losses_SK, norms_SK = (torch.empty(shape, device=examples.device, dtype=examples.dtype) for _ in range(2))
    ahead = portion = program.portion(len(mine), stretch.batch)
    augmenter = Augmenter.of([lane.changes for lane in mine], steps, examples)
    if augmenter is not None:
        ahead = augmenter.portion(len(mine), stretch.batch)
    ahead = min(ahead, examples.steps_at_once(len(mine), stretch.batch))
    portion = min(portion, ahead)
    for begin in range(0, stretch.steps, ahead):
        x, y = batches(slice(begin, min(begin + ahead, stretch.steps)))
        targets: Tensor | Mixed = y
        if augmenter is not None:
            x, targets = augmenter(x, y, begin)
        for i in range(len(x)):
            if i % portion == 0:
                masks = program.masks(keys_SK[begin + i : begin + i + portion], stretch.batch)
            drops = {name: mask[i % portion] for name, mask in masks.items()}
            losses_SK[begin + i], norms_SK[begin + i] = advance(begin + i, x[i], targets[i], drops)
    return losses_SK, norms_SK
