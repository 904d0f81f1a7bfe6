"""Starts of a study that is about to begin: the default configuration, those of its file, the best of other studies in
the database, and those that do well on data of many kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from optuna.trial import FrozenTrial, TrialState

from hpo import ranking, space
from hpo.attributes.starts import Start
from hpo.errors import StudyFileError, StudyStateError
from hpo.printable import listed
from hpo.registry.studies import StudyRow, study_row
from hpo.search.enqueued import fitting
from hpo.search.known_starts import known_starts
from hpo.space import Parameter
from hpo.space.default import default_configuration
from hpo.storage.store import Store
from hpo.studyfile.starts import given_starts
from hpo.studyfile.study import StudySpec

BEST = 5
"""Configurations that are taken from each study."""


def starts_of(spec: StudySpec, store: Store) -> tuple[Start, ...]:
    """The starts, each once: the default configuration, those of the file in its order, then the best of each study
    that it names, the second best of each, and so on, then known ones. Raises `StudyFileError` where such a study has
    none."""
    parameters = space.parameters(spec)
    default = default_configuration(spec) if spec.search.default_first and parameters else None
    given = (Start(source="file", values=values) for values in given_starts(spec))
    others = [_best(spec, store, name, parameters) for name in spec.search.warm_start]
    found = chain(
        [Start(source="default", values=default[0])] if default is not None else [],
        given,
        (start for turn in zip_longest(*others) for start in turn if start is not None),
        (Start(source="known", values=values) for values in known_starts(spec, parameters)),
    )
    return tuple(_distinct(found))


def _best(spec: StudySpec, store: Store, name: str, parameters: Sequence[Parameter]) -> list[Start]:
    """The best configurations of another study that this one may draw, its winner's first."""
    place = f"{spec.source}: search.warm_start"
    try:
        row = study_row(store, name)
    except StudyStateError as error:
        raise StudyFileError(f"{place}: {error}") from None
    trials = _finished(store, row)
    if not trials:
        raise StudyFileError(
            f"{place}: study {name!r} has no finished trial to start from. Run it first, or remove it from the list"
        )
    starts = (Start(source="study", study=name, trial=t.number, values=fitting(t.params, parameters)) for t in trials)
    found = _distinct(start for start in starts if start.values)
    if not found:
        theirs = listed(sorted({parameter for trial in trials for parameter in trial.params})) or "nothing"
        ours = listed(parameter.name for parameter in parameters) or "nothing"
        raise StudyFileError(
            f"{place}: no value of a finished trial of {name!r} lies in the space of this study: it searches {theirs}, "
            f"this study {ours}. Remove it from the list"
        )
    return found[:BEST]


def _finished(store: Store, row: StudyRow) -> list[FrozenTrial]:
    """The finished trials of a study, its winner first, then in the order of `hpo.ranking`."""

    def place(trial: FrozenTrial) -> tuple[bool, tuple[float, ...]]:
        return trial.number != row.winner_number, ranking.key_of(trial, row.directions)

    finished = (trial for trial in store.own_trials(row.study_id) if trial.state == TrialState.COMPLETE)
    whole = (trial for trial in finished if ranking.is_whole(trial.values or (), row.directions))
    return sorted(whole, key=place)


def _distinct(starts: Iterable[Start]) -> list[Start]:
    found: list[Start] = []
    for start in starts:
        if all(start.values != other.values for other in found):
            found.append(start)
    return found
