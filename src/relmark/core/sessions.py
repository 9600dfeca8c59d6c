"""Visits out of page views: a silence longer than a gap ends one."""

from __future__ import annotations

from datetime import timedelta

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.columns import Column
from relmark.core.partition import Partition
from relmark.core.time import SECOND, duration

_CARRIED = ("page", "channel", "campaign")


@attrs.frozen(eq=False)
class Sessions:
    """One visit a row: whose, when, how long in seconds, how many pages, and what its first view has."""

    code: npt.NDArray[np.signedinteger]
    time: npt.NDArray[np.int64]
    duration: npt.NDArray[np.float64]
    pages: npt.NDArray[np.int64]
    carried: dict[str, Column]


def sessions(views: Partition, gap: timedelta) -> Sessions:
    """Return the visits that some page views make; see `EventLog.sessions`."""
    silence = duration("gap", gap)
    order, _ = views.by_customer
    code, time = views.code[order], views.time[order]
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = (code[1:] != code[:-1]) | (time[1:] - time[:-1] > silence)
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(order)) - 1
    return Sessions(
        code=code[first],
        time=time[first],
        duration=(time[last] - time[first]) / SECOND,
        pages=last - first + 1,
        carried={name: views.properties[name].take(order[first]) for name in _CARRIED if name in views.properties},
    )
