"""Turn purchases into a summary for BG/BB: how many periods since the first customers used, and which was the last."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from relmark.core import checks
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.purchases import Purchases
from relmark.core.time import Instant, duration
from relmark.ltv._bought import bought_days
from relmark.ltv.summary import PurchaseSummary

__all__ = ["opportunity_summary"]

_CALENDAR = {"year": "M8[Y]", "month": "M8[M]"}
_UNITS = {1: "day", 7: "week"}
_DAY = 86_400_000_000


def opportunity_summary(
    data: CustomerBase | Purchases, *, as_of: Instant, period: str | timedelta = "year"
) -> PurchaseSummary:
    """Return in how many of the periods since the first one each customer bought, and in which they bought last.

    `BgBb` is fitted to this summary. Each period is one opportunity, used or not, no matter how often a customer bought
    in it. The period of a customer's first purchase only marks the beginning and is not an opportunity. A period that
    is not over by `as_of` does not count yet.

    Parameters
    ----------
    data : CustomerBase or Purchases
        A base, whose purchases are read with `CustomerBase.purchases`, or the result of that method.
    as_of : date, datetime, datetime64 or str
        When the observation ends. With a date, purchases before that day are seen.
    period : {"year", "month"} or timedelta
        Calendar years or months in the base's time zone, or a number of whole days. Days are counted back from `as_of`,
        so that the last period has just ended.

    Returns
    -------
    PurchaseSummary
        One row per customer whose first purchase is in a period that is over. They had T opportunities and used
        `frequency` of them; the last one used was the `recency`-th. `monetary_value` is the mean of what a customer
        spent in the opportunities they used. `unit` is "year" or "month"; for a timedelta it is "day" or "week" if the
        length fits, and otherwise "period". `counts` says how many purchases were merged, and how many fell into the
        period that is not over (`open_period`).

    Raises
    ------
    InputError
        `period` is of another kind, or not a number of whole days.
    NotEnoughDataError
        No customer's first purchase is in a period that is over.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Shang, J. (2010). Customer-base analysis in a discrete-time noncontractual
    setting. Marketing Science 29(6), 1086-1108.

    Examples
    --------
    One donor gave in 1995, twice in 1996, and in 1998; another only in 1997:

    >>> gifts = {"donor": ["a", "a", "a", "a", "b"], "amount": [20.0, 10.0, 15.0, 30.0, 5.0],
    ...     "day": np.array(["1995-03-01", "1996-02-01", "1996-11-20", "1998-05-05", "1997-12-31"], dtype="M8[D]")}
    >>> base = CustomerBase.from_orders(gifts, customer_id="donor", time="day", value="amount")
    >>> s = opportunity_summary(base, as_of="2000-01-01", period="year")
    >>> s.frequency, s.recency, s.T, s.monetary_value
    (array([2., 0.]), array([3., 0.]), array([4., 2.]), array([27.5,  nan]))
    """
    bought = bought_days(data, as_of)
    if isinstance(period, timedelta):
        length = duration("period", period)
        if length % _DAY:
            raise InputError(
                f"period is {period}: a number of whole days is needed, because purchases count by day.",
                argument="period",
                code="wrong_value",
            )
        width = length // _DAY
        unit = _UNITS.get(width, "period")
        index, over = (bought.day - (bought.last + 1)) // width, -1
    else:
        unit = checks.one_of("period", period, _CALENDAR)
        index, over = _numbers(bought.day, unit), int(_numbers(np.array([bought.last + 1]), unit)[0]) - 1
    seen = index <= over
    code, index = bought.code[seen], index[seen]
    if not len(code):
        raise NotEnoughDataError(
            f"nobody bought in a {unit} that was over by {bought.purchases.as_of}: there is no opportunity yet.",
            argument="as_of",
            hint="Give a later as_of or a shorter period.",
        )
    begins = np.r_[True, (code[1:] != code[:-1]) | (index[1:] != index[:-1])]
    used = np.flatnonzero(begins)
    who, when = code[used], index[used]
    start = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    count = np.diff(start, append=len(who))
    first, last = when[start], when[start + count - 1]
    frequency = (count - 1).astype(np.float64)
    spend = None
    if bought.value is not None:
        each = np.add.reduceat(bought.value[seen], used)
        each[start] = 0.0
        spend = np.full(len(start), np.nan)
        again = frequency > 0
        spend[again] = np.add.reduceat(each, start)[again] / frequency[again]
    return PurchaseSummary(
        customer_id=bought.purchases.customer_id[who[start]],
        frequency=frequency,
        recency=(last - first).astype(np.float64),
        T=(over - first).astype(np.float64),
        monetary_value=spend,
        unit=unit,
        counts={
            **bought.counts,
            "merged": bought.counts["merged"] + len(code) - len(used),
            "open_period": int(np.count_nonzero(~seen)),
        },
    )


def _numbers(day: IntArray, unit: str) -> IntArray:
    """Return the calendar year or month of each day, counted from 1970."""
    return day.astype("M8[D]").astype(_CALENDAR[unit]).astype(np.int64)
