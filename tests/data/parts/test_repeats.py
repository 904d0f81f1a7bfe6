"""Rows with exactly the same features: found, counted, and kept together by the newest conventions alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hpo.conventions import FIRST, REPEATS_TOGETHER, TIED_VALUES_APART
from hpo.data.parts.repeats import Repeats, same_features
from hpo.data.parts.splits import split_data
from tests.data.parts.made import dataset, table


def test_features_decide_and_not_targets() -> None:
    made = replace(
        dataset([0, 1, 0, 1, 0]),
        numeric=np.array([[0.0], [-0.0], [np.nan], [np.float64("-nan")], [1.0]]),
        categorical_NK=np.array([["a"], ["a"], [None], [None], ["a"]], object),
        categorical_names=("k",),
    )
    assert same_features(made).tolist() == [0, 0, 2, 2, 4]
    assert same_features(replace(made, lengths_N=np.array([1, 2, 1, 1, 1]))).tolist() == [0, 1, 2, 2, 4]
    words = np.array([["a b"], ["b a"], [None], [None], ["a b"]], object)
    assert same_features(replace(made, texts_NW=words, text_names=("w",))).tolist() == [0, 1, 2, 2, 4]
    images = replace(made, kind="image", numeric=np.zeros((5, 1, 1, 1), np.float32))
    assert same_features(images).tolist() == [0, 0, 2, 2, 0]


def test_many_rows_are_compared_across_chunks() -> None:
    assert same_features(dataset([0, 1] * 5000, x=np.arange(10_000) % 5000)).tolist() == list(range(5000)) * 2


def test_counts_tell_conflicts_apart() -> None:
    x = [*range(50), 0, 0, 1]
    splits = split_data(dataset([n % 2 for n in range(50)] + [0, 1, 1], x=x), table(), 0)
    assert splits.repeats == Repeats(rows=3, conflicting=3, across=0)


@pytest.mark.parametrize("convention", [FIRST, TIED_VALUES_APART])
def test_studies_of_earlier_conventions_keep_their_split(convention: int) -> None:
    target = [n % 2 for n in range(80)]
    unlike, alike = dataset(target), dataset(target, x=np.arange(80) % 40)
    former = split_data(alike, table(), 0, conventions=convention)
    assert former.fingerprint == split_data(unlike, table(), 0).fingerprint
    assert former.repeats.across > 0
    now = split_data(alike, table(), 0, conventions=REPEATS_TOGETHER)
    assert now.fingerprint != former.fingerprint
    assert now.repeats.across == 0
