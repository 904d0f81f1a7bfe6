"""The page of a comparison."""

from __future__ import annotations

import re
from pathlib import Path

from hpo.reports.comparison.page import drawing, page
from hpo.reports.comparison.shown import shown, with_interval
from hpo.reports.comparison.table import Comparison, compared
from tests.reports.comparison.simulated import searched
from tests.test_printable import NASTY

NAMES = [f"study-{n}" for n in range(13)]


def many() -> Comparison:
    return compared([searched(name, mean=0.9 - 0.01 * n) for n, name in enumerate(NAMES)])


def test_the_page_is_small_and_asks_for_nothing() -> None:
    made = page(many())
    assert len(made) < 60_000
    assert not re.search(r"""(src|href)=["'](?!#)|url\(|<script|@import""", made)


def test_all_rows_are_in_its_table_and_ten_are_drawn() -> None:
    comparison = many()
    made, drawn = page(comparison), drawing(comparison)
    assert all(f'<th scope="row">{name}</th>' in made for name in NAMES)
    assert drawn is not None
    assert len(drawn.lines) == len(drawn.legend) == 10
    assert len({(line.colour, line.dash) for line in drawn.legend}) == 10
    assert "study-0 ends at" in drawn.title
    assert "3 more rows in the CSV file" in made


def test_texts_of_others_are_escaped() -> None:
    made = page(compared([searched("a"), searched("b")], group_by="file"))
    assert "<b>" not in made
    nasty = Comparison(
        measure=many().measure,
        rows=(),
        cells=({"study": f"<img>{NASTY}", "scores_of": None},),
        curves=(),
        notes=("<i>",),
    )
    made = page(nasty)
    assert "<img>" not in made
    assert "<i>" not in made


def test_a_line_runs_from_the_first_value_to_the_end_of_the_search() -> None:
    drawn = drawing(compared([searched("a"), searched("b")]))
    assert drawn is not None
    assert all(re.fullmatch(r"M[\d.]+ [\d.]+(H[\d.]+V[\d.]+)*H708\.0", line.path) for line in drawn.lines)
    assert drawn.x[-1].text == "36"


def test_ten_rows_are_shown_with_the_first_and_the_best() -> None:
    texts = shown(many())
    assert texts.omitted == 3
    assert texts.heads[0] == "study-0"
    assert "score" in texts.lines
    assert "score_low" not in texts.lines
    assert "studies" not in texts.lines


def test_intervals_stand_behind_their_values() -> None:
    cell = {"score": 0.91234, "score_low": 0.9, "score_high": 0.92, "rank": 1, "rank_low": 1, "rank_high": 1}
    assert with_interval(cell, "score") == "0.9123 (0.9 to 0.92)"
    assert with_interval(cell, "rank") == "1"


def test_the_page_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "compare.html"
    many().write_html(path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
