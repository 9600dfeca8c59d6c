"""Conversations with customers: how many ask, how long they wait for a first reply, who is helped, and by whom.

An inquiry without a reply so far counts for as long as it has been waiting (the Kaplan-Meier estimate), so that a day
on which nobody replies does not look like a day of quick replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.columns import Column, joined
from relmark.core.ordering import order_by
from relmark.core.spans import Span
from relmark.core.time import DAY
from relmark.expressions.builders import event, prop
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.metrics._survival import incidence
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares
from relmark.metrics.grouping import By, column_of, group_rows
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = ["ConversationMetrics", "conversation_metrics"]

_AGAIN = 30 * DAY
_MINUTE = 60_000_000
_BOT = prop("by") == "bot"
DEFINITIONS = define(
    "conversations that began in the window, and what happened to them by as_of",
    "",
    {
        "inquiries": ("inquiries of customers", "", "messages"),
        "repeat_rate": ("conversations of customers who had begun another in the 30 days before", "conversations"),
        "median_reply_minutes": ("minutes until half of the conversations had a first reply; open ones are censored",
                                 "", "minutes", "Kaplan and Meier 1958"),
        "reply_rate": ("conversations with a reply by as_of", "conversations"),
        "resolved_rate": ("conversations resolved by as_of", "conversations"),
        "bot_rate": ("resolved conversations that a bot closed", "resolved conversations"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ConversationMetrics(MetricTable):
    """Conversations, one row per group.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    conversations, inquiries, people, replied, resolved : ndarray of int64, shape (k,)
    repeat_rate, reply_rate, resolved_rate, bot_rate : Estimates
    median_reply_minutes, slow_reply_minutes : ndarray of float64, shape (k,)
        The minutes after which half, and nine of ten, of the conversations had a first reply; NaN if fewer had one.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    conversations: IntArray
    inquiries: IntArray
    people: IntArray
    replied: IntArray
    resolved: IntArray
    repeat_rate: Estimates
    reply_rate: Estimates
    resolved_rate: Estimates
    bot_rate: Estimates
    median_reply_minutes: FloatArray
    slow_reply_minutes: FloatArray
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS


