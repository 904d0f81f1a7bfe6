"""Where a study lives, as messages repeat it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.cli.terminal.place import Place


@pytest.mark.parametrize(
    ("place", "options"),
    [
        (Place(), ""),
        (Place(home=Path("my runs")), " --home 'my runs'"),
        (
            Place(storage="postgresql://me@host/d?sslmode=require"),
            " --storage 'postgresql://me@host/d?sslmode=require'",
        ),
        (Place(storage="postgresql://me:pass@host/d"), " --storage ..."),
        (Place(storage="postgresql://host/d?user=me&password=pass"), " --storage ..."),
        (Place(storage="postgresql://me:pass@host/d", environment={"storage"}), ""),
    ],
)
def test_options_to_repeat(place: Place, options: str) -> None:
    assert place.options == options
