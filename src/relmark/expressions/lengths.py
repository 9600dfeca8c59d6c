"""Durations in microseconds, and the end of the calendar: what is longer than all of it is as long as all of it.

A `timedelta` holds 2.7 million years, which no integer of 64 bits does, and people write ``timedelta.max`` for "ever".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relmark.core.spans import LONGEST, length
from relmark.core.time import aware

__all__ = ["END", "LONGEST", "known_time", "length"]

END = (datetime(9999, 12, 30, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
"""The last instant that every time zone can write; what would come after it never comes."""


def known_time(at: int) -> datetime | None:
    """Return an instant as an aware datetime in UTC, None where it lies beyond the calendar."""
    return aware(at) if at <= END else None
