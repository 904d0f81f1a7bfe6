"""The moving averages on values worked out by hand, and the page's JavaScript against them."""

import json
import math
import os
import shutil
import subprocess
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.reports.smoothing import cumulative, exponential, simple

CURVE = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def test_cumulative_by_hand():
    assert cumulative([4.0, 2.0, 6.0, 0.0]) == [4.0, 3.0, 4.0, 3.0]


def test_simple_by_hand():
    assert simple([3.0, 5.0, 7.0, 1.0, 1.0], 3) == [3.0, 4.0, 5.0, 13.0 / 3.0, 3.0]


def test_exponential_by_hand():
    assert exponential([8.0, 4.0, 0.0], 0.25) == [8.0, 7.0, 5.25]


@pytest.mark.parametrize("smooth", [cumulative, lambda x: simple(x, 2), lambda x: exponential(x, 0.5)])
def test_a_missing_point_stays_missing_and_counts_for_nothing(smooth):
    with_gap = smooth([1.0, math.nan, 3.0])
    assert math.isnan(with_gap[1])
    assert smooth([math.nan, 5.0])[1] == 5.0


def test_a_gap_leaves_the_average_as_it_was():
    assert cumulative([2.0, math.nan, 4.0])[2] == 3.0
    assert exponential([2.0, math.nan, 4.0], 0.5)[2] == 3.0
    assert simple([2.0, math.nan, 4.0], 2)[2] == 4.0


@given(CURVE)
def test_relations_between_the_three(curve):
    assert simple(curve, 1) == curve
    assert exponential(curve, 1.0) == curve
    assert cumulative(curve) == pytest.approx(simple(curve, len(curve)), rel=1e-9, abs=1e-6)
    assert cumulative(curve)[-1] == pytest.approx(math.fsum(curve) / len(curve), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("k", [0, -2])
def test_simple_refuses_an_empty_window(k):
    with pytest.raises(ValueError, match=r"k >= 1.*got k="):
        simple([1.0], k)


@pytest.mark.parametrize("a", [0.0, -0.1, 1.1, math.nan])
def test_exponential_refuses_a_factor_out_of_range(a):
    with pytest.raises(ValueError, match=r"0 < a <= 1.*got a="):
        exponential([1.0], a)


def test_the_page_smooths_like_python():
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI needs Node.js for this test"
        pytest.skip("needs Node.js to run the page's script")
    curve = [0.3, 0.5, math.nan, 0.45, 0.7, 0.65, 0.9, math.nan, 0.85]
    script = (files("hpo.reports.render") / "templates" / "smoothing.js").read_text()
    sent = json.dumps([None if math.isnan(x) else x for x in curve])
    script += f"const x = {sent}; console.log(JSON.stringify([cumulative(x), simple(x, 3), exponential(x, 0.3)]));"
    answer = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True, timeout=60).stdout
    for got, expected in zip(
        json.loads(answer), [cumulative(curve), simple(curve, 3), exponential(curve, 0.3)], strict=True
    ):
        assert [math.nan if x is None else x for x in got] == pytest.approx(expected, rel=1e-12, nan_ok=True)
