"""The crowd of `benchmarks.crowd`, with commands that are forked from a process that has loaded their libraries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from benchmarks.crowd import Crowd, Process
from tests.forked import Forked


class ForkedCrowd(Crowd):
    def process(self, arguments: Iterable[object], log: IO[bytes], before: str = "") -> Process:
        return Forked([*map(str, arguments)], cwd=self.home, env=self.environment(), log=log, before=before)
