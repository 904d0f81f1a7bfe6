"""The page: self-contained, small, escaped and complete. What a browser makes of it is in `test_browser`."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hpo.reports.render.curves import curves_of
from hpo.reports.render.figures import parallel_figure, robust_range, slice_figure
from hpo.reports.render.html import balance_table, breakable, commands, curve_data, marked, render
from hpo.reports.text import format_number
from tests.reports.factory import failed, small, study, trial


@pytest.fixture(scope="module")
def report():
    return study(100)


@pytest.fixture(scope="module")
def page(report):
    return render(report)


class Structure(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.tags, self.sources = [], [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])
        self.sources += [given[name] for name in ("src", "srcset", "data") if name in given]


@pytest.fixture(scope="module")
def structure(page):
    parser = Structure()
    parser.feed(page)
    return parser


def test_the_page_is_small(page):
    assert len(page.encode()) < 250_000


def test_a_large_study_has_a_small_page_too():
    assert len(render(study(2000)).encode()) < 600_000


def test_nothing_is_fetched(page, structure):
    assert structure.sources == []
    assert not [tag for tag, _ in structure.tags if tag in ("link", "img", "iframe", "base")]
    assert set(re.findall(r"https?://[^\"'\s]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import", page)
    assert "default-src 'none'" in page


def test_every_link_leads_somewhere_and_ids_are_unique(structure):
    assert structure.links
    assert {link.removeprefix("#") for link in structure.links} <= set(structure.ids)
    assert len(structure.ids) == len(set(structure.ids))


def test_every_table_has_headers_with_a_scope(structure):
    headers = [given for tag, given in structure.tags if tag == "th"]
    assert len(headers) > 20
    assert all(given.get("scope") in ("row", "col", "rowgroup") for given in headers)


def test_every_control_has_a_label(page):
    for control in re.findall(r"<(?:select|input) id=\"([a-z]+)\"", page):
        assert re.search(rf"<label[^>]*>(?:(?!</label>).)*id=\"{control}\"", page, re.DOTALL), control


def test_the_sections_hold_the_facts(page, report):
    for text in (
        f"Winner: trial {report.winner.number}",
        "0.9722",
        "Optimisation history",
        "exponential moving average",
        "Split balance",
        "hpo run studies/digits.toml",
        report.importances.note,
    ):
        assert text in page


def test_the_same_study_gives_the_same_page(page):
    assert render(study(100)) == page


def test_what_a_user_wrote_is_never_markup():
    evil = "</script><script>alert(1)</script><b>"
    params, distributions = {"model.kind": evil}, {"model.kind": CategoricalDistribution((evil, "ok"))}
    trials = [trial(i, 0.5 + i / 100, params, distributions) for i in range(12)]
    trials.append(trial(12, None, state=TrialState.FAIL, ended=failed(evil), epochs=0))
    page = render(small(trials, spec_text=evil, facts={evil: evil}))
    assert "<script>alert" not in page
    assert "<b>" not in page


def test_the_curve_data_is_valid_json_with_every_measure(page, report):
    holder = re.search(r'<script type="application/json" id="curve-data">(.*?)</script>', page, re.DOTALL)
    assert holder is not None
    data = json.loads(holder.group(1))
    assert data == json.loads(json.dumps(curve_data(report, curves_of(report))))
    assert [c["group"] for c in data["curves"]].count("winner") == 1
    for curve in data["curves"]:
        assert set(curve["series"]) == set(data["labels"])
        assert all(len(points) == len(curve["epochs"]) for points in curve["series"].values())


def test_studies_with_little_in_them_have_a_page():
    empty = render(small([]))
    assert "No winner" in empty
    assert 'id="history"' not in empty
    assert "No winner" in render(small([trial(0, None, state=TrialState.FAIL, epochs=0, best_epoch=None)]))
    assert "Winner: trial 0" in render(small([trial(0, 0.9, best_epoch=None)], balance=[]))


def test_wild_values_do_not_stretch_the_axis():
    tame = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98]
    low, high = robust_range([*tame, 1e6])
    assert low < 0.90
    assert 0.98 < high < 1.0
    assert robust_range(tame) is None
    assert robust_range([1.0] * 20) is None


def test_a_logarithmic_parameter_has_a_logarithmic_axis_and_a_category_its_options(report):
    rate = slice_figure(report, "optimizer.learning_rate")
    assert (rate["x"]["title"], rate["x"]["kind"]) == ("optimizer.learning_rate", "log")
    assert rate["y"]["title"] == "validation accuracy"
    scheme = slice_figure(report, "init.scheme")
    assert scheme["x"]["categories"] == ["small_normal", "lecun_normal", "kaiming_normal", "orthogonal"]
    assert slice_figure(report, "norm.every")["x"]["whole"]
    assert slice_figure(report, "dropout.p")["x"]["kind"] == "linear"
    for figure in (rate, scheme):
        for layer in figure["layers"]:
            assert len(layer["x"]) == len(layer["y"]) == len(layer["trials"])
    winner = scheme["layers"][2]
    assert winner["trials"] == [report.winner.number]
    assert scheme["x"]["categories"][winner["x"][0]] == report.winner.params["init.scheme"]


def test_parallel_coordinates_have_every_trial_and_a_gap_where_a_parameter_is_not_active(report):
    figure = parallel_figure(report)
    assert figure["trials"][-1] == max(report.best_first, key=lambda trial: trial.value).number, "the best is on top"
    assert (figure["shades"][0], figure["shades"][-1]) == (0, 4)
    by_title = {axis["title"]: axis["values"] for axis in figure["axes"]}
    assert list(by_title)[-1] == "validation accuracy"
    for number, decay in zip(figure["trials"], by_title["optimizer.weight_decay"], strict=True):
        assert (decay is None) == ("optimizer.weight_decay" not in report.trials[number].params)
    assert parallel_figure(small([trial(0, 0.9)])) is None


def test_the_bars_and_heat_maps_of_what_mattered(page, report):
    for row in (*report.importances.rows, *report.importances.pairs):
        assert all(breakable(name) in page for name in row.names)
    assert page.count('<table class="heat">') == len(report.importances.heat_maps) > 0
    assert page.count('<table class="wide isolation">') == len(report.importances.isolations) > 0
    places = [float(place) for place in re.findall(r"--(?:share|low|high|best):([0-9.]+)", page)]
    assert places
    assert all(0.0 <= place <= 1.0 for place in places)


def test_balance_by_group_and_part(report):
    table = balance_table(report.balance)
    assert table["parts"] == ["train", "validation", "test"]
    assert table["totals"] == [1075, 355, 355]
    assert [row["group"] for row in table["rows"]] == [str(group) for group in range(10)]
    assert all(0 <= row["spread"] < 0.01 for row in table["rows"])


def test_commands_quote_what_a_shell_would_split():
    odd = small([trial(0, 0.9)], spec_source="my studies/a.toml")
    assert commands(odd)[0][0] == "hpo run 'my studies/a.toml'"


def test_a_submitted_study_is_repeated_by_workers():
    assert commands(small([trial(0, 0.9)], submitted_at=1))[0][0] == "hpo submit studies/digits.toml"


def test_a_second_look_at_the_test_part_is_not_called_the_only_one():
    tested = {"winner_number": 0, "test": {"accuracy": 0.9}}
    assert "scored once, after the search" in render(small([trial(0, 0.9)], **tested))
    assert "look 2 at the test part" in render(small([trial(0, 0.9)], facts={"test_looks": [1, 0]}, **tested))


def test_the_page_writes_numbers_like_python():
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI needs Node.js for this test"
        pytest.skip("needs Node.js to run the page's script")
    values = [0.0, 1.0, 0.95, 0.988888, -2.5, 3e-5, 1e-4, 3.6e-13, -3.6e-13, 53212.4, 9999.96, 1234567.0, 12345678.9]
    script = (files("hpo.reports.render") / "templates" / "numbers.js").read_text()
    script += f"console.log(JSON.stringify({json.dumps(values)}.map((value) => number(value, 5))));"
    answer = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(answer) == [format_number(value, 5) for value in values]


def test_code_in_a_sentence_is_code_and_what_it_quotes_is_text():
    assert marked("raise `search.trials`, <b>") == "raise <code>search.trials</code>, &lt;b&gt;"
    assert marked("odd ` mark") == "odd ` mark"


def test_names_break_behind_a_dot_and_are_text():
    assert breakable("model.<b>_x") == "model.&lt;b&gt;_<wbr>x"
    assert breakable("0.5 to 1") == "0.5 to&nbsp;1"
