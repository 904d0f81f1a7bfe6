"""The settings of a study, one by one: which of them trials depend on, the fingerprint of these, and the differences
between two versions of a study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from hpo.conventions import (
    CONCURRENCY_FOLLOWS_TRIALS,
)
from hpo.studyfile.fields import FIXED_TABLES, OF_FUNCTIONS, Shape, searched_tables
from hpo.studyfile.records import (
    Augmentation,
)
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, Range, join, toml

FREE = (
    "search.trials",
    "search.epochs",
    "search.wall_seconds",
    "search.cpu_seconds",
    "search.confirm",
    "checkpoints.",
    "study.baselines",
    "study.final",
    "study.scientific",
    "study.nuisance",
    "study.fixed",
    "trial.resources.",
    "trial.seconds",
)
"""Settings that may change between two runs of one study, because no trial depends on them."""


ADDED = {
    "training.last_batch": toml("fill"),
    "training.class_weight": toml(None),
    "training.sampling": toml("shuffled"),
    "training.accumulate": toml(1),
    "training.average": toml("none"),
    "training.average_decay": toml(0.99),
    "data.quote": toml('"'),
    "data.categories": toml("one_hot"),
    "data.vocabulary": toml(20_000),
    "data.min_count": toml(2),
    "data.max_tokens": toml(None),
    "model.embedding": toml(8),
    "model.word_vector": toml(32),
    "model.pooling": toml("max"),
    "model.head": toml(None),
    "model.residual": toml(False),
    "model.depthwise": toml(False),
    "model.layers": toml(None),
    "model.width": toml(None),
    "model.numbers": toml("plain"),
    "model.number_vector": toml(8),
    "model.frequencies": toml(16),
    "model.sigma": toml(0.1),
    "model.bins": toml(16),
    "data.header": toml(True),
    "dropout.attention": toml(None),
    "data.stream": toml(False),
    "data.reshuffle": toml(False),
    "search.default_first": toml(True),
    "search.known_starts": toml(False),
    "search.start": toml([]),
    "search.warm_start": toml([]),
    **dict.fromkeys(("study.direction", "search.pace", "trial"), toml(None)),
    **{f"augmentation.{key}": toml(strength) for key, strength in Augmentation().model_dump().items()},
    **dict.fromkeys(
        (f"data.{key}" for key in ("separator", "encoding", "decimal", "thousands", "shape", "split", "group", "time")),
        toml(None),
    ),
}
"""Settings that earlier versions did not have, with the values that correspond to their behaviour. A study without such
a setting and a study with this value have the same fingerprint."""


RENAMED = {
    ("data.scaling", toml("standard")): ("data.standardize", toml(True)),
    ("data.scaling", toml("none")): ("data.standardize", toml(False)),
}
"""Settings that had another name and value in earlier versions, under which fingerprints have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting."""

    value: str
    """As TOML."""
    given: bool
    """Whether the file sets it; else it is the default."""
    searched: bool = False
    """Whether it is a range or a choice."""


def entries(spec: StudySpec) -> dict[str, Setting]:
    """Every setting by its dotted path, defaults included; equal values for files that mean the same.

    A setting inside a choice of tables goes without the option's label where all options agree on it.
    """
    found: dict[str, Setting] = {}
    for name in FIXED_TABLES:
        record = getattr(spec, name)
        if record is None:
            continue
        for path, value in _flat(record.model_dump(mode="json"), name).items():
            found[path] = Setting(value=toml(value), given=path.split(".")[1] in record.model_fields_set)
    for name, slot in searched_tables().items():
        if spec.function is not None and name not in OF_FUNCTIONS:
            continue
        assert slot.shape is not None
        given = name in spec.tree
        below = _entries(spec.tree[name] if given else slot.default, slot.shape, given=given)
        found |= {join(name, path) if path else name: entry for path, entry in below.items()}
    return found


def fingerprint(spec: StudySpec) -> str:
    """SHA-256 of the settings that trials depend on. Comments, layout, the order of keys, budgets and `[checkpoints]`
    do not change it."""
    decisive = {path: value for path, value in decided(spec).items() if not path.startswith(FREE)}
    if spec.conventions < CONCURRENCY_FOLLOWS_TRIALS:
        decisive["search.concurrency"] = toml(spec.concurrency)
    decisive = dict(RENAMED.get(item, item) for item in decisive.items() if item[1] != ADDED.get(item[0]))
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def changes(old: StudySpec, new: StudySpec) -> list[str]:
    """The differences in settings that must not change, one line each: `optimizer.learning_rate: was 0.1, is 0.2`."""
    before, after = decided(old), decided(new)
    return [
        f"{path}: was {before.get(path, 'absent')}, is {after.get(path, 'absent')}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path) and not path.startswith(FREE)
    ]


def decided(spec: StudySpec) -> dict[str, str]:
    """Every setting by its path, with the pruner that holds where the file names none."""
    spec = replace(spec, search=spec.search.model_copy(update={"pruner": spec.pruner}))
    return {path: entry.value for path, entry in entries(spec).items()}


def _flat(table: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        place = join(path, key)
        found |= _flat(value, place) if isinstance(value, dict) else {place: value}
    return found


def _entries(node: Any, shape: Shape, *, given: bool) -> dict[str, Setting]:
    """The settings of a table by their path below it; `given`: the file has this table."""
    if node is None:
        return {"": Setting(value=toml(None), given=given)}
    if isinstance(node, Choice):
        return _choice_entries(node, shape)
    variant = node[shape.tag] if shape.tag else ""
    found = {shape.tag: Setting(value=toml(variant), given=given)} if shape.tag else {}
    for slot in shape.slots(variant, node).values():
        value = node.get(slot.name, slot.default)
        said = given and slot.name in node
        if slot.shape is None:
            searched = isinstance(value, Range | Choice)
            found[slot.name] = Setting(value=toml(value), given=said, searched=searched)
        else:
            below = _entries(value, slot.shape, given=said)
            found |= {join(slot.name, path) if path else slot.name: entry for path, entry in below.items()}
    return found


def _choice_entries(choice: Choice, shape: Shape) -> dict[str, Setting]:
    """The settings of a choice of tables. A setting on which all options that have it agree is listed once, any other
    under each option's label."""
    tags = Setting(value=toml({"choice": list(choice.labels)}), given=True, searched=True)
    found = {choice.tag or "": tags}
    holders: dict[str, dict[str, Setting]] = {}
    for label, option in zip(choice.labels, choice.options, strict=True):
        below = {} if option is None else _entries(option, shape, given=True)
        for path, entry in below.items():
            if path != choice.tag:
                holders.setdefault(path, {})[str(label)] = entry
    for path, held in holders.items():
        values = {entry.value for entry in held.values()}
        if len(values) == 1:
            given, searched = (any(getattr(entry, of) for entry in held.values()) for of in ("given", "searched"))
            found[path] = Setting(value=values.pop(), given=given, searched=searched)
        else:
            found |= {join(label, path): entry for label, entry in held.items()}
    return found
