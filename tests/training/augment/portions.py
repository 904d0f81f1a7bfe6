"""Portions of examples for the tests of single changes."""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.data.augmentation import IMAGE, SEQUENCE
from hpo.signature import Input, Signature
from hpo.training import randomness
from hpo.training.augment.portion import Portion

SEQUENCES = Signature(inputs=(Input(name="values", shape=(9, 2)), Input(name="mask", shape=(9,))))
TABLES = Signature(
    inputs=(
        Input(name="values", shape=(5,), columns=tuple("abcde"), features=(0, 1, 0, 2, 2), numeric=2),
        Input(name="codes", shape=(1,), sizes=(4,), columns=("f",), features=(3,)),
        Input(name="tokens", shape=(6,), sizes=(30,)),
    )
)
KEYS = {*IMAGE, *SEQUENCE, "feature_dropout", "word_dropout"} - {"mixup"}


def portion(x: Tensor, signature: Signature, black: float = 0.0, **strengths: list[float]) -> Portion:
    """[S, K, B, *row] examples; the keys that are not given are 0 in every lane."""
    steps, lanes = x.shape[:2]
    given = {key: strengths.get(key, [0.0] * lanes) for key in KEYS}
    return Portion(
        x=x.clone(),
        keys_SK=randomness.step_keys(list(range(lanes)), steps),
        strengths={key: torch.tensor(values, dtype=x.dtype) for key, values in given.items()},
        signature=signature,
        darkest_KF=torch.full((lanes, x.shape[3]), black, dtype=x.dtype),
    )


def images(steps: int, lanes: int, batch: int, *shape: int) -> Tensor:
    """Random ones, in float64."""
    return torch.rand(steps, lanes, batch, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
