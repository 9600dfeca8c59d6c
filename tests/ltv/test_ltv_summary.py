"""From logs to summaries, and the data mistakes that people make on the way."""

from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, EventLog
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.ltv import BgNbd, GammaGamma, PurchaseSummary, SpendCells, purchase_summary, split


def base_of(rows, type="purchase", tz="UTC"):
    ids, times, values = zip(*rows, strict=True)
    values = None if all(v is None for v in values) else values
    log = EventLog.from_columns(customer_id=list(ids), type=type, time=list(times), value=values)
    return CustomerBase(events=log, tz=tz)


ROWS = [
    ("b", "2026-01-03T09:00Z", 10.0),
    ("a", "2026-01-01T09:00Z", 5.0),
    ("a", "2026-01-15T09:00Z", 8.0),
    ("a", "2026-01-15T21:00Z", 2.0),
    ("a", "2026-01-29T10:00Z", 30.0),
    ("c", "2026-01-31T23:30Z", 7.0),
    ("d", "2026-02-01T00:30Z", 7.0),
]


def test_days_merge_values_add_and_the_first_purchase_is_left_out():
    s = purchase_summary(base_of(ROWS), as_of="2026-02-01", unit="day")
    assert s.customer_id.tolist() == ["a", "b", "c"]
    assert s.frequency.tolist() == [2, 0, 0]
    assert s.recency.tolist() == [28, 0, 0]
    assert s.T.tolist() == [30, 28, 0]
    assert s.monetary_value[0] == 20.0
    assert np.isnan(s.monetary_value[1:]).all()
    assert s.counts == {"events": 6, "after_as_of": 1, "merged": 1}


def test_an_instant_counts_its_day_and_sees_what_was_bought_by_then():
    s = purchase_summary(base_of(ROWS), as_of="2026-01-31T12:00Z", unit="day")
    assert s.customer_id.tolist() == ["a", "b"]
    assert s.T.tolist() == [30, 28]


def test_units_are_differences_of_days_divided():
    days = purchase_summary(base_of(ROWS), as_of="2026-02-01", unit="day")
    for unit, length in (("week", 7.0), ("month", 30.4375), ("year", 365.25)):
        s = purchase_summary(base_of(ROWS), as_of="2026-02-01", unit=unit)
        np.testing.assert_allclose(s.T, days.T / length)
        np.testing.assert_allclose(s.recency, days.recency / length)


def test_the_time_zone_decides_what_a_day_is():
    east = purchase_summary(base_of(ROWS, tz="America/New_York"), as_of="2026-02-01", unit="day")
    assert east.customer_id.tolist() == ["a", "b", "c", "d"]  # half past midnight in UTC is still the evening before
    assert east.T.tolist() == [30, 28, 0, 0]


def test_refunds_are_dropped_netted_or_refused():
    rows = [
        ("a", "2026-01-01T09:00Z", 50.0),
        ("a", "2026-01-05T09:00Z", 20.0),
        ("a", "2026-01-09T09:00Z", -5.0),
        ("a", "2026-01-10T09:00Z", 40.0),
        ("a", "2026-01-11T09:00Z", -40.0),
        ("b", "2026-01-02T09:00Z", -9.0),
        ("b", "2026-01-03T09:00Z", 9.0),
        ("c", "2026-01-02T09:00Z", -1.0),
    ]
    base = base_of(rows)
    dropped = purchase_summary(base.purchases(refunds="drop"), as_of="2026-02-01", unit="day")
    assert dropped.customer_id.tolist() == ["a", "b"]
    assert dropped.frequency.tolist() == [2, 0]
    assert dropped.monetary_value[0] == 30.0
    assert dropped.counts["refunds"] == 4
    net = purchase_summary(base, as_of="2026-02-01", unit="day")
    assert net.frequency.tolist() == [1, 0]
    assert net.monetary_value[0] == 15.0
    assert net.counts["refunded_in_full"] == 1
    assert net.counts["refunds_unmatched"] == 2
    with pytest.raises(InputError, match="negative value, the first in row 2"):
        purchase_summary(base.purchases(refunds="refuse"), as_of="2026-02-01")
    only = base_of([("c", "2026-01-02T09:00Z", -1.0)])
    with pytest.raises(NotEnoughDataError, match=r"nobody has a 'purchase' event by 2026-02-01"):
        purchase_summary(only, as_of="2026-02-01")


def test_purchases_free_of_charge_count_unless_dropped():
    rows = [("a", "2026-01-01T09:00Z", 5.0), ("a", "2026-01-02T09:00Z", 0.0), ("a", "2026-01-09T09:00Z", 4.0)]
    kept = purchase_summary(base_of(rows), as_of="2026-02-01", unit="day")
    assert (kept.frequency[0], kept.monetary_value[0]) == (2, 2.0)
    dropped = purchase_summary(base_of(rows).purchases(free="drop"), as_of="2026-02-01", unit="day")
    assert (dropped.frequency[0], dropped.monetary_value[0], dropped.counts["dropped"]) == (1, 4.0, 1)


