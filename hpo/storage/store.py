"""`Store`: Optuna's storage contract over Optuna's own tables, with a copy in memory and with transactions.

Trials that have ended are read once and answered from memory. What other processes may have changed is read at each
call, or once in a transaction. Outside a transaction, every write is in the database when the call returns. In a
transaction,

    with store.transaction():
        for trial_id in store.create_trials(study_id, 32): ...

the writes of all trials are committed together at the end of the block; if the block raises, none is written. Creating
or claiming trials locks the study, since trial numbers must be exact over all processes: other processes cannot create
trials until the block ends, so no training belongs in it.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from copy import deepcopy as deep_copy
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import insert, select, update

from hpo.database.clock import to_stored
from hpo.database.tables import (
    study_system_attributes,
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)
from hpo.errors import GoneError
from hpo.storage.cache import ENDED, Mirror, blank_trial, copied, detached
from hpo.storage.load import read_newer, reread
from hpo.storage.own_trials import MARK, REOPENED, ForeignKind, is_ours, kind_of, mark
from hpo.storage.records import Records
from hpo.storage.rows import (
    as_json,
    attribute_row,
    head_columns,
    param_row,
    report_row,
    rows_of,
    value_row,
)
from hpo.storage.transaction import Transaction, upsert


class Store(Records):
    """One database. `hpo.storage.open.open_store` opens it, and creates or checks its tables."""

    # --- creating trials --------------------------------------------------------------------------------------

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if template_trial is None:
            return self.create_trials(study_id, 1)[0]
        with self._changes() as transaction:
            return self._create(transaction, study_id, [template_trial])[0]

    def create_trials(self, study_id: int, count: int) -> list[int]:
        """Create running trials with consecutive numbers and return their ids.

        All are created at once; in a transaction, their parameters are committed together with them. The trials count
        as begun by this program.
        """
        with self._changes() as transaction:
            ids = self._create(transaction, study_id, [blank_trial(datetime.now())] * count)
            for trial_id in ids:
                self._begin(trial_id)
            return ids

    def waiting_trials(self, study_id: int) -> list[FrozenTrial]:
        """The trials that other programs have enqueued and that have not begun."""
        return self.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))

    def begin(self, trial_id: int) -> bool:
        """Begin an enqueued trial, as one of this program; False if another process was first."""
        with self._changes():
            try:
                claimed = self.set_trial_state_values(trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                return False
            if claimed:
                self._begin(trial_id)
            return claimed

    def _begin(self, trial_id: int) -> None:
        mirror = self._mirror_of(trial_id)
        mirror.begun.add(trial_id)
        if mirror.mark is not None:
            number = mirror.trials[trial_id].number
            self.set_trial_system_attr(trial_id, MARK, mark(mirror.mark, number))

    def _create(self, transaction: Transaction, study_id: int, templates: Sequence[FrozenTrial]) -> list[int]:
        # A trial's number is the count of trials before it, so no other process may create one until the commit.
        connection = transaction.lock_study(study_id)
        mirror = self._mirror(study_id, look=not transaction.single)
        read_newer(connection, mirror)
        for template in templates:
            for name, distribution in template.distributions.items():
                mirror.accept(name, distribution)
        heads = [
            {"study_id": study_id, "number": number, **head_columns(template)}
            for number, template in enumerate(templates, len(mirror.trials))
        ]
        if heads:
            connection.execute(insert(trials), heads)
        created = select(trials.c.trial_id).where(trials.c.study_id == study_id, trials.c.trial_id > mirror.last)
        ids = list(connection.execute(created.order_by(trials.c.number)).scalars())
        transaction.changed.add(study_id)
        for trial_id, head, template in zip(ids, heads, templates, strict=True):
            trial = detached(template)
            trial._trial_id, trial.number = trial_id, head["number"]
            trial.user_attrs = as_json(trial.user_attrs)
            trial.system_attrs = as_json(trial.system_attrs)
            transaction.mark_locked(trial_id)
            for table, row in rows_of(trial):
                transaction.put(table, row)
            mirror.put(trial)
            if trial.state == TrialState.RUNNING:
                mirror.own.add(trial_id)
        return ids

    # --- writing trials ---------------------------------------------------------------------------------------

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        with self._changes() as transaction:
            mirror, trial = self._updatable(transaction, trial_id)
            if transaction.single and not mirror.registered and param_name not in mirror.distributions:
                self._refresh_again(mirror)
            mirror.accept(param_name, distribution)
            value = distribution.to_external_repr(float(param_value_internal))
            trial.params = {**trial.params, param_name: value}
            trial.distributions = {**trial.distributions, param_name: distribution}
            transaction.put(trial_params, param_row(trial_id, param_name, param_value_internal, distribution))
            mirror.put(trial)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        with self._changes() as transaction:
            mirror, trial = self._updatable(transaction, trial_id)
            trial.intermediate_values = {**trial.intermediate_values, int(step): float(intermediate_value)}
            transaction.put(trial_intermediate_values, report_row(trial_id, step, intermediate_value))
            mirror.put(trial)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._changes() as transaction:
            mirror, trial = self._updatable(transaction, trial_id)
            trial.user_attrs = {**trial.user_attrs, key: as_json(value)}
            transaction.put(trial_user_attributes, attribute_row(trial_id, key, value))
            mirror.put(trial)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._changes() as transaction:
            mirror, trial = self._updatable(transaction, trial_id)
            trial.system_attrs = {**trial.system_attrs, key: as_json(value)}
            transaction.put(trial_system_attributes, attribute_row(trial_id, key, value))
            mirror.put(trial)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        with self._changes() as transaction:
            mirror, trial = self._updatable(transaction, trial_id)
            before = trial.state
            claims = state == TrialState.RUNNING and before == TrialState.WAITING
            if claims:
                trial.datetime_start = datetime.now()
                if not self._claim(transaction, mirror, trial):
                    return False
                mirror.own.add(trial_id)
            if values is not None:
                trial.values = [float(value) for value in values]
                for objective, value in enumerate(trial.values):
                    transaction.put(trial_values, value_row(trial_id, objective, value))
            trial.state = state
            if state in ENDED:
                trial.datetime_complete = datetime.now()
                mirror.unread.add(trial_id)
            if state != before and not claims:
                transaction.put_head(trial)
            mirror.put(trial)
            return claims or state != TrialState.RUNNING

    def _updatable(self, transaction: Transaction, trial_id: int) -> tuple[Mirror, FrozenTrial]:
        """A copy of the trial to change; `KeyError` if there is none, `UpdateFinishedTrialError` if it has ended."""
        mirror = self._mirror_of(trial_id)
        if transaction.single and transaction.lock_trial(trial_id) != mirror.trials[trial_id].state:
            self._read_again(mirror, trial_id)
        trial = mirror.trials[trial_id]
        if trial.state in ENDED:
            raise UpdateFinishedTrialError(f"trial {trial.number} has ended and can not be updated")
        if trial.state == TrialState.RUNNING:
            mirror.own.add(trial_id)
        transaction.changed.add(mirror.study_id)
        return mirror, copied(trial)

    def _claim(self, transaction: Transaction, mirror: Mirror, trial: FrozenTrial) -> bool:
        """Turn a waiting trial into a running one of this process; False if another process was first."""
        if not transaction.single:
            # Locked in the same order as in `_create`, the study before the trial: else two processes could deadlock.
            transaction.lock_study(mirror.study_id)
        statement = (
            update(trials)
            .where(trials.c.trial_id == trial._trial_id, trials.c.state == TrialState.WAITING)
            .values(state=TrialState.RUNNING, datetime_start=to_stored(trial.datetime_start))
        )
        if transaction.begin().execute(statement).rowcount == 1:
            transaction.mark_locked(trial._trial_id)
            return True
        if self._read_again(mirror, trial._trial_id).state in ENDED:
            raise UpdateFinishedTrialError(f"trial {trial.number} has ended and can not be updated")
        return False

    def reread(self, study_id: int, trial_ids: Collection[int]) -> None:
        """In a transaction that has reopened these trials in the database: read them again, and have other processes
        do so."""
        with self._changes() as transaction:
            connection = transaction.lock_study(study_id)
            transaction.changed.add(study_id)
            marks = study_system_attributes
            known = select(marks.c.value_json).where(marks.c.study_id == study_id, marks.c.key == REOPENED)
            count = 1 + int(connection.execute(known).scalar() or 0)
            row = {"study_id": study_id, "key": REOPENED, "value_json": str(count)}
            connection.execute(upsert(connection.dialect.name, marks), [row])
            reread(connection, self._mirror(study_id, look=False), trial_ids)

    # --- reading trials ---------------------------------------------------------------------------------------

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self._lock:
            mirror = self._mirror_of(trial_id)
            if self._transaction is None and (trial_id in mirror.open or trial_id in mirror.unread):
                self._read_again(mirror, trial_id)
            return detached(mirror.trials[trial_id])

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        with self._lock:
            found = self._mirror(study_id).select(states)
            return deep_copy(found) if deepcopy else found

    def own_trials(self, study_id: int, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """The trials of a study that are this program's own, see `own_trials`."""
        with self._lock:
            return self._mirror(study_id).select(states, ours=True)

    def foreign_trials(self, study_id: int) -> list[tuple[ForeignKind, FrozenTrial]]:
        """All other trials of a study, with their kinds."""
        with self._lock:
            mirror = self._mirror(study_id)
            begun = mirror.begun
            others = (trial for trial in mirror.select(None) if not is_ours(trial, begun))
            return [(kind_of(trial, begun), trial) for trial in others]

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        with self._lock:
            return self._mirror(study_id).count((state,) if isinstance(state, TrialState) else state)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        with self._lock:
            ids = self._mirror(study_id).ids
            if trial_number not in ids:
                raise GoneError(f"the study with the id {study_id} has no trial {trial_number}")
            return ids[trial_number]
