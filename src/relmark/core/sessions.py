"""Visits out of page views: a silence longer than a gap ends one."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from relmark.core.log import EventLog
from relmark.core.time import SECOND, duration

_CARRIED = ("page", "channel", "campaign")


def sessions(log: EventLog, *, gap: timedelta, of: str, type: str) -> EventLog:
    """Return the visits that events of type `of` make; see `EventLog.sessions`."""
    silence = duration("gap", gap)
    views = log.required(of)
    order, _ = views.by_customer
    code, time = views.code[order], views.time[order]
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = (code[1:] != code[:-1]) | (time[1:] - time[:-1] > silence)
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(order)) - 1
    carried = {name: views.properties[name].take(order[first]) for name in _CARRIED if name in views.properties}
    return EventLog.from_columns(
        customer_id=log.customer_id[code[first]],
        time=time[first].view("M8[us]"),
        type=type,
        properties={
            "duration": (time[last] - time[first]) / SECOND,
            "pages": last - first + 1,
            **{name: column.values() for name, column in carried.items()},
        },
    )
