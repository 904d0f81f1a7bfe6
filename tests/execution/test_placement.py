"""Placement of trials on shards: work is divided evenly, and trials of one program stay together."""

from __future__ import annotations

from hpo.execution.placement import place
from hpo.studyfile.records import Mlp, NoNorm, TrialConfig
from tests.training.study import NORMS, mixed


def config(width: int, norm: int = 0) -> TrialConfig:
    return mixed(0).model_copy(update={"model": Mlp(family="mlp", hidden=(width,)), "norm": NORMS[norm]})


def widths(shard: dict[int, TrialConfig]) -> list[int]:
    return sorted(trial.model.hidden[0] for trial in shard.values())


def test_trials_of_one_program_are_divided_evenly() -> None:
    placed = place({number: config(8, number % 3) for number in range(16)}, [{}, {}, {}, {}], 1)
    assert [len(shard) for shard in placed] == [4, 4, 4, 4]
    assert set().union(*placed) == set(range(16))


def test_trials_of_one_program_stay_together() -> None:
    new_trials = {number: config(8 if number % 2 else 16) for number in range(16)}
    assert [widths(shard) for shard in place(new_trials, [{}, {}], 1)] == [[16] * 8, [8] * 8]


def test_a_trial_goes_to_the_shard_of_its_program_or_else_to_the_one_with_the_least_work() -> None:
    shards = [{number: config(8) for number in range(4)}, {number: config(16) for number in range(4, 8)}]
    assert [widths(shard) for shard in place({8: config(16), 9: config(8)}, shards, 1)] == [[8], [16]]
    busier = [shards[0], {number: config(16) for number in range(4, 16)}]
    assert [widths(shard) for shard in place({16: config(16), 17: config(32)}, busier, 1)] == [[16, 32], []]


def test_placement_does_not_depend_on_the_order_of_the_trials() -> None:
    new_trials = {number: config(8 * (1 + number % 3)) for number in range(9)}
    reversed_trials = dict(reversed(new_trials.items()))
    assert place(new_trials, [{}, {}], 5) == place(reversed_trials, [{}, {}], 5)


def test_more_shards_than_trials() -> None:
    placed = place({3: config(8)}, [{}, {}, {}], 2)
    assert [list(shard) for shard in placed] == [[3], [], []]
    assert placed[0][3].norm == NoNorm()
