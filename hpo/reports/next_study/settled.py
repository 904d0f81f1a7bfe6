"""Takes out of the search what is settled: parameters without visible effect, and options of choices that lose."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from hpo.printable import listed
from hpo.reports.health import CHANCE
from hpo.reports.importance.standing import tiers
from hpo.reports.next_study.change import Edit, Wish, labels, listed_options, wish
from hpo.reports.statistics.ordering import chance_of_higher
from hpo.reports.text import format_number
from hpo.studyfile.searched import searched
from hpo.studyfile.tree import Choice, Range, toml

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.health import Check
    from hpo.reports.importance import Importances
    from hpo.studyfile.study import StudySpec

BEST = 10
"""Best trials, whose options all stay."""
FEWEST = 5
"""Trials that an option must have had before it is dropped."""


def settled_parameters(
    spec: StudySpec,
    e: Evidence,
    importances: Importances,
    dead: Check,
    *,
    moved: Collection[str],
) -> list[Wish]:
    """Parameters fixed, then choices shortened. Scientific parameters, whose effect the study is to measure, and those
    of ranges that were `moved` stay as they are."""
    parameters = searched(spec.tree)
    if e.winner is None:
        return []
    free = [
        name
        for name in parameters
        if name in e.winner.params and name not in moved and importances.roles.of(name) != "scientific"
    ]
    free = [name for name in free if _offered(parameters[name].node, e.winner.params[name])]
    # What stands inside a table comes before the choice of tables: that may leave no choice to look into.
    free.sort(key=lambda name: (getattr(parameters[name].node, "tag", None) is not None, -name.count(".")))
    standing = _standing(spec, e)
    changes = []
    for name in free:
        node, change = parameters[name].node, None
        if name in dead.about and _at_chance(importances, name):
            change = _fixed(name, node, e.winner.params[name])
        elif isinstance(node, Choice) and _matters(importances, name):
            change = _shortened(name, node, e, standing)
        changes += [change] if change else []
    return changes


def _offered(node: Range | Choice, value: Any) -> bool:
    """Whether the study file still has the value: an edit may have removed the option that the winner has."""
    return isinstance(node, Range) or value in node.labels


def _at_chance(importances: Importances, name: str) -> bool:
    """Whether the interval of its importance reaches down to 0, and no told pair has it."""
    low = next((row.low for row in importances.rows if row.name == name), 0.0)
    return low <= 0.0 and not any(name in pair.names for pair in importances.pairs)


def _matters(importances: Importances, name: str) -> bool:
    return any(row.low > 0.0 for row in importances.rows if row.name == name)


def _standing(spec: StudySpec, e: Evidence) -> Mapping[int, int]:
    """Trial number -> the place of its tier, the worst being 0."""
    order = tiers(e.trials, minimized=e.minimized, last=spec.study.epoch == "last")
    return {trial.number: place for place, tier in enumerate(order) for trial in tier}


def _fixed(name: str, node: Range | Choice, value: Any) -> Wish:
    shown = toml(node) if isinstance(node, Range) else labels(node)
    after = toml(value) if isinstance(node, Range) else format_number(value)
    why = "It made no visible difference while others did; this is the winner's value."
    return wish(name, shown, after, why, _fix(value))


def _fix(value: Any) -> Edit:
    def edit(written: Any, node: Any) -> Any:
        if isinstance(node, Range):
            return value
        at = node.labels.index(value)
        option = written["choice"][at]
        if node.tag is None or not isinstance(option, dict):
            return option
        beside = {key: shared for key, shared in written.items() if key != "choice"}
        return {**beside, **option}

    return edit


def _shortened(name: str, node: Choice, e: Evidence, standing: Mapping[int, int]) -> Wish | None:
    """The choice without options that none of the best trials has, and whose trials stand lower than those of the
    winner's (Wilcoxon's rank sum at 1 % divided by the number of options)."""
    assert e.winner is not None
    leaders = {t.number for t in e.best_first[:BEST]} | set(e.confirmation.leaders if e.confirmation else ())
    leading = {t.params.get(name) for t in e.trials if t.number in leaders}
    places: dict[Any, list[float]] = {}
    for trial in e.trials:
        if name in trial.params and trial.number in standing:
            places.setdefault(trial.params[name], []).append(float(standing[trial.number]))
    best = places.get(e.winner.params[name], [])
    lost = [
        label
        for label in node.labels
        if label not in leading
        and len(places.get(label, ())) >= FEWEST
        and chance_of_higher(best, places[label]) < CHANCE / len(node.labels)
    ]
    kept = [at for at, label in enumerate(node.labels) if label not in lost]
    if not lost:
        return None
    left = listed_options(node.labels[at] for at in kept) if len(kept) > 1 else format_number(node.labels[kept[0]])
    best_of = f"the best {min(BEST, len(e.best_first))}"
    why = f"Trials with {listed(map(format_number, lost))} stand lower than those with "
    why += f"{format_number(e.winner.params[name])}, and none is among {best_of}."
    edit = _fix(node.labels[kept[0]]) if len(kept) == 1 else _keep(kept)
    return wish(name, labels(node), left, why, edit)


def _keep(kept: list[int]) -> Edit:
    return lambda written, node: {**written, "choice": [written["choice"][at] for at in kept]}
