"""Every sampler goes on after an edit of what it searches."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from optuna.trial import TrialState

from hpo.endings import Ended, Ending
from hpo.execution.resources import Resources
from hpo.runtime.editing import continued, edit_study
from hpo.runtime.session import Session
from hpo.search.sampling.by_name import SAMPLERS
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.edits import ATTRIBUTE, outside
from hpo.studyfile.study import StudySpec
from tests.runtime.small import open_study, small_study

STEPPED = "p = { low = 0.0, high = 0.4, step = 0.2 }"


def searching(sampler: str, *, edited: bool) -> StudySpec:
    options = '{ name = "sgd" }, { name = "adamw" }' if edited else '{ name = "sgd" }, { name = "adam" }'
    name = f'{{ name = "{sampler}", startup_trials = 2 }}' if sampler in ("tpe", "gp", "cmaes") else f'"{sampler}"'
    return small_study(
        norm='choice = [{ kind = "none" }, { kind = "layer" }]' if edited else 'kind = "none"',
        dropout="p = { low = 0.0, high = 0.2, step = 0.2 }" if edited else STEPPED,
        optimizer=f"learning_rate = {{ low = 0.01, high = 0.1, step = 0.045 }}\nchoice = [{options}]",
        search=f'trials = 40\nconcurrency = 3\nsampler = {name}\npruner = "none"',
    )


def ask(session: Session, count: int) -> None:
    """Trials that end at once."""
    for _ in range(count):
        (trial,) = session.searcher.ask(1)
        assert trial.config is not None
        session.searcher.report(trial.trial_id, 1, trial.config.optimizer.learning_rate)
        session.searcher.tell(trial.trial_id, TrialState.COMPLETE, Ended(why=Ending.FINISHED), {})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_new_trials_lie_in_the_new_space_and_old_ones_keep_their_configurations(sampler: str, tmp_path: Path) -> None:
    before, after = searching(sampler, edited=False), searching(sampler, edited=True)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        session = open_study(before, store, tmp_path)
        ask(session, 8)
        known = {trial.number: session.searcher.config(trial) for trial in session.searcher.all_trials()}
        edit_study(after, sqlite_url(tmp_path), tmp_path)
        again = continued(session, Resources(lanes=4))
        ask(again, 6)
        for trial in again.searcher.all_trials():
            if trial.number < 8:
                assert again.searcher.config(trial) == known[trial.number]
            else:
                assert trial.system_attrs[ATTRIBUTE] == 1
                assert outside(after, trial.params) == {}
                assert set(trial.params) >= {"norm.kind", "dropout.p"}
