"""Opportunities out of a log: a slow obvious count, calendar periods of the base's zone, and what is left out."""

import runpy
import types
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, days
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.ltv import BgBb, lifetime_value, opportunity_summary

data = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "ltv_data.py")))


def shop(rows, tz="UTC"):
    orders = {"user": [row[0] for row in rows], "time": [row[1] for row in rows], "value": [row[2] for row in rows]}
    return CustomerBase.from_orders(orders, customer_id="user", time="time", value="value", tz=tz)


def obvious(rows, end, period_of, over):
    """Return frequency, recency, T and mean spend of each customer, one by one."""
    found = {}
    for who in sorted({row[0] for row in rows}):
        spent = {}
        for user, day, value in rows:
            if user == who and day < end and period_of(day) <= over:
                spent[period_of(day)] = spent.get(period_of(day), 0.0) + value
        if spent:
            first, again = min(spent), sorted(spent)[1:]
            mean = sum(spent[p] for p in again) / len(again) if again else np.nan
            found[who] = (len(again), (again[-1] - first) if again else 0, over - first, mean)
    return found


@pytest.mark.parametrize(("period", "period_of", "over"), [
    ("year", lambda d: d.year, 2025), ("month", lambda d: 12 * d.year + d.month, 12 * 2026 + 6),
    (days(30), lambda d: (d - date(2026, 7, 16)).days // 30, -1),
    (timedelta(days=7), lambda d: (d - date(2026, 7, 16)).days // 7, -1),
])  # fmt: skip
def test_opportunities_are_those_of_a_slow_obvious_count(period, period_of, over):
    rng = np.random.default_rng(8)
    rows = [
        (int(c), date(2022, 1, 1) + timedelta(days=int(d)), float(v))
        for c, d, v in zip(rng.integers(0, 60, 400), rng.integers(0, 1700, 400), rng.integers(1, 90, 400), strict=True)
    ]
    s = opportunity_summary(shop(rows), as_of="2026-07-16", period=period)
    want = obvious(rows, date(2026, 7, 16), period_of, over)
    assert s.customer_id.tolist() == list(want)
    got = np.column_stack([s.frequency, s.recency, s.T, s.monetary_value])
    np.testing.assert_allclose(got, np.array(list(want.values()), dtype=float))
    assert s.unit == {"year": "year", "month": "month", days(30): "period", timedelta(days=7): "week"}[period]
    m = BgBb.fit(s)
    assert np.isfinite(m.fit_report.log_likelihood)


def test_the_period_that_is_not_over_is_no_opportunity_and_counted():
    rows = [("a", "2024-05-01", 1.0), ("a", "2026-02-01", 1.0), ("b", "2026-01-05", 1.0), ("a", "2024-06-01", 2.0)]
    s = opportunity_summary(shop(rows), as_of="2026-12-31", period="year")
    assert (s.customer_id.tolist(), s.frequency.tolist(), s.T.tolist()) == (["a"], [0.0], [1.0])
    assert (s.counts["open_period"], s.counts["merged"]) == (2, 1)
    ended = opportunity_summary(shop(rows), as_of="2027-01-01", period="year")
    assert ended.frequency.tolist() == [1.0, 0.0]
    assert ended.T.tolist() == [2.0, 0.0]
    # an instant counts its day: on the last evening of the year, the year is as good as over
    evening = opportunity_summary(shop(rows), as_of="2026-12-31T20:00", period="year")
    assert evening.T.tolist() == [2.0, 0.0]


def test_years_begin_at_midnight_of_the_business():
    rows = [("a", "2025-01-01T03:00Z", 1.0), ("a", "2026-01-01T03:00Z", 1.0)]
    utc, york = (opportunity_summary(shop(rows, tz), as_of="2027-01-01") for tz in ("UTC", "America/New_York"))
    assert (utc.recency.tolist(), utc.T.tolist()) == ([1.0], [1.0])
    assert (york.recency.tolist(), york.T.tolist()) == ([1.0], [2.0])


def test_a_log_of_the_donations_fits_as_their_table_does():
    """One donor for each weight of the published table, their gifts written out as a log of six years."""
    table = data.donations()
    rows, who = [], 0
    for x, t, n, w in zip(table.frequency, table.recency, table.T, table.weights, strict=True):
        for _ in range(int(w) // 50):
            years = [0, *range(1, int(x)), int(t)] if x else [0]
            rows += [(who, date(2001 - int(n) + year, 6, 1), 10.0) for year in years]
            who += 1
    s = opportunity_summary(shop(rows), as_of="2002-01-01")
    cells = s.cells()
    want = {
        (x, t, n): int(w) // 50
        for x, t, n, w in zip(table.frequency, table.recency, table.T, table.weights, strict=True)
        if int(w) >= 50
    }
    got = dict(zip(zip(cells.frequency, cells.recency, cells.T, strict=True), cells.weights.tolist(), strict=True))
    assert got == want
    value = lifetime_value(BgBb.fit(s), 10.0, s, horizon=5, annual_rate=0.1)
    assert np.isfinite(value.value).all()


def test_logs_without_money_have_no_spend():
    base = CustomerBase.from_orders(
        {"user": [1, 1], "time": ["2024-01-01", "2025-01-01"]}, customer_id="user", time="time", value=None
    )
    assert opportunity_summary(base, as_of="2026-01-01").monetary_value is None


@pytest.mark.parametrize(("settings", "error", "said"), [
    ({"period": "week"}, InputError, "period"), ({"period": timedelta(hours=36)}, InputError, "whole days"),
    ({"period": timedelta(0)}, InputError, "period"), ({"period": 3}, InputError, "period"),
    ({"as_of": "2024-06-01"}, NotEnoughDataError, "no opportunity yet"),
])  # fmt: skip
def test_other_periods_are_refused(settings, error, said):
    base = shop([("a", "2024-05-01", 1.0)])
    with pytest.raises(error, match=said):
        opportunity_summary(base, **{"as_of": "2026-01-01", **settings})
