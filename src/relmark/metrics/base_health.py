"""How healthy the base is: its size and growth, who is active, who can be reached, and who may be removed.

Every figure describes the base at one moment, or at the end of each calendar period, which makes a trend a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, number, shown
from relmark.core.errors import InputError
from relmark.core.spans import Span
from relmark.core.time import days
from relmark.expressions.builders import field
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.metrics._calendar import Calendar
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, mean_estimates, ratio, shares
from relmark.metrics.grouping import By, group_rows, of_customers, truth_of
from relmark.metrics.windows import Stretch, base_given

__all__ = ["BaseHealth", "base_health"]

NOT_THEIRS = frozenset({"message_sent", "message_delivered", "message_bounced", "message_withheld"})
"""Events that happen to customers. A customer who has only these has done nothing."""
_MONTH = days(30)
_MOST_ROWS = 400
DEFINITIONS = define(
    "the base at the row's moment, and events of the window before it",
    "",
    {
        "active_share": ("customers who did something in the window; being sent a message does not count",
                         "customers"),
        "growth": ("customers who joined in the window", "customers before it", "share of the base before"),
        "unsubscribe_share": ("customers who unsubscribed in the window", "customers"),
        "complaint_share": ("customers who complained in the window", "customers"),
        "events_per_person": ("things that customers did in the window", "customers", "events per customer"),
        "reachable": ("customers for whom the channel's rule is true", "customers"),
        "filled": ("customers who have a value in the field", "customers"),
        "removable": ("customers for whom the rule is true", "", "customers"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BaseHealth(MetricTable):
    """The state of the base, with one row per group, or per period and group.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    customers, joined, active, unsubscribed, complained : ndarray of int64, shape (k,)
        How many customers there are, and how many of them joined, did something, unsubscribed and complained in the
        window.
    growth : ndarray of float64, shape (k,)
        Customers who joined in the window divided by customers before it; NaN if there were none before.
    active_share, unsubscribe_share, complaint_share : Estimates
    events_per_person : Estimates
    reachable : mapping of channel to Estimates
    filled : mapping of field to ndarray of float64, shape (k,)
        The share of customers who have a value.
    removable : mapping of reason to ndarray of int64, shape (k,)
        How many customers may be removed for each reason; "any" counts customers with at least one reason.
    removable_cost : ndarray of float64, shape (k,), or None
        What the customers of "any" cost together; None without `contact_cost`.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    customers: IntArray
    joined: IntArray
    active: IntArray
    unsubscribed: IntArray
    complained: IntArray
    growth: FloatArray
    active_share: Estimates
    unsubscribe_share: Estimates
    complaint_share: Estimates
    events_per_person: Estimates
    reachable: Mapping[str, Estimates]
    filled: Mapping[str, FloatArray]
    removable: Mapping[str, IntArray]
    removable_cost: FloatArray | None
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        """Return the columns; each key of a mapping is a column, such as reachable_email or filled_age."""
        columns = MetricTable.to_columns(self)
        for name, one in self.reachable.items():
            columns |= one.columns(f"reachable_{name}")
        columns |= {f"filled_{name}": one for name, one in self.filled.items()}
        columns |= {f"removable_{name}": one for name, one in self.removable.items()}
        return columns

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _window(self) -> str:
        return self.window


