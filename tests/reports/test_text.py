"""How numbers are written for people."""

import pytest

from hpo.reports.text import duration, label, number, plural, share, size, training


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (False, "false"), (3, "3"), (0.97216, "0.9722"), (3e-5, "3e-05"), ("sgd", "sgd")],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7380, "2 h 03 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_shares_sizes_and_words():
    assert share(0.1234) == "12.3 %"
    assert share(None) == "–"
    assert size(512) == "512 B"
    assert size(76_880) == "75.08 KiB"
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
    assert training(train, wall, shared=shared) == text
