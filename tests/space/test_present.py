"""Trials of an edited study with the parameters that it searches now."""

from __future__ import annotations

from typing import Any

import pytest

from hpo.space.present import present_params
from hpo.studyfile.study import StudySpec
from tests.studyfile.texts import study

BEFORE = study(
    model="hidden = { choice = [[8], [16, 8]] }",
    optimizer=(
        "learning_rate = { low = 1e-4, high = 1.0, log = true }\n"
        'choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }, { name = "adam" }]'
    ),
    training="batch_size = 32",
)
SGD = {"model.hidden": "8", "optimizer.name": "sgd", "optimizer.momentum": 0.5, "optimizer.learning_rate": 0.01}


def after(**tables: str) -> StudySpec:
    """The same file with other tables."""
    known = {
        "model": "hidden = { choice = [[8], [16, 8]] }",
        "optimizer": (
            "learning_rate = { low = 1e-4, high = 1.0, log = true }\n"
            'choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }, { name = "adam" }]'
        ),
        "training": "batch_size = 32",
    }
    return study(**(known | tables))


@pytest.mark.parametrize(
    ("present", "expected", "inside"),
    [
        (after(), SGD, True),
        # What was fixed is searched now, at the value that it had; what was a default, at the default.
        (after(training="batch_size = { choice = [16, 32] }"), SGD | {"training.batch_size": 32}, True),
        (after(dropout="p = { low = 0.0, high = 0.4 }"), SGD | {"dropout.p": 0.0}, True),
        (after(training="batch_size = { choice = [64, 128] }"), SGD, False),
        # A choice of more, and of others.
        (after(model="hidden = { choice = [[4], [8], [8, 8]] }"), SGD, True),
        (after(model="hidden = { choice = [[4], [4, 4]] }"), {n: v for n, v in SGD.items() if n[0] != "m"}, False),
        # An option is gone, with what depends on it.
        (
            after(
                optimizer='choice = [{ name = "adam" }, { name = "adamw" }]\nlearning_rate = { low = 1e-3, high = 0.1 }'
            ),
            {"model.hidden": "8"},
            False,
        ),
        # A name gets a label, since two options mean something else by it.
        (
            after(
                optimizer=(
                    'choice = [{ name = "sgd", learning_rate = { low = 1e-3, high = 0.1 } }, '
                    '{ name = "adam", learning_rate = { low = 1e-4, high = 0.01 } }]'
                )
            ),
            {"model.hidden": "8", "optimizer.name": "sgd", "optimizer.sgd.learning_rate": 0.01},
            True,
        ),
        # It is fixed now.
        (after(model="hidden = [8]"), {n: v for n, v in SGD.items() if n != "model.hidden"}, True),
    ],
)
def test_a_trial_has_what_its_own_file_gave_it(present: StudySpec, expected: dict[str, Any], inside: bool) -> None:
    assert present_params(present, BEFORE, SGD) == (expected, inside)
