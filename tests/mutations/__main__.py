"""`python -m tests.mutations [KIND [COUNT [FIRST]]]`: tries damaged inputs and prints the figures of every 100."""

from __future__ import annotations

import sys

import torch

from tests.mutations.catalogue import KINDS
from tests.mutations.kinds import Kind
from tests.mutations.runner import Figures, run


def main(name: str | None = None, count: str | None = None, first: str = "0") -> None:
    torch.set_num_threads(1)
    for kind in KINDS:
        if name in (None, kind.name):
            run(kind, int(count) if count else kind.full, int(first), told=show)


def show(kind: Kind, figures: Figures) -> None:
    print(*figures.faults[-1:], f"{kind.name}: {figures}", sep="\n", flush=True)


main(*sys.argv[1:])
