"""The validation parts of lanes that are scored together.

Dimensions: K lanes, V validation examples, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hpo.training.batches import LanePart, drawn, form_of
from hpo.training.feed.drawn import DrawnRows
from hpo.training.feed.streamed import StreamedParts
from hpo.training.metrics import Outcome


def of_one_size(parts: Sequence[LanePart]) -> list[list[int]]:
    """The places of lanes whose validation parts are padded to one size; all of them, unless each trial has a split of
    its own. What a lane scores must not depend on the sizes of others."""
    places: dict[int, list[int]] = {}
    for place, (examples, _) in enumerate(parts):
        places.setdefault(examples.y_valid.shape[1], []).append(place)
    return list(places.values())


def inputs(parts: Sequence[LanePart]) -> Iterator[Tensor]:
    """[K, V, ...] the validation examples, or [1, V, ...] where all lanes have the same, in portions of V."""
    examples, x_valid = parts[0][0], parts[0][0].x_valid
    if isinstance(x_valid, DrawnRows):
        rows_KV = torch.stack([drawn(of.x_valid).rows[part] for of, part in parts])
        yield x_valid.shared.inputs(rows_KV.unsqueeze(0), form_of(parts))[0]
        return
    numbers = _shared([part for _, part in parts])
    if isinstance(x_valid, StreamedParts):
        yield from x_valid.portions(numbers)
    else:
        yield x_valid[torch.tensor(numbers, device=examples.device)]


def outcome(outputs_KVC: Tensor, parts: Sequence[LanePart]) -> Outcome:
    """The outputs beside what they should be."""
    shape = outputs_KVC.shape[:2]
    each = parts[:1] if len({(id(examples), part) for examples, part in parts}) == 1 else parts

    def of_lanes(name: str) -> Tensor:
        return torch.stack([getattr(examples, name)[part] for examples, part in each])

    return Outcome(
        outputs_KVC=outputs_KVC,
        target_KV=of_lanes("y_valid").expand(shape),
        valid_KV=of_lanes("real").expand(shape),
        scale_K=of_lanes("target_scale").expand(shape[0]),
        positive=parts[0][0].positive,
    )


def _shared(numbers: list[int]) -> list[int]:
    """One number where all are the same."""
    return numbers[:1] if len(set(numbers)) == 1 else numbers
