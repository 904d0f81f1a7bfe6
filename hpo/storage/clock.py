"""Times as the tables hold them: Optuna stores naive UTC and shows naive local time; ours are naive UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, as stored."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_local(stored: datetime | None) -> datetime | None:
    """A stored time as Optuna shows it."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def to_stored(local: datetime | None) -> datetime | None:
    """A time as Optuna shows it, to be stored."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)
