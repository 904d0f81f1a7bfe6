"""What an explanation is about: a study's winner, the default configuration, and the changes between them. Trains
nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial

from hpo.errors import StudyStateError
from hpo.paths import argument, run_command
from hpo.registry.repeats import Repeat, configuration_key
from hpo.registry.studies import StudyRow
from hpo.reports.importance import compute_importances
from hpo.reports.trials import trial_row
from hpo.search.explanation.plan import Taken
from hpo.search.searcher import Searcher
from hpo.space.changes import Change, between, changes_between
from hpo.space.default import default_configuration
from hpo.studyfile.records import TrialConfig
from hpo.studyfile.study import StudySpec


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What is explained."""

    spec: StudySpec
    """With the epochs that the winner had."""
    winner: int
    """Number of the trial."""
    before: Mapping[str, Any]
    """Searched parameters of the default configuration."""
    after: Mapping[str, Any]
    """Searched parameters of the winner."""
    changes: tuple[Change, ...]
    """The most important one first."""
    searched: int
    """Epochs of the search."""

    @property
    def sign(self) -> float:
        """Factor of values that makes more better."""
        return -1.0 if self.spec.study.minimized else 1.0

    @cached_property
    def length(self) -> int:
        """Epochs of the longest training of the default configuration and the winner."""
        found = [self.configuration(taken) for taken in (frozenset[int](), frozenset(range(len(self.changes))))]
        return max(config.training.epochs for _, config in (one for one in found if one))

    @cached_property
    def _configurations(self) -> dict[Taken, tuple[dict[str, Any], TrialConfig] | None]:
        return {}

    def configuration(self, taken: Taken) -> tuple[dict[str, Any], TrialConfig] | None:
        """The searched parameters and the configuration with these changes; None where they contradict each other."""
        if taken not in self._configurations:
            names = [self.changes[change].name for change in sorted(taken)]
            self._configurations[taken] = between(self.spec, self.before, self.after, names)
        return self._configurations[taken]

    def possible(self, taken: Taken) -> bool:
        """Whether the changes do not contradict each other."""
        return self.configuration(taken) is not None

    def key(self, taken: Taken) -> str:
        """The configuration's `configuration_key`."""
        found = self.configuration(taken)
        assert found is not None
        return configuration_key(found[0])


class Trained(Mapping[Taken, Mapping[int, float | None]]):
    """The values of the repeats of each configuration, by their numbers, with the sign that makes more better."""

    def __init__(self, matter: Matter, repeats: Sequence[Repeat], numbers: Mapping[str, int]) -> None:
        """`numbers`: of the configurations, by `configuration_key`."""
        self._matter = matter
        self._numbers = numbers
        self._repeats: dict[int, list[Repeat]] = {}
        for repeat in repeats:
            self._repeats.setdefault(repeat.number, []).append(repeat)
        self._asked: dict[Taken, Mapping[int, float | None]] = {}

    def of(self, taken: Taken) -> list[Repeat]:
        """The repeats of a configuration."""
        found = self._matter.configuration(taken)
        number = self._numbers.get(self._matter.key(taken)) if found else None
        if found is None or number is None:
            return []
        return [repeat for repeat in self._repeats.get(number, ()) if repeat.length == found[1].training.epochs]

    def __getitem__(self, taken: Taken) -> Mapping[int, float | None]:
        if taken not in self._asked:
            self._asked[taken] = {
                one.repeat: None if one.value is None else self._matter.sign * one.value for one in self.of(taken)
            }
        return self._asked[taken]

    def __iter__(self) -> Iterator[Taken]:
        """Those that were asked for."""
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)


def matter_of(searcher: Searcher, row: StudyRow) -> Matter:
    """What is to be explained of a study; `StudyStateError` where that is nothing."""
    spec, name = searcher.spec, row.name
    if spec.function is not None:
        raise StudyStateError(
            f"the study {name!r} is trained by {spec.function}: only models that this program trains are trained again "
            "to be explained."
        )
    if row.finished_at is None:
        raise StudyStateError(
            f"the study {name!r} has not ended, so its winner may change. Let it end first: "
            f"`{run_command(row.spec_source)}`, or follow it with `hpo show {argument(name)} --watch`."
        )
    trial = next((one for one in searcher.ranking() if one.number == row.winner_number), None)
    if trial is None:
        raise StudyStateError(f"no trial of {name!r} has finished, so there is no winner to explain.")
    return _matter(searcher, row, trial)


def _matter(searcher: Searcher, row: StudyRow, trial: FrozenTrial) -> Matter:
    spec = searcher.spec_of(trial)
    default = default_configuration(spec)
    if default is None:
        raise StudyStateError(
            f"the default configuration of {row.name!r} contradicts itself, so no steps lead from it to the winner. "
            "Put the usual value first in every choice of the study file, in a study of another name."
        )
    changes = changes_between(spec, default[0], trial.params)
    if not changes:
        raise StudyStateError(f"the winner of {row.name!r} is its default configuration: no change is to be explained.")
    trials = searcher.all_trials()
    rows = [trial_row(one) for one in trials]
    minimized = spec.study.minimized
    shares = dict(compute_importances(rows, minimized, last=spec.study.epoch == "last").shares)

    def share(change: Change) -> float:
        return sum(shares.get(name, 0.0) for name in (change.name, *change.along))

    return Matter(
        spec=spec,
        winner=trial.number,
        before=default[0],
        after=trial.params,
        changes=tuple(sorted(changes, key=lambda change: -share(change))),
        searched=sum(len(one.intermediate_values) for one in trials),
    )
