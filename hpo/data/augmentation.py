"""Which keys of `[augmentation]` suit a study's data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpo.data.dataset import Dataset
from hpo.errors import StudyFileError
from hpo.signature import Signature
from hpo.studyfile.study import StudySpec, options_of
from hpo.studyfile.tree import Choice, Range, toml

IMAGE = ("shift", "rotate", "scale", "flip", "noise", "cutout", "mixup")
SEQUENCE = ("scale", "noise", "time_mask")

KINDS = {"image": "images", "sequence": "sequences", "tabular": "a table", "text": "texts"}
"""Kind of data in words."""


def suited_keys(signature: Signature) -> tuple[str, ...]:
    """The keys that do something for examples of this signature."""
    match len(signature.main.shape):
        case 3:
            return IMAGE
        case 2:
            return SEQUENCE
    suits = {
        "noise": bool(signature.main.numeric),
        "feature_dropout": any(one.features for one in signature.inputs),
        "word_dropout": "tokens" in signature.names,
        "mixup": signature.names == ("values",),
    }
    return tuple(key for key, suited in suits.items() if suited)


def check_augmentation(spec: StudySpec, dataset: Dataset, signature: Signature) -> None:
    """Raises `StudyFileError` if a trial may get an augmentation that does not suit the data."""
    suited = suited_keys(signature)
    for key, node in _given(spec):
        if key not in suited:
            kind = KINDS[dataset.kind]
            raise StudyFileError(
                f"{spec.source}: augmentation.{key} is {toml(node)}, which does not suit {dataset.name!r}, {kind} of "
                f"{', '.join(signature.names)}. Allowed here: {', '.join(suited) or 'none'}. Remove {key}, or set it "
                f"to 0.{_WAYS_OUT.get(key, '')}"
            )


_WAYS_OUT = {
    "word_dropout": " It hides words, so it needs a column of texts.",
    "mixup": ' Tables can be mixed with data.categories = "one_hot" and without texts.',
}


def _given(spec: StudySpec) -> Iterator[tuple[str, Any]]:
    """The keys that may be other than 0, with their values."""
    for table in options_of(spec, "augmentation"):
        for key, node in table.items():
            highest = node.high if isinstance(node, Range) else max(node.options) if isinstance(node, Choice) else node
            if highest:
                yield key, node
