"""Hyperparameter studies for PyTorch.

One TOML file describes a study; ``hpo run STUDY`` searches, trains, prunes, checkpoints, records and reports it, and so
does ``hpo.run`` from Python code. Data flows one way: study file -> spec -> space -> trial -> training -> storage ->
report.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.errors import HpoError
    from hpo.export.predictor import Predictor
    from hpo.study import Best, Study, compare, load, run

__all__ = ["Best", "HpoError", "Predictor", "Study", "compare", "load", "run"]
__version__ = "0.1.0"

_HOMES = {"HpoError": "hpo.errors", "Predictor": "hpo.export.predictor"}
"""Module of each name that is not in `hpo.study`. All are loaded when they are first used."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "hpo.study")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
