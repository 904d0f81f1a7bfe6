"""Hyperparameter studies for PyTorch.

One TOML file describes a study; ``hpo run STUDY`` searches, trains, prunes, checkpoints, records and reports it.
Data flows one way: study file -> spec -> space -> trial -> training -> storage -> report.
"""

__version__ = "0.1.0"
