"""The scores by which rows are compared, and what they are: of several studies the best of each, of a single study its
winner's folds and repeats, or better, new trainings of the winner by which it was not selected."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev

from hpo.reports.comparison.entries import Entry, Row
from hpo.reports.comparison.measures import TEST, Measure, replica_values
from hpo.reports.comparison.significance import Scores

SOURCES: dict[str, str] = {
    "studies": "the winner of each study of the row",
    "new_seeds": "trainings of the winner with new seeds after the search, on the same parts of the data",
    "selection": "the winner's folds and repeats, by which it was selected, so they are a little too good",
    "test": "the winner on the test part, once",
    "none": "nothing",
}
"""Column `scores_of` -> what the scores are."""


def all_scores(rows: Sequence[Row], measure: Measure) -> list[Scores]:
    """The scores of the rows. New trainings are taken where every row has some, so that like is compared with like.
    Studies without a winner, or whose winner has no value, are left out."""
    entries = [entry for row in rows for entry in row.entries]
    repeated = len(rows) == len(entries) and all(
        len(entry.new_seeds) > 1 and measure.is_objective_of(entry.report) for entry in entries
    )
    if repeated:
        return [Scores(blocks={_split(entry): entry.new_seeds}, source="new_seeds") for entry in entries]
    return [_of_studies(row, measure) if len(row.entries) > 1 else _of_study(row.entries[0], measure) for row in rows]


def _of_studies(row: Row, measure: Measure) -> Scores:
    blocks: dict[str, tuple[float, ...]] = {}
    for entry in row.entries:
        mean = _of_study(entry, measure).mean
        if mean is not None:
            block = _split(entry)
            blocks[block] = (*blocks.get(block, ()), mean)
    return Scores(blocks=blocks, source="studies" if blocks else "none")


def _of_study(entry: Entry, measure: Measure) -> Scores:
    report, winner = entry.report, entry.report.winner
    if winner is None:
        return Scores(blocks={}, source="none")
    if measure.on_test:
        value = report.test.get(measure.name.removeprefix(TEST))
        if value is None:
            return Scores(blocks={}, source="none")
        return Scores(blocks={_split(entry): (value,)}, source="test")
    folds = report.parts.folds
    by_fold: dict[int, tuple[float, ...]] = {}
    for replica, value in replica_values(report, measure, winner).items():
        by_fold[replica % folds] = (*by_fold.get(replica % folds, ()), value)
    if not by_fold and measure.is_objective_of(report) and winner.value is not None:
        by_fold = {0: (winner.value,)}  # a study whose epochs are not recorded
    blocks = {f"{_split(entry)}, fold {fold}": values for fold, values in sorted(by_fold.items())}
    return Scores(blocks=blocks, folds=folds > 1 and len(blocks) > 1, source="selection" if blocks else "none")


def _split(entry: Entry) -> str:
    """What studies with the same examples in the same parts share."""
    report = entry.report
    if report.function is not None:
        return f"seed {report.seed} of {report.dataset_fingerprint}"
    own = report.split_fingerprint is None or entry.settings.get("data.reshuffle") == "true"
    return f"study {report.name}" if own else f"split {report.split_fingerprint}"


def spread_of(scores: Scores) -> float | None:
    """Standard deviation of the separate scores; None for fewer than two."""
    return stdev(scores.units) if len(scores.units) > 1 else None
