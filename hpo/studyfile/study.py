"""A study as read from its file, and what follows from its settings together.

Reading is in `hpo.studyfile.file`; turning the tree into distributions is in `hpo.space`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpo.conventions import (
    CNN_TAKES_TEXTS,
    CONCURRENCY_FOLLOWS_TRIALS,
    FEWER_IN_FLIGHT,
    LEVELS_COUNT,
    NEWEST,
    PROMOTES,
    TEXTS_ARE_TOKENS,
    WINNERS_ARE_CONFIRMED,
)
from hpo.studyfile.auto import sampler_for
from hpo.studyfile.custom import Reference, is_reference, modules_of
from hpo.studyfile.fields import searched_tables
from hpo.studyfile.records import (
    Auto,
    CheckpointsTable,
    DataTable,
    Median,
    NoPruner,
    Pruner,
    Sampler,
    SearchTable,
    StudyTable,
)
from hpo.studyfile.tree import Choice

LEARNING = ("tpe", "gp", "cmaes", "nsga2")
"""Samplers that learn from results."""
FOR_ONE_OBJECTIVE = ("gp", "cmaes")
"""Samplers that search by one objective."""
CONFIRMED = 0.1
"""Share of the epochs of the search that its confirmation gets where the study does not say."""
MOST_IN_FLIGHT = 16
"""Trials in flight where the study does not ask for more."""
MOST_LEARNING = 8
"""The same for a sampler that learns: with more in flight, it knows too little of each."""


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
    edit: int = 0
    """Number of the edit that gave the study this file, see `hpo.studyfile.edits`; 0: it began with it."""
    layout: int = 0
    """Number of the first edit whose trials have the same programs."""

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
        """What ends or pauses unpromising trials. With several objectives nothing does unless the file says so: a
        pruner sees the first one alone, and would end the trials that are best in the others."""
        given = "pruner" in self.search.model_fields_set
        if not given and len(self.study.objectives) > 1:
            return NoPruner()
        return self.search.pruner if given or self.conventions >= PROMOTES else Median()

    @property
    def sampler(self) -> Sampler:
        """What proposes the next trials."""
        if not isinstance(self.search.sampler, Auto):
            return self.search.sampler
        concurrency = self.search.concurrency or self._concurrency_of_learning
        several, edited = len(self.study.objectives), self.edit > 0
        return sampler_for(self.tree, trials=self.planned, concurrency=concurrency, objectives=several, edited=edited)

    @property
    def concurrency(self) -> int:
        """Trials in flight."""
        if self.search.concurrency is not None:
            return self.search.concurrency
        learns = self.sampler.name in LEARNING and self.planned > getattr(self.sampler, "startup_trials", 0)
        follows = self.conventions >= CONCURRENCY_FOLLOWS_TRIALS and learns
        return self._concurrency_of_learning if follows else MOST_IN_FLIGHT

    @property
    def _concurrency_of_learning(self) -> int:
        """Trials in flight of a sampler that learns, where the study does not say how many."""
        most = MOST_LEARNING if self.conventions >= FEWER_IN_FLIGHT else MOST_IN_FLIGHT
        return fitting_concurrency(self.planned, most)

    @property
    def confirm(self) -> float:
        """Share of the epochs of the search that a confirmation of its winner gets; 0: there is none."""
        if self.search.confirm is not None:
            return self.search.confirm
        return CONFIRMED if self.conventions >= WINNERS_ARE_CONFIRMED else 0.0

    @property
    def levels(self) -> bool:
        """Whether trials are compared by their levels, see `hpo.search.objective`, and not by their values."""
        return self.study.epoch == "best" and self.conventions >= LEVELS_COUNT


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
