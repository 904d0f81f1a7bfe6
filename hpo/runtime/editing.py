"""Editing a study: giving it another study file while it runs, or after it has ended.

An edit is written into the log (`registry.edits`). Where nobody trains the study, it takes effect at once; else whoever
trains it takes it up between two epochs: the trials in flight are saved then, and go on with the settings that they
began with. Nothing is trained again. Where it took effect, in trials and epochs, is noted, so that another study to
which the same files are given at the same places ends with the same trials.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import update

from hpo import space
from hpo.data.study import check_objective
from hpo.database.patience import retried
from hpo.database.tables import hpo_studies
from hpo.errors import InputError, StudyStateError
from hpo.execution.resources import Resources
from hpo.registry import control, edits, exclusive, studies
from hpo.registry.edits import Edit
from hpo.registry.studies import StudyRow
from hpo.runtime.session import Session, session_of
from hpo.runtime.setup.inputs import check_code, load_inputs, sources_of
from hpo.runtime.setup.registration import cannot_change, has_work, refuse_other_inputs
from hpo.runtime.setup.specs import as_begun, spec_of
from hpo.storage.open import open_store
from hpo.storage.store import Store
from hpo.studyfile.edits import differences, outside, refusals
from hpo.studyfile.file import fingerprint, parse_study
from hpo.studyfile.study import StudySpec, trial_epochs, with_budget, with_epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class Edited:
    """A study after an edit."""

    edit: Edit
    row: StudyRow
    outside: tuple[int, ...]
    """Numbers of trials whose values the file does not allow any more."""


def edit_study(spec: StudySpec, url: str, home: Path, *, after_trials: int = 0, after_epochs: int = 0) -> Edited:
    """Gives the study of this name the file of `spec`, once it has asked for so many trials and trained so many
    trial-epochs. `InputError` where the file changes what no edit can change, or changes nothing."""
    open_store(url, readonly=True).close()  # raises if there is no database, which this must not create
    with closing(open_store(url)) as store:
        row = studies.study_row(store, spec.study.name)
        log = edits.edits_of(store, row.study_id)
        before, now = _last(row, log), as_begun(spec, row)
        now = replace(now, planned=spec.planned)
        if trial_epochs(now) == trial_epochs(parse_study(*_last_file(row, log))):
            now = with_epochs(now, trial_epochs(before))
        changes = differences(before, now)
        if refused := refusals(before, now):
            raise InputError(f"{spec.source}: {cannot_change(row.name, refused)}.")
        if not changes:
            raise InputError(
                f"{spec.source}: it says what the study {row.name!r} has already; there is nothing to edit."
            )
        inputs = load_inputs(now, home)
        refuse_other_inputs(now, row, inputs)
        check_objective(now, inputs, begun=True)
        check_code(now, inputs)

        def add() -> int:
            with store.transaction(), store.locking(row.study_id) as connection:
                if len(edits.edits_of(store, row.study_id)) != len(log):
                    raise StudyStateError(
                        f"the study {row.name!r} was edited at this moment. Run the same command again."
                    )
                present = studies.study_row(store, row.name)
                facts = replace(present.facts, sources={**present.facts.sources, **inputs.sources})
                studies.set_facts(store, row.study_id, facts)
                after, source = (after_trials, after_epochs), str(Path(spec.source).resolve())
                return edits.add(connection, present, log, changes, text=spec.text, source=source, after=after)

        number = retried(add)
        take_up(store, row.name)
        return _edited(store, row.name, number, now)


def take_up(store: Store, name: str, *, held: bool = False) -> StudyRow:
    """Has the edits take effect that are due, unless another process trains the study. Returns the study's row, as it
    is then. `held`: this process has an exclusive claim on the study, and trains nothing now."""

    def act() -> StudyRow:
        row = studies.study_row(store, name)
        if edits.next_place(store, row.study_id) is None:
            return row
        with store.transaction(), store.locking(row.study_id) as connection:
            store.forget(row.study_id)
            while edits.is_due(store, row.study_id) and (held or not exclusive.is_trained(connection, row.study_id)):
                _take_up_next(store, studies.study_row(store, name))
        store.forget(row.study_id)
        return studies.study_row(store, name)

    return retried(act)


def continued(session: Session, resources: Resources) -> Session:
    """The session of a study on which this process has an exclusive claim, after its edits that are due have taken
    effect."""
    row = take_up(session.store, session.spec.study.name, held=True)
    spec = with_budget(spec_of(row), trials=row.facts.budget)
    inputs = replace(session.inputs, sources=sources_of(spec))
    opened = session_of(spec, inputs, session.store, session.study_id, session.home, resources)
    return replace(opened, checkpoint_store=session.checkpoint_store)


def _take_up_next(store: Store, row: StudyRow) -> None:
    log = edits.edits_of(store, row.study_id)
    edit = next(edit for edit in log if edit.waits)
    old, new = parse_study(row.spec_text, row.spec_source), parse_study(edit.spec_text, edit.spec_source)
    epochs = row.trial_epochs or trial_epochs(old)
    longer = trial_epochs(new) if trial_epochs(new) != trial_epochs(old) else epochs
    with store.writing() as connection:
        if longer > epochs:
            control.lengthen(store, connection, row.study_id, epochs)
        asked = len(store.own_trials(row.study_id))
        edits.note_effect(connection, row.study_id, edit.number, trials=asked, epochs=row.epochs_spent)
        new = replace(with_epochs(new, longer), conventions=row.facts.conventions)
        trials = _budget_of_trials(row, replace(old, conventions=row.facts.conventions), new)
        columns: dict[str, Any] = {
            "spec_text": edit.spec_text,
            "spec_source": edit.spec_source,
            "fingerprint": fingerprint(new),
            "trial_epochs": longer if row.trial_epochs is not None or longer != epochs else None,
            "generation": row.generation + 1,
            "facts_json": json.dumps(replace(row.facts, budget=trials, roles=new.study.roles or None).as_dict()),
        }
        if row.submitted_at is not None:
            limits = {name: getattr(new.search, name) for name in ("epochs", "wall_seconds", "cpu_seconds")}
            changed = {name: limit for name, limit in limits.items() if limit != getattr(old.search, name)}
            columns |= {"max_trials": trials, **{f"max_{name}": limit for name, limit in changed.items()}}
        connection.execute(update(hpo_studies).where(hpo_studies.c.study_id == row.study_id).values(**columns))
        for key, value in {"sampler": new.sampler.name, "pruner": new.pruner.name}.items():
            store.set_study_user_attr(row.study_id, key, value)
        now = studies.study_row(store, row.name)
        if has_work(with_budget(new, trials=trials), store, now) or _concluded_otherwise(old, new):
            studies.mark_unfinished(store, row.study_id)


def _concluded_otherwise(old: StudySpec, new: StudySpec) -> bool:
    """Whether an ended study has to be concluded anew."""
    return new.study.final != old.study.final or new.search.confirm != old.search.confirm


def _budget_of_trials(row: StudyRow, old: StudySpec, new: StudySpec) -> int:
    """That of the new file, or the one that an option or an extension gave the study, if the file does not change
    it."""
    given = row.max_trials if row.submitted_at is not None else row.facts.budget
    if new.search.trials != old.search.trials or given in (None, space.budget(old)):
        return space.budget(new)
    return space.budget(with_budget(new, trials=given))


def _last_file(row: StudyRow, log: Sequence[Edit]) -> tuple[str, str]:
    """Text and source of the newest file, also of one that has not taken effect."""
    return (log[-1].spec_text, log[-1].spec_source) if log else (row.spec_text, row.spec_source)


def _last(row: StudyRow, log: Sequence[Edit]) -> StudySpec:
    """The newest file, with the epochs that trials have by it."""
    spec = parse_study(*_last_file(row, log))
    spec = replace(spec, conventions=row.facts.conventions)
    same = trial_epochs(spec) == trial_epochs(parse_study(row.spec_text, row.spec_source))
    return with_epochs(spec, row.trial_epochs) if same else spec


def _edited(store: Store, name: str, number: int, spec: StudySpec) -> Edited:
    row = studies.study_row(store, name)
    found = store.own_trials(row.study_id)
    return Edited(
        edit=edits.edits_of(store, row.study_id)[number],
        row=row,
        outside=tuple(trial.number for trial in found if outside(spec, trial.params)),
    )
