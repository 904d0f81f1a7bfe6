"""Which sampler `search.sampler = "auto"` stands for. The rule asks only what the study file says, so that a study has
the same sampler each time that it is run; docs/search.md has it as a table."""

from __future__ import annotations

from typing import Any

from hpo.studyfile.records import Gp, Grid, Sampler, Tpe
from hpo.studyfile.searched import combinations, searched
from hpo.studyfile.tree import Range

MOST_GRIDDED = 100_000
"""Largest number of values of one range of a grid, because the sampler lists all of them for each trial."""
MOST_TRIALS = 200
"""Trials up to which a Gaussian process is taken: it learns most from few, and costs more with each."""
MOST_PARAMETERS = 20
"""The same of searched parameters."""
MOST_IN_FLIGHT = 8
"""The same of trials in flight: with 16, a Gaussian process was behind TPE on tables of learning curves."""


def sampler_for(tree: Any, *, trials: int, concurrency: int, objectives: int = 1, edited: bool = False) -> Sampler:
    """The sampler of a study with this tree of searched tables. `edited`: it has trials of other samplers and spaces,
    which a grid does not count with."""
    parameters = searched(tree)
    nodes = [found.node for found in parameters.values()]
    numbers = sum(isinstance(node, Range) for node in nodes)
    listed = not any(isinstance(node, Range) and node.log for node in nodes)
    every = combinations(tree) if listed else None
    if not edited and nodes and every is not None and every <= min(trials, MOST_GRIDDED):
        return Grid()
    few = trials <= MOST_TRIALS and len(nodes) <= MOST_PARAMETERS and concurrency <= MOST_IN_FLIGHT
    conditional = any(found.conditions for found in parameters.values())
    numeric = not conditional and numbers > len(nodes) / 2
    return Gp() if few and numeric and objectives == 1 else Tpe()
