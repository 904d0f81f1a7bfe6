"""Health checks of a study: reasons to doubt its conclusions, each with a verdict, a figure and the way out. No
formatting.

Each check takes the evidence and returns a finding, also where there is nothing to object or where the check does not
apply. A new check is a function in a file of the room of what it doubts, its line in `CHECKS` and its row in
`docs/report.md`. The ideas follow Google's tuning playbook: best values near the edge of a range, too small a budget,
winners by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from hpo.reports.checks.data.duplicates import duplicates
from hpo.reports.checks.data.imbalance import imbalance
from hpo.reports.checks.data.leak import leak
from hpo.reports.checks.data.scaling import unscaled_data
from hpo.reports.checks.data.undefined import undefined_metric
from hpo.reports.checks.search.edges import edges
from hpo.reports.checks.search.effects import dead_parameters, nothing_matters
from hpo.reports.checks.search.foreign import other_programs
from hpo.reports.checks.search.pruning import better_unfinished, pruning
from hpo.reports.checks.search.snapshot import unfinished
from hpo.reports.checks.search.trials import few_trials, found_late
from hpo.reports.checks.training.divergence import divergence
from hpo.reports.checks.training.failures import failed_trials
from hpo.reports.checks.training.improving import still_improving
from hpo.reports.checks.winner.baselines import baseline
from hpo.reports.checks.winner.found import winner
from hpo.reports.checks.winner.luck import lucky_seed, optimism, seeds_decide
from hpo.reports.checks.winner.order import order_is_chance
from hpo.reports.checks.winner.test_part import gap_to_test, looks_at_test
from hpo.reports.health import Check, Finding, Verdict

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

GRAVEST_FIRST = (Verdict.FAIL, Verdict.WARN, Verdict.PASS, Verdict.NOT_APPLICABLE)


def health(evidence: Evidence) -> tuple[Check, ...]:
    """The health card: what every check found, the gravest first, else in the order of `CHECKS`."""
    found = [_check(code, check(evidence)) for code, check in CHECKS.items()]
    return tuple(sorted(found, key=lambda check: GRAVEST_FIRST.index(check.verdict)))


def _check(code: str, finding: Finding) -> Check:
    return Check(code=code, **{field.name: getattr(finding, field.name) for field in fields(Finding)})


CHECKS: Mapping[str, Callable[[Evidence], Finding]] = {
    "winner": winner,
    "baseline": baseline,
    "imbalance": imbalance,
    "nothing_matters": nothing_matters,
    "seeds_decide": seeds_decide,
    "unfinished": unfinished,
    "failed_trials": failed_trials,
    "undefined_metric": undefined_metric,
    "duplicates": duplicates,
    "leak": leak,
    "unscaled_data": unscaled_data,
    "divergence": divergence,
    "test_gap": gap_to_test,
    "test_looks": looks_at_test,
    "better_unfinished": better_unfinished,
    "pruning": pruning,
    "edges": edges,
    "few_trials": few_trials,
    "order_is_chance": order_is_chance,
    "optimism": optimism,
    "lucky_seed": lucky_seed,
    "still_improving": still_improving,
    "found_late": found_late,
    "dead_parameters": dead_parameters,
    "other_programs": other_programs,
}
"""Code -> check. `summary.json` has the codes: none is ever renamed."""
