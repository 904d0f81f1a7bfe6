"""Cautions about settings that are valid and may not be meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo.conventions import CONCURRENCY_FOLLOWS_TRIALS
from hpo.studyfile.rules.cautions import cautions
from hpo.studyfile.settings import fingerprint
from hpo.studyfile.study import fitting_concurrency, with_budget
from tests.studyfile.texts import study

SEARCHED = "p = { low = 0.0, high = 0.5 }"


def codes(examples: int = 1000, **tables: str) -> list[str]:
    return [caution.code for caution in cautions(study(**tables), examples)]


@pytest.mark.parametrize(
    ("search", "dropout", "expected"),
    [
        ("trials = 40", SEARCHED, []),
        ("trials = 40\nconcurrency = 16", SEARCHED, ["random_search"]),
        ("trials = 100", SEARCHED, []),
        ("trials = 20\nconcurrency = 4", SEARCHED, []),
        ("trials = 2\nconcurrency = 1", SEARCHED, ["random_search"]),
        ('trials = 40\nconcurrency = 16\nsampler = "gp"', SEARCHED, ["random_search"]),
        ('trials = 40\nsampler = "random"', SEARCHED, []),
        ("trials = 40", "p = 0.5", []),
    ],
)
def test_a_search_that_cannot_learn_is_named(search: str, dropout: str, expected: list[str]) -> None:
    assert codes(search=search, dropout=dropout) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1000", []),
        ("1001", ["batch_size"]),
        ("{ low = 8, high = 2048 }", ["batch_size"]),
        ("{ choice = [16, 2048] }", ["batch_size"]),
        ("{ choice = [16, 32] }", []),
    ],
)
def test_a_batch_larger_than_the_training_part_is_named(size: str, expected: list[str]) -> None:
    assert codes(training=f"batch_size = {size}") == expected


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("trials = 60", 8),
        ("trials = 8", 16),  # fewer than tpe draws at random before it learns
        ('trials = 8\nsampler = "cmaes"', 1),
        ('trials = 60\nsampler = "random"', 16),
        ("trials = 60\nconcurrency = 3", 3),
    ],
)
def test_trials_in_flight_follow_from_the_trials_of_the_file(search: str, expected: int) -> None:
    found = study(search=search)
    assert found.concurrency == with_budget(found, trials=1000).concurrency == expected
    before = replace(found, conventions=CONCURRENCY_FOLLOWS_TRIALS - 1)
    assert before.concurrency == (3 if expected == 3 else 16)
    explicit = study(search=f"{search}\nconcurrency = 16") if expected != 3 else found
    assert fingerprint(before) == fingerprint(replace(explicit, conventions=before.conventions))
    assert (fingerprint(found) == fingerprint(explicit)) == (expected == 3)


def test_the_concurrency_that_fits_leaves_results_to_learn_from() -> None:
    assert [fitting_concurrency(trials) for trials in (1, 5, 20, 60, 100, 1000)] == [1, 1, 4, 8, 8, 8]


@pytest.mark.parametrize(
    ("search", "needed"),
    [
        ("", 9 * 6 + 3 * 11 + 33),
        ('pruner = { name = "promotion", min_epochs = 10 }', 3 * 17 + 33),
        ('pruner = { name = "promotion", reduction_factor = 2, min_epochs = 25 }', 2 * 25 + 25),
        ('pruner = { name = "asha", min_epochs = 4 }', 16 * 4 + 4 * 12 + 34),
        ('pruner = { name = "pasha", min_epochs = 2 }', 50 * 2 + 48),
        ('pruner = { name = "constant", min_epochs = 8, wave = 10 }', 10 * 8 + 42),
    ],
)
def test_a_budget_of_epochs_that_no_trial_gets_through_is_told(search: str, needed: int) -> None:
    """Of nine trials at the first rung three go on to the second, and one of these to the end."""
    search = search or 'pruner = "promotion"'

    def codes(epochs: int) -> list[str]:
        found = study(training="epochs = 50", search=f"{search}\ntrials = 50\nepochs = {epochs}")
        return [caution.code for caution in cautions(found)]

    assert "no_finish" in codes(needed - 1)
    assert "no_finish" not in codes(needed)
