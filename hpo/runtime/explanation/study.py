"""`hpo explain`: explains the winner of a study that has ended, from its data to its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hpo import disk
from hpo.conclusions.explanation import Explanation
from hpo.errors import InputError
from hpo.execution.engines import open_executor
from hpo.execution.resources import Resources
from hpo.execution.sizing import usable_cores
from hpo.paths import argument
from hpo.registry.studies import study_row
from hpo.reports.render.build import write_report
from hpo.runtime.explanation import explain
from hpo.runtime.explanation.matter import Matter, matter_of
from hpo.runtime.local_run import device_of, prepare_process
from hpo.runtime.repeats import Watch
from hpo.runtime.session import session_of
from hpo.runtime.setup.inputs import load_inputs
from hpo.runtime.setup.registration import check_unchanged
from hpo.runtime.setup.specs import spec_of
from hpo.search.explanation.plan import Plan, fewest, plan_of, trainings
from hpo.search.searcher import Searcher
from hpo.storage.open import open_store
from hpo.storage.own_view import own_trials_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """A study that was explained."""

    explanation: Explanation
    objectives: tuple[str, ...]
    """Names of the study's objectives."""
    report: Path
    """Path of the report's page."""


def explain_study(
    name: str,
    url: str,
    home: Path,
    *,
    share: float | None = None,
    epochs: int | None = None,
    workers: int | None = 1,
    device: str = "auto",
    threads: int = 1,
    given: Mapping[str, Any] | None = None,
    watch: Watch = lambda text: None,
) -> Explained:
    """Explains the winner of a study within a share of the epochs of its search, or within a number of `epochs`, and
    writes the report again. What an explanation of the same winner has trained before is not trained again. `given`:
    the data, where they were given as objects, by key; `watch` is called before each epoch with the progress in words.

    `StudyStateError` where the study has no winner to explain, or its data or code has changed; `InputError` where the
    budget does not pay for anything."""
    if share is not None and not 0.0 < share <= 10.0:
        raise InputError(f"share must be more than 0 and at most 10, but got {share:g}")
    if share is not None and epochs is not None:
        raise InputError(
            "an explanation has either a share of the epochs of the search or a number of epochs, not both"
        )
    with closing(open_store(url)) as store:
        row = study_row(store, name)
        spec = replace(spec_of(row), given=given or {})
        matter = matter_of(Searcher(spec, own_trials_of(store), store, row.study_id), row)
        plan = _plan(matter, share, epochs)
        inputs = load_inputs(spec, home)
        again = "its winner cannot be trained again"
        check_unchanged(inputs, row, of_data=again, of_code=again)
        before = torch.get_num_threads()
        usable = prepare_process(home, min(threads, usable_cores()))
        resources = Resources(device=device_of(device), workers=workers, threads=usable)
        session = session_of(replace(spec, given={}), inputs, store, row.study_id, home, resources)
        with ExitStack() as stack:
            stack.callback(torch.set_num_threads, before)  # a caller's other computations keep their threads
            explanation = explain(
                session,
                lambda: stack.enter_context(open_executor(session.job, resources)),
                matter,
                plan,
                watch,
            )
        page = write_report(store, name, disk.study_folder(home / "reports", name))
    return Explained(explanation=explanation, objectives=row.objectives, report=page)


def _plan(matter: Matter, share: float | None, epochs: int | None) -> Plan:
    changes = len(matter.changes)
    count = trainings(share, matter.searched, matter.length, changes) if epochs is None else epochs // matter.length
    plan = plan_of(changes, count)
    if plan is None:
        name, least = matter.spec.study.name, fewest(changes)
        needed = least * matter.length
        part = math.ceil(100 * needed / matter.searched) / 100
        raise InputError(
            f"the least that explains the winner of {name!r} is {least} trainings of {matter.length} epochs, "
            f"{needed} epochs, and its search trained {matter.searched}. Give it as much: "
            f"`hpo explain {argument(name)} --share {part:g}`."
        )
    return plan
