"""The end of the calendar, to which longer durations and later instants are limited.

A `timedelta` can hold 2.7 million years, which an integer of 64 bits cannot hold in microseconds, and people write
``timedelta.max`` for "without limit".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relmark.core.spans import LONGEST, length
from relmark.core.time import aware

__all__ = ["END", "LONGEST", "known_time", "length"]

END = (datetime(9999, 12, 30, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
"""The last instant that can be written in every time zone; later instants count as never."""


def known_time(at: int) -> datetime | None:
    """Return an instant as an aware datetime in UTC, or None if it lies beyond the calendar."""
    return aware(at) if at <= END else None
