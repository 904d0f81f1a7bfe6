"""Figures of weights, and how a trial's row stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo.attributes import weights
from hpo.attributes.weights import ATTRIBUTE, LayerWeights, count_near_zero, of_layer, variation


def test_a_weight_is_near_zero_beside_the_root_mean_square_of_its_layer() -> None:
    layer = np.array([[3.0, -4.0], [0.03, -0.02]])  # whose root mean square is 2.5
    assert count_near_zero(layer) == 1
    assert count_near_zero(layer * 1e-6) == 1
    assert count_near_zero(np.zeros((2, 2))) == 4


def test_sizes_vary_around_their_mean_whatever_their_signs() -> None:
    assert variation(np.array([1.0, -1.0, 1.0])) == 0.0
    assert variation(np.array([1.0, -3.0])) == pytest.approx(0.5)
    assert variation(np.zeros(3)) is None
    assert variation(np.array([1e25, -3e25], dtype=np.float32)) == pytest.approx(0.5)


def test_a_layer_has_the_median_of_its_updates() -> None:
    ones = np.array([[1.0, 1.0], [1.0, 0.0]])
    layer = of_layer("linear1", ones, (0.1, 0.002, 0.003), looked_at=True)
    assert (layer.count, layer.near_zero, layer.update_ratio) == (4, 0.25, 0.003)
    assert of_layer("linear1", ones, (), looked_at=True).update_ratio is None


def test_only_a_training_that_finished_has_figures_of_its_end() -> None:
    layer = of_layer("linear1", np.ones((2, 2)), (0.1,), looked_at=False)
    assert (layer.near_zero, layer.variation, layer.update_ratio) == (None, None, 0.1)


def test_stored_figures_are_read_again() -> None:
    layers = [
        LayerWeights(name="linear1", count=640, update_ratio=1.23456e-5, near_zero=0.123456, variation=0.7654321),
        LayerWeights(name="embed", count=3, update_ratio=None, near_zero=None, variation=None),
    ]
    first, second = weights.of({ATTRIBUTE: weights.stored(layers)})
    assert (first.near_zero, first.variation, first.update_ratio) == (0.1235, 0.7654, 1.235e-5)
    assert second == layers[1]


@pytest.mark.parametrize(
    "junk",
    [
        None,
        3,
        "x",
        {},
        [1],
        [[]],
        [["linear1", 3, 0.1]],
        [["linear1", 3.5, 0.1, None, None]],
        [["linear1", 0, None, None, None]],
        [["linear1", 3, 0.1, "much", None]],
        [["linear1", 3, 0.1, None, True]],
        [[7, 3, 0.1, None, None]],
        [["linear1", 10**400, 0.1, None, None]],
        [["linear1", 3, 10**400, None, None]],
        [["linear1", 3, float("nan"), None, None]],
    ],
)
def test_what_other_programs_wrote_under_this_name_is_no_figure(junk: Any) -> None:
    assert weights.of({ATTRIBUTE: junk}) == ()
