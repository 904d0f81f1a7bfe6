"""Rules of studies whose trials a training function of the user's own trains, and rules that keep such settings out of
other studies. `hpo.studyfile.rules.between_settings` checks them with all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hpo.studyfile.fields import OF_FUNCTIONS, searched_tables
from hpo.studyfile.problems import Problem
from hpo.studyfile.study import StudySpec, options_of

TRAINING_KEYS = ("epochs", "early_stopping")
"""Keys of `[training]` that a function's trials have."""


def functions_stand_alone(spec: StudySpec) -> Iterator[Problem]:
    if spec.function is None:
        return
    for table in searched_tables():
        if table in spec.tree and table not in OF_FUNCTIONS:
            text = "has no effect beside [trial], whose function trains by itself. Remove it, and search over"
            yield Problem(path=table, text=f"{text} trial.arguments instead")
    for option in options_of(spec, "training") if "training" in spec.tree else ():
        for key in option.keys() - set(TRAINING_KEYS):
            text = "has no effect on a training function of your own. Remove it, or make it one of trial.arguments"
            yield Problem(path=f"training.{key}", text=text)


def functions_see_one_split(spec: StudySpec) -> Iterator[Problem]:
    if spec.function is None or spec.data is None:
        return
    for key in ("folds", "repeats"):
        if getattr(spec.data, key) not in (None, 1):
            text = "has no effect on a training function of your own, which gets one training and one validation part"
            yield Problem(path=f"data.{key}", text=f"{text}. Remove it; the function may divide them further")


def gpus_are_whole_or_a_share(spec: StudySpec) -> Iterator[Problem]:
    gpus = spec.tree.get("trial", {}).get("resources", {}).get("gpus", 0) if spec.function is not None else 0
    if gpus > 1 and gpus != int(gpus):
        text = f"found {gpus:g}; more than one GPU are a whole number, because a trial has each of them to itself"
        yield Problem(path="trial.resources.gpus", text=f"{text}. Write {int(gpus)} or {int(gpus) + 1}")


def pace_suits_models(spec: StudySpec) -> Iterator[Problem]:
    if spec.function is None and spec.search.pace == "own":
        text = 'found "own", but the models of a study train together. Remove it; [trial] names a function that may'
        yield Problem(path="search.pace", text=text)


RULES: tuple[Callable[[StudySpec], Iterator[Problem]], ...] = (
    functions_stand_alone,
    functions_see_one_split,
    gpus_are_whole_or_a_share,
    pace_suits_models,
)
