"""Damaged inputs of every kind are answered: a share in every run of the tests, all of them with `-m mutations`."""

from __future__ import annotations

import sys

import pytest

from tests.mutations.catalogue import KINDS
from tests.mutations.kinds import Kind
from tests.mutations.runner import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, as Linux has it")

SHARE_FROM = 1_000_000
"""First seed of the ordinary runs: others than those of a full run."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_share_is_answered(kind: Kind) -> None:
    figures = run(kind, kind.share, first=SHARE_FROM)
    assert not figures.faults, "\n\n".join(figures.faults)


@pytest.mark.mutations
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_are_answered(kind: Kind) -> None:
    figures = run(kind, kind.full)
    print(f"{kind.name}: {figures}")
    assert not figures.faults, "\n\n".join(figures.faults)
