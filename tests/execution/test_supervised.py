"""Replacement of shards that die, with shards in this process that fail on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import MachineError
from hpo.execution.executor import Executor
from hpo.execution.job import TrainingJob
from hpo.execution.messages import Admit, Diagnose, Order, Reply, Settle, Train, Trained
from hpo.execution.shard import InProcessShard
from hpo.execution.supervised import DEATHS, Died
from hpo.runtime import coordinator
from hpo.runtime.ownership import SoleOwnership
from hpo.runtime.progress import Progress
from hpo.runtime.session import Session
from hpo.training.trainer import Failure
from tests.runtime.small import epochs_of, in_session, result_of, small_study, trials_of

Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]
Condition = Callable[["FailingShard", Order], bool]
"""Whether a shard dies at an order."""

STUDY = {"search": 'trials = 8\nconcurrency = 4\npruner = { name = "median", startup_trials = 2 }'}


class FailingShard(InProcessShard):
    """A shard that dies at some orders: before it executes them, or `after` that, so that its reply is lost."""

    def __init__(self, job: TrainingJob, dies: Condition, *, after: bool) -> None:
        super().__init__(job)
        self.dies = dies
        self.after = after
        self.trials: set[int] = set()

    def receive(self) -> Reply:
        order = self._order
        assert order is not None
        if isinstance(order, Admit):
            self.trials |= order.trials.keys()
        if self.after:
            answer = super().receive()
        self.trials = {lane.trial for cohort in self._shard.trainer.all_cohorts() for lane in cohort.lanes}
        if self.dies(self, order):
            raise Died("planted")
        return answer if self.after else super().receive()


def times(count: int, kind: type[Order], skip: int = 0) -> Condition:
    """Deaths at `count` orders of a kind, after `skip` orders without one; counted over all shards."""
    seen = 0

    def dies(shard: FailingShard, order: Order) -> bool:
        nonlocal seen
        seen += isinstance(order, kind)
        return isinstance(order, kind) and skip < seen <= skip + count

    return dies


def outcome(home: Path, dies: Condition, *, after: bool = False, workers: int = 2) -> tuple[Result, int]:
    """The study's result with such shards, and the number of deaths."""
    seen: list[Progress] = []

    def action(session: Session) -> None:
        replicas = session.job.examples.replicas
        with Executor(
            lambda: FailingShard(session.job, dies, after=after), workers=workers, replicas=replicas
        ) as executor:
            seen.append(coordinator.run(session, executor, lambda progress: None, SoleOwnership(session)))

    spec = small_study(**STUDY)
    in_session(spec, home, action)
    return (trials_of(spec, home), epochs_of(spec, home)), seen[-1].deaths


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return result_of(small_study(**STUDY), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("skip", [0, 3, 6])
@pytest.mark.parametrize("kind", [Admit, Train, Settle])
def test_a_shard_that_dies_is_replaced(
    kind: type[Order], skip: int, after: bool, whole: Result, tmp_path: Path
) -> None:
    skip = min(skip, 2) if kind is Admit else skip  # few ticks start trials
    assert outcome(tmp_path, times(1, kind, skip), after=after) == (whole, 1)


def test_shards_that_die_again_and_again(whole: Result, tmp_path: Path) -> None:
    def dies(shard: FailingShard, order: Order) -> bool:
        orders.append(order)
        return len(orders) % 7 == 0

    orders: list[Order] = []
    result, deaths = outcome(tmp_path, dies)
    assert result == whole
    assert deaths > 2


def test_a_trial_that_kills_its_process_fails_alone(whole: Result, tmp_path: Path) -> None:
    def dies(shard: FailingShard, order: Order) -> bool:
        return isinstance(order, Train) and 2 in shard.trials

    (trials, _), deaths = outcome(tmp_path, dies)
    assert {trial["number"]: trial["ended"] for trial in trials if trial["state"] == "FAIL"} == {
        2: "failed: its process died each time this trial was trained (planted)"
    }
    assert deaths >= DEATHS
    assert [trial["reports"] for trial in trials[:4] if trial["number"] != 2] == [
        trial["reports"] for trial in whole[0][:4] if trial["number"] != 2
    ], "the other trials' results are as without it"


@pytest.mark.parametrize(
    "dies",
    [
        pytest.param(lambda shard, order: True, id="without trials"),
        pytest.param(lambda shard, order: isinstance(order, Train) and len(shard.trials) > 0, id="whatever the trial"),
        pytest.param(lambda shard, order: isinstance(order, Train) and len(shard.trials) > 1, id="of two trials"),
        pytest.param(lambda shard, order: isinstance(order, Settle), id="when results are returned"),
    ],
)
def test_the_run_ends_where_no_single_trial_is_the_cause(dies: Condition, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"died 3 times in a row .* no single trial is the cause"):
        outcome(tmp_path, dies)
    assert {trial["state"] for trial in trials_of(small_study(**STUDY), tmp_path)} <= {"RUNNING"}


def test_no_trial_fails_where_looking_for_signs_kills_its_process(whole: Result, tmp_path: Path) -> None:
    def dies(shard: FailingShard, order: Order) -> bool:
        return isinstance(order, Diagnose) and bool(order.trials)

    def unseen(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in trial.items() if key not in ("signs", "weights")} for trial in trials]

    (trials, epochs), _ = outcome(tmp_path, dies)
    assert all("weights" in trial for trial in whole[0])
    assert (unseen(trials), epochs) == (unseen(whole[0]), whole[1])


def test_a_trial_that_fails_only_in_a_replacement_goes_on(whole: Result, tmp_path: Path) -> None:
    """A replacement that lacks something, such as memory, is replaced in turn."""
    made: list[FailingShard] = []
    dies = times(1, Settle, skip=2)

    class Lacking(FailingShard):
        def receive(self) -> Reply:
            answer = super().receive()
            if self in made[2:3] and isinstance(answer, Trained):
                failed = Failure(trial=min(self.trials), error="no memory", traceback="")
                return replace(answer, tick=replace(answer.tick, failures=(failed,)))
            return answer

    def action(session: Session) -> int:
        def open_channel() -> Lacking:
            made.append(Lacking(session.job, dies, after=False))
            return made[-1]

        with Executor(open_channel, workers=2, replicas=1) as executor:
            return coordinator.run(session, executor, lambda progress: None, SoleOwnership(session)).deaths

    spec = small_study(**STUDY)
    assert in_session(spec, tmp_path, action) == 2
    assert (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)) == whole
