"""What trials are expected to score again follows from what similar ones scored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.conventions import LEVELS_COUNT
from hpo.endings import Ended, Ending
from hpo.search.expectation import FEWEST, expected_scores
from hpo.search.searcher import Searcher
from hpo.space import Parameter
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import open_study, small_study

RATE = Parameter(name="optimizer.learning_rate", distribution=FloatDistribution(1e-4, 1.0, log=True))
LAST = 24
FINISHED = Ended(why=Ending.FINISHED)


def trials(values: dict[float, float]) -> list[FrozenTrial]:
    """Finished trials with these values by their learning rates, the best first."""
    found = []
    for number, (rate, value) in enumerate(values.items()):
        one = create_trial(params={RATE.name: rate}, distributions={RATE.name: RATE.distribution}, value=value)
        one.number = number
        found.append(one)
    return sorted(found, key=lambda trial: -(trial.value or 0.0))


def expected_of(trials: list[FrozenTrial], **options: Any) -> dict[int, float]:
    return expected_scores([RATE], trials, maximize=True, **options)


def hill(count: int, lucky: float | None = None) -> dict[float, float]:
    """Values that are best at a learning rate of 0.01; `lucky`: a rate whose value is the best of all by luck."""
    values = {float(rate): 1.0 - (np.log10(rate) + 2) ** 2 / 4 for rate in 10 ** np.linspace(-4, 0, count)}
    return values | ({} if lucky is None else {lucky: 1.01})


def test_a_value_that_no_similar_trial_confirms_is_luck() -> None:
    found = trials(hill(20, lucky=0.6))
    assert found[0].params[RATE.name] == 0.6
    expected = expected_of(found)
    best = max(found, key=lambda trial: expected[trial.number])
    assert abs(np.log10(best.params[RATE.name]) + 2) < 0.5
    assert expected[found[0].number] < expected[best.number] - 0.5


def test_without_luck_the_order_is_nearly_that_of_the_values() -> None:
    found = trials(hill(20))
    expected = expected_of(found)
    by_expectation = sorted(found, key=lambda trial: -expected[trial.number])
    assert {trial.number for trial in by_expectation[:4]} == {trial.number for trial in found[:4]}


def test_given_ranks_count_instead_of_values() -> None:
    found = trials(hill(20))
    turned = expected_of(found, ranks={trial.number: 19 - place for place, trial in enumerate(found)})
    assert max(found, key=lambda trial: turned[trial.number]).number in (0, 19), "an end of the range"


def test_nothing_is_expected_of_few_trials_or_where_nothing_is_searched() -> None:
    assert expected_of(trials(hill(FEWEST - 1))) == {}
    found = trials(hill(FEWEST))
    assert len(expected_of(found)) == FEWEST
    single = Parameter(name=RATE.name, distribution=CategoricalDistribution((0.1,)))
    assert expected_scores([], found, maximize=True) == expected_scores([single], found, maximize=True) == {}


def test_equal_trials_are_expected_to_score_alike() -> None:
    assert set(expected_of(trials(dict.fromkeys(hill(12), 0.5))).values()) == {0.0}


def test_of_many_trials_worse_ones_are_seen_too() -> None:
    """Else nothing would say that a lucky one stands out alone."""
    found = trials(hill(1000, lucky=0.9))
    assert found[0].params[RATE.name] == 0.9
    expected = expected_of(found)
    assert expected[found[0].number] < max(expected.values()) - 0.5


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    """Of a study whose last trial scored best by luck: near its learning rate, others scored worst."""
    with closing(open_store(sqlite_url(tmp_path))) as store:
        search = f'trials = {LAST + 1}\npruner = "none"\nsampler = "random"\ndefault_first = false\nstart = [\n'
        rates = [*10 ** np.linspace(-4, -0.1, LAST), 0.5]
        search += "".join(f'{{ "optimizer.learning_rate" = {rate:.6f} }},\n' for rate in rates) + "]"
        optimizer = 'name = "sgd"\nlearning_rate = { low = 1e-4, high = 1.0, log = true }'
        fixed = {"model": 'family = "mlp"\nhidden = [8]', "norm": 'kind = "none"', "dropout": "p = 0.0"}
        spec = small_study(**fixed, optimizer=optimizer, search=search)
        found = open_study(spec, store, tmp_path).searcher
        for one in found.ask(LAST + 1):
            value = 0.99 if one.number == LAST else 0.9 - abs(one.number - LAST / 2) / 40
            found.report(one.trial_id, 1, value)
            found.tell(one.trial_id, TrialState.COMPLETE, FINISHED, {})
        yield found


def test_a_lucky_trial_ranks_first_but_does_not_lead(searcher: Searcher) -> None:
    assert searcher.ranking()[0].number == LAST
    leading = [trial.number for trial in searcher.leading()]
    assert abs(leading[0] - LAST / 2) < 4
    assert sorted(leading) == list(range(LAST + 1))


def test_in_a_study_of_an_earlier_version_the_first_one_leads(searcher: Searcher) -> None:
    searcher.spec = replace(searcher.spec, conventions=LEVELS_COUNT - 1)
    assert searcher.leading() == searcher.ranking()


def test_pruned_trials_never_lead(searcher: Searcher) -> None:
    (one,) = searcher.ask(1)
    searcher.report(one.trial_id, 1, 0.999)
    searcher.tell(one.trial_id, TrialState.PRUNED, Ended(why=Ending.PRUNED, detail="median", epoch=1), {})
    assert one.number not in [trial.number for trial in searcher.leading()]
