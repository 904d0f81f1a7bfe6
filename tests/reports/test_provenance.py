"""Where a study comes from, on the page and in both summaries."""

import json
import re

from hpo.reports.render.html import render
from hpo.reports.render.json import summary_json
from hpo.reports.render.markdown import summary
from tests.reports.factory import facts, small, trial

NOTED = {
    "hpo": "0.2.0",
    "torch": "2.13.0",
    "commit": "c" * 40,
    "device": "cpu",
    "dataset": "digits",
    "split": "5" * 64,
    "test_looks": [21, 30],
    "sha256 of net.py": "e" * 64,
}


def test_page_and_summaries_say_all_that_repeats_the_study():
    report = small([trial(0, 0.9)], facts=NOTED, spec_text='[study]\nname = "x"\n# ```\n')
    rows = dict(report.provenance.rows())
    assert rows["repeated by"] == "hpo run studies/digits.toml"
    assert rows["hpo"] == "0.1.0, last run with 0.2.0"
    assert rows["scored on the test part"] == "trials 21, 30"
    told = (report.provenance.data, "5" * 64, "c" * 40, "e" * 64, "2.13.0", "cpu")
    page, text, record = render(report), summary(report), json.loads(summary_json(report))["provenance"]
    for value in told:
        assert value in page
        assert value in text
        assert value in json.dumps(record)
    assert record["study_file"] == report.spec_text
    assert "````toml\n[study]" in text  # a longer fence than the file has
    assert len(re.findall(r'<th scope="row">Hpo</th>', page)) == 1
    assert "test_looks" not in page


def test_what_is_not_known_is_left_out():
    report = small([trial(0, 0.9)], facts={})
    assert {"Git commit", "split, SHA-256", "scored on the test part"}.isdisjoint(dict(report.provenance.rows()))
    assert json.loads(summary_json(report))["provenance"]["commit"] is None


def test_a_study_of_workers_is_repeated_by_submitting_it():
    row = facts(submitted_at=facts().created_at)
    assert small([], submitted_at=row.submitted_at).provenance.command == "hpo submit studies/digits.toml"
