"""How responses and unsubscribes depend on the number of messages that somebody was sent in the days before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, whole
from relmark.core.ordering import order_by
from relmark.core.spans import Span, length
from relmark.core.time import days, duration
from relmark.metrics._messages import EVENT_TYPES, read_messages
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares
from relmark.metrics.grouping import By
from relmark.metrics.windows import Stretch, base_given

__all__ = ["ContactPressure", "contact_pressure"]

_WEEK, _TWO_DAYS = days(7), days(2)
DEFINITIONS = define(
    "messages of the window that are at least `settle` old",
    "observed: people who get many messages differ from those who get few, so only a test shows the effect of one more",
    {
        "pressure_click_rate": ("recipients who clicked", "messages"),
        "pressure_open_rate": ("recipients who opened", "messages"),
        "pressure_unsubscribe_rate": ("recipients who unsubscribed", "messages"),
        "pressure_complaint_rate": ("recipients who complained", "messages"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ContactPressure(MetricTable):
    """Rates by the number of messages sent before.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    before : ndarray of int64, shape (k,)
        How many messages the recipient had been sent in the days before. The largest number, `most`, also stands for
        more.
    messages, people : ndarray of int64, shape (k,)
        How many messages were sent after that many, and to how many customers.
    still_open : ndarray of int64, shape (k,)
        Messages that were sent too recently to be judged; they are not part of the rates.
    open_rate, click_rate, unsubscribe_rate, complaint_rate : Estimates
        Shares of the messages that are at least `settle` old.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    before: IntArray
    messages: IntArray
    people: IntArray
    still_open: IntArray
    open_rate: Estimates
    click_rate: Estimates
    unsubscribe_rate: Estimates
    complaint_rate: Estimates
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return {name.removeprefix("pressure_"): one for name, one in DEFINITIONS.items()}

    def _window(self) -> str:
        return self.window


def contact_pressure(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span | None = None,
    last: timedelta = _WEEK,
    settle: timedelta = _TWO_DAYS,
    most: int = 7,
    by: By = None,
    events: Mapping[str, str] | None = None,
) -> ContactPressure:
    """Report how people respond, by the number of messages they were sent in the days before.

    Parameters
    ----------
    base : CustomerBase
        It has events of messages, as for `message_metrics`.
    as_of : date or instant
    within : timedelta, calendar_days or months, optional
        Use messages sent in (as_of - within, as_of]; by default, all up to `as_of`.
    last : timedelta
        For a message sent at t, count the earlier messages in (t - last, t), including those before the window.
    settle : timedelta
        How much time people have to respond. More recent messages are counted separately, in `still_open`.
    most : int
        The largest number to count; it also stands for more.
    by, events
        As in `message_metrics`.

    Returns
    -------
    ContactPressure

    Notes
    -----
    These numbers were observed, and messages were not assigned at random: the best customers may get the most messages.
    Use `relmark.experiments` to test the effect of one more message.
    """
    base = base_given(base)
    duration("last", last)
    duration("settle", settle)
    most = whole("most", most, low=1, high=1_000)
    found = read_messages(base, as_of, within, by, None, None, events)
    stretch: Stretch = found.stretch
    name = {**EVENT_TYPES, **(events or {})}["sent"]
    part = base.events.partition(name)
    n = len(found.time)
    before = np.zeros(n, dtype=np.int64)
    if part is not None and n:
        stop = int(np.searchsorted(part.time, stretch.high, side="right"))
        customer = (part.code if base.codes_are_rows else base.code_to_row[part.code])[:stop].astype(np.int64)
        time = part.time[:stop]
        order = order_by(customer, time)
        instants = np.unique(np.concatenate([time, found.time - length(last)]))
        size = len(instants) + 1
        keys = customer[order] * size + np.searchsorted(instants, time[order])
        mine = found.customer.astype(np.int64) * size
        until = np.searchsorted(keys, mine + np.searchsorted(instants, found.time), side="left")
        begin = np.searchsorted(keys, mine + np.searchsorted(instants, found.time - length(last)), side="right")
        before = np.minimum(until - begin, most)
    groups = found.groups
    code = groups.code * (most + 1) + groups.chosen(before)
    k = groups.k * (most + 1)
    settled = groups.chosen(found.time + length(settle) <= stretch.high)

    def count(kind: str | None) -> IntArray:
        mask = settled if kind is None else settled & groups.chosen(found.did.get(kind, np.zeros(n, dtype=np.bool_)))
        return np.bincount(code[mask], minlength=k)

    messages = np.bincount(code, minlength=k)
    used = messages > 0
    who = np.unique(code * max(len(base), 1) + groups.chosen(found.customer)) // max(len(base), 1)
    judged = count(None)[used]
    opened = found.did.get("opened", np.zeros(n, dtype=np.bool_)) | found.did.get(
        "clicked", np.zeros(n, dtype=np.bool_)
    )
    n_opened = np.bincount(code[settled & groups.chosen(opened)], minlength=k)[used]
    of = "messages old enough to be judged"
    return ContactPressure(
        by={name: np.repeat(column, most + 1)[used] for name, column in groups.labels.items()},
        before=np.tile(np.arange(most + 1), groups.k)[used], messages=messages[used],
        people=np.bincount(who, minlength=k)[used], still_open=(messages - count(None))[used],
        open_rate=shares("opened", n_opened, of, judged),
        click_rate=shares("clicked", count("clicked")[used], of, judged),
        unsubscribe_rate=shares("unsubscribed", count("unsubscribed")[used], of, judged),
        complaint_rate=shares("complained", count("complained")[used], of, judged),
        as_of=stretch.as_of.given, window=str(stretch),
        notes=(*found.notes, "observed, not assigned at random: only a test shows the effect of one more message"),
    )  # fmt: skip
