"""Which nodes of a study's tree are parameters, and their names and conditions. No distributions, no draws.

A parameter's name is its dotted path. A choice of tables is a parameter named by the field that tells the tables apart
(`norm.kind`). Where several of its tables share a parameter and mean the same by it, it is one parameter
(`norm.placement`); where they differ, the table's label goes into the name (`optimizer.adamw.weight_decay`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hpo.studyfile.tree import Choice, Label, Range, count_steps, join

Conditions = tuple[tuple[str, tuple[Label, ...]], ...]
"""All must hold: the path of another parameter and the labels it may have."""

Rename = Callable[[str], str]
"""From a path below a table to the parameter's full name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """A node of the tree that is a parameter."""

    node: Range | Choice
    conditions: Conditions = ()


def searched(node: Any) -> dict[str, Searched]:
    """The parameters of a node by their path below it."""
    match node:
        case Range() | Choice(tag=None):
            return {"": Searched(node=node)}
        case dict():
            return {
                join(key, path) if path else key: Searched(
                    node=found.node,
                    conditions=tuple((join(key, other), labels) for other, labels in found.conditions),
                )
                for key, value in node.items()
                for path, found in searched(value).items()
            }
        case Choice(tag=str(tag)):
            parameters = {tag: Searched(node=node)}
            differing = contested(node)
            holders: dict[str, list[Label]] = {}
            for label, option in zip(node.labels, node.options, strict=True):
                rename = renamed(str(label), differing)
                for path, found in searched(option).items():
                    inner = tuple((rename(other), labels) for other, labels in found.conditions)
                    parameters[rename(path)] = Searched(node=found.node, conditions=inner)
                    holders.setdefault(rename(path), []).append(label)
            for path, labels in holders.items():
                if len(labels) < len(node.labels):
                    found = parameters[path]
                    outer = ((tag, tuple(labels)), *found.conditions)
                    parameters[path] = Searched(node=found.node, conditions=outer)
            return parameters
        case _:
            return {}


def contested(choice: Choice) -> frozenset[str]:
    """Paths below the options that mean different distributions in different options."""
    meanings: dict[str, Searched] = {}
    differing = set()
    for option in choice.options:
        for path, found in searched(option).items():
            if meanings.setdefault(path, found) != found:
                differing.add(path)
    return frozenset(differing)


def renamed(label: str, differing: frozenset[str]) -> Rename:
    """From a path below an option to the path below its choice."""
    return lambda path: join(label, path) if path in differing else path


def combinations(node: Any) -> int | None:
    """How many different values a node can have; None where a continuous range makes them infinite."""
    match node:
        case Range(low=low, high=high, step=step):
            countable = isinstance(low, int) or step is not None
            return count_steps(low, high, step or 1) if countable else None
        case Choice(tag=None):
            return len(node.options)
        case Choice():
            counts = [combinations(option) for option in node.options]
            return None if None in counts else sum(count for count in counts if count)
        case dict():
            counts = [combinations(value) for value in node.values()]
            return None if None in counts else math.prod(count for count in counts if count)
        case _:
            return 1
