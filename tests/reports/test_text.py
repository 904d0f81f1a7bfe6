"""How numbers are written for people."""

import pytest

from hpo.reports.text import (
    LABELS,
    describe_training,
    format_bytes,
    format_duration,
    format_number,
    format_share,
    label,
    plural,
)
from hpo.studyfile.records import METRICS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (9_610_000, "9610000"),
        ("sgd", "sgd"),
        (0.97216, "0.9722"),
        (0.95, "0.95"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (3e-5, "3e-5"),
        (3.6e-13, "3.6e-13"),
        (-3.6e-13, "-3.6e-13"),
        (1e-4, "0.0001"),
        (9.99999e-5, "0.0001"),
        (53212.4, "53212"),
        (9999.96, "10000"),
        (12_345_678.9, "1.235e7"),
        (1e300, "1e300"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.04, "0.04 s"),
        (8.13, "8.1 s"),
        (9.96, "10 s"),
        (42, "42 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (200.4, "3 min 20 s"),
        (3599.6, "1 h"),
        (7380, "2 h 3 min"),
        (86_399, "1 d"),
        (360_000, "4 d 4 h"),
    ],
)
def test_duration(seconds, text):
    assert format_duration(seconds) == text


def test_shares_sizes_and_words():
    assert format_share(0.1234) == "12.3 %"
    assert format_share(None) == "–"
    assert (format_share(0.0), format_share(0.0003), format_share(0.9998), format_share(1.0)) == (
        "0.0 %",
        "< 0.1 %",
        "> 99.9 %",
        "100.0 %",
    )
    assert format_bytes(512) == "512 B"
    assert format_bytes(76_880) == "75.08 KiB"
    assert plural(1, "trial") == "1 trial"
    assert plural(0, "trial") == "0 trials"
    assert label("valid_loss") == "validation loss"
    assert label("my_metric") == "my metric"


@pytest.mark.parametrize(
    ("train", "wall", "shared", "text"),
    [
        (80.0, 100.0, False, "80 % of it training"),
        (153.0, 100.0, False, "2 min 33 s of training, over all workers"),
        (80.0, 100.0, True, "1 min 20 s of training, over all workers"),
        (None, 100.0, False, "– of it training"),
        (0.0, 0.0, False, "– of it training"),
    ],
)
def test_workers_that_share_the_time_train_longer_than_it(train, wall, shared, text):
    assert describe_training(train, wall, shared=shared) == text


def test_every_metric_has_a_name_for_people():
    assert set(METRICS) <= set(LABELS)
