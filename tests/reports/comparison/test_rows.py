"""Studies side by side."""

import csv
import io

import pytest

from hpo.reports.comparison.entries import entry_of
from hpo.reports.comparison.rows import comparison_row, merged_row
from hpo.reports.comparison.table import compared
from tests.reports.factory import DROPOUT, RATE, small, trial


@pytest.fixture
def first():
    trials = [
        trial(0, 0.7, {"dropout.p": 0.1}, {"dropout.p": DROPOUT}, epochs=10),
        trial(1, 0.9, {"dropout.p": 0.2}, {"dropout.p": DROPOUT}, epochs=8, seconds=3.0),
        trial(2, 0.8, {"dropout.p": 0.3}, {"dropout.p": DROPOUT}, epochs=5),
    ]
    return small(trials, name="first", winner_number=1, test={"accuracy": 0.88, "loss": 0.4})


@pytest.fixture
def second():
    trials = [trial(0, 0.2, {"optimizer.learning_rate": 0.01}, {"optimizer.learning_rate": RATE}, epochs=4)]
    return small(trials, name="second", objective="loss")


def both(*reports):
    return compared([entry_of(report) for report in reports], anyway=True)


def test_a_row(first):
    made = comparison_row(first)
    assert made["best"] == 0.9
    assert made["median"] == 0.8
    assert (made["finished"], made["pruned"], made["failed"]) == (3, 0, 0)
    assert (made["trials_to_best"], made["epochs_to_best"], made["epochs"]) == (2, 18, 23)
    assert made["seconds_to_best"] == 3.0
    assert made["test.accuracy"] == 0.88
    assert made["winner.dropout.p"] == 0.2
    assert made["winner"] == 1


def test_pauses_between_restarts_do_not_count_as_time_to_the_best():
    late = trial(1, 0.9, seconds=7200.0)
    assert comparison_row(small([trial(0, 0.8), late], wall_seconds=60.0))["seconds_to_best"] == 60.0


def test_the_table_has_every_column_of_every_study(first, second):
    frame = both(first, second).frame
    assert list(frame["study"]) == ["first", "second"]
    columns = list(frame.columns)
    assert columns.index("seconds_training") < columns.index("test.accuracy")
    assert (
        columns.index("test.loss") < columns.index("winner.dropout.p") < columns.index("winner.optimizer.learning_rate")
    )
    assert frame["winner.dropout.p"][1] is None


def test_csv_keeps_numbers_exact_and_missing_cells_empty(first, second, tmp_path):
    path = tmp_path / "new" / "compare.csv"
    made = both(first, second)
    made.write_csv(path)
    read = list(csv.DictReader(io.StringIO(path.read_text())))
    assert read[0]["median"] == "0.8"
    assert read[0]["finished"] == "3"
    assert read[0]["winner.optimizer.learning_rate"] == read[1]["test.accuracy"] == ""
    assert made.csv() == path.read_text()


def test_a_row_of_several_studies_has_means_and_medians_and_what_they_share():
    rows = [{"best": 0.1 * n, "epochs_to_best": n, "winner": n, "models": 2, "study": "s"} for n in (1, 2, 6)]
    made = merged_row(rows)
    assert made == {"best": pytest.approx(0.3), "epochs_to_best": 2, "winner": None, "models": 2, "study": "s"}


def test_a_study_without_a_winner_has_a_row():
    made = comparison_row(small([], name="empty"))
    assert made["best"] is None
    assert made["trials_to_best"] is None
    assert made["seconds_to_best"] is None
