"""Operations of a model beside those that follow from its layers' sizes."""

from __future__ import annotations

from hpo import models
from hpo.models.flops import flops
from hpo.signature import Signature
from tests.models.test_build import config

GATES = {"gru": 3, "lstm": 4, "rnn": 1}


def of(shape: tuple[int, ...], outputs: int, **tables: object) -> int | None:
    signature = Signature.of_values(*shape)
    return flops(models.build(config(**tables), signature, outputs), signature)
