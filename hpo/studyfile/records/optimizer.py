"""`[optimizer]`: the update rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo.studyfile.records.base import Decay, NonNegative, Positive, Record


class OptimizerBase(Record):
    """Settings of every update rule."""

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


class Nadam(OptimizerBase):
    """Adam with Nesterov momentum (Dozat 2016)."""

    name: Literal["nadam"]
    beta1: Decay = 0.9
    """Forgetting factor of the gradient, which is approached from half of it; see momentum_decay."""
    beta2: Decay = 0.999
    """Forgetting factor of the squared gradient."""
    momentum_decay: NonNegative = 4e-3
    """The momentum at step t is beta1 * (1 - 0.96^(t * momentum_decay) / 2)."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    decoupled_weight_decay: bool = False
    """Whether weight_decay shrinks the parameters directly, as in adamw."""


class Radam(OptimizerBase):
    """Adam whose first steps are without the squared gradient, while its average is still uncertain (Liu et al.
    2020)."""

    name: Literal["radam"]
    beta1: Decay = 0.9
    """Forgetting factor of the gradient."""
    beta2: Decay = 0.999
    """Forgetting factor of the squared gradient."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    decoupled_weight_decay: bool = False
    """Whether weight_decay shrinks the parameters directly, as in adamw."""


class Lion(OptimizerBase):
    """Steps by the sign of the averaged gradient, so that all parameters move by the learning rate (Chen et al. 2023).
    It wants a learning rate 3 to 10 times below that of Adam and a weight decay as many times above."""

    name: Literal["lion"]
    learning_rate: Positive = 1e-4
    """Highest learning rate; the schedule scales it down."""
    weight_decay: NonNegative = 0.0
    """Decoupled decay, as in adamw."""
    beta1: Decay = 0.9
    """Share of the average in the step; the rest is the gradient."""
    beta2: Decay = 0.99
    """Forgetting factor of the average, which changes after the step."""


class Adafactor(OptimizerBase):
    """Adam's steps in little memory: of a matrix's squared gradients it keeps the means of rows and columns alone
    (Shazeer & Stern 2018). Each tensor's steps are in proportion to the size of its numbers."""

    name: Literal["adafactor"]
    learning_rate: Positive = 1e-2
    """Largest step relative to the root mean square of a tensor; the schedule scales it down, and at update t the step
    is 1 / sqrt(t) at most."""
    weight_decay: NonNegative = 0.0
    """Decoupled decay, as in adamw."""
    beta2_decay: Annotated[float, Field(le=0.0)] = -0.8
    """The squared gradient of update t enters its average with weight t^beta2_decay."""
    eps: Positive = 2.0**-23
    """Least root of the average squared gradient; the precision of the numbers, as in PyTorch."""
    eps2: Positive = 1e-3
    """Least root mean square of a tensor that its steps are relative to: tensors that start at 0 can leave it."""
    clip_threshold: Annotated[float, Field(ge=1.0)] = 1.0
    """Largest root mean square of a tensor's step before it is scaled."""


Optimizer = Annotated[
    Sgd | Adagrad | Rmsprop | Adam | AdamW | Nadam | Radam | Lion | Adafactor,
    Field(discriminator="name"),
]
