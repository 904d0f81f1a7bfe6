"""`[schedule]`, `[regularization]` and `[training]`: how a trial trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo.studyfile.records.base import Count, Decay, NonNegative, Positive, Record, WholeNumber


class Constant(Record):
    """The learning rate is constant."""

    name: Literal["constant"] = "constant"


class Step(Record):
    """Multiply by `gamma` every `step_epochs` epochs."""

    name: Literal["step"]
    step_epochs: Count = 10
    """Epochs between two steps."""
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Factor of each step."""


class Exponential(Record):
    """Multiply by `gamma` every epoch."""

    name: Literal["exponential"]
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Factor of each epoch."""


class Cosine(Record):
    """Fall along half a cosine to `final` of the learning rate (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Learning rate at the end, as a share of the highest."""


class CosineRestarts(Record):
    """Fall along half a cosine again and again, each time from the highest rate (Loshchilov & Hutter 2017)."""

    name: Literal["cosine_restarts"]
    period: Count = 10
    """Epochs of the first fall."""
    factor: Annotated[float, Field(ge=1.0, le=100.0)] = 1.0
    """Each fall lasts this many times as long as the one before."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Learning rate at the end of a fall, as a share of the highest."""


class WarmupCosine(Record):
    """Rise linearly over `warmup` of the steps, then fall along a cosine."""

    name: Literal["warmup_cosine"]
    warmup: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of all steps spent rising."""
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Learning rate at the end, as a share of the highest."""


class OneCycle(Record):
    """Rise from 1/`initial_divisor` along a cosine, then fall by `final_divisor` below that (Smith 2018)."""

    name: Literal["one_cycle"]
    rise: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of all steps spent rising."""
    initial_divisor: Annotated[float, Field(ge=1.0)] = 25.0
    """The first rate is learning_rate divided by this."""
    final_divisor: Annotated[float, Field(ge=1.0)] = 1e4
    """The last rate is the first one divided by this."""


class ReduceOnPlateau(Record):
    """Multiply by `factor` when the validation loss has not improved for `patience` epochs."""

    name: Literal["reduce_on_plateau"]
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Factor of each reduction."""
    patience: WholeNumber = 3
    """Epochs without improvement before the rate is reduced."""
    threshold: NonNegative = 1e-4
    """Relative improvement that counts."""
    minimum: NonNegative = 0.0
    """Lowest learning rate, as a share of the initial one."""


class Regularization(Record):
    """Penalties and bounds. Weights are the matrices and kernels of layers, the output layer included (in a module of
    your own, all parameters of two dimensions and more); biases and normalisation are none."""

    l1: NonNegative = 0.0
    """Adds l1 * sum|w| over weights to what is minimised. The losses that are recorded are without it."""
    l2: NonNegative = 0.0
    """Adds l2 * sum w^2 / 2 over weights to what is minimised. The losses that are recorded are without it."""
    gradient_clip: Positive | None = None
    """Largest Euclidean norm of a step's whole gradient, of all parameters together and with the penalties, but without
    weight decay; longer ones are scaled down. Recorded norms are from before."""
    max_norm: Positive | None = None
    """Largest Euclidean norm of a unit's incoming weights, without its bias, restored after each step."""
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of the target spread evenly over all classes, in training: the training loss contains it, the validation
    loss does not."""


class EarlyStopping(Record):
    """End a trial whose objective has not improved for `patience` epochs; it counts as finished."""

    patience: Count = 5
    """Epochs without improvement that end the trial."""
    minimum_improvement: NonNegative = 0.0
    """Improvement of the objective that counts."""


ClassWeight = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Training(Record):
    """Number of epochs, batches, balance of the classes and early stopping."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Passes over the training part. Always one number: pruning compares trials at the same epoch."""
    batch_size: Count = 32
    """Examples per step, at most as many as the training part has."""
    last_batch: Literal["fill", "drop", "short"] = "fill"
    """What becomes of the examples that are left over when an epoch's order is cut into batches. `fill`: they make a
    batch with examples from the front of the order, which are seen twice in the epoch. `drop`: they are left out of
    this epoch, as with `DataLoader(drop_last=True)`. `short`: they are a smaller batch, as with
    `DataLoader(drop_last=False)`; its loss is the mean over its own examples."""
    class_weight: Literal["balanced"] | dict[str, ClassWeight] | None = None
    """Weights of the classes in the training loss, which becomes the weighted mean of a batch, as
    `torch.nn.CrossEntropyLoss(weight=...)` defines it. `balanced`: n / (classes * count), from the n examples of the
    training part alone, so that every class weighs as much as another. A table, e.g. { spam = 5.0 }: the weights of
    these classes; others weigh 1. The validation loss is without weights."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """Which examples an epoch has. `shuffled`: each once. `balanced`: as many, drawn so that all classes are equally
    frequent; the examples of a small class come several times, and those of a large class take turns over the epochs.
    Together with class_weight = "balanced", small classes count more than large ones."""
    accumulate: Count = 1
    """Batches whose gradients are averaged for one update (gradient accumulation): the memory of a small batch, the
    update of a large one. Schedules count updates. Batches that are left over at the end of an epoch make an update of
    their own, the mean of their gradients. Batch normalisation sees each batch by itself."""
    average: Literal["none", "ema"] = "none"
    """`ema`: validation, the weights of the best epoch and exports take an exponential moving average of the weights
    over the updates, and of batch normalisation's running averages with them. Training goes on from the weights
    themselves, and the training loss is theirs."""
    average_decay: Decay = 0.99
    """Share of the average that stays at each update; 0.99 averages over some 100 updates. After the first update the
    average is the weights."""
    early_stopping: EarlyStopping | None = None
    """Absent: every trial that is not pruned trains to its last epoch."""


Schedule = Annotated[
    Constant | Step | Exponential | Cosine | CosineRestarts | WarmupCosine | OneCycle | ReduceOnPlateau,
    Field(discriminator="name"),
]
