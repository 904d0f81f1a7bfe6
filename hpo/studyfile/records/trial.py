"""The configuration of one trial: all settings that its training depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field

from hpo.conventions import NEWEST
from hpo.studyfile.custom import Reference
from hpo.studyfile.records.augmentation import Augmentation
from hpo.studyfile.records.base import Record
from hpo.studyfile.records.function import FunctionCall
from hpo.studyfile.records.model import Custom, Init, Model
from hpo.studyfile.records.norm import Dropout, NoNorm, Norm
from hpo.studyfile.records.optimizer import Optimizer
from hpo.studyfile.records.training import Constant, Regularization, Schedule, Training

ABSENT: Any = None
"""In place of what only models have, in a study whose trials a function of the user's own trains."""


class TrialConfig(Record):
    """One concrete configuration: all settings that the training of a trial depends on."""

    model: Model = Field(ABSENT)
    """Family and shape of the network. Absent only where a function of the user's own trains."""
    init: Init = Init()
    """How weights start."""
    norm: Norm = NoNorm()
    """Normalisation layers."""
    dropout: Dropout = Dropout()
    """Random zeroing of features in training."""
    optimizer: Optimizer = Field(ABSENT)
    """Update rule. Absent only where a function of the user's own trains."""
    schedule: Schedule = Constant()
    """Learning rate over the steps."""
    regularization: Regularization = Regularization()
    """Penalties and bounds."""
    training: Training = Training()
    """Number of epochs, batches and early stopping."""
    augmentation: Augmentation = Augmentation()
    """Random changes to the examples of training batches, made in the order of these keys and drawn anew for each
    example in each epoch; 0: none. Validation and test examples stay as they are. A key that does not suit the data is
    refused."""
    trial: FunctionCall | None = None
    """A training function of the user's own instead of a model and an optimizer."""
    conventions: int = NEWEST
    """The convention of the study, see `hpo.conventions`; study files do not contain it."""
    layout: int = Field(0, exclude=True)
    """Which programs of an edited study train it, see `StudySpec.layout`; neither study files nor exports contain
    it."""

    def below(self, folder: Path) -> Self:
        """The configuration with the path of code of the user's own resolved from the folder."""
        if self.trial is not None:
            function = Reference.of(self.trial.function).below(folder)
            return self.model_copy(update={"trial": self.trial.model_copy(update={"function": str(function)})})
        if not isinstance(self.model, Custom):
            return self
        reference = Reference.of(self.model.module).below(folder)
        return self.model_copy(update={"model": self.model.model_copy(update={"module": str(reference)})})
