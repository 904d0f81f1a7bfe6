"""`python -m tests.mutations [KIND [COUNT [FIRST]]]`: tries damaged inputs and prints the figures."""

from __future__ import annotations

import sys

import torch

from tests.mutations.catalogue import KINDS
from tests.mutations.runner import run


def main(name: str | None = None, count: str | None = None, first: str = "0") -> None:
    torch.set_num_threads(1)
    for kind in KINDS:
        if name in (None, kind.name):
            figures = run(kind, int(count) if count else kind.full, int(first))
            for fault in figures.faults:
                print(fault)
            print(f"{kind.name}: {figures}", flush=True)


main(*sys.argv[1:])
