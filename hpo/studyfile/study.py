"""A study as read from its file, its fingerprint, and the differences between two versions of it.

Reading is in `hpo.studyfile.file`; turning the tree into distributions is in `hpo.space`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpo.conventions import (
    CNN_TAKES_TEXTS,
    CONCURRENCY_FOLLOWS_TRIALS,
    FEWER_IN_FLIGHT,
    NEWEST,
    PROMOTES,
    TEXTS_ARE_TOKENS,
    WINNERS_ARE_CONFIRMED,
)
from hpo.studyfile.custom import Reference, is_reference, modules_of
from hpo.studyfile.fields import FIXED_TABLES, OF_FUNCTIONS, Shape, searched_tables
from hpo.studyfile.records import (
    Augmentation,
    CheckpointsTable,
    DataTable,
    Median,
    Pruner,
    SearchTable,
    StudyTable,
)
from hpo.studyfile.tree import Choice, Range, join, toml

LEARNING = ("tpe", "gp", "cmaes")
"""Samplers that learn from results."""
CONFIRMED = 0.1
"""Share of the epochs of the search that its confirmation gets where the study does not say."""
MOST_IN_FLIGHT = 16
"""Trials in flight where the study does not ask for more."""
MOST_LEARNING = 8
"""The same for a sampler that learns: with more in flight, it knows too little of each."""
FREE = (
    "search.trials",
    "search.epochs",
    "search.wall_seconds",
    "search.cpu_seconds",
    "search.confirm",
    "checkpoints.",
    "study.baselines",
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
    "data.header": toml(True),
    "dropout.attention": toml(None),
    "data.stream": toml(False),
    "data.reshuffle": toml(False),
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
class StudySpec:
    """One study file, valid."""

    study: StudyTable
    data: DataTable | None
    """None where a training function of the user's own brings its data."""
    search: SearchTable
    checkpoints: CheckpointsTable
    tree: dict[str, Any]
    """The searched tables that the file gives: nested dicts whose leaves are values or Range/Choice nodes."""
    text: str
    """The TOML source."""
    source: str
    """Path of the file, for messages."""
    planned: int
    """Trials that the file asks for, whatever the budget is now."""
    given: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Data given as objects of Python, by the key that has `hpo.paths.OBJECT` in their place, e.g. `data.dataset`."""
    conventions: int = NEWEST
    """The convention that the study began with, see `hpo.conventions`."""

    @property
    def function(self) -> Reference | None:
        """The training function of the user's own, as the file names it; None where the study trains a model."""
        call = self.tree.get("trial")
        return Reference.of(call["function"], key="trial.function") if call else None

    @property
    def at_own_pace(self) -> bool:
        """Whether each trial advances as fast as it can, not epoch by epoch with the others."""
        return self.function is not None and self.search.pace != "lockstep"

    @property
    def pruner(self) -> Pruner:
        """What ends or pauses unpromising trials."""
        given = "pruner" in self.search.model_fields_set
        return self.search.pruner if given or self.conventions >= PROMOTES else Median()

    @property
    def concurrency(self) -> int:
        """Trials in flight."""
        if self.search.concurrency is not None:
            return self.search.concurrency
        sampler = self.search.sampler
        learns = sampler.name in LEARNING and self.planned > getattr(sampler, "startup_trials", 0)
        follows = self.conventions >= CONCURRENCY_FOLLOWS_TRIALS and learns
        most = MOST_LEARNING if self.conventions >= FEWER_IN_FLIGHT else MOST_IN_FLIGHT
        return fitting_concurrency(self.planned, most) if follows else MOST_IN_FLIGHT

    @property
    def confirm(self) -> float:
        """Share of the epochs of the search that a confirmation of its winner gets; 0: there is none."""
        if self.search.confirm is not None:
            return self.search.confirm
        return CONFIRMED if self.conventions >= WINNERS_ARE_CONFIRMED else 0.0


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
    spec = replace(spec, search=spec.search.model_copy(update={"pruner": spec.pruner}))
    decisive = {path: entry.value for path, entry in entries(spec).items() if not path.startswith(FREE)}
    if spec.conventions < CONCURRENCY_FOLLOWS_TRIALS:
        decisive["search.concurrency"] = toml(spec.concurrency)
    decisive = dict(RENAMED.get(item, item) for item in decisive.items() if item[1] != ADDED.get(item[0]))
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def fitting_concurrency(trials: int, most: int = MOST_LEARNING) -> int:
    """Trials in flight that leave a sampler results to learn from."""
    return max(1, min(most, trials // 5))


def with_budget(spec: StudySpec, **budgets: float | None) -> StudySpec:
    """The study with other budgets: `trials`, `epochs`, `wall_seconds`, `cpu_seconds`."""
    return replace(spec, search=spec.search.model_copy(update=budgets))


def with_epochs(spec: StudySpec, epochs: int | None) -> StudySpec:
    """The study with another number of epochs per trial; None: as in the file."""
    if epochs is None:
        return spec
    node = spec.tree.get("training", {})
    longer: Any
    if isinstance(node, Choice):
        longer = replace(node, options=tuple({**option, "epochs": epochs} for option in node.options))
    else:
        longer = {**node, "epochs": epochs}
    return replace(spec, tree={**spec.tree, "training": longer})


def trial_epochs(spec: StudySpec) -> int:
    """How many epochs each trial trains."""
    default = searched_tables()["training"].default
    node = spec.tree.get("training", default)
    table = node.options[0] if isinstance(node, Choice) else node
    return int(table.get("epochs", default["epochs"]))


def options_of(spec: StudySpec, table: str) -> list[dict[str, Any]]:
    """The tables of this name that a trial may get."""
    node = spec.tree.get(table, searched_tables()[table].default)
    return list(node.options) if isinstance(node, Choice) else [] if node is None else [node]


def normalises_batches(spec: StudySpec) -> bool:
    """Whether a trial may have batch normalisation, other than in a module of the user's own."""
    ready_made = any(model["family"] != "custom" for model in options_of(spec, "model"))
    return ready_made and any(norm["kind"] == "batch" for norm in options_of(spec, "norm"))


def named_code(spec: StudySpec) -> list[Reference]:
    """All code of the user's own that trials run, as the file names it: the training function, or the modules of
    models."""
    return [spec.function] if spec.function is not None else list(modules_of(spec.tree["model"]))


def code_of_data(spec: StudySpec) -> list[Reference]:
    """The functions of the user's own that give data, as the file names them."""
    named = [("data.dataset", spec.data.dataset), ("data.test", spec.data.test)] if spec.data is not None else []
    return [Reference.of(name, key) for key, name in named if isinstance(name, str) and is_reference(name)]


def takes_words(spec: StudySpec) -> bool:
    """Whether a model of the study takes texts, as tokens. Studies of earlier conventions leave texts out."""
    families = {model["family"] for model in options_of(spec, "model")}
    if spec.conventions < CNN_TAKES_TEXTS:
        families.discard("cnn")
    return spec.conventions >= TEXTS_ARE_TOKENS and bool(families)


def changes(old: StudySpec, new: StudySpec) -> list[str]:
    """The differences in settings that must not change, one line each: `optimizer.learning_rate: was 0.1, is 0.2`."""
    before, after = ({path: entry.value for path, entry in entries(spec).items()} for spec in (old, new))
    return [
        f"{path}: was {before.get(path, 'absent')}, is {after.get(path, 'absent')}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path) and not path.startswith(FREE)
    ]


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
