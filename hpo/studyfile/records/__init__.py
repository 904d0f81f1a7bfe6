"""The typed records that a study file is made of, one per table. No torch, no file reading, no search space.

Every record is frozen and refuses unknown keys. A record holds *concrete* values: where the file has a range
or a choice instead, `hpo.studyfile.tables` checks each end and each option against the field declared here, and
`hpo.space` turns a draw into one concrete `TrialConfig`. The docstrings are shown to users: they are the
descriptions of the JSON Schema.
"""

from __future__ import annotations

from hpo.studyfile.records.augmentation import Augmentation
from hpo.studyfile.records.base import (
    NAME_PATTERN,
    Count,
    Decay,
    NonNegative,
    Positive,
    Probability,
    Record,
    WholeNumber,
    Width,
)
from hpo.studyfile.records.data import ColumnKind, DataTable
from hpo.studyfile.records.function import FunctionCall, TrialResources
from hpo.studyfile.records.model import Activation, Cnn, Custom, Init, Mlp, Model
from hpo.studyfile.records.norm import BatchNorm, Dropout, GroupNorm, LayerNorm, NoNorm, Norm, Placement
from hpo.studyfile.records.optimizer import Adagrad, Adam, AdamW, Optimizer, OptimizerBase, Rmsprop, Sgd
from hpo.studyfile.records.search import (
    Cmaes,
    Gp,
    Grid,
    Hyperband,
    Median,
    NoPruner,
    Percentile,
    Pruner,
    Qmc,
    RandomSearch,
    Sampler,
    SearchTable,
    SuccessiveHalving,
    Threshold,
    Tpe,
)
from hpo.studyfile.records.study import (
    CLASSIFICATION_METRICS,
    METRICS,
    MINIMIZED,
    REGRESSION_METRICS,
    CheckpointsTable,
    Metric,
    StudyTable,
)
from hpo.studyfile.records.training import (
    Constant,
    Cosine,
    EarlyStopping,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    Regularization,
    Schedule,
    Step,
    Training,
    WarmupCosine,
)
from hpo.studyfile.records.trial import TrialConfig

__all__ = [
    "CLASSIFICATION_METRICS",
    "METRICS",
    "MINIMIZED",
    "NAME_PATTERN",
    "REGRESSION_METRICS",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Augmentation",
    "BatchNorm",
    "CheckpointsTable",
    "Cmaes",
    "Cnn",
    "ColumnKind",
    "Constant",
    "Cosine",
    "Count",
    "Custom",
    "DataTable",
    "Decay",
    "Dropout",
    "EarlyStopping",
    "Exponential",
    "FunctionCall",
    "Gp",
    "Grid",
    "GroupNorm",
    "Hyperband",
    "Init",
    "LayerNorm",
    "Median",
    "Metric",
    "Mlp",
    "Model",
    "NoNorm",
    "NoPruner",
    "NonNegative",
    "Norm",
    "OneCycle",
    "Optimizer",
    "OptimizerBase",
    "Percentile",
    "Placement",
    "Positive",
    "Probability",
    "Pruner",
    "Qmc",
    "RandomSearch",
    "Record",
    "ReduceOnPlateau",
    "Regularization",
    "Rmsprop",
    "Sampler",
    "Schedule",
    "SearchTable",
    "Sgd",
    "Step",
    "StudyTable",
    "SuccessiveHalving",
    "Threshold",
    "Tpe",
    "Training",
    "TrialConfig",
    "TrialResources",
    "WarmupCosine",
    "WholeNumber",
    "Width",
]
