"""Metrics of messages: delivery, opens, clicks, unsubscribes, complaints, and orders that followed.

`message_metrics` takes a base with events of messages, or `MessageCounts` from the table of a service. Rates are named
after their denominator, shares come with Wilson's interval, and a rate whose denominator is 0 is NaN with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, one_of, shown
from relmark.core.errors import InputError
from relmark.core.spans import Span, check_span
from relmark.core.time import days
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.metrics._credit import credited
from relmark.metrics._messages import read_messages
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, Figure, mean_estimates, plain_estimates, ratio, shares
from relmark.metrics.grouping import By
from relmark.metrics.message_counts import MessageCounts
from relmark.metrics.windows import Stretch, base_given, span_words

__all__ = ["Credit", "MessageMetrics", "message_metrics"]

Credit = Literal["last_click", "any"]
_WARNING, _ALARM = 0.001, 0.003
_WEEK = days(7)
_WINDOW = "messages sent in the window, and what their recipients did by as_of"
_ONCE = "recipients who opened it; a click without a recorded open counts as an open"
_LIKE = "HubSpot, Klaviyo and Mailchimp divide by delivered, some tools by sent or by tracked recipients"

DEFINITIONS = define(_WINDOW, _LIKE, {
    "delivery_rate": ("messages sent and not bounced", "messages sent"),
    "bounce_rate": ("bounced messages", "messages sent"),
    "hard_bounce_rate": ("messages that bounced permanently", "messages sent"),
    "soft_bounce_rate": ("messages that bounced temporarily", "messages sent"),
    "open_rate": (_ONCE, "messages delivered"),
    "open_rate_sent": (_ONCE, "messages sent"),
    "ctr_delivered": ("recipients who clicked", "messages delivered"),
    "ctr_sent": ("recipients who clicked", "messages sent"),
    "click_to_open_rate": ("recipients who clicked", _ONCE),
    "unsubscribe_rate": ("recipients who unsubscribed", "messages delivered"),
    "unsubscribe_rate_sent": ("recipients who unsubscribed", "messages sent"),
    "complaint_rate": ("recipients who complained", "messages delivered", "share",
                       "mailbox providers warn at 0.1 % and block at 0.3 %"),
    "complaint_rate_sent": ("recipients who complained", "messages sent"),
    "read_rate": ("recipients who read it", "messages delivered"),
    "reply_rate": ("recipients who replied", "messages delivered"),
    "block_rate": ("recipients who blocked the sender", "messages delivered"),
    "opens_per_open": ("all opens", "recipients who opened it", "per opener"),
    "clicks_per_click": ("all clicks", "recipients who clicked", "per clicker"),
    "opens_per_sent": ("all opens", "messages sent", "per message; may exceed 1 if people open twice"),
    "conversion_rate": ("messages with an order credited to them", "messages delivered"),
    "revenue_share": ("money of the credited orders", "money of all orders in the window", "share of money"),
    "revenue_per_delivered": ("money of the credited orders", "messages delivered", "money per message"),
})  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MessageMetrics(MetricTable):
    """Metrics of messages, one row per group; without groups each figure is one `Estimate`.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    sent, delivered, bounced, opened, clicked, unsubscribed, complained : ndarray of int64, shape (k,)
        Recipients, counted once per message.
    delivery_rate, bounce_rate, hard_bounce_rate, soft_bounce_rate : Estimate or Estimates
        Divided by messages sent.
    open_rate, ctr_delivered, unsubscribe_rate, complaint_rate, read_rate, reply_rate, block_rate : the same
        Divided by messages delivered. If it is known who is tracked, rates of opens and clicks are divided by messages
        delivered to tracked recipients.
    open_rate_sent, ctr_sent, unsubscribe_rate_sent, complaint_rate_sent : the same
        Divided by messages sent.
    click_to_open_rate : the same
        Divided by recipients who opened; a click without a recorded open counts as an open.
    opens_per_open, clicks_per_click, opens_per_sent : the same
        All opens per opener, all clicks per clicker, and all opens per message sent. These are averages, not shares.
    orders : ndarray of int64, shape (k,), or None
        Orders credited to messages of the group; None if no conversion was asked for.
    revenue : ndarray of float64, shape (k,), or None
    conversion_rate, revenue_share, revenue_per_delivered : Estimate, Estimates or None
    as_of : datetime64 or None
    window : str
    notes : tuple of str
        What was left out, what needs attention, and what credit does not mean.
    """

    by: Mapping[str, npt.NDArray[Any]]
    sent: IntArray
    delivered: IntArray
    bounced: IntArray
    opened: IntArray | None
    clicked: IntArray | None
    unsubscribed: IntArray | None
    complained: IntArray | None
    delivery_rate: Figure
    bounce_rate: Figure
    hard_bounce_rate: Figure
    soft_bounce_rate: Figure
    open_rate: Figure
    open_rate_sent: Figure
    ctr_delivered: Figure
    ctr_sent: Figure
    click_to_open_rate: Figure
    unsubscribe_rate: Figure
    unsubscribe_rate_sent: Figure
    complaint_rate: Figure
    complaint_rate_sent: Figure
    read_rate: Figure
    reply_rate: Figure
    block_rate: Figure
    opens_per_open: Figure
    clicks_per_click: Figure
    opens_per_sent: Figure
    orders: IntArray | None = None
    revenue: FloatArray | None = None
    conversion_rate: Figure | None = None
    revenue_share: Figure | None = None
    revenue_per_delivered: Figure | None = None
    as_of: np.datetime64 | None = None
    window: str = ""
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _window(self) -> str:
        return f"messages sent in {self.window}, and what their recipients did by then" if self.window else ""

    def _table(self) -> dict[str, Any]:
        """Return groups, counts, and the figures that most reports show."""
        columns = self.to_columns()
        shown_ones = (
            *self.by, "sent", "delivered", "opened", "clicked", "delivery_rate", "open_rate", "ctr_delivered",
            "click_to_open_rate", "unsubscribe_rate", "complaint_rate", "orders", "revenue", "revenue_share",
        )  # fmt: skip
        return {name: columns[name] for name in shown_ones if name in columns}


def message_metrics(
    base: CustomerBase | MessageCounts,
    *,
    as_of: AsOfGiven | None = None,
    within: Span | None = None,
    by: By = None,
    exclude: Expression | None = None,
    tracked: Expression | None = None,
    conversion: Selection | None = None,
    value: str = "value",
    credit: Credit = "last_click",
    credit_within: timedelta = _WEEK,
    events: Mapping[str, str] | None = None,
) -> MessageMetrics:
    """Report what happened to messages, by campaign, channel, trigger, segment or month.

    Parameters
    ----------
    base : CustomerBase or MessageCounts
        A base with the events message_sent, message_bounced, message_opened, message_clicked, unsubscribe and complaint
        (for messengers also message_read, message_replied and message_blocked), or counts from the table of a service.
        Events are joined to their message by ``message_id`` if there is one, otherwise by customer and campaign.
    as_of : date or instant
        Required with a base.
    within : timedelta, calendar_days or months, optional
        Count messages sent in (as_of - within, as_of]; by default, all up to `as_of`.
    by : name, expression, segment, period, or a list or mapping of them, optional
        Properties of the message ("campaign", "channel"), fields of customers, segments, or periods of sending
        ("month").
    exclude : Expression, optional
        A rule over `prop(...)`. Opens and clicks for which it is true are left out, such as those made by machines.
    tracked : Expression, optional
        A rule over `field(...)` or over properties of message_sent that says whose opens and clicks can be recorded.
        Opens and clicks are then counted for these recipients only, and divided by their number.
    conversion : Selection, optional
        Events that are orders or leads, such as ``event("purchase")``. Those that follow a message are credited to it.
        Plain purchases are read like `CustomerBase.purchases`: lines are combined into orders, and refunds deducted.
    value : str
        The property that holds the money of a conversion.
    credit : {"last_click", "any"}
        Whether to credit the message that the customer clicked last before, or every message that they were sent
        before.
    credit_within : timedelta
        How long after the click (or after sending) a conversion is credited.
    events : mapping, optional
        Other names of event types, such as ``{"sent": "email_sent"}``.

    Returns
    -------
    MessageMetrics

    Raises
    ------
    InputError
        If a base is given without as_of, or an argument is not as described above.

    Examples
    --------
    >>> report = message_metrics(MessageCounts(sent=1000, bounced=100, opened=200, clicked=20, unsubscribed=5))
    >>> report.open_rate
    0.2222 [0.1963, 0.2505] (95 %, Wilson)
    >>> round(report.click_to_open_rate.value, 3), round(report.unsubscribe_rate_sent.value, 4)
    (0.1, 0.005)
    """
    if isinstance(base, MessageCounts):
        beside = {"as_of": as_of, "within": within, "by": by, "exclude": exclude, "tracked": tracked,
                  "conversion": conversion, "events": events}  # fmt: skip
        given = [name for name, one in beside.items() if one is not None]
        if given:
            raise InputError(
                f"{given[0]}= needs the events of a base, but base is MessageCounts: leave {given[0]}= out.",
                argument="base",
                code="wrong_type",
            )
        return _report(base, {}, None, "")
    base = base_given(base)
    if as_of is None:
        raise InputError(
            "as_of is missing: pass the date or instant up to which messages count, such as as_of='2026-11-01'.",
            argument="as_of",
            code="missing_argument",
        )
    one_of("credit", credit, ("last_click", "any"))
    if conversion is None:
        counts = MessageCounts.of(
            base, as_of=as_of, within=within, by=by, exclude=exclude, tracked=tracked, events=events
        )
        stretch = Stretch.of(base, as_of, within)
        return _report(counts, {}, stretch.as_of.given, str(stretch))
    found = read_messages(base, as_of, within, by, exclude, tracked, events)
    notes = list(found.notes)
    check_span("credit_within", credit_within)
    if not isinstance(credit_within, timedelta):
        raise InputError(
            f"credit_within is {shown(credit_within)}; it must be a timedelta, such as days(7).",
            argument="credit_within",
            code="wrong_type",
        )
    result = credited(base, found, conversion, value, credit, credit_within)
    more = {"orders": result.orders, "revenue": result.revenue, "converted": result.messages,
            "all_revenue": result.all_revenue}  # fmt: skip
    notes.append(
        f"orders are credited by {credit.replace('_', ' ')} within {span_words(credit_within)}: credit is not the "
        "effect of the messages, which only a control group shows"
    )
    if credit == "any" and found.groups.k > 1:
        notes.append(
            "with credit='any' an order counts for every message before it, so rows can add up to more than the total"
        )
    counts = MessageCounts(by=dict(found.groups.labels), notes=tuple(notes), **found.counts)
    return _report(counts, more, found.stretch.as_of.given, str(found.stretch))


def _report(c: MessageCounts, more: dict[str, Any], as_of: np.datetime64 | None, window: str) -> MessageMetrics:
    k = len(c.sent)
    unknown = np.full(k, np.nan)

    def known(column: Any) -> FloatArray:
        return unknown if column is None else column.astype(np.float64)

    seen = c.delivered if c.tracked is None else c.tracked
    seen_sent = c.sent if c.tracked is None else (c.tracked if c.tracked_sent is None else c.tracked_sent)
    of = "delivered" if c.tracked is None else "delivered to tracked people"
    of_sent = "sent" if c.tracked is None else "sent to tracked people"

    def rate(name: str, part: Any, what: str, whole: Any) -> Estimates:
        if part is None:
            return plain_estimates(unknown, (f"{name} is not known",) * k)
        return shares(name, known(part), what, known(whole))

    figures: dict[str, Estimates] = {
        "delivery_rate": rate("delivered", c.delivered, "sent", c.sent),
        "bounce_rate": rate("bounced", c.bounced, "sent", c.sent),
        "hard_bounce_rate": rate("hard bounces", c.hard_bounced, "sent", c.sent),
        "soft_bounce_rate": rate("soft bounces", c.soft_bounced, "sent", c.sent),
        "open_rate": rate("opened", c.opened, of, seen),
        "open_rate_sent": rate("opened", c.opened, of_sent, seen_sent),
        "ctr_delivered": rate("clicked", c.clicked, of, seen),
        "ctr_sent": rate("clicked", c.clicked, of_sent, seen_sent),
        "click_to_open_rate": rate("clicked", c.clicked, "opened", c.opened),
        "unsubscribe_rate": rate("unsubscribed", c.unsubscribed, "delivered", c.delivered),
        "unsubscribe_rate_sent": rate("unsubscribed", c.unsubscribed, "sent", c.sent),
        "complaint_rate": rate("complained", c.complained, "delivered", c.delivered),
        "complaint_rate_sent": rate("complained", c.complained, "sent", c.sent),
        "read_rate": rate("read", c.read, "delivered", c.delivered),
        "reply_rate": rate("replied", c.replied, "delivered", c.delivered),
        "block_rate": rate("blocked", c.blocked, "delivered", c.delivered),
        "opens_per_open": _per(c.opens, c.opens_squared, c.opened, "opened", k),
        "clicks_per_click": _per(c.clicks, c.clicks_squared, c.clicked, "clicked", k),
        "opens_per_sent": _per(c.opens, c.opens_squared, seen_sent, "sent", k),
    }
    if c.tracked is not None:
        none = np.asarray(c.tracked == 0)
        figures["click_to_open_rate"] = _blank(figures["click_to_open_rate"], none, f"{of} is 0")
    if more:
        figures["conversion_rate"] = rate("messages with an order", more["converted"], "delivered", c.delivered)
        if more["revenue"] is not None:
            part = ratio(more["revenue"], np.full(k, more["all_revenue"]))
            reason = "there was no revenue in the window" if more["all_revenue"] == 0 else ""
            figures["revenue_share"] = plain_estimates(part, (reason,) * k)
            each = ratio(more["revenue"], c.delivered)
            figures["revenue_per_delivered"] = plain_estimates(
                each, tuple("delivered is 0" if n == 0 else "" for n in c.delivered.tolist())
            )
    notes = [*c.notes, *_conspicuous(c, figures)]
    alone = not c.by and k == 1
    reported: dict[str, Figure] = {name: one[0] if alone else one for name, one in figures.items()}
    return MessageMetrics(
        by=c.by, sent=c.sent, delivered=c.delivered, bounced=c.bounced, opened=c.opened, clicked=c.clicked,
        unsubscribed=c.unsubscribed, complained=c.complained, orders=more.get("orders"), revenue=more.get("revenue"),
        as_of=as_of, window=window, notes=tuple(notes), **reported,
    )  # fmt: skip


def _per(total: Any, squares: Any, people: Any, of: str, k: int) -> Estimates:
    if total is None or people is None:
        return plain_estimates(np.full(k, np.nan), ("the number of repeats is not known",) * k)
    if squares is None:
        reason = tuple(f"{of} is 0" if n == 0 else "" for n in people.tolist())
        return plain_estimates(ratio(total, people), reason)
    return mean_estimates(total, squares, people, of)


def _blank(one: Estimates, rows: npt.NDArray[np.bool_], reason: str) -> Estimates:
    return attrs.evolve(
        one, value=np.where(rows, np.nan, one.value), low=np.where(rows, np.nan, one.low),
        high=np.where(rows, np.nan, one.high),
        reason=tuple(reason if bad else old for bad, old in zip(rows.tolist(), one.reason, strict=True)),
    )  # fmt: skip


def _conspicuous(c: MessageCounts, figures: Mapping[str, Estimates]) -> list[str]:
    """Return notes on what needs attention: few messages, and complaints that mailbox providers penalize."""
    notes = []
    few = int(np.count_nonzero((c.delivered > 0) & (c.delivered < FEW)))
    if few:
        rows = "one row has" if few == 1 else f"{few:,} rows have"
        notes.append(f"{rows} fewer than {FEW} delivered messages: read the intervals, not the rates")
    with np.errstate(invalid="ignore"):
        rate = figures["complaint_rate"].value
        alarm, warning = int(np.count_nonzero(rate >= _ALARM)), int(np.count_nonzero(rate >= _WARNING))
    if alarm:
        notes.append(
            f"ALARM: complaints are {_ALARM:.1%} or more of delivered messages in {alarm:,} of {len(rate):,} rows"
        )
    if warning > alarm:
        rows = f"{warning - alarm:,} of {len(rate):,} rows"
        notes.append(f"warning: complaints are {_WARNING:.1%} or more of delivered messages in {rows}")
    return notes
