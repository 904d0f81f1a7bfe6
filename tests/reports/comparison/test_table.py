"""Comparisons as a whole: which studies compare, by what, in which rows, and what is said of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.conclusions.refit import Refit
from hpo.errors import InputError
from hpo.reports.comparison.columns import BASIC, COLUMNS, FURTHER
from hpo.reports.comparison.entries import Entry
from hpo.reports.comparison.rows import comparison_row
from hpo.reports.comparison.scores import SOURCES
from hpo.reports.comparison.table import compared
from tests.reports.comparison.simulated import searched
from tests.reports.factory import small

DOCS = (Path(__file__).parents[3] / "docs" / "compare.md").read_text(encoding="utf-8")
RANDOM = 'sampler = "random"'


def both_samplers(seeds: int, apart: bool = False) -> list[Entry]:
    """Studies of two samplers with so many seeds; `apart`: the seeds of the second are others."""
    random = [searched(f"random-{n}", seed=n + apart * seeds, mean=0.85, search=RANDOM) for n in range(seeds)]
    return [*(searched(f"tpe-{n}", seed=n) for n in range(seeds)), *random]


def test_winners_of_the_same_folds_are_compared_in_pairs() -> None:
    made = compared([searched("a", folds=5, repeats=2), searched("b", folds=5, repeats=2, mean=0.8)])
    first, second = made.cells
    assert (first["scores"], first["scores_of"], first["interval_from"]) == (5, "selection", "5 folds")
    assert first["score"] == pytest.approx(first["best"], abs=1e-6)
    assert first["score_low"] < first["score"] < first["score_high"]
    assert second["method"] == "paired, 5 folds"
    assert second["difference"] == pytest.approx(second["score"] - first["score"])
    assert second["difference_low"] < second["difference"] < second["difference_high"] < 0
    assert second["p"] == second["p_holm"] < 0.05
    assert second["beats_first"] < 0.05
    assert [cell["rank"] for cell in made.cells] == [1, 2]
    assert [(cell["rank_low"], cell["rank_high"]) for cell in made.cells] == [(1, 1), (2, 2)]
    assert any("by which the winners were selected" in note for note in made.notes)


def test_one_score_each_gives_no_p_value_and_says_so() -> None:
    made = compared([searched("a"), searched("b")])
    assert made.cells[1]["difference"] is not None
    assert made.cells[1]["p"] is made.cells[1]["beats_first"] is None
    assert made.cells[1]["method"] == "none"
    assert "60 validation examples" in made.cells[0]["interval_from"]
    assert [cell["rank_low"] for cell in made.cells] == [1, 1]
    assert any(note.startswith("No p value for a, b: one score each.") for note in made.notes)


def test_winners_that_were_trained_again_on_all_rows_are_told_from_others() -> None:
    def note(*refits: Refit | None) -> bool:
        entries = [searched(name) for name in "ab"]
        reports = [
            replace(entry.report, refit=one, test={"accuracy": 0.9}) for entry, one in zip(entries, refits, strict=True)
        ]
        made = compared([replace(entry, report=report) for entry, report in zip(entries, reports, strict=True)])
        return any(
            text.startswith("The test scores of b are of winners that were trained again") for text in made.notes
        )

    again = Refit(trial=0, epochs=3, examples=90, models=1, seconds=0.1)
    assert note(None, again)
    assert not note(None, None)
    assert not note(again, again)


def test_new_seeds_are_taken_where_every_study_has_them() -> None:
    first = searched("a", folds=5, new_seeds=(0.88, 0.89, 0.9))
    made = compared([first, searched("b", folds=5, new_seeds=(0.86, 0.85, 0.87, 0.84))])
    assert [cell["scores_of"] for cell in made.cells] == ["new_seeds", "new_seeds"]
    assert made.cells[0]["score"] == pytest.approx(0.89)
    assert made.cells[1]["method"] == "unpaired, 4 and 3 scores"
    assert not made.notes
    assert compared([first, searched("b", folds=5)]).cells[0]["scores_of"] == "selection"


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (searched("b", dataset_fingerprint="x" * 64), r"have different data \(data 1: a; data 2: b\)"),
        (searched("b", objective="macro_f1"), r"different objectives .*Give --metric with one that all"),
        (searched("b", seed=1), r"different parts for training and validation .*--group-by file"),
        (searched("b", folds=5), r"divide the data in different ways .*data\.folds = 5: b"),
    ],
)
def test_what_does_not_compare_is_refused_unless_told_to(second: Entry, told: str) -> None:
    with pytest.raises(InputError, match=told + ".*--anyway"):
        compared([searched("a"), second])
    assert compared([searched("a"), second], anyway=True).notes[0].startswith("Compared anyway: The studies")


def test_values_of_different_objectives_are_not_set_against_each_other() -> None:
    made = compared([searched("a"), searched("b", objective="loss")], anyway=True)
    assert made.cells[1]["score"] is made.cells[1]["rank"] is made.cells[1]["epochs_to_first"] is None
    assert made.curves == ()


def test_another_metric_is_that_of_the_winner() -> None:
    entries = [searched("a", folds=3), searched("b", folds=3, objective="macro_f1")]
    made = compared(entries, metric="macro_f1")
    assert made.measure.name == made.cells[0]["metric"] == "macro_f1"
    assert made.cells[0]["score"] == pytest.approx(made.cells[0]["best"] - 0.01, abs=1e-5)
    tested = compared(entries, metric="test.accuracy")
    assert tested.cells[0]["score"] == tested.cells[0]["test.accuracy"]
    assert (tested.cells[0]["scores_of"], tested.cells[0]["area"]) == ("test", None)
    by_loss = compared(entries, metric="loss").measure
    assert (by_loss.name, by_loss.minimized) == ("valid_loss", True)


def test_metrics_that_are_not_recorded_are_refused() -> None:
    with pytest.raises(InputError, match=r"'macro_f2'\. Did you mean 'macro_f1'"):
        compared([searched("a")], metric="macro_f2")


@pytest.mark.parametrize("key", ["file", "search.sampler.name"])
def test_studies_of_several_seeds_are_one_row(key: str) -> None:
    made = compared(both_samplers(5), group_by=key)
    assert [cell["study"] for cell in made.cells] == (["tpe-0", "random-0"] if key == "file" else ["tpe", "random"])
    assert [(cell["studies"], cell["seeds"]) for cell in made.cells] == [(5, "0, 1, 2, 3, 4")] * 2
    assert made.cells[0]["scores_of"] == "studies"
    assert made.cells[0]["score_spread"] > 0
    assert made.cells[1]["method"] == "paired, 5 splits"
    assert made.cells[1]["p"] < 0.05
    assert (made.cells[0]["file.search.sampler.name"], made.cells[1]["file.search.sampler.name"]) == (
        '"tpe"',
        '"random"',
    )
    assert "search.sampler.name" in made.cells[1]["differs"]


def test_seeds_that_are_not_shared_are_compared_unpaired() -> None:
    made = compared(both_samplers(5, apart=True), group_by="file")
    assert made.cells[1]["method"] == "unpaired, 5 and 5 scores"


def test_grouping_by_what_no_study_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"'search.sampler'\. Did you mean"):
        compared([searched("a")], group_by="search.sampler")
    with pytest.raises(InputError, match="would group nothing"):
        compared([searched("a")], group_by="study.seed")


def test_a_row_that_mixes_more_than_seeds_says_so() -> None:
    made = compared(both_samplers(2), group_by="data.dataset")
    assert len(made.cells) == 1
    assert re.search(r"differ in more than the seed: .*search\.sampler\.name", made.notes[0])


def test_a_study_beside_itself_is_equal() -> None:
    made = compared([searched("a", folds=5), searched("a", folds=5)])
    assert (made.cells[1]["difference"], made.cells[1]["p"]) == (0.0, 1.0)
    assert [cell["rank"] for cell in made.cells] == [1, 1]


def test_a_study_without_a_winner_has_no_rank() -> None:
    made = compared([searched("a"), Entry(report=small([], name="empty"))], anyway=True)
    assert made.cells[1]["score"] is made.cells[1]["rank"] is made.cells[1]["difference"] is None


def test_columns_keep_their_names_and_their_order() -> None:
    made = compared([searched("a", folds=2), searched("b", folds=2, search=RANDOM)])
    columns = made.columns
    assert columns[: len(COLUMNS) - 1] == [name for name in COLUMNS if name != "others"]
    assert set(BASIC) - {"others"} == {name for name in comparison_row(searched("a").report) if "." not in name}
    prefixes = {name.partition(".")[0] for name in FURTHER}
    assert {name.partition(".")[0] for name in columns[len(COLUMNS) - 1 :]} <= prefixes


def test_every_column_has_a_row_on_its_page() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", DOCS, re.MULTILINE))
    assert rows == COLUMNS | FURTHER | SOURCES
    assert [name for name in rows if name in COLUMNS] == list(COLUMNS)