def test_values_must_be_there_for_all_or_none():
    none = purchase_summary(base_of([(i, t, None) for i, t, _ in ROWS]), as_of="2026-02-01")
    assert none.monetary_value is None
    some = base_of([("a", "2026-01-01T09:00Z", 1.0), ("a", "2026-01-02T09:00Z", None)])
    with pytest.raises(InputError, match="no value, the first in row 1"):
        purchase_summary(some, as_of="2026-02-01")
    late = base_of([("a", "2026-01-01T09:00Z", None), ("a", "2026-03-02T09:00Z", 3.0)])
    assert purchase_summary(late, as_of="2026-02-01").monetary_value is None


def test_another_type_and_wrong_options_are_named():
    base = base_of(ROWS, type="order")
    with pytest.raises(NotEnoughDataError, match=r"nobody has a 'purchase' event by .* The log has 'order'"):
        purchase_summary(base, as_of="2026-02-01")
    assert len(purchase_summary(base.purchases(type="order"), as_of="2026-02-01")) == 3
    with pytest.raises(InputError, match="unit"):
        purchase_summary(base.purchases(type="order"), as_of="2026-02-01", unit="fortnight")
    with pytest.raises(InputError, match=r"data is of type EventLog: .* CustomerBase\(events=log"):
        purchase_summary(base.events, as_of="2026-02-01")


def test_a_summary_agrees_with_a_slow_obvious_version():
    rng = np.random.default_rng(1)
    n = 3_000
    ids = rng.integers(0, 400, n)
    when = np.datetime64("2026-01-01T00:00:00") + rng.integers(0, 200 * 86_400, n).astype("m8[s]")
    value = rng.integers(0, 50, n).astype(float)
    base = CustomerBase.from_orders({"u": ids, "t": when, "v": value}, customer_id="u", time="t", value="v")
    s = purchase_summary(base, as_of="2026-06-01", unit="week")
    last = np.datetime64("2026-05-31")
    for row, c in enumerate(s.customer_id):
        mine = sorted((t, v) for i, t, v in zip(ids, when.astype("M8[D]"), value, strict=True) if i == c and t <= last)
        mine = [(d, sum(v for t, v in mine if t == d)) for d in sorted({t for t, _ in mine})]
        assert s.frequency[row] == len(mine) - 1
        assert s.recency[row] == (mine[-1][0] - mine[0][0]).astype(int) / 7
        assert s.T[row] == (last - mine[0][0]).astype(int) / 7
        if len(mine) > 1:
            assert s.monetary_value[row] == pytest.approx(np.mean([v for _, v in mine[1:]]))


def test_a_split_counts_the_holdout_of_those_who_were_there():
    rows = [
        *ROWS,
        ("a", "2026-02-02T09:00Z", 4.0), ("a", "2026-02-02T12:00Z", 1.0), ("a", "2026-02-20T12:00Z", 3.0),
        ("b", "2026-03-20T12:00Z", 3.0), ("b", "2026-02-05T12:00Z", -10.0),
    ]  # fmt: skip
    held = split(base_of(rows), at="2026-02-01", as_of="2026-03-01", unit="week")
    assert held.customer_id.tolist() == ["a", "b", "c"]
    assert held.frequency.tolist() == [2, 0, 0]
    assert held.spend.tolist() == [8, 0, 0]
    assert (held.duration, held.unit, held.newcomers) == (4.0, "week", 1)
    assert held.calibration.customer_id.tolist() == ["a", "b", "c"]  # a later refund does not reach back
    assert "newcomers=1" in repr(held)
    with pytest.raises(InputError, match="later day"):
        split(base_of(rows), at="2026-02-01", as_of="2026-02-01")
    bare = split(base_of([(i, t, None) for i, t, _ in rows]), at="2026-02-01", as_of="2026-03-01")
    assert bare.spend is None


@pytest.mark.parametrize(("columns", "message"), [
    ({"frequency": [1, -1], "recency": [1, 0], "T": [2, 2]}, "frequency has -1.0 in row 1"),
    ({"frequency": [1.5], "recency": [1], "T": [2]}, "frequency has 1.5"),
    ({"frequency": [1, 1], "recency": [1, 3], "T": [2, 2]}, "recency has 3.0 in row 1.*T - recency"),
    ({"frequency": [0], "recency": [1], "T": [2]}, "frequency 0"),
    ({"frequency": [1], "recency": [1], "T": [np.nan]}, "T has nan"),
    ({"frequency": [1], "recency": [1, 2], "T": [2]}, "recency has 2 rows"),
    ({"frequency": [1], "recency": [1], "T": [2], "monetary_value": [np.nan]}, "monetary_value has nan"),
    ({"frequency": [1], "recency": [1], "T": [2], "weights": [0]}, "weights has 0"),
    ({"frequency": [1], "recency": [1], "T": [2], "unit": "hour"}, "unit is 'hour'"),
    ({"frequency": [1], "recency": [1], "T": [2], "customer_id": [1, 2]}, "customer_id has 2 rows"),
])  # fmt: skip
def test_a_bad_summary_is_refused_with_its_row(columns, message):
    with pytest.raises(InputError, match=message):
        PurchaseSummary(**columns)


