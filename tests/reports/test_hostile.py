"""A study whose class labels and choices are hostile, through the real commands to everything that is written."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest
from markdown_it import MarkdownIt

from hpo.cli import main

LABELS = ("</script><script>alert(1)</script>", "=HYPERLINK(0)|`b`", "[click](javascript:alert(1)) <b>x</b>")
CHOICES = ("</script><script>alert(2)</script>", "=1+1 | <b>y</b>")
STUDY = """
[study]
name = "hostile"
[data]
dataset = "hostile.csv"
target = "label"
[model]
family = "custom"
module = "net.py:Net"
[model.arguments]
kind = {{ choice = {choices} }}
[optimizer]
name = "adam"
learning_rate = {{ low = 1e-3, high = 1e-1, log = true }}
[training]
epochs = 2
[search]
trials = 3
sampler = "random"
"""
NET = """
from torch import nn

def Net(input_shape, outputs, kind):
    return nn.Sequential(nn.Linear(input_shape[0], outputs))
"""


def hpo(*arguments: object) -> str | int | None:
    """Run the command; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "hostile.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y", "label"])
        writer.writerows([i % 3 + 0.01 * i, i * i % 7, LABELS[i % 3]] for i in range(90))
    (folder / "study.toml").write_text(STUDY.format(choices=json.dumps(CHOICES)))
    (folder / "net.py").write_text(NET)
    run = ("run", folder / "study.toml", "--home", folder, "--workers", 1, "--compile", "off")
    assert hpo(*run) == 0
    return folder


def test_the_page_runs_nothing_of_it(home):
    page = (home / "reports" / "hostile" / "index.html").read_text()
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page, "the balance shows the labels"
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    assert page.count("</script>") == len(scripts) == page.count("<script")


def test_the_summary_holds_no_markup_of_it(home):
    text = (home / "reports" / "hostile" / "summary.md").read_text()
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("table").parse(text)
    kinds = {token.type for one in tokens for token in (one, *(one.children or ()))}
    assert not kinds & {"html_block", "html_inline", "link_open", "image"}
    assert "table_open" in kinds


def test_signs_of_a_hostile_database_are_text(home, tmp_path):
    shutil.copytree(home, copy := tmp_path / "home")
    signs = json.dumps([["dead_units", 0.5, "<script>alert(3)</script>|`b`"]])
    with closing(sqlite3.connect(copy / "hpo.db", isolation_level=None)) as database:
        database.execute("DELETE FROM trial_user_attributes WHERE key = 'signs'")
        database.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'signs', ?)", [signs]
        )
    assert hpo("report", "hostile", "--home", copy) == 0
    for name in ("summary.md", "index.html"):
        text = (copy / "reports" / "hostile" / name).read_text()
        assert "dead units" in text
        assert "<script>alert(3)" not in text


def test_csv_is_exact_and_safe_for_spreadsheets_on_request(home, tmp_path, capsys):
    def column(text, name):
        return [row[name] for row in csv.DictReader(io.StringIO(text, newline=""))]

    exact = (home / "reports" / "hostile" / "trials.csv").read_text()
    kinds = column(exact, "model.arguments.kind")
    assert set(kinds) <= set(CHOICES)
    assert hpo("report", "hostile", "--home", home, "-o", tmp_path, "--spreadsheet") == 0
    safe = (tmp_path / "trials.csv").read_text()
    assert column(safe, "model.arguments.kind") == [f"'{kind}" if kind.startswith("=") else kind for kind in kinds]
    assert column(safe, "value") == column(exact, "value")

    capsys.readouterr()
    assert hpo("compare", "hostile", "--home", home, "--csv", "-", "--spreadsheet") == 0
    assert column(capsys.readouterr().out, "winner.model.arguments.kind")[0].lstrip("'") in CHOICES
    assert hpo("compare", "hostile", "--home", home, "--spreadsheet") == 2
    assert "--csv FILE" in capsys.readouterr().err

    assert hpo("export", "hostile", "--home", home, "-o", tmp_path / "model") == 0
    capsys.readouterr()
    assert hpo("predict", tmp_path / "model", home / "hostile.csv", "--spreadsheet") == 0
    predicted = column(capsys.readouterr().out, "prediction")
    assert set(predicted) <= {LABELS[0], f"'{LABELS[1]}", LABELS[2]}
    assert hpo("predict", tmp_path / "model", home / "hostile.csv") == 0
    assert column(capsys.readouterr().out, "prediction") == [cell.removeprefix("'") for cell in predicted]
