"""The facts of a study: what it noted about itself when it was registered and while it ran, stored as one JSON object.

The record is made here from the JSON, and the JSON from the record. Which keys it has is known here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pydantic import TypeAdapter

from hpo.attributes.starts import Start
from hpo.conclusions.confirmation import Confirmation
from hpo.conclusions.explanation import Explanation
from hpo.conclusions.refit import Refit
from hpo.conventions import FIRST
from hpo.database.decoding import formed
from hpo.registry.baselines import Baseline
from hpo.registry.lone_feature import LoneFeature

BEING_DELETED = "being deleted"
"""Key of `StudyFacts.is_being_deleted`, for which SQL asks, too."""
SHA256 = "sha256 of "
"""What the keys of `StudyFacts.sources` begin with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFacts:
    """The facts of a study. Earlier versions noted fewer; a fact that is not noted has its default."""

    conventions: int = FIRST
    """Which conventions its numbers follow, see `hpo.conventions`."""
    budget: int | None = None
    """Number of trials that `hpo run` is to train in all."""
    compiled: bool | None = None
    """Whether its training steps are compiled; None where it has not been run."""
    replicas: int | None = None
    """Number of models of each trial: one for each fold and repeat. See `models`."""
    test_looks: tuple[int, ...] = ()
    """Numbers of all trials that were scored on the test part, in this order; several where it was continued."""
    test_error: float | None = field(default=None, metadata={"key": "standard error of the test score"})
    """Standard error of the winner's objective on the test part, from its examples; None where it is not known."""
    is_being_deleted: bool = field(default=False, metadata={"key": BEING_DELETED})
    """Whether its deletion has begun. A process that finds this completes the deletion."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the code of every module of the user's own, by file or module as the study names it."""
    function: str | None = None
    """The training function of the user's own, as the study file names it; None where the study trains models."""
    task: str | None = None
    """`classification` or `regression`."""
    examples: int | None = None
    """Number of examples in the data, all parts together."""
    test_examples: int | None = field(default=None, metadata={"key": "test"})
    """Number of examples in the test part."""
    split: str | None = None
    """SHA-256 of the positions of the examples in all parts, see `hpo.data.parts.splits.Splits.fingerprint`."""
    reshuffled: bool = field(default=False, metadata={"key": "splits of the trials' own"})
    """Whether each trial has a training and a validation part of its own; `split` is then that of the baselines."""
    repeated: int = field(default=0, metadata={"key": "repeated rows"})
    """Rows that have the same features as an earlier row."""
    conflicting: int = field(default=0, metadata={"key": "conflicting rows"})
    """Rows that have the same features as a row with another target."""
    across: int = field(default=0, metadata={"key": "rows also trained on"})
    """Rows to validate or test on that have the same features as a row to train on."""
    baselines: tuple[Baseline, ...] = ()
    """What simple models score on the same parts, the simplest first; empty where the study did not ask for them, or
    has not ended since there are any."""
    confirmation: Confirmation | None = None
    """What the repeats of the leading configurations said when the study ended; see `hpo.conclusions`."""
    refit: Refit | None = None
    """The winner's training on the training and validation rows together; None where the study does not ask for it, or
    has not ended since it does."""
    explanation: Explanation | None = None
    """What `hpo explain` found of the winner; see `hpo.conclusions`."""
    lone_feature: LoneFeature | None = field(default=None, metadata={"key": "lone feature"})
    """The feature that predicts best alone; None where that is not known, see `hpo.data.parts.lone_feature`."""
    starts: tuple[Start, ...] = ()
    """Configurations that its first trials have, in this order, see `hpo.attributes.starts`."""
    roles: Mapping[str, tuple[str, ...]] | None = None
    """Searched parameters that the study file, when it was last run, calls `scientific`, `nuisance` or `fixed`."""
    circumstances: Mapping[str, Any] = field(default_factory=dict)
    """All other facts by key, which are only shown: the data's name, the device, the machine, versions of libraries,
    and what other versions of this program note."""

    @property
    def models(self) -> int:
        """Number of models of each trial; 1 where it is not noted."""
        return 1 if self.replicas is None else self.replicas

    @classmethod
    def of(cls, stored: Mapping[str, Any], place: str = "the facts of a study") -> StudyFacts:
        """The record of a JSON object. `place`: the table and the row, for the error where a value is damaged."""
        rest = dict(stored)
        known = {name: rest.pop(key) for name, key in _KEYS.items() if key in rest}
        sources = {key.removeprefix(SHA256): rest.pop(key) for key in stored if key.startswith(SHA256)}
        return formed({**known, "sources": sources, "circumstances": rest}, _FORM, place)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of the record; facts that have their default are left out."""
        known = {_KEYS[f.name]: getattr(self, f.name) for f in _NAMED if getattr(self, f.name) != f.default}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}
        if self.lone_feature is not None:
            plain[_KEYS["lone_feature"]] = asdict(self.lone_feature)
        if self.baselines:
            plain["baselines"] = [asdict(one) for one in self.baselines]
        if self.starts:
            plain["starts"] = [asdict(one) for one in self.starts]
        if self.confirmation is not None:
            plain["confirmation"] = asdict(self.confirmation)
        if self.refit is not None:
            plain["refit"] = asdict(self.refit)
        if self.explanation is not None:
            plain["explanation"] = asdict(self.explanation)
        return {**plain, **{SHA256 + name: digest for name, digest in self.sources.items()}, **self.circumstances}

    def updated(self, newer: StudyFacts) -> StudyFacts:
        """These facts, with those that the newer record notes in their place."""
        return StudyFacts.of({**self.as_dict(), **newer.as_dict()})


_NAMED = [f for f in fields(StudyFacts) if f.name not in ("sources", "circumstances")]
_KEYS: dict[str, str] = {f.name: f.metadata.get("key", f.name) for f in _NAMED}
"""Key of each field in the JSON object."""
_FORM = TypeAdapter(StudyFacts)
