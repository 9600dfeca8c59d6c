"""Loyalty points: against a queue that is read one event after the other, and the sums that must come out."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, EventLog, calendar_days, days, event, field, months, prop
from relmark.core.errors import InputError
from relmark.metrics import Accrual, PointsTiers, points_ledger
from relmark.segmentation import Segment

ORIGIN = np.datetime64("2025-01-01T00:00:00", "us")
HOUR = np.timedelta64(3_600_000_000, "us")


def base_of(rows, customers=None):
    """Return a base of (customer, type, hour, points)."""
    if not rows:
        return CustomerBase(customers=customers)
    who, kind, hour, value = zip(*rows, strict=True)
    log = EventLog.from_columns(
        customer_id=list(who), type=list(kind), time=ORIGIN + np.array(hour) * HOUR, value=list(value)
    )
    return CustomerBase(customers=customers, events=log)


def ledger(rows, hour, customers=None, **more):
    asked = {"earn": event("earn"), "spend": event("spend"), **more}
    return points_ledger(base_of(rows, customers), as_of=ORIGIN + hour * HOUR + np.timedelta64(0, "us"), **asked)


def queue(rows, who, now, life, soon):
    """Return (balance, spent, expired, uncovered, expiring, next end) in thousandths, one event after the other."""
    mine = sorted(
        (hour, kind == "spend", round(points * 1000)) for c, kind, hour, points in rows if c == who and hour <= now
    )
    lots, spent, expired, lacking = [], 0, 0, 0

    def drop(at):
        nonlocal lots, expired
        if life is not None:
            expired += sum(left for end, left in lots if end <= at)
            lots = [(end, left) for end, left in lots if end > at]

    for hour, is_spend, points in mine:
        drop(hour)
        if not is_spend:
            lots.append((None if life is None else hour + life, points))
            continue
        wanted = points
        for k, (end, left) in enumerate(lots):
            part = min(left, wanted)
            lots[k] = (end, left - part)
            wanted, spent = wanted - part, spent + part
        lacking += wanted
    drop(now)
    lots = [lot for lot in lots if lot[1]]
    expiring = 0 if life is None else sum(left for end, left in lots if end <= now + soon)
    nearest = lots[0][0] if lots and life is not None else None
    return sum(left for _, left in lots), spent, expired, lacking, expiring, nearest


EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3), st.sampled_from(["earn", "earn", "spend"]), st.integers(0, 40),
        st.integers(0, 20_000).map(lambda n: n / 1000),
    ),
    max_size=25,
)  # fmt: skip


@given(EVENTS, st.one_of(st.none(), st.integers(1, 30)), st.integers(0, 60), st.integers(0, 20), st.randoms())
def test_the_ledger_is_first_in_first_out_whatever_the_order_of_rows(rows, life, now, soon, random):
    rows = [(1, "earn", 0, 0.0), (1, "spend", 0, 0.0), *rows]
    told = ledger(
        rows, now, expires=None if life is None else timedelta(hours=life), soon=timedelta(hours=soon), overdrawn="cap"
    )
    for k, who in enumerate(told.customer_id.tolist()):
        balance, spent, expired, lacking, expiring, nearest = queue(rows, who, now, life, soon)
        found = [told.balance[k], told.spent[k], told.expired[k], told.uncovered[k], told.expiring[k]]
        assert np.rint(np.array(found) * 1000).tolist() == [balance, spent, expired, lacking, expiring]
        assert (None if np.isnat(told.next_expiry[k]) else int((told.next_expiry[k] - ORIGIN) / HOUR)) == nearest
    whole = [np.rint(one * 1000).astype(int) for one in (told.earned, told.spent, told.expired, told.balance)]
    assert (whole[0] == whole[1] + whole[2] + whole[3]).all()
    random.shuffle(rows)
    again = ledger(
        rows, now, expires=None if life is None else timedelta(hours=life), soon=timedelta(hours=soon), overdrawn="cap"
    )
    assert again.to_json() == told.to_json()


@given(EVENTS, st.integers(1, 30))
def test_more_than_the_balance_is_refused_with_the_first_such_event(rows, life):
    rows = [(1, "earn", 0, 0.0), (1, "spend", 0, 0.0), *rows]
    lacking = {who: queue(rows, who, 60, life, 0)[3] for who in (1, 2, 3)}
    if not any(lacking.values()):
        assert not ledger(rows, 60, expires=timedelta(hours=life)).uncovered.any()
        return
    with pytest.raises(InputError, match="points at") as caught:
        ledger(rows, 60, expires=timedelta(hours=life))
    bad = rows[caught.value.row]
    assert bad[1] == "spend"
    assert lacking[bad[0]]


def test_points_expire_in_a_week_as_a_column_and_a_trigger():
    rows = [
        (1, "earn", 0, 30.0),
        (1, "earn", 24 * 30, 5.0),
        (2, "earn", 24 * 300, 9.0),
        (3, "earn", 0, 4.0),
        (3, "spend", 5, 4.0),
    ]
    base = base_of(rows)
    as_of = ORIGIN + 24 * 360 * HOUR
    told = points_ledger(base, as_of=as_of, earn=event("earn"), spend=event("spend"), expires=days(365), soon=days(7))
    assert told.expiring.tolist() == [30, 0, 0]
    assert told.next_expiring.tolist() == [30, 9, 0]
    assert told.next_expiry[:2].tolist() == [(ORIGIN + 24 * d * HOUR).item() for d in (365, 665)]
    joined = base.with_columns(told, ["balance", "expiring", "next_expiry"])
    trigger = Segment("points expire in a week", rule=field("expiring") > 0)
    assert trigger.evaluate(joined, as_of=as_of).ids.tolist() == [1]
    assert told.top(1)["customer_id"].tolist() == [1]


def test_points_are_gone_at_the_end_of_their_life_and_there_before_it():
    rows = [(1, "earn", 0, 10.0), (1, "spend", 9, 4.0)]
    ends = timedelta(hours=10)
    assert ledger(rows, 9, expires=ends).balance.tolist() == [6]
    at_end = ledger(rows, 10, expires=ends)
    assert (at_end.balance.tolist(), at_end.expired.tolist()) == ([0], [6])
    assert at_end.breakage.value == pytest.approx(0.6)
    with pytest.raises(InputError, match=r"spends 1 points .* has 0"):
        ledger([(1, "earn", 0, 10.0), (1, "spend", 10, 1.0)], 20, expires=ends)
    assert ledger([(1, "earn", 5, 10.0), (1, "spend", 5, 10.0)], 20).balance.tolist() == [0]


def test_a_date_sees_the_days_before_it():
    log = EventLog.from_columns(customer_id=[1], type="earn", time=["2025-01-05"], value=[10.0])
    base = CustomerBase(events=log, tz="Europe/Berlin")
    for span in (days(7), calendar_days(7)):
        before = points_ledger(base, as_of=date(2025, 1, 12), earn=event("earn"), expires=span, soon=days(1))
        assert (before.balance.tolist(), before.expiring.tolist()) == ([10], [10])
        assert points_ledger(base, as_of=date(2025, 1, 13), earn=event("earn"), expires=span).balance.tolist() == [0]


def test_a_month_ends_on_its_last_day_and_the_order_stays():
    log = EventLog.from_columns(
        customer_id=[1, 1, 1], type="earn", value=[1.0, 2.0, 4.0],
        time=np.array(["2025-01-30T10:00", "2025-01-31T09:00", "2025-02-10T00:00"], "M8[us]"),
    )  # fmt: skip
    told = points_ledger(CustomerBase(events=log), as_of="2025-02-20T00:00Z", earn=event("earn"), expires=months(1))
    assert told.next_expiry[0] == np.datetime64("2025-02-28T10:00")
    assert told.next_expiring.tolist() == [3]


def test_points_come_by_event_by_value_and_by_rule():
    table = CustomerTable.from_columns(customer_id=[1, 2], birthday=np.array(["1990-03-05", "1990-07-01"], "M8[D]"))
    log = EventLog.from_columns(
        customer_id=[1, 1, 2, 2], type=["purchase", "purchase", "purchase", "review"], value=[10.0, 10.0, 7.77, None],
        time=np.array(["2025-03-05T12:00", "2025-03-06T12:00", "2025-03-05T12:00", "2025-03-07"], "M8[us]"),
        properties={"category": ["shoes", "hats", "hats", None]},
    )  # fmt: skip
    base = CustomerBase(customers=table, events=log)
    by_value = Accrual(
        of=event("purchase"), points=prop("value") * 0.1,
        bonus=[(field("birthday").anniversary(days(1)), 2), (prop("category") == "shoes", 3)],
    )  # fmt: skip
    told = points_ledger(base, as_of="2025-04-01", earn=[by_value, Accrual(of=event("review"), points=5)])
    assert told.earned.tolist() == [10 * 0.1 * 2 * 3 + 1, 5.777]
    assert by_value.needs().fields == ("birthday",)
    assert by_value.needs().events["purchase"] == ("category",)


def test_birthdays_are_days_of_the_business_or_of_the_customers_zone():
    table = CustomerTable.from_columns(
        customer_id=[1, 2], birthday=np.array(["1990-03-06", "1990-03-06"], "M8[D]"), home=["Asia/Tokyo", None]
    )
    log = EventLog.from_columns(customer_id=[1, 2], type="earn", time=["2025-03-05T20:00Z"] * 2, value=[1.0, 1.0])
    double = Accrual(of=event("earn"), bonus=[(field("birthday").anniversary(days(1)), 2)])
    for zone, expected in ((None, [1, 1]), ("home", [2, 1])):
        base = CustomerBase(customers=table, events=log, zone=zone)
        assert points_ledger(base, as_of="2025-04-01", earn=double).earned.tolist() == expected


def test_tiers_count_the_points_of_a_period():
    rows = [(1, "earn", 0, 600.0), (1, "earn", 24 * 400, 500.0), (2, "earn", 24 * 400, 1000.0), (3, "earn", 0, 50.0)]
    bounds = {"silver": 500, "gold": 1000}
    ever = ledger(rows, 24 * 410, spend=None, tiers=bounds)
    assert ever.tier.tolist() == ["gold", "gold", None]
    assert ever.to_next_tier[2] == 450
    for tiers in (PointsTiers(bounds, within=days(365)), PointsTiers(bounds, period="year")):
        told = ledger(rows, 24 * 410, spend=None, tiers=tiers)
        assert told.tier.tolist() == ["silver", "gold", None]
        assert told.to_next_tier.tolist()[::2] == [500, 500]
        assert np.isnan(told.to_next_tier[1])


def test_people_without_points_have_none():
    table = CustomerTable.from_columns(customer_id=[9, 1])
    told = ledger([(1, "earn", 0, 1.0)], 5, customers=table, spend=None)
    assert (told.customer_id.tolist(), told.balance.tolist()) == ([9, 1], [0, 1])
    assert told.breakage.reason == "points do not expire"
    assert "together: earned 1" in str(told)
    assert told.describe("breakage").denominator == "points whose expiry date has passed, spent or not"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"earn": "earn"}, "it must select events"),
        ({"earn": []}, "earn is empty"),
        ({"soon": 7}, "length of time"),
        ({"expires": 7}, "expires"),
        ({"tiers": {}}, "mapping of names"),
        ({"tiers": {"gold": -1}}, "at least 0"),
        ({"overdrawn": "allow"}, "'refuse', 'cap'"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        ledger([(1, "earn", 0, 1.0)], 5, **{"spend": None, **change})


def test_points_that_are_no_points_are_refused_with_their_row():
    with pytest.raises(InputError, match=r"-1\.0 in row 1"):
        ledger([(1, "earn", 3, 1.0), (1, "earn", 1, -1.0)], 5, spend=None)
    with pytest.raises(InputError, match="each event needs a number of points"):
        ledger([(1, "earn", 0, None), (1, "earn", 1, 1.0)], 5, spend=None)
    with pytest.raises(InputError, match="fields only"):
        Accrual(of=event("earn"), bonus=[(event("visit").exists(), 2)])
    with pytest.raises(InputError, match="pairs of a rule"):
        Accrual(of=event("earn"), bonus=[field("vip") == "yes"])
    with pytest.raises(InputError, match="both given"):
        PointsTiers({"a": 1}, within=days(1), period="year")
    with pytest.raises(InputError, match="it must select events"):
        Accrual(of="earn")
