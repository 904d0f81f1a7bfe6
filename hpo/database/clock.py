"""Times as they are stored: naive UTC in Optuna's tables and in ours. Optuna shows them as naive local time.

Leases use the database's own clock (`DatabaseNow`), since the clocks of several machines disagree.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class DatabaseNow(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, at the moment the statement runs."""

    type = Float(53)
    inherit_cache = True


@compiles(DatabaseNow, "postgresql")
def _on_postgresql(element: DatabaseNow, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(DatabaseNow, "sqlite")
def _on_sqlite(element: DatabaseNow, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def utc_now() -> datetime:
    """The present time as it is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_local(stored: datetime | None) -> datetime | None:
    """A stored time as Optuna shows it."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def to_stored(local: datetime | None) -> datetime | None:
    """A time as Optuna shows it, to be stored."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
