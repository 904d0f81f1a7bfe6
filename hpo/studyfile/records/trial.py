"""The configuration of one trial: all settings that its training depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from hpo.conventions import NEWEST
from hpo.studyfile.custom import Reference
from hpo.studyfile.records.augmentation import Augmentation
from hpo.studyfile.records.base import Record
from hpo.studyfile.records.model import Custom, Init, Model
from hpo.studyfile.records.norm import Dropout, NoNorm, Norm
from hpo.studyfile.records.optimizer import Optimizer
from hpo.studyfile.records.training import Constant, Regularization, Schedule, Training


class TrialConfig(Record):
    """One concrete configuration: all settings that the training of a trial depends on."""

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
    """Learning rate over the steps."""
    regularization: Regularization = Regularization()
    """Penalties and bounds."""
    training: Training = Training()
    """Number of epochs, batches and early stopping."""
    augmentation: Augmentation = Augmentation()
    """Random changes to the examples of training batches, made in the order of these keys and drawn anew for each
    example in each epoch; 0: none. Validation and test examples stay as they are. A key that does not suit the data is
    refused."""
    conventions: int = NEWEST
    """The convention of the study, see `hpo.conventions`; study files do not contain it."""

    def below(self, folder: Path) -> Self:
        """The configuration with the path of a module of the user's own resolved from the folder."""
        if not isinstance(self.model, Custom):
            return self
        reference = Reference.of(self.model.module).below(folder)
        return self.model_copy(update={"model": self.model.model_copy(update={"module": str(reference)})})
