"""Which configurations of a study are repeated, and for how many epochs. Trains nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hpo.registry.repeats import Repeat
from hpo.runtime.session import Session
from hpo.search.confirmation import FEWEST, configurations, trainings
from hpo.seeds import DEFAULT_CONFIGURATION
from hpo.space.default import default_configuration
from hpo.studyfile.records import TrialConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Contest:
    """The configurations that are repeated, by the number of the best trial that has each."""

    configs: dict[int, TrialConfig]
    """In the order in which they lead, the default configuration last unless a trial in the race has it."""
    searched: dict[int, float]
    """Values in the search of all configurations that finished trials have, with the sign that makes more better."""
    default: int | None
    """Which one is the default configuration; None where it contradicts itself."""
    budget: int
    """Epochs."""
    sign: float
    """Factor of values that makes more better."""

    @property
    def lengths(self) -> dict[int, int]:
        """Epochs of a training of each configuration."""
        return {number: config.training.epochs for number, config in self.configs.items()}

    def repeats(self, known: Sequence[Repeat]) -> list[Repeat]:
        """Those of the known repeats that belong to the contest: of its configurations, with their present length."""
        lengths = self.lengths
        return [repeat for repeat in known if lengths.get(repeat.number) == repeat.length]

    def values(self, repeats: Sequence[Repeat]) -> dict[int, list[float | None]]:
        """The values of the repeats of each configuration, with the sign that makes more better."""
        found: dict[int, list[float | None]] = {number: [] for number in self.configs}
        for one in repeats:
            found[one.number].append(None if one.value is None else self.sign * one.value)
        return found


def contest_of(session: Session) -> Contest | None:
    """The contest that follows from the study's ended trials; None where there is none: it is turned off, a function of
    the user's own trains, no trial has finished, or the share does not pay for enough trainings. With several
    objectives, only trials on the Pareto front take part, and the default configuration."""
    spec, searcher = session.spec, session.searcher
    if spec.confirm <= 0 or spec.function is not None:
        return None
    sign = -1.0 if spec.study.minimized else 1.0
    configs: dict[int, TrialConfig] = {}
    searched: dict[int, float] = {}
    known: dict[str, int] = {}
    front = searcher.front() if len(spec.study.objectives) > 1 else None
    for trial in searcher.leading():
        key = _key(trial.params)
        if (front is None or trial.number in front) and key not in known:
            known[key] = trial.number
            configs[trial.number] = searcher.config(trial)
            searched[trial.number] = sign * trial.values[0]
    if not configs:
        return None
    length = max(config.training.epochs for config in configs.values())
    epochs = sum(len(trial.intermediate_values) for trial in searcher.all_trials())
    count = trainings(spec.confirm, epochs, length)
    if count < FEWEST:
        return None
    default = default_configuration(spec)
    which = None if default is None else known.get(_key(default[0]), DEFAULT_CONFIGURATION)
    best = list(configs)[: configurations(count)]
    if default is not None and which is not None and which not in best:
        configs |= {which: configs.get(which, default[1])}
        best = [*best[: configurations(count) - 1], which]
    return Contest(
        configs={number: configs[number] for number in best},
        searched=searched,
        default=which,
        budget=count * length,
        sign=sign,
    )


def _key(params: object) -> str:
    return json.dumps(params, sort_keys=True)
