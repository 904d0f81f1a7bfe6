"""Rules of a study's objectives: which there are, whether less or more of each is better, and what takes several.
`hpo.studyfile.rules.between_settings` checks them with all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hpo.studyfile.problems import Problem, hint, listing, quote
from hpo.studyfile.records import COSTS, METRICS, MINIMIZED, TAKEN
from hpo.studyfile.study import FOR_ONE_OBJECTIVE, StudySpec


def objectives_are_known(spec: StudySpec) -> Iterator[Problem]:
    """Without a function the first objective is one of the metrics, and the others are metrics or costs."""
    if spec.function is not None:
        for name in spec.study.objectives[1:]:
            if name in (*TAKEN, "train_loss", "learning_rate", "gradient_norm"):
                text = f"found {quote(name)}, which is a column of epochs.csv already. Report it under another name"
                yield Problem(path="study.objective", text=text)
        return
    for place, name in enumerate(spec.study.objectives):
        known = METRICS if place == 0 else {**METRICS, **COSTS}
        if place == 0 and name in COSTS:
            text = f"found {quote(name)}, which no epoch changes, so that it cannot stop a trial. Put a metric first"
            yield Problem(path="study.objective", text=f'{text}, e.g. ["accuracy", {quote(name)}]')
        elif name not in known:
            close = hint(name, known)
            text = f"found {quote(name)}; must be one of {listing(known)}"
            if place > 0 and name.startswith(("seconds", "time", "duration")):
                text = f"{text}. Times differ from run to run, so that no study could be repeated; flops do not"
            yield Problem(path="study.objective", text=f"{text}.{close}" if close else text)


def objectives_differ(spec: StudySpec) -> Iterator[Problem]:
    names = spec.study.objectives
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield Problem(
            path="study.objective", text=f"found {quote(name)} more than once. Remove it where it is repeated"
        )


def directions_are_known(spec: StudySpec) -> Iterator[Problem]:
    """Each objective is a metric or a cost, whose direction is known, or has one in the file."""
    names, given = spec.study.objectives, spec.study.direction
    if given is None:
        for name in names if spec.function is not None else ():
            if name not in METRICS and name not in COSTS:
                text = f"missing; {quote(name)} is no metric whose direction is known. Write"
                ways = '"minimize" or "maximize"' if len(names) == 1 else "a list with the direction of each objective"
                yield Problem(path="study.direction", text=f"{text} {ways}")
        return
    if len(spec.study.directions) != len(names):
        text = f"found {quote(given)} for {len(names)} objective{'s' if len(names) > 1 else ''}"
        yield Problem(
            path="study.direction", text=f"{text}; write one direction for each, in the order of the objectives"
        )
        return
    costs = COSTS if spec.function is None else {}  # a function may mean something else by such a name
    for name, direction in zip(names, spec.study.directions, strict=True):
        known = "minimize" if name in MINIMIZED or name in costs else "maximize"
        if (name in METRICS or name in costs) and direction != known:
            what = "metric" if name in METRICS else "cost"
            text = (
                f"found {quote(direction)}, but {name} is a {what} to {known}. Remove it, or report under another name"
            )
            yield Problem(path="study.direction", text=text)


def sampler_takes_objectives(spec: StudySpec) -> Iterator[Problem]:
    name = spec.search.sampler.name
    if len(spec.study.objectives) > 1 and name in FOR_ONE_OBJECTIVE:
        text = f"found {quote(name)}, which searches by one objective; study.objective has {len(spec.study.objectives)}"
        yield Problem(path="search.sampler", text=f'{text}. Take "tpe", "nsga2", "qmc", "random" or "grid"')


RULES: tuple[Callable[[StudySpec], Iterator[Problem]], ...] = (
    objectives_are_known,
    objectives_differ,
    directions_are_known,
    sampler_takes_objectives,
)