def base_health(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span = _MONTH,
    by: By = None,
    period: str | None = None,
    channels: Mapping[str, Expression] | None = None,
    removable: Mapping[str, Expression] | None = None,
    contact_cost: float | None = None,
    joined: Expression | None = None,
) -> BaseHealth:
    """Report the size and growth of the base, who is active and reachable, and who may be removed.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    within : timedelta, calendar_days or months
        Count what happened in (as_of - within, as_of].
    by : name of a field, expression, segment, or a list or mapping of them, optional
    period : {"day", "week", "month", "quarter", "year"}, optional
        Make a row for the end of each period up to `as_of`. The window of each row is then its period, and `within` is
        ignored.
    channels : mapping of name to rule, optional
        Rules that say who can be reached, such as
        ``{"email": field("email").not_null() & ~event("unsubscribe").exists()}``. By default, a customer can be reached
        by a channel if the field email, phone or push has a value.
    removable : mapping of name to rule, optional
        Rules that say who may be removed. By default, these are customers who did nothing in the last year and did not
        join in it.
    contact_cost : float, optional
        What keeping one customer costs.
    joined : Expression, optional
        When each customer joined: a date or instant, such as ``field("registered")``. By default, it is their first
        event. A customer without such a date counts as present from the beginning.

    Returns
    -------
    BaseHealth

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog
    >>> log = EventLog.from_columns(customer_id=[1, 2, 2], type="visit",
    ...     time=["2025-01-05", "2025-03-01", "2026-01-20"])
    >>> health = base_health(CustomerBase(events=log), as_of="2026-02-01")
    >>> health.customers.tolist(), health.active.tolist(), health.removable["silent for a year"].tolist()
    ([2], [1], [1])
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, within)
    cost = None if contact_cost is None else number("contact_cost", contact_cost, low=0.0)
    rules = _rules("channels", channels, _default_channels(base))
    since = _joined(base, stretch.as_of, joined)
    moments: list[tuple[Stretch, Any]] = [(stretch, None)]
    if period is not None:
        moments = _moments(base, stretch, period, since)
    parts = [_one(base, one, by, rules, removable, since) for one, _ in moments]
    return _joined_rows(parts, moments, period, cost, stretch, base)


def _one(
    base: CustomerBase, stretch: Stretch, by: By, channels: Mapping[str, Expression],
    removable: Mapping[str, Expression] | None, since: tuple[npt.NDArray[np.bool_], IntArray],
) -> dict[str, Any]:  # fmt: skip
    n = len(base)
    known, when = since
    low = np.iinfo(np.int64).min if stretch.low is None else stretch.low
    here = ~known | (when <= stretch.high)
    people = np.flatnonzero(here)
    groups = group_rows(
        base, stretch.as_of, by, people, np.where(known, when, 0)[people], lambda _: None, of_events=False
    )
    k = groups.k

    def count(mask: npt.NDArray[np.bool_]) -> IntArray:
        return np.bincount(groups.code[groups.chosen(mask[people])], minlength=k)

    events = np.zeros(n, dtype=np.int64)
    did: dict[str, npt.NDArray[np.bool_]] = {}
    for name in base.events.types:
        part = base.events.partition(name)
        assert part is not None
        code = part.code[stretch.rows(part.time)]
        rows = code if base.codes_are_rows else base.code_to_row[code]
        if name in ("unsubscribe", "complaint"):
            did[name] = np.bincount(rows, minlength=n) > 0
        if name not in NOT_THEIRS:
            events += np.bincount(rows, minlength=n)
    nobody = np.zeros(n, dtype=np.bool_)
    each = groups.chosen(events[people]).astype(np.float64)
    own = tuple(name for name in base.events.types if name not in NOT_THEIRS)
    year = int(stretch.as_of.before(days(365)))
    if removable is None:
        silent = ~(known & (when > year))
        if own:
            silent &= ~truth_of(base, stretch.as_of, Selection(own).exists(within=days(365)), "removable")
        gone = {"silent for a year": silent}
    else:
        rules = _rules("removable", removable, {})
        gone = {name: truth_of(base, stretch.as_of, rule, f"removable[{name!r}]") for name, rule in rules.items()}
    some = np.logical_or.reduce(list(gone.values())) if gone else nobody
    fresh = known & (when > low) & (when <= stretch.high)
    return {
        "labels": groups.labels,
        "customers": np.bincount(groups.code, minlength=k),
        "joined": count(fresh),
        "active": count(events > 0),
        "unsubscribed": count(did.get("unsubscribe", nobody)),
        "complained": count(did.get("complaint", nobody)),
        "events": np.bincount(groups.code, weights=each, minlength=k),
        "squares": np.bincount(groups.code, weights=each * each, minlength=k),
        "reachable": {
            name: count(truth_of(base, stretch.as_of, rule, f"channels[{name!r}]")) for name, rule in channels.items()
        },
        "filled": {name: count(~base.column(name).missing) for name in base.fields},
        "removable": {**{name: count(mask) for name, mask in gone.items()}, "any": count(some)},
    }


def _joined_rows(
    parts: list[dict[str, Any]], moments: list[tuple[Stretch, Any]], period: str | None, cost: float | None,
    stretch: Stretch, base: CustomerBase,
) -> BaseHealth:  # fmt: skip
    def put(name: str) -> Any:
        return np.concatenate([part[name] for part in parts])

    def map_of(name: str) -> dict[str, Any]:
        return {key: np.concatenate([part[name][key] for part in parts]) for key in parts[0][name]}

    labels: dict[str, Any] = {}
    if period is not None:
        sizes = [len(part["customers"]) for part in parts]
        labels[period] = np.repeat(np.concatenate([np.atleast_1d(label) for _, label in moments]), sizes)
    for name in parts[0]["labels"]:
        columns = [part["labels"][name] for part in parts]
        labels[name] = np.concatenate(columns)
    customers, joined = put("customers"), put("joined")
    gone = map_of("removable")
    few = int(np.count_nonzero((customers > 0) & (customers < FEW)))
    notes = [*base.notes]
    if few:
        notes.append(f"{few:,} row{'s have' if few > 1 else ' has'} fewer than {FEW} customers")
    if cost is not None:
        notes.append(f"a contact costs {cost:g}")
    return BaseHealth(
        by=labels, customers=customers, joined=joined, active=put("active"), unsubscribed=put("unsubscribed"),
        complained=put("complained"), growth=ratio(joined, customers - joined),
        active_share=shares("active", put("active"), "customers", customers),
        unsubscribe_share=shares("unsubscribed", put("unsubscribed"), "customers", customers),
        complaint_share=shares("complained", put("complained"), "customers", customers),
        events_per_person=mean_estimates(put("events"), put("squares"), customers, "customers"),
        reachable={k: shares("reachable", v, "customers", customers) for k, v in map_of("reachable").items()},
        filled={k: ratio(v, customers) for k, v in map_of("filled").items()}, removable=gone,
        removable_cost=None if cost is None else gone["any"] * cost, as_of=stretch.as_of.given,
        window=str(stretch), notes=tuple(notes),
    )  # fmt: skip


def _rules(name: str, given: Any, otherwise: Mapping[str, Expression]) -> Mapping[str, Expression]:
    if given is None:
        return otherwise
    if not isinstance(given, Mapping) or not all(isinstance(key, str) and key for key in given):
        raise InputError(
            f"{name} is {shown(given)}; it must be a mapping of names to rules.", argument=name, code="wrong_type"
        )
    if name == "removable" and "any" in given:
        raise InputError(
            "removable has a rule called 'any', which is the name of the total: choose another name.",
            argument="removable",
            code="wrong_value",
        )
    return given


def _default_channels(base: CustomerBase) -> dict[str, Expression]:
    return {name: ~field(name).is_null() for name in ("email", "phone", "push") if name in base.fields}


def _joined(base: CustomerBase, as_of: AsOf, joined: Expression | None) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return for which customers the time of joining is known, and these times."""
    n = len(base)
    if joined is not None:
        if not isinstance(joined, Expression):
            raise InputError(
                f"joined is {shown(joined)}; it must be an expression for a date, such as field('joined').",
                argument="joined",
                code="wrong_type",
            )
        column = of_customers(base, as_of, joined)
        if column.kind not in {"date", "instant", "empty"}:
            raise InputError(
                f"joined is {joined!r}, of kind {column.kind!r}; it must be a date or an instant.",
                argument="joined",
                code="wrong_type",
            )
        known = ~column.missing
        when = np.zeros(n, dtype=np.int64)
        if known.any():
            calendar = Calendar("day", base.tz)
            data = column.take(np.flatnonzero(known)).data
            when[known] = calendar.begins(data.astype(np.int64)) if column.kind == "date" else data.view(np.int64)
        return known, when
    when = np.full(n, np.iinfo(np.int64).max)
    for name in base.events.types:
        part = base.events.partition(name)
        assert part is not None
        code = part.code if base.codes_are_rows else base.code_to_row[part.code]
        np.minimum.at(when, code, part.time)
    known = when < np.iinfo(np.int64).max
    return known, np.where(known, when, 0)


def _moments(
    base: CustomerBase, stretch: Stretch, period: str, since: tuple[npt.NDArray[np.bool_], IntArray]
) -> list[tuple[Stretch, Any]]:
    """Return a window for each period from the first in which somebody joined; the last window ends at as_of."""
    calendar = Calendar(period, base.tz)
    known, when = since
    known = known & (when <= stretch.high)
    last = int(calendar.number(np.array([stretch.high]))[0])
    first = int(calendar.number(np.array([when[known].min()]))[0]) if known.any() else last
    if last - first >= _MOST_ROWS:
        raise InputError(
            f"there are {last - first + 1:,} periods, and {_MOST_ROWS} at most: choose a longer period.",
            argument="period",
            code="too_many",
        )
    made = []
    for one in range(first, last + 1):
        begin, end = (int(at) for at in calendar.begins(np.array([one, one + 1])))
        label = calendar.label(np.array([one]))
        if end - 1 > stretch.high:
            made.append((Stretch(begin - 1, stretch.high, stretch.as_of, None), label))
            continue
        # The date after the period: everything before its midnight is seen.
        moment = AsOf(end, True, base.tz)  # noqa: FBT003
        made.append((Stretch(begin - 1, end - 1, moment, None), label))
    return made
