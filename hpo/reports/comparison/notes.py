"""What a reader of a comparison has to know, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.printable import listed
from hpo.reports.comparison.entries import NAMED, Row, mixed
from hpo.reports.comparison.significance import Scores


def facts_to_know(rows: Sequence[Row], scores: Sequence[Scores], comparable: bool) -> list[str]:
    """`comparable`: whether the rows have one objective."""
    found = []
    if more := mixed(rows):
        found.append(more)
    running = [report.name for row in rows for report in row.reports if report.counts.running]
    if running:
        found.append(f"Trials of {listed(running, NAMED)} have not ended: this is a snapshot.")
    if not comparable:
        return [*found, "Values of different objectives have no difference, rank or thresholds."]
    if len(rows) < 2:
        return found
    reports = [report for row in rows for report in row.reports if report.test]
    if (again := [report.name for report in reports if report.refit]) and len(again) < len(reports):
        found.append(
            f"The test scores of {listed(again, NAMED)} are of winners that were trained again on training and "
            "validation rows together (study.final), those of the others are not."
        )
    once = [row.label for row, of in zip(rows, scores, strict=True) if len(of.units) < 2]
    if once:
        found.append(
            f"No p value for {listed(once, NAMED)}: one score each. Give the studies data.repeats or data.folds, or "
            "compare several seeds of each with --group-by file."
        )
    alike = [
        row.label
        for row, of in zip(rows, scores, strict=True)
        if of.source == "studies" and len(of.blocks) == 1 and len(of.units) > 1
    ]
    if alike:
        found.append(
            f"The studies of {listed(alike, NAMED)} divide the data alike: their interval says how far seeds change "
            "the score on these examples, not how far other examples would."
        )
    several = [(row.label, of.source) for row, of in zip(rows, scores, strict=True) if len(of.units) > 1]
    if selected := [name for name, source in several if source == "selection"]:
        found.append(
            f"The scores of {listed(selected, NAMED)} are those by which the winners were selected, which favours "
            "the search of more trials. p values compare winners, not ways of searching."
        )
    return found
