"""The typed records that a study file is made of, one per table. No torch, no file reading, no search space.

Every record is frozen and refuses unknown keys. A record holds *concrete* values: where the file has a range
or a choice instead, `hpo.studyfile.tables` checks each end and each option against the field declared here, and
`hpo.space` turns a draw into one concrete `TrialConfig`. The docstrings are shown to users: they are the
descriptions of the JSON Schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hpo.conventions import NEWEST
from hpo.studyfile.custom import MODULE_PATTERN, Argument, Reference

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability of dropping; 1 would drop everything."""
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A factor of exponential forgetting, e.g. momentum or beta."""
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
WholeNumber = Annotated[int, Field(ge=0, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
"""Units or channels of one layer; the bound catches a slip of the hand before it fills the memory."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

Metric = Literal["loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "rmse", "mae", "r2"]
MINIMIZED: frozenset[str] = frozenset({"loss", "rmse", "mae"})
"""Metrics where less is better; for all others more is better."""
REGRESSION_METRICS: frozenset[str] = frozenset({"loss", "rmse", "mae", "r2"})
CLASSIFICATION_METRICS: frozenset[str] = frozenset({"loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"})

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


class Record(BaseModel):
    """Base of all records: immutable, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


# --- fixed tables: about the study as a whole, never searched --------------------------------------------


class StudyTable(Record):
    """What is sought."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Name of the study in the database and of its report folder."""
    objective: Metric = "accuracy"
    """Metric of the validation part that the search optimises; its direction follows from the metric. `loss` is cross
    entropy in nats, or the mean squared error of the standardised target (in units of the target's variance in the
    training part); `rmse` and `mae` are in the target's own unit. Of trials with equal values, the one with the lower
    validation loss at the epoch that counts is better."""
    epoch: Literal["best", "last"] = "best"
    """Whether a trial's value is its best epoch's objective or its last epoch's. The pruners median and percentile
    judge running trials by the same one."""
    smoothing: Decay = 0.0
    """Smoothing of the objective over epochs, so that one lucky epoch does not win: the exponential average
    s[t] = a*x[t] + (1-a)*s[t-1], in which the newest epoch weighs a = 1 - smoothing; 0 takes the raw curve. The
    report's control of the same name smooths its curves by the same rule."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """The one seed; every random number of the study follows from it."""


class DataTable(Record):
    """Where the examples come from and how they are split."""

    dataset: Annotated[str, Field(min_length=1)]
    """A name of the catalogue, e.g. digits or wine, or the path of a CSV file, relative to the study file."""
    target: str | None = None
    """Column to predict; needed for a file."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """`auto`: regression if the target is numeric with many distinct values, else classification."""
    test: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Share of all examples that no trial sees; the winner is scored on it once. 0: no test part."""
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of all examples that trials are validated on (ignored when folds are given)."""
    folds: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    """Stratified k-fold cross-validation of the part outside the test part, instead of one hold-out."""
    repeats: Count = 1
    """Seeds per trial; a trial's value is the mean over repeats and folds."""
    standardize: bool = True
    """Scale each numeric feature to mean 0 and variance 1, with statistics of the training part alone."""


class Tpe(Record):
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""

    name: Literal["tpe"] = "tpe"
    startup_trials: WholeNumber = 10
    """Trials drawn at random before the model is used."""


class Gp(Record):
    """Gaussian process with log expected improvement."""

    name: Literal["gp"] = "gp"
    startup_trials: WholeNumber = 10
    """Trials drawn at random before the model is used."""


class Cmaes(Record):
    """Covariance matrix adaptation evolution strategy; categorical parameters are drawn at random."""

    name: Literal["cmaes"] = "cmaes"
    startup_trials: WholeNumber = 1
    """Trials drawn at random before the model is used."""


class Qmc(Record):
    """Scrambled Sobol sequence; conditional parameters are drawn at random."""

    name: Literal["qmc"] = "qmc"


class RandomSearch(Record):
    """Independent uniform draws."""

    name: Literal["random"] = "random"


class Grid(Record):
    """Every combination of the choices; every range needs a step."""

    name: Literal["grid"] = "grid"


class Hyperband(Record):
    """Several successive-halving brackets (Li et al. 2018)."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: Count = 1
    """Epochs every trial gets."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 3
    """One trial in this many survives a rung."""


class SuccessiveHalving(Record):
    """Asynchronous successive halving (Li et al. 2020)."""

    name: Literal["successive_halving"] = "successive_halving"
    min_epochs: Count = 1
    """Epochs every trial gets."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 4
    """One trial in this many survives a rung."""


class Median(Record):
    """Stop what is worse than the median of finished trials at the same epoch: by its best value so far, or by its
    last one where `study.epoch` is `last`."""

    name: Literal["median"] = "median"
    startup_trials: WholeNumber = 5
    """Trials that must finish before any is pruned."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class Percentile(Record):
    """Keep the best percentile of trials at the same epoch: by their best value so far, or by their last one where
    `study.epoch` is `last`."""

    name: Literal["percentile"] = "percentile"
    percentile: Annotated[float, Field(ge=0.0, le=100.0)] = 25.0
    """Share to keep, in per cent."""
    startup_trials: WholeNumber = 5
    """Trials that must finish before any is pruned."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class Threshold(Record):
    """Stop a trial whose objective leaves fixed bounds."""

    name: Literal["threshold"] = "threshold"
    lower: float | None = None
    """Prune below this objective."""
    upper: float | None = None
    """Prune above this objective."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class NoPruner(Record):
    """Every trial trains to its last epoch."""

    name: Literal["none"] = "none"


Sampler = Annotated[Tpe | Gp | Cmaes | Qmc | RandomSearch | Grid, Field(discriminator="name")]
Pruner = Annotated[
    Hyperband | SuccessiveHalving | Median | Percentile | Threshold | NoPruner, Field(discriminator="name")
]


class SearchTable(Record):
    """How the space is searched. `sampler = "tpe"` is short for `sampler = { name = "tpe" }`; pruner too."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Budget: trials that end (finished, pruned or failed)."""
    epochs: Count | None = None
    """Budget of epochs over all trials; when it is spent, the trials in flight end. Absent: none."""
    wall_seconds: Positive | None = None
    """Budget of seconds in which the study runs, over all restarts. Absent: none."""
    cpu_seconds: Positive | None = None
    """Budget of processor seconds, over all processes and restarts. Absent: none."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] = 16
    """Trials in flight. Part of the study, not of the machine: it decides what each ask has seen."""
    sampler: Sampler = Tpe()
    """Proposes the next trials."""
    pruner: Pruner = Median()
    """Ends trials that look hopeless."""


class CheckpointsTable(Record):
    """What stays on disk after the study."""

    keep: Count = 3
    """Best trials whose weights are kept."""


# --- searched tables: any value may be a range or a choice ------------------------------------------------


class Mlp(Record):
    """Multilayer perceptron."""

    family: Literal["mlp"]
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = (64, 64)
    """Units of each hidden layer."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""


class Cnn(Record):
    """Blocks of convolution, activation and 2x2 max pooling, then a perceptron."""

    family: Literal["cnn"]
    channels: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=16)] = (8, 16)
    """Output channels of each block; each block halves height and width."""
    kernel: Annotated[int, Field(ge=1, le=11, json_schema_extra={"not": {"multipleOf": 2}}), AfterValidator(_odd)] = 3
    """Kernel height and width in pixels (odd)."""
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = ()
    """Units of hidden layers between the last block and the output."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""


class Custom(Record):
    """A module of your own, called as `Net(input_shape, outputs, **arguments)`; see "Your own model" in the README."""

    family: Literal["custom"]
    module: Annotated[str, Field(pattern=MODULE_PATTERN)]
    """`net.py:Net`: a class or function in a Python file, its path relative to the study file; or
    `package.module:Net` in something installed."""
    arguments: dict[str, Argument] = {}
    """What it is called with, by name: numbers, texts, true or false, lists of these, ranges and choices."""


class Init(Record):
    """How weights start; biases start at zero. Gains follow the activation where the scheme has one."""

    scheme: Literal[
        "zeros",
        "constant",
        "small_normal",
        "lecun_normal",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "orthogonal",
    ] = "kaiming_uniform"
    """Distribution of the initial weights."""
    std: Positive = 0.01
    """Standard deviation of `small_normal`."""
    value: float = 0.1
    """Value of `constant`."""


class NoNorm(Record):
    """No normalisation layers."""

    kind: Literal["none"] = "none"


Placement = Literal["before_activation", "after_activation", "input"]


class BatchNorm(Record):
    """Statistics per feature over the batch (Ioffe & Szegedy 2015); running averages at inference. A layer right in
    front of it has no bias, since the mean is subtracted again; `group` with one channel a group is like it."""

    kind: Literal["batch"]
    placement: Placement = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone."""
    every: Count = 1
    """Normalise every n-th hidden layer only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""
    momentum: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Weight of the newest batch in the running averages."""


