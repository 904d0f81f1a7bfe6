"""Rungs, and which trials pause or go on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo.endings import Ended, Ending
from hpo.search.pruning.promotion import Promotion, is_paused, lengthened
from hpo.storage.cache import blank_trial
from hpo.studyfile import records
from hpo.studyfile.records import StudyTable

STUDY = StudyTable(name="s", objective="accuracy")


def trial(
    number: int, curve: Sequence[float], state: TrialState = TrialState.RUNNING, why: Ending | None = None
) -> FrozenTrial:
    found = blank_trial(None)  # type: ignore[arg-type]  # no test asks when it began
    found.number = found._trial_id = number
    found.state = state
    found.intermediate_values = dict(enumerate(curve, 1))
    if why is not None:
        found.user_attrs = Ended(
            why=why, detail="promotion" if why is Ending.PRUNED else None, epoch=len(curve)
        ).attributes()
    if state in (TrialState.COMPLETE, TrialState.PRUNED) and curve:
        found.values = [max(curve)]
    return found


def paused(number: int, curve: Sequence[float]) -> FrozenTrial:
    return trial(number, curve, TrialState.PRUNED, Ending.PRUNED)


def lost(number: int, curve: Sequence[float]) -> FrozenTrial:
    return trial(number, curve, TrialState.PRUNED, Ending.DIVERGED)


def finished(number: int, curve: Sequence[float]) -> FrozenTrial:
    return trial(number, curve, TrialState.COMPLETE, Ending.FINISHED)


def promotion(epochs: int = 9, factor: int = 3, study: StudyTable = STUDY) -> Promotion:
    return Promotion(study, records.Promotion(reduction_factor=factor).rungs(epochs), factor=factor)


def test_by_levels_a_lucky_epoch_wins_no_place() -> None:
    lucky, steady = paused(0, [0.1, 0.9, 0.2]), paused(1, [0.1, 0.5, 0.5])
    others = [paused(2, [0.1, 0.1, 0.1])]
    for levels, first in ((False, 0), (True, 1)):
        book = Promotion(STUDY, (3, 9), factor=3, levels=levels)
        assert [one.number for one in promotable(book, [lucky, steady, *others])] == [first]
    book = Promotion(StudyTable(name="s", objective="loss"), (3, 9), factor=3, levels=True)
    assert [one.number for one in promotable(book, [lucky, steady, *others])] == [2]


def promotable(book: Promotion, trials: Sequence[FrozenTrial], *, last: bool = False) -> list[FrozenTrial]:
    book.read(trials)
    return book.promotable(last=last)


@pytest.mark.parametrize(
    ("epochs", "factor", "least", "expected"),
    [
        (50, 3, None, (6, 17, 50)),
        (27, 3, None, (3, 9, 27)),
        (81, 3, 1, (1, 3, 9, 27, 81)),
        (20, 3, 2, (3, 7, 20)),
        (20, 3, 20, (20,)),
        (10, 4, None, (1, 3, 10)),
        (3, 3, None, (1, 3)),
        (2, 3, None, (1, 2)),
        (1, 3, None, (1,)),
    ],
)
def test_rungs(epochs: int, factor: int, least: int | None, expected: tuple[int, ...]) -> None:
    assert records.Promotion(reduction_factor=factor, min_epochs=least).rungs(epochs) == expected


@pytest.mark.parametrize(
    ("pruner", "epochs", "expected"),
    [
        (records.Asha(), 50, (1, 4, 16, 50)),
        (records.Asha(min_epochs=2, reduction_factor=3), 54, (2, 6, 18, 54)),
        (records.Asha(), 1, (1,)),
        (records.Pasha(), 50, (1, 3, 9, 27, 50)),
        (records.ConstantEpochs(), 50, (9, 50)),
        (records.ConstantEpochs(min_epochs=8), 50, (8, 50)),
        (records.ConstantEpochs(), 1, (1,)),
    ],
)
def test_rungs_of_its_variants(
    pruner: records.Asha | records.Pasha | records.ConstantEpochs, epochs: int, expected: tuple[int, ...]
) -> None:
    assert pruner.rungs(epochs) == expected


@pytest.mark.parametrize(
    ("epochs", "expected"), [(50, (6, 17, 50)), (60, (6, 17, 60)), (150, (6, 17, 50, 150)), (200, (6, 17, 50, 200))]
)
def test_rungs_stay_where_trials_get_more_epochs(epochs: int, expected: tuple[int, ...]) -> None:
    assert lengthened((6, 17, 50), epochs, factor=3) == expected


def test_one_of_three_goes_on_and_those_in_flight_count() -> None:
    book = promotion()
    flight = [trial(number, [value]) for number, value in enumerate([0.1, 0.3, 0.2])]
    book.read(flight)
    assert [book.goes_on(one) for one in flight] == [False, True, False]
    assert all(book.goes_on(trial(9, [0.0] * epochs)) for epochs in (2, 9))


def test_a_paused_trial_goes_on_once_it_belongs_to_the_best_third() -> None:
    book = promotion()
    trials = [paused(number, [value]) for number, value in enumerate([0.1, 0.3, 0.5, 0.2, 0.15])]
    book.read(trials)
    assert [t.number for t in promotable(book, trials)] == [2]
    trials[2] = trial(2, [0.5, 0.6])
    trials.append(paused(5, [0.05]))
    book.read(trials)
    assert [t.number for t in promotable(book, trials)] == [1]


def test_the_highest_rung_comes_first() -> None:
    book = promotion()
    above = [paused(number, [0.5 + number / 100] * 3) for number in range(3)]
    below = [paused(number, [0.9 - number / 100]) for number in range(3, 9)]
    book.read([*above, *below])
    assert [t.number for t in promotable(book, [*above, *below])] == [2, 3, 4, 5]


def test_values_are_compared_at_the_rungs_epoch() -> None:
    book = promotion()
    book.read([paused(0, [0.5]), finished(1, [0.1, 0.2, *[0.9] * 7]), paused(2, [0.3])])
    assert [number for _, number in book.arrived[1]] == [0, 2, 1]
    last = promotion(study=StudyTable(name="s", objective="accuracy", epoch="last"))
    last.read([trial(0, [0.5, 0.4, 0.1]), trial(1, [0.1, 0.2, 0.3])])
    assert [number for _, number in last.arrived[3]] == [1, 0]


def test_lower_is_better_where_the_objective_says_so() -> None:
    book = promotion(study=StudyTable(name="s", objective="loss"))
    book.read(trials := [paused(number, [value]) for number, value in enumerate([0.3, 0.1, 0.2])])
    assert [t.number for t in promotable(book, trials)] == [1]


def test_a_lost_trial_is_last_at_every_rung_and_its_earlier_place_is_taken_back() -> None:
    book = promotion()
    book.read([trial(0, [0.9]), paused(1, [0.5]), paused(2, [0.1])])
    trials = [lost(0, [0.9, 0.95, 0.97]), paused(1, [0.5]), paused(2, [0.1])]
    book.read(trials)
    assert [number for _, number in book.arrived[1]] == [1, 2, 0]
    assert book.order() == [1, 2, 0]
    assert book.ranks() == {1: 0, 2: 1, 0: 2}
    book.read([*trials, lost(3, [])])
    assert book.ranks() == {1: 0, 2: 1, 0: 2, 3: 2}
    assert [t.number for t in promotable(book, trials)] == [1]


def test_the_order_compares_every_two_after_the_same_training() -> None:
    book = promotion()
    book.read(
        [
            paused(0, [0.6]),
            paused(1, [0.7, 0.7, 0.7]),
            finished(2, [0.5, 0.6, 0.75, *[0.8] * 6]),
            finished(3, [0.65, 0.7, 0.72, *[0.9] * 6]),
            paused(4, [0.1]),
        ]
    )
    # At epoch 1: 1 3 0 2 4. At epoch 3, within the places of 1, 3 and 2: 2 3 1. At the last, of 2 and 3: 3 2.
    assert book.order() == [3, 2, 0, 1, 4]


def test_a_small_study_still_finishes_its_best_trial() -> None:
    book = promotion()
    trials = [paused(number, [value]) for number, value in enumerate([0.1, 0.2])]
    book.read(trials)
    assert promotable(book, trials) == []
    assert [t.number for t in promotable(book, trials, last=True)] == [1]
    assert promotable(book, [trials[0], trial(1, [0.2, 0.3])], last=True) == []
    assert promotable(book, [trials[0], finished(1, [0.2] * 9)], last=True) == []
    assert promotable(promotion(), [lost(0, [0.2])], last=True) == []


def test_only_pauses_of_promotion_are_pauses() -> None:
    assert is_paused(paused(0, [0.1]))
    for other in (trial(0, [0.1]), lost(0, [0.1]), finished(0, [0.1])):
        assert not is_paused(other)
    of_median = paused(0, [0.1])
    of_median.user_attrs = Ended(why=Ending.PRUNED, detail="median", epoch=1).attributes()
    assert not is_paused(of_median)


def test_the_best_at_each_rung_keep_their_last_states() -> None:
    book = promotion()
    trials = [paused(n, [n / 10] * (1 if n < 5 else 3)) for n in range(9)]
    book.read(trials)
    assert [t.number for t in book.kept(most=2)] == [4, 3, 8, 7]


def test_reading_step_by_step_gives_the_same_as_reading_at_once() -> None:
    for seed in range(30):
        draw = random.Random(seed)
        curves = [[round(draw.random(), 2) for _ in range(9)] for _ in range(12)]
        stepwise, epochs = promotion(), [0] * len(curves)
        states: list[FrozenTrial] = []
        for _ in range(40):
            number = draw.randrange(len(curves))
            epochs[number] = min(epochs[number] + draw.randrange(1, 4), 9)
            over = draw.random() < 0.05
            states = [
                (lost if over and n == number else paused)(n, curve[:epoch])
                for n, (curve, epoch) in enumerate(zip(curves, epochs, strict=True))
            ]
            stepwise.read(states)
        final = [paused(n, curve[:epoch]) for n, (curve, epoch) in enumerate(zip(curves, epochs, strict=True))]
        stepwise.read(final)
        at_once = promotion()
        at_once.read(final)
        assert {rung: [n for v, n in found if n < 99 and v < 1e9] for rung, found in stepwise.arrived.items()} == {
            rung: [n for v, n in found] for rung, found in at_once.arrived.items()
        }


def test_trials_that_paused_before_the_first_rung_of_an_edited_study_go_on_to_it() -> None:
    book = Promotion(STUDY, (2, 9), factor=2)
    trials = [paused(0, [0.5]), paused(1, [0.4, 0.5]), paused(2, [0.6, 0.7])]
    assert [found.number for found in promotable(book, trials)] == [2, 0]
