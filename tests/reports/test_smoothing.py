"""The moving averages of the report's page, on values worked out by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files

import pytest

from hpo.search.objective import next_value
from hpo.studyfile.records import StudyTable

TEMPLATES = files("hpo.reports.render") / "templates"
Curve = list[float | None]


def smoothed(call: str, curve: Curve) -> Curve:
    """What the page's script makes of a curve `x`."""
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI needs Node.js for this test"
        pytest.skip("needs Node.js to run the page's script")
    script = (
        f"{(TEMPLATES / 'smoothing.js').read_text()}const x = {json.dumps(curve)};console.log(JSON.stringify({call}))"
    )
    answer = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True, timeout=600).stdout
    found: Curve = json.loads(answer)
    return found


@pytest.mark.parametrize(
    ("call", "curve", "expected"),
    [
        ("cumulative(x)", [4.0, 2.0, 6.0, 0.0], [4.0, 3.0, 4.0, 3.0]),
        ("simple(x, 3)", [3.0, 5.0, 7.0, 1.0, 1.0], [3.0, 4.0, 5.0, 13.0 / 3.0, 3.0]),
        ("simple(x, 1)", [3.0, 5.0, 7.0], [3.0, 5.0, 7.0]),
        ("exponential(x, 0.25)", [8.0, 4.0, 0.0], [8.0, 7.0, 5.25]),
        ("exponential(x, 1)", [8.0, 4.0, 0.0], [8.0, 4.0, 0.0]),
        # a missing point stays missing and counts for nothing
        ("cumulative(x)", [None, 2.0, None, 4.0], [None, 2.0, None, 3.0]),
        ("simple(x, 2)", [None, 2.0, None, 4.0], [None, 2.0, None, 4.0]),
        ("exponential(x, 0.5)", [None, 2.0, None, 4.0], [None, 2.0, None, 3.0]),
    ],
)
def test_the_three_by_hand(call: str, curve: Curve, expected: Curve) -> None:
    assert smoothed(call, curve) == expected


def test_a_report_smooths_as_a_study_does() -> None:
    """Its control holds the smoothing, of which it takes the weight of the newest point, 1 - smoothing."""
    table = StudyTable.model_validate({"name": "s", "smoothing": 0.7})
    raw: Curve = [0.3, 0.5, 0.45, 0.7]
    curve = list[float]()
    for value in raw:
        assert value is not None
        curve.append(next_value(table, value, curve))
    assert curve == pytest.approx(smoothed("exponential(x, 1 - 0.7)", raw), abs=1e-5)
    script = (TEMPLATES / "report.js").read_text()
    assert 'exponential(values, 1 - Number(control("factor").value))' in script
