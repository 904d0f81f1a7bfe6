"""The health card is whole, is documented, and is right about simulated studies as often as the benchmark says."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from benchmarks import health as simulation
from hpo.reports.checks import CHECKS, GRAVEST_FIRST
from hpo.reports.health import counted
from hpo.reports.render.json import SHIPPED, schema_text, summary_json
from tests.reports.factory import small, study, trial

DOCS = Path(__file__).parents[3] / "docs" / "report.md"


def test_every_check_has_its_row_and_every_row_its_check() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == list(CHECKS)


@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_every_check_is_always_listed(count: int) -> None:
    report = study(count) if count > 4 else small([trial(number, 0.9 - number / 10) for number in range(count)])
    assert sorted(check.code for check in report.checks) == sorted(CHECKS)
    assert all(check.sentence.strip() for check in report.checks)
    grave = [GRAVEST_FIRST.index(check.verdict) for check in report.checks]
    assert grave == sorted(grave)
    assert sum(map(int, re.findall(r"\d+", counted(report.checks)))) == len(CHECKS)


def test_the_summary_for_programs_keeps_its_schema() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == schema_text(), "python -m hpo.reports.render.json writes it"
    for report in (study(40), small([]), small([trial(0, float("inf"))])):
        found = json.loads(summary_json(report))
        jsonschema.validate(found, json.loads(SHIPPED.read_text(encoding="utf-8")))
        assert [check["code"] for check in found["checks"]] == [check.code for check in report.checks]
        assert sum(found["health"].values()) == len(CHECKS)
    assert found["winner"] is None, "an infinite value never wins"


def test_faults_are_found_and_sound_studies_are_not_accused() -> None:
    """A small form of the benchmark, whose figures are in benchmarks/RESULTS.md."""
    studies = 6
    found, accused = simulation.rates(studies, first=2000)
    assert {fault: count for fault, count in found.items() if count < studies - 1} == {}
    searched = {code for _, codes in simulation.FAULTS.values() for code in codes}
    assert {code: count for code, count in accused.items() if code in searched and count > 1} == {}
