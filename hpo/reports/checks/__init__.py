"""Warnings for readers of a report: reasons to doubt a study's winner, each a plain sentence. No formatting.

Each check takes the evidence and returns sentences; if the evidence does not suffice, it returns none. A new check is
one function and one line in `CHECKS`. The ideas follow Google's tuning playbook: best values near the edge of a range,
too small a budget, winners by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hpo.reports.checks.data.duplicates import repeated_rows
from hpo.reports.checks.data.undefined import undefined_metrics
from hpo.reports.checks.search.edges import edges
from hpo.reports.checks.search.foreign import not_ours
from hpo.reports.checks.search.pruning import better_unfinished
from hpo.reports.checks.search.snapshot import unfinished
from hpo.reports.checks.search.trials import few_trials, found_late
from hpo.reports.checks.training.divergence import divergences
from hpo.reports.checks.training.failures import failures
from hpo.reports.checks.training.improving import still_improving
from hpo.reports.checks.winner.baselines import behind_simple
from hpo.reports.checks.winner.found import no_winner
from hpo.reports.checks.winner.order import within_noise
from hpo.reports.checks.winner.test_part import looked_again, test_gap

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def cautions(evidence: Evidence) -> tuple[str, ...]:
    """All findings, the gravest first."""
    return tuple(sentence for check in CHECKS for sentence in check(evidence))


CHECKS: tuple[Callable[[Evidence], list[str]], ...] = (
    behind_simple,
    no_winner,
    unfinished,
    failures,
    undefined_metrics,
    repeated_rows,
    divergences,
    test_gap,
    looked_again,
    better_unfinished,
    edges,
    few_trials,
    within_noise,
    still_improving,
    found_late,
    not_ours,
)
