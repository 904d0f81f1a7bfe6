"""Transformers of every kind and inputs for them.

Dimensions: K lanes, B examples, T steps, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hpo import models
from hpo.signature import Input, Signature
from hpo.studyfile.records import TrialConfig

B, T, C, OUTPUTS = 7, 20, 5, 4
MASKED, WHOLE, TEXT = ("values", "mask"), ("values",), ("tokens",)

CASES: dict[str, tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = {
    "pre-norm": (MASKED, {}, {"kind": "layer"}),
    "post-norm": (MASKED, {"norm_first": False, "pooling": "max", "positions": "sinusoidal"}, {"kind": "rms"}),
    "no norm": (MASKED, {"activation": "gelu", "pooling": "max"}, {"kind": "none"}),
    "equal lengths": (WHOLE, {"activation": "tanh", "positions": "none", "pooling": "class_token"}, {"kind": "rms"}),
    "class token": (MASKED, {"pooling": "class_token", "norm_first": False}, {"kind": "layer", "every": 2}),
    "text": (TEXT, {"positions": "sinusoidal"}, {"kind": "rms", "affine": False}),
    "text with token": (TEXT, {"pooling": "class_token", "depth": 1, "heads": 1}, {"kind": "group", "groups": 2}),
    "input": (MASKED, {}, {"kind": "layer", "placement": "input"}),
}
"""Inputs, keys of the model, and normalisation."""


def config_of(case: str, **tables: Any) -> TrialConfig:
    _, model, norm = CASES[case]
    sizes = {"family": "transformer", "width": 12, "heads": 3, "feedforward": 20}
    optimizer = {"name": "adam", "learning_rate": 0.01}
    return TrialConfig.model_validate({"model": sizes | model, "norm": norm, "optimizer": optimizer, **tables})


def signature_of(names: tuple[str, ...], length: int = T) -> Signature:
    known = {
        "values": Input(name="values", shape=(length, C)),
        "mask": Input(name="mask", shape=(length,)),
        "tokens": Input(name="tokens", shape=(length,), sizes=(30,)),
    }
    return Signature(inputs=tuple(known[name] for name in names))


def build(case: str, length: int = T, **tables: Any) -> nn.Sequential:
    return models.build(config_of(case, **tables), signature_of(CASES[case][0], length), OUTPUTS)


def filled(case: str, lanes: int) -> list[nn.Sequential]:
    """Modules in float64 whose parameters all differ, and are exact in float32."""
    found = []
    for lane in range(lanes):
        module = build(case)
        generator = torch.Generator().manual_seed(lane)
        models.initialize(module, config_of(case), generator)
        for parameter in module.parameters():
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        found.append(module.double())
    return found


def rows(case: str, lanes: int, length: int = T) -> Tensor:
    """[K, B, ...] with room for `length` steps; examples of 1 to T steps, the same whatever the length."""
    names, generator = CASES[case][0], torch.Generator().manual_seed(1)
    ends = torch.randint(1, T + 1, (lanes, B), generator=generator)
    ends[:, 0], ends[:, 1] = 1, T
    real = (torch.arange(length) < ends[..., None]).double()
    if names == TEXT:
        tokens = torch.randint(2, 30, (lanes, B, T), generator=generator)
        return nn.functional.pad(tokens, (0, length - T)).double() * real
    x = torch.randn(lanes, B, T, C, generator=generator, dtype=torch.float64)
    flat = nn.functional.pad(x, (0, 0, 0, length - T)).flatten(2)
    return torch.cat([flat, real], 2) if names == MASKED else flat