def conversation_metrics(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span | None = None,
    inquiry: Selection | None = None,
    reply: Selection | None = None,
    resolved: Selection | None = None,
    bot: Expression | None = None,
    by: By = None,
) -> ConversationMetrics:
    """Report conversations: how many, how many are repeats, how soon they are answered, and how many a bot closed.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    within : timedelta, calendar_days or months, optional
        Count conversations that began in (as_of - within, as_of]; by default, all up to `as_of`.
    inquiry, reply, resolved : Selection, optional
        The events; by default, those of type "inquiry", "reply" and "resolved".
    bot : Expression, optional
        A rule over the resolving event that is true if a bot closed the conversation. By default, it is true if the
        property "by" is "bot".
    by : name of a property of the inquiry, field, expression, segment, period, or a list or mapping of them, optional

    Returns
    -------
    ConversationMetrics

    Notes
    -----
    Events with the same property "conversation" belong together. If inquiries do not have it, a conversation contains
    everything from a customer's inquiry until it is resolved, and the next inquiry begins another. Replies and
    resolutions count from the instant of the first inquiry on.

    Examples
    --------
    >>> from relmark import EventLog
    >>> log = EventLog.from_columns(customer_id=[1, 1, 1, 2], type=["inquiry", "reply", "resolved", "inquiry"],
    ...     time=["2026-01-05T09:00Z", "2026-01-05T09:30Z", "2026-01-05T10:00Z", "2026-01-05T11:00Z"],
    ...     properties={"by": [None, "bot", "bot", None]})
    >>> found = conversation_metrics(CustomerBase(events=log), as_of="2026-01-06")
    >>> found.conversations.tolist(), found.median_reply_minutes.tolist(), found.bot_rate[0].value
    ([2], [30.0], 1.0)
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, within)
    asked = selection_given("inquiry", event("inquiry") if inquiry is None else inquiry)
    answers = selection_given("reply", event("reply") if reply is None else reply)
    closes = selection_given("resolved", event("resolved") if resolved is None else resolved)
    parts = [events_of(base, one, None, stretch.high) for one in (asked, answers, closes)]
    sizes = [len(one[1]) for one in parts]
    who = np.concatenate([one[0] for one in parts]).astype(np.int64)
    time = np.concatenate([one[1] for one in parts])
    kind = np.repeat(np.arange(3), sizes)
    thread = _threads([properties_of(one[2])("conversation") for one in parts], sizes)
    closed_by_bot = np.zeros(len(who), dtype=np.bool_)
    if sizes[2]:
        closed_by_bot[sizes[0] + sizes[1] :] = parts[2][2].truth(_BOT if bot is None else bot).true
    key = who if thread is None else who * (int(thread.max(initial=0)) + 1) + thread
    order = order_by(key, time, kind)
    key, who, time, kind, bots = key[order], who[order], time[order], kind[order], closed_by_bot[order]
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = key[1:] != key[:-1]
    number = _numbers(first, kind, spells=thread is None)
    began = np.flatnonzero(number >= 0)
    starts = began[np.append(True, number[began][1:] != number[began][:-1])] if len(began) else began
    n = len(starts)
    own = number[began]
    start = time[starts]

    def earliest(which: int) -> IntArray:
        rows = began[kind[began] == which]
        out = np.full(n, np.iinfo(np.int64).max)
        np.minimum.at(out, number[rows], time[rows])
        return out

    replied, ended = earliest(1), earliest(2)
    by_bot = np.zeros(n, dtype=np.bool_)
    done = began[(kind[began] == 2) & bots[began]]
    by_bot[number[done[time[done] == ended[number[done]]]]] = True
    asks = np.bincount(own[kind[began] == 0], minlength=n)
    repeated = _repeats(who[starts], start, _AGAIN)
    chosen = np.flatnonzero(start > stretch.low) if stretch.low is not None else np.arange(n)
    inquiry_row = order[starts[chosen]]  # inquiries are the first rows of all
    groups = group_rows(
        base, stretch.as_of, by, who[starts[chosen]], start[chosen], properties_of(parts[0][2], inquiry_row)
    )
    k = groups.k if by is not None else 1
    code, mine = groups.code, groups.chosen(chosen)

    def count(mask: npt.NDArray[np.bool_]) -> IntArray:
        return np.bincount(code[mask[mine]], minlength=k)

    never = np.iinfo(np.int64).max
    total, answered, solved = count(np.ones(n, dtype=np.bool_)), count(replied < never), count(ended < never)
    medians = np.full((k, 2), np.nan)
    clock = int(stretch.as_of.clock)
    for group in range(k):
        rows = mine[code == group]
        waited = np.where(replied[rows] < never, replied[rows], clock) - start[rows]
        curve = incidence(waited, np.where(replied[rows] < never, 0, -1), 1)
        medians[group] = curve.quantile(0.5) / _MINUTE, curve.quantile(0.9) / _MINUTE
    people = np.unique(code * max(len(base), 1) + who[starts[mine]]) // max(len(base), 1)
    return ConversationMetrics(
        by=groups.labels, conversations=total,
        inquiries=np.rint(np.bincount(code, weights=asks[mine], minlength=k)).astype(np.int64),
        people=np.bincount(people, minlength=k), replied=answered, resolved=solved,
        repeat_rate=shares("repeats", count(repeated), "conversations", total),
        reply_rate=shares("replied", answered, "conversations", total),
        resolved_rate=shares("resolved", solved, "conversations", total),
        bot_rate=shares("closed by a bot", count(by_bot & (ended < never)), "resolved conversations", solved),
        median_reply_minutes=medians[:, 0], slow_reply_minutes=medians[:, 1], as_of=stretch.as_of.given,
        window=str(stretch),
    )  # fmt: skip


def _threads(columns: list[Column | None], sizes: list[int]) -> IntArray | None:
    """Return the conversation that each event names; None if no inquiry names one."""
    if columns[0] is None or columns[0].kind == "empty":
        return None
    found = [Column.empty(size) if one is None else one for one, size in zip(columns, sizes, strict=True)]
    return column_of(joined("conversation", found), "conversation")[0]


def _numbers(first: npt.NDArray[np.bool_], kind: IntArray, *, spells: bool) -> IntArray:
    """Return the conversation of each row, ascending; -1 for rows before any inquiry."""
    asks = kind == 0
    begins = np.zeros(len(kind), dtype=np.bool_)
    # The last inquiry or resolution with the same key before a row shows whether a conversation is open.
    marks = np.where(asks | (kind == 2), np.arange(len(kind)), -1)
    before = np.maximum.accumulate(np.append(-1, marks[:-1])) if len(kind) else marks
    key = np.cumsum(first) - 1
    same = (before >= 0) & (key[before] == key)
    opened = np.zeros(len(kind), dtype=np.bool_)
    opened[asks] = True
    fresh = ~same | (kind[before] == 2) if spells else ~_seen_before(key, asks)
    begins = asks & fresh
    number = np.cumsum(begins) - 1
    at = np.flatnonzero(begins)
    good = number >= 0
    good[good] = key[at[number[good]]] == key[good]
    return np.where(good, number, -1)


def _seen_before(key: IntArray, asks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return whether an inquiry of the same key came before each row."""
    running = np.cumsum(asks)
    start = np.searchsorted(key, key, side="left")
    before = np.where(start > 0, running[start - 1], 0)
    return (running - asks) > before


def _repeats(who: IntArray, start: IntArray, again: int) -> npt.NDArray[np.bool_]:
    order = order_by(who, start)
    close = np.zeros(len(who), dtype=np.bool_)
    near = (who[order][1:] == who[order][:-1]) & (start[order][1:] - start[order][:-1] <= again)
    close[order[1:][near]] = True
    return close