class LayerNorm(Record):
    """Statistics per sample over the features (Ba et al. 2016)."""

    kind: Literal["layer"]
    placement: Placement = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone."""
    every: Count = 1
    """Normalise every n-th hidden layer only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""


class GroupNorm(Record):
    """Statistics per sample over groups of channels (Wu & He 2018); for convolutions."""

    kind: Literal["group"]
    placement: Placement = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone."""
    every: Count = 1
    """Normalise every n-th block only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""
    groups: Count = 4
    """Groups the channels are divided into; every width must be a multiple."""


class Dropout(Record):
    """Zero features with a probability in training and scale the rest by 1/(1-p)."""

    p: Probability = 0.0
    """After every hidden layer."""
    input: Probability = 0.0
    """On the input features."""
    first: Probability | None = None
    """After the first hidden layer, instead of p."""
    spatial: bool = False
    """In convolutions drop whole channels instead of pixels."""


class OptimizerBase(Record):
    """What every update rule has."""

    learning_rate: Positive = 1e-3
    """Highest learning rate; the schedule scales it down."""
    weight_decay: NonNegative = 0.0
    """Coupled L2 decay: weight_decay * parameter is added to the gradient, after clipping (decoupled in adamw). As in
    `torch.optim` it acts on all parameters, biases and the scales and shifts of normalisation included;
    `regularization.l2` acts on weights alone."""


