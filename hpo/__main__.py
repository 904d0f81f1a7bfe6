"""`python -m hpo` is `hpo`."""

from __future__ import annotations

from hpo.cli import main

main()
