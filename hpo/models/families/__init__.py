"""The families of models: one Python module each, and one line in `FAMILIES`.

A family is a function that lists a model's named children, in which every slot is present (see `hpo.models.slots`), so
that trials with different normalisation, dropout or activation can share one stacked program.
"""

from collections.abc import Callable

from hpo.models.families.cnn import cnn
from hpo.models.families.custom import custom
from hpo.models.families.mlp import mlp
from hpo.models.families.recurrent import recurrent
from hpo.models.families.transformer import transformer
from hpo.models.slots import Children
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig

FAMILIES: dict[str, Callable[[TrialConfig, Signature, int], Children]] = {
    "mlp": mlp,
    "cnn": cnn,
    "recurrent": recurrent,
    "transformer": transformer,
    "custom": custom,
}
"""Name in a study file -> function of a trial's configuration, the inputs and the number of outputs."""