class Sgd(OptimizerBase):
    """Stochastic gradient descent, with (Nesterov) momentum."""

    name: Literal["sgd"]
    momentum: Decay = 0.0
    """Share of the last step that is carried on."""
    dampening: Decay = 0.0
    """Share of the gradient withheld from the momentum buffer; ignored with nesterov."""
    nesterov: bool = False
    """Evaluate the gradient after the momentum step; without momentum it changes nothing."""


class Adagrad(OptimizerBase):
    """Step sizes that shrink with the accumulated squared gradient (Duchi et al. 2011)."""

    name: Literal["adagrad"]
    lr_decay: NonNegative = 0.0
    """The rate at step t is learning_rate / (1 + (t - 1) * lr_decay)."""
    initial_accumulator_value: NonNegative = 0.0
    """Where the sum of squared gradients starts."""
    eps: Positive = 1e-10
    """Added to the denominator."""


class Rmsprop(OptimizerBase):
    """Adagrad with exponential forgetting (Tieleman & Hinton 2012)."""

    name: Literal["rmsprop"]
    alpha: Decay = 0.99
    """Forgetting factor of the squared gradient."""
    eps: Positive = 1e-8
    """Added to the denominator."""


class Adam(OptimizerBase):
    """Momentum, RMSProp and bias correction (Kingma & Ba 2015)."""

    name: Literal["adam"]
    beta1: Decay = 0.9
    """Forgetting factor of the gradient."""
    beta2: Decay = 0.999
    """Forgetting factor of the squared gradient."""
    eps: Positive = 1e-8
    """Added to the denominator."""


class AdamW(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"]
    weight_decay: NonNegative = 1e-2
    """Decoupled decay: all parameters, biases and the scales and shifts of normalisation included, shrink by the
    share learning_rate * weight_decay at each step, with the rate of that step."""
    beta1: Decay = 0.9
    """Forgetting factor of the gradient."""
    beta2: Decay = 0.999
    """Forgetting factor of the squared gradient."""
    eps: Positive = 1e-8
    """Added to the denominator."""


class Constant(Record):
    """The learning rate stays."""

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
    """Epochs without improvement that are endured."""
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


class Training(Record):
    """How long and in what portions a trial trains."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Passes over the training part. Always one number: pruning compares trials at the same epoch."""
    batch_size: Count = 32
    """Examples a step, but no more than the training part has."""
    last_batch: Literal["fill", "drop", "short"] = "fill"
    """What becomes of the examples that are left over when an epoch's order is cut into batches. `fill`: they make a
    batch with examples from the front of the order, which are seen twice in the epoch. `drop`: they are left out of
    this epoch, as with `DataLoader(drop_last=True)`. `short`: they are a smaller batch, as with
    `DataLoader(drop_last=False)`; its loss is the mean over its own examples."""
    early_stopping: EarlyStopping | None = None
    """Absent: every trial that is not pruned trains to its last epoch."""


Model = Annotated[Mlp | Cnn | Custom, Field(discriminator="family")]
Norm = Annotated[NoNorm | BatchNorm | LayerNorm | GroupNorm, Field(discriminator="kind")]
Optimizer = Annotated[Sgd | Adagrad | Rmsprop | Adam | AdamW, Field(discriminator="name")]
Schedule = Annotated[
    Constant | Step | Exponential | Cosine | WarmupCosine | OneCycle | ReduceOnPlateau,
    Field(discriminator="name"),
]


class TrialConfig(Record):
    """One concrete configuration: everything that training needs to know about a trial."""

    model: Model
    """Family and shape of the network."""
    init: Init = Init()
    """How weights start."""
    norm: Norm = NoNorm()
    """Normalisation layers."""
    dropout: Dropout = Dropout()
    """Random zeroing of features in training."""
    optimizer: Optimizer
    """Update rule."""
    schedule: Schedule = Constant()
    """How the learning rate moves."""
    regularization: Regularization = Regularization()
    """Penalties and bounds."""
    training: Training = Training()
    """How long and in what portions a trial trains."""
    conventions: int = NEWEST
    """Those of the study, see `hpo.conventions`; no study file says it."""

    def below(self, folder: Path) -> Self:
        """The same with the file of a module of the user's own taken from the folder."""
        if not isinstance(self.model, Custom):
            return self
        reference = Reference.of(self.model.module).below(folder)
        return self.model_copy(update={"model": self.model.model_copy(update={"module": str(reference)})})
