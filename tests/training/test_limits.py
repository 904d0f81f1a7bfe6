"""The limit on lanes is found by doubling, bounded by memory, and stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hpo.training import cohort, limits
from hpo.training.lane import LaneEpoch
from hpo.training.limits import FIRST, LOOKS, Limits
from tests.training.study import mixed, trainer
from tests.training.test_equality import numbers

CPU = torch.device("cpu")


def searched(found: Limits, seconds: dict[int, float]) -> list[int]:
    """The limits that are tried, given the duration of a lane's epoch for each number of lanes."""
    path = [found.of("p")]
    for _ in range(20 * LOOKS):
        if found.timed("p", found.of("p"), seconds[found.of("p")]):
            path.append(found.of("p"))
    return path


def test_the_limit_is_doubled_while_that_is_faster_and_is_stored(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "lanes.json"
    first = Limits(None, file, "this machine")
    first.add("p", 1, CPU)
    assert searched(first, {16: 4.0, 32: 2.0, 64: 1.0, 128: 0.99}) == [16, 32, 64, 128, 64]
    again = Limits(None, file, "this machine")
    again.add("p", 1, CPU)
    assert searched(again, {64: 5.0}) == [64]
    elsewhere = Limits(None, file, "another machine")
    elsewhere.add("p", 1, CPU)
    assert elsewhere.of("p") == FIRST


def test_programs_that_are_not_full_are_not_timed() -> None:
    found = Limits()
    found.add("p", 1, CPU)
    assert not any(found.timed("p", FIRST - 1, 0.1) for _ in range(10))
    assert found.of("p") == FIRST


def test_a_fixed_number_stays(tmp_path: Path) -> None:
    found = Limits(5, tmp_path / "lanes.json")
    found.add("p", 1, CPU)
    assert searched(found, {5: 1.0}) == [5]
    assert not (tmp_path / "lanes.json").exists()


def test_memory_bounds_even_a_fixed_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda device: 1000)
    for fixed, expected in ((None, [10]), (64, [10])):
        found = Limits(fixed)
        found.add("p", 50, CPU)
        assert searched(found, {10: 1.0}) == expected
    found.add("huge", 10**6, CPU)
    assert found.of("huge") == 1


def test_a_damaged_file_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "lanes.json"
    file.write_text('{"m p": "many"')
    found = Limits(None, file, "m")
    found.add("p", 1, CPU)
    searched(found, {16: 1.0, 32: 1.0})
    assert '"m p": 16' in file.read_text()


def test_when_memory_runs_out_the_lanes_are_halved_and_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trainer()
    expected.admit((trial, mixed(trial)) for trial in range(9))
    ticks = [[numbers(e) for e in expected.tick().epochs] for _ in range(2)]

    original, sizes = cohort.Cohort._epoch, []

    def tight(self: cohort.Cohort) -> list[LaneEpoch]:
        sizes.append(len(self.lanes))
        if len(self.lanes) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes")
        return original(self)

    its = trainer()
    its.admit((trial, mixed(trial)) for trial in range(9))
    widest = max(len(c.lanes) for c in its.all_cohorts())
    assert widest > 3
    monkeypatch.setattr(cohort.Cohort, "_epoch", tight)
    for expected_tick in ticks:
        sizes.clear()
        tick = its.tick()
        assert tick.failures == ()
        assert [numbers(e) for e in tick.epochs] == expected_tick
    assert max(sizes) <= 3


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        ({"memory.max": "max", "memory.current": "5", "memory.stat": ""}, None),
        ({"memory.max": "100", "memory.current": "70", "memory.stat": "anon 60\ninactive_file 8\nfile 10"}, 38),
        ({"memory.max": "100", "memory.current": "170", "memory.stat": "anon 60"}, 0),
        (
            {
                "memory/memory.limit_in_bytes": "100",
                "memory/memory.usage_in_bytes": "40",
                "memory/memory.stat": "total_inactive_file 9\ninactive_file 1",
            },
            61,
        ),
    ],
)
def test_memory_left_to_a_container(files: dict[str, str], left: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert limits._left_to_container(tmp_path) == left


@pytest.mark.parametrize(("left", "free"), [(None, 900), (500, 500), (1000, 900)])
def test_a_containers_limit_counts(left: int | None, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_left_to_container", lambda root: left)
    monkeypatch.setattr(limits, "_free_on_machine", lambda: 900)
    assert limits.free_memory(CPU) == free