def test_summaries_print_and_become_columns():
    s = purchase_summary(base_of(ROWS), as_of="2026-02-01", unit="day")
    assert (
        repr(s)
        == "PurchaseSummary(rows=3, customers=3, unit=day, bought_again=0.3333, counts={after_as_of: 1, merged: 1})"
    )
    assert list(s.to_columns()) == ["customer_id", "frequency", "recency", "T", "monetary_value", "log_gaps"]
    with pytest.raises(ValueError, match="read-only"):
        s.frequency[0] = 3
    assert s.n_customers == 3
    assert s.to_dict()["monetary_value"] == [20.0, None, None]


def test_horizons_are_timedeltas_or_numbers_of_the_unit():
    s = PurchaseSummary(frequency=[1, 0], recency=[1, 0], T=[2, 2], unit="week")
    assert s.horizon(timedelta(days=14)) == 2.0
    assert s.horizon(3) == 3.0
    assert s.horizon(np.timedelta64(7, "D")) == 1.0
    np.testing.assert_array_equal(s.horizon([timedelta(days=7), timedelta(days=21)]), [1, 3])
    np.testing.assert_array_equal(s.horizon(np.array([7, 14], "m8[D]")), [1, 2])
    np.testing.assert_array_equal(s.horizon([4, 5]), [4, 5])
    for bad, message in (
        (-1, "at least 0"),
        ("x", "number"),
        ([1, 2, 3], "3 rows"),
        (timedelta(days=-7), "at least 0"),
    ):
        with pytest.raises(InputError, match=message):
            s.horizon(bad)
    period = PurchaseSummary(frequency=[1], recency=[1], T=[2], unit="period")
    with pytest.raises(InputError, match="no length in days"):
        period.horizon(timedelta(days=7))


def test_sums_refuse_other_units_shared_customers_and_other_things():
    a = PurchaseSummary(frequency=[1], recency=[1], T=[2], customer_id=["x"], unit="week", counts={"merged": 1})
    b = PurchaseSummary(frequency=[0], recency=[0], T=[2], customer_id=["a"], unit="week", counts={"merged": 2})
    both = a + b
    assert both.customer_id.tolist() == ["a", "x"]
    assert both.frequency.tolist() == [0, 1]
    assert both.counts == {"merged": 3}
    with pytest.raises(InputError, match="different customers"):
        a + a
    with pytest.raises(InputError, match="one unit"):
        a + PurchaseSummary(frequency=[0], recency=[0], T=[2], unit="day")
    with pytest.raises(TypeError):
        a + 1
    with pytest.raises(InputError, match="no monetary_value"):
        a.spend_cells()
    money = PurchaseSummary(frequency=[1], recency=[1], T=[2], monetary_value=[3.0])
    assert (money + money).monetary_value.tolist() == [3.0, 3.0]
    cells = money.spend_cells()
    assert (cells + cells).weights.tolist() == [2.0]
    with pytest.raises(TypeError):
        cells + 1
    with pytest.raises(InputError, match="frequency has 0"):
        SpendCells(frequency=[0], monetary_value=[1.0])
    with pytest.raises(InputError, match="whole"):
        SpendCells(frequency=[1.5], monetary_value=[1.0])
    assert SpendCells(frequency=[2], monetary_value=[1.0]).weights.tolist() == [1.0]


def test_cells_of_many_distinct_columns_do_not_overflow():
    from relmark.ltv._cells import unique_rows

    rng = np.random.default_rng(0)
    n = 70_000  # 70,000^4 is beyond 63 bits
    columns = [rng.permutation(n).astype(float) for _ in range(4)]
    twice = [np.concatenate([c, c]) for c in columns]
    rows, weights, place = unique_rows(twice, None)
    assert len(weights) == n
    assert (weights == 2).all()
    for column, original in zip(rows, twice, strict=True):
        np.testing.assert_array_equal(column[place], original)


def test_who_never_bought_again_is_refused_only_where_nobody_did():
    with pytest.raises(NotEnoughDataError, match="none of these 3 customers bought twice"):
        BgNbd.fit(PurchaseSummary(frequency=[0, 0, 0], recency=[0, 0, 0], T=[1, 2, 3]))
    with pytest.raises(NotEnoughDataError, match="bought twice"):
        GammaGamma.fit(PurchaseSummary(frequency=[0], recency=[0], T=[1], monetary_value=[1.0]))
    with pytest.raises(InputError, match="PurchaseSummary is needed"):
        BgNbd.fit([1, 2, 3])
