"""Figures and verdicts of small hand-made worlds, at the edges of windows, days, ties and missing values."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from relmark.core.base import CustomerBase
from relmark.core.columns import Column
from relmark.core.errors import DefinitionError, InputError, LimitError, MissingColumnError
from relmark.core.log import EventLog
from relmark.core.table import CustomerTable
from relmark.core.time import days, hours
from relmark.expressions import aggregates, at_least, event, everyone, field, ids, prop, sample, segment, sequence
from relmark.expressions.column_tests import constant, filled, matches
from relmark.expressions.truth import Truth
from relmark.segmentation import Segment

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def base_of(rows, tz="UTC", **fields):
    """Rows are (customer, type, hours before as_of, value, sku)."""
    rows = [(*row, None, None)[:5] for row in rows]
    log = EventLog.from_columns(
        customer_id=np.array([row[0] for row in rows], dtype=np.int64),
        type=[row[1] for row in rows] if rows else "a",
        time=np.array([AS_OF.replace(tzinfo=None) - timedelta(hours=row[2]) for row in rows], dtype="M8[us]"),
        value=[row[3] for row in rows],
        properties={"sku": [row[4] for row in rows]},
    )
    table = CustomerTable.from_columns(**fields) if fields else None
    return CustomerBase(customers=table, events=log, tz=tz)


def measured(expression, base, as_of=AS_OF):
    return dict(zip(base.customer_id.tolist(), expression.measure(base, as_of).values().tolist(), strict=True))


def test_a_window_is_open_on_the_left_and_closed_on_the_right():
    base = base_of([(1, "a", 24), (2, "a", 24 - 1e-9), (3, "a", 0), (4, "a", -1e-9)])
    assert measured(event("a").count(within=days(1)), base) == {1: 0, 2: 1, 3: 1, 4: 0}
    assert measured(event("a").count(ago=days(1)), base) == {1: 1, 2: 0, 3: 0, 4: 0}


def test_since_and_until_are_inclusive_and_a_date_is_its_midnight_in_the_time_zone_of_the_base():
    rows = [(1, "a", 25), (2, "a", 24), (3, "a", 23), (4, "a", 0)]
    assert measured(event("a").exists(since="2026-02-28"), base_of(rows)) == {1: False, 2: True, 3: True, 4: True}
    assert measured(event("a").exists(until="2026-02-28"), base_of(rows)) == {1: True, 2: False, 3: False, 4: False}
    berlin = base_of(rows, tz="Europe/Berlin")
    assert measured(event("a").exists(since="2026-02-28"), berlin) == {1: True, 2: True, 3: True, 4: True}
    assert measured(event("a").exists(until="2026-02-28"), berlin) == {1: False, 2: False, 3: False, 4: False}


def test_someone_without_events_has_zero_or_nothing_as_the_figure_says():
    base = base_of([(1, "a", 5, 2.0, "x")], customer_id=[1, 2])
    zero = [event("a").count(), event("a").sum(), event("a").active_days(), event("a").count_distinct("sku")]
    assert [measured(figure, base)[2] for figure in zero] == [0, 0, 0, 0]
    assert measured(event("a").exists(), base)[2] is False
    nothing = ["mean", "min", "max", "first", "last", "days_since_first", "days_since_last"]
    assert all(math.isnan(measured(getattr(event("a"), name)(), base)[2]) for name in nothing)
    assert measured(event("a").last("sku"), base) == {1: "x", 2: None}
    assert measured(event("a").days_since_last() > 60, base) == {1: False, 2: None}
    assert measured(event("a").last_event(prop("sku") == "x"), base) == {1: True, 2: None}


def test_events_without_a_value_are_counted_and_otherwise_skipped():
    base = base_of([(1, "a", 5, None), (1, "a", 4, 3.0), (2, "a", 4, None), (3, "a", 1, math.nan)])
    assert measured(event("a").count(), base) == {1: 2, 2: 1, 3: 1}
    assert measured(event("a").sum(), base) == {1: 3.0, 2: 0.0, 3: 0.0}
    assert measured(event("a").mean().is_null(), base) == {1: False, 2: True, 3: True}
    assert measured(event("a").first(), base)[1] == 3.0


def test_a_log_without_values_and_a_log_without_events_have_empty_figures():
    base = base_of([(1, "a", 5)])
    assert measured(event("a").sum(), base) == {1: 0.0}
    assert measured(event("a").first("nothing").is_null(), base) == {1: True}
    assert measured(event("a").count_distinct("nothing"), base) == {1: 0}
    assert measured(event("b").count(), base) == {1: 0}
    assert measured(event("b").days_since_last().is_null(), base) == {1: True}
    assert measured(sequence([event("b"), event("a")]), base) == {1: False}
    assert measured(sequence([event("a"), event("a")], strict=True), base) == {1: False}
    empty = CustomerBase(customers=CustomerTable.from_columns(customer_id=["x"], born=[None]))
    for rule in (
        event("a").exists(), sequence([event("a"), event("b")]), sequence([event("a"), event("b")], strict=True),
        event("a").regularly(1, of=2, period="day"), event("a").not_followed_by(event("b"), within=days(1)),
    ):  # fmt: skip
        assert measured(rule, empty) == {"x": False}
        assert rule.measure(empty, [AS_OF]).values().tolist() == [False]
    for rule in (field("born").anniversary(days(3)), field("born").within(days(3)), field("born") == "x",
                 field("born").age() > 3, field("born").in_period("day"), field("born").contains("x"),
                 field("born").is_in(["x"]), field("born").upcoming(days(3)),
                 event("a").last("sku") == "x", field("born") == field("born")):  # fmt: skip
        assert measured(rule, empty) == {"x": None}, rule
    assert measured(field("born").fill(3) > 2, empty) == {"x": True}
    nobody = CustomerBase()
    assert event("a").exists().measure(nobody, AS_OF).values().tolist() == []


def test_first_and_last_take_the_smallest_of_the_same_instant():
    base = base_of(
        [(1, "a", 9, 5, "z"), (1, "a", 9, 3, "y"), (1, "a", 2, 8, "b"), (1, "a", 2, 4, "c"), (1, "b", 2, 1, "a")]
    )
    assert measured(event("a").first("sku"), base) == {1: "y"}
    assert measured(event("a").last("sku"), base) == {1: "b"}
    assert measured(event("a").last(), base) == {1: 4.0}
    assert measured(event("a", "b").last("sku"), base) == {1: "a"}
    assert measured(event("a").most_frequent("sku"), base) == {1: "b"}


def test_the_latest_of_several_at_one_instant_is_true_only_if_all_are():
    rows = [
        (1, "a", 2, 1, "x"),
        (1, "a", 2, 1, "y"),
        (2, "a", 2, 1, "x"),
        (2, "a", 2, 1, None),
        (3, "a", 9, 1, None),
        (3, "a", 2, 1, "x"),
    ]
    assert measured(event("a").last_event(prop("sku") == "x"), base_of(rows)) == {1: False, 2: None, 3: True}


def test_then_means_strictly_later():
    base = base_of([(1, "a", 5), (1, "b", 5), (2, "a", 5), (2, "b", 4), (3, "b", 5), (3, "a", 4)])
    assert measured(sequence([event("a"), event("b")]), base) == {1: False, 2: True, 3: False}
    assert measured(sequence([event("a"), event("b")], within=hours(1)), base) == {1: False, 2: True, 3: False}
    assert measured(sequence([event("a"), event("b")], within=hours(0.99)), base) == {1: False, 2: False, 3: False}


def test_exclusions_and_strictness_look_strictly_between():
    rows = [
        (1, "a", 5), (1, "x", 4), (1, "b", 3),
        (2, "a", 5), (2, "x", 5), (2, "b", 3),
        (3, "a", 5), (3, "x", 3), (3, "b", 3),
        (4, "a", 5), (4, "x", 4), (4, "a", 3), (4, "b", 2),
    ]  # fmt: skip
    base = base_of(rows)
    assert measured(sequence([event("a"), event("b")], exclude=[event("x")]), base) == {
        1: False,
        2: True,
        3: True,
        4: True,
    }
    assert measured(sequence([event("a"), event("b")], strict=True), base) == {1: False, 2: True, 3: True, 4: True}
    three = sequence([event("a"), event("x"), event("b")], strict=True, exclude=[event("x")])
    assert measured(three, base) == {1: False, 2: False, 3: False, 4: False}
    assert measured(sequence([event("a"), event("x"), event("b")], strict=True, within=hours(2)), base)[1] is True


def test_an_abandoned_basket_waits_and_goes_stale():
    basket = event("cart").not_followed_by(event("buy"), within=hours(1), recent=hours(24))
    rows = [(1, "cart", 1), (2, "cart", 0.5), (3, "cart", 5), (3, "buy", 4), (4, "cart", 5), (4, "buy", 5),
            (5, "cart", 24), (6, "cart", 23.9), (7, "buy", 1), (8, "cart", 9), (8, "buy", 8),
            (8, "cart", 2)]  # fmt: skip
    assert measured(basket, base_of(rows)) == {
        1: True,
        2: False,
        3: False,
        4: True,
        5: False,
        6: True,
        7: False,
        8: True,
    }


def test_regular_activity_counts_calendar_weeks_of_the_time_zone():
    # 2026-03-01 is a Sunday: the week began on Monday, 2026-02-23, at 00:00.
    rows = [(1, "a", 6 * 24), (1, "a", 6 * 24 + 0.5), (2, "a", 6 * 24), (2, "a", 1)]
    weeks = event("a").regularly(2, of=2, period="week")
    assert measured(weeks, base_of(rows)) == {1: True, 2: False}
    assert measured(weeks, base_of(rows, tz="America/New_York")) == {1: False, 2: True}
    assert measured(event("a").regularly(2, of=2, period=days(6)), base_of(rows)) == {1: False, 2: True}


def test_as_of_may_be_one_a_customer():
    base = base_of([(1, "a", 5), (2, "a", 5), (3, "a", 5)], customer_id=[3, 2, 1, 9])
    moments = [AS_OF - hours(6), AS_OF - hours(5), AS_OF, AS_OF]
    counted = event("a").count(within=hours(3)).measure(base, moments).values()
    assert counted.tolist() == [0, 1, 0, 0]
    since = event("a").days_since_last().measure(base, moments).values() * 24
    assert np.isnan(since[[0, 3]]).all()
    assert since[1:3] == pytest.approx([0, 5])
    assert event("a").regularly(1, of=1, period=hours(3)).measure(base, moments).values().tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_birthdays_come_round_and_29_february_is_the_28th_elsewhere():
    born = [date(2000, 2, 29), date(2000, 3, 1), date(2000, 2, 28), date(1999, 3, 6), date(1999, 3, 7), None]
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=list(range(6)), born=born))
    week = field("born").anniversary(upcoming=days(7))
    assert list(measured(week, base, "2026-02-28").values()) == [True, True, True, True, False, None]
    assert list(measured(week, base, "2026-03-01").values()) == [False, True, False, True, True, None]
    assert list(measured(week, base, "2028-02-29").values()) == [True, True, False, True, False, None]
    assert list(measured(field("born").age(), base, "2026-02-28").values())[:3] == [26, 25, 26]
    assert list(measured(week, base, "2026-12-30").values())[:2] == [False, False]


def test_the_calendar_is_that_of_the_base():
    seen = [datetime(2026, 2, 28, 23, 30, tzinfo=UTC), datetime(2026, 1, 31, 23, 30, tzinfo=UTC)]
    table = CustomerTable.from_columns(customer_id=[1, 2], seen=seen)
    utc = CustomerBase(customers=table)
    berlin = CustomerBase(customers=table, tz="Europe/Berlin")
    assert measured(field("seen").in_period("month"), utc, "2026-03-01") == {1: False, 2: False}
    assert measured(field("seen").in_period("month"), berlin, "2026-03-01") == {1: True, 2: False}
    assert measured(field("seen").in_period("month", -1), berlin, "2026-03-01") == {1: False, 2: True}
    assert measured(field("seen").in_period("quarter"), berlin, "2026-03-01") == {1: True, 2: True}


def test_sums_are_correctly_rounded_whatever_the_order():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=500).round(2), [1e16, -1e16, 1e-9, 0.1, 0.2]])
    codes = rng.integers(0, 7, len(values))
    expected = [math.fsum(values[codes == code].tolist()) for code in range(8)]
    for _ in range(5):
        order = rng.permutation(len(values))
        assert aggregates.exact_sums(codes[order], values[order], 8).tolist() == expected


@pytest.mark.parametrize(
    "values",
    [[1e300, 1.0, -1e300, 1e-300], [5e-324, 1e-310], [1e200, 1.0, 1e-200, -1e200], [0.1] * 10, [0.0, 0.0], [],
     [2.0**90, 2.0**40, 2.0**-10, 2.0**-60, -(2.0**90)]],
)  # fmt: skip
def test_sums_of_very_different_sizes_are_correctly_rounded_too(values):
    codes = np.zeros(len(values), dtype=np.int32)
    assert aggregates.exact_sums(codes, np.array(values, dtype=np.float64), 2).tolist() == [math.fsum(values), 0.0]


def test_a_sum_beyond_float64_is_unknown():
    found = aggregates.exact_sums(np.zeros(2, dtype=np.int32), np.array([1e308, 1e308]), 1)
    assert np.isnan(found).all()


def test_division_by_zero_and_overflow_are_unknown():
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=[1, 2, 3], a=[1.0, 1e300, 2.0], b=[0.0, 1e-300, 4.0])
    )
    assert measured(field("a") / field("b") > 0, base) == {1: None, 2: None, 3: True}
    assert measured(field("a") * field("a") * field("a") > 0, base)[2] is None


def test_filling_keeps_the_kind():
    text = Column.of("t", ["b", None])
    assert filled(text, "a").values().tolist() == ["b", "a"]
    assert filled(Column.of("v", [True, None]), False).values().tolist() == [True, False]
    assert filled(Column.of("d", [date(2026, 1, 1), None]), date(2026, 2, 1)).values().tolist()[1] == date(2026, 2, 1)
    moment = filled(Column.of("i", [AS_OF, None]), datetime(2026, 2, 1, 5, tzinfo=UTC)).values()[1]
    assert moment == np.datetime64("2026-02-01T05:00")
    assert filled(Column.empty(2), "x").values().tolist() == ["x", "x"]
    for value in (True, date(2026, 1, 1), AS_OF):
        assert constant(value, 2).values().tolist()[0] == (value if value is not AS_OF else AS_OF.replace(tzinfo=None))


def test_tags_match_whole_and_an_empty_set_is_known():
    tags = Column.of("t", [{"red", "Tall"}, set(), None, {"reddish"}])
    assert matches("contains", tags, ("red",), casefold=False).column().data.tolist() == [1, 0, -1, 0]
    assert matches("contains_all", tags, ("RED", "tall"), casefold=True).column().data.tolist() == [1, 0, -1, 0]
    assert matches("contains_none", tags, ("red",), casefold=False).column().data.tolist() == [0, 1, -1, 1]


def test_columns_of_every_kind_compare():
    table = CustomerTable.from_columns(
        customer_id=[1, 2, 3],
        city=["a", "b", None],
        home=["b", "b", "c"],
        vip=[True, None, False],
        paid=[True, True, True],
        born=[date(2026, 1, 1), date(2026, 1, 2), None],
        joined=[datetime(2026, 1, 1, tzinfo=UTC)] * 3,
    )
    base = CustomerBase(customers=table)
    expected = {
        field("city") == field("home"): [False, True, None],
        field("city") < field("home"): [True, False, None],
        field("vip") == field("paid"): [True, None, False],
        field("vip") != False: [True, None, False],  # noqa: E712
        field("vip").is_in([True]): [True, None, False],
        field("born") == field("joined"): [True, False, None],
        field("born").is_in([date(2026, 1, 2)]): [False, True, None],
        field("born").is_in([datetime(2026, 1, 2, tzinfo=UTC)]): [False, True, None],
        field("joined").is_in([date(2026, 1, 1)]): [True, True, True],
        field("city").is_in([]): [False, False, None],
        field("born") <= field("born"): [True, True, None],
        field("city") <= "a": [True, False, None],
        field("city") > "aa": [False, True, None],
        field("city") >= "b": [False, True, None],
        field("city") != "zz": [True, True, None],
        field("city").is_null(): [False, False, True],
        field("home").is_null(): [False, False, False],
        at_least(2, field("vip"), field("paid"), field("city") == "a"): [True, None, None],
        at_least(3, field("vip"), field("paid"), field("city") == "a"): [True, False, False],
    }
    for rule, verdicts in expected.items():
        assert list(measured(rule, base).values()) == verdicts, rule


def test_ids_and_samples_and_everyone_are_never_unknown():
    base = base_of([(1, "a", 3)], customer_id=[5, 3, 1])
    assert list(measured(ids([3, 99]), base).values()) == [False, True, False]
    assert list(measured(ids([]), base).values()) == [False, False, False]
    assert measured(sample(100, salt="s") & everyone, base) == {5: True, 3: True, 1: True}
    assert not any(measured(sample(0, salt="s"), base).values())
    with pytest.raises(InputError):
        ids(["a"]).measure(base, AS_OF)


def test_a_figure_compared_before_it_is_spread_says_the_same_of_those_without_events():
    base = base_of([(1, "a", 3, 2.0, "x")], customer_id=[1, 2])
    for rule, verdicts in (
        (event("a").exists() == False, {1: False, 2: True}),  # noqa: E712
        (event("a").exists() != False, {1: True, 2: False}),  # noqa: E712
        (event("a").count() < 1, {1: False, 2: True}),
        (event("a").sum() == 0, {1: False, 2: True}),
        (event("a").mean() < 3, {1: True, 2: None}),
        (event("a").last("sku") != "y", {1: True, 2: None}),
        (event("a").first() >= 2, {1: True, 2: None}),
    ):
        assert dict(zip([1, 2], Segment("s", rule).evaluate(base, as_of=AS_OF).mask.tolist(), strict=True)) == {
            who: verdict is True for who, verdict in verdicts.items()
        }
        found = Segment("s", rule).evaluate(base, as_of=AS_OF)
        assert found.unknown_mask.tolist() == [verdict is None for verdict in verdicts.values()]
        assert measured(rule, base) == verdicts


def test_a_segment_by_name_has_no_meaning_outside_of_a_set():
    with pytest.raises(DefinitionError, match="no segment 'vip'"):
        segment("vip").measure(base_of([(1, "a", 3)]), AS_OF)


def test_seven_hundredths_of_a_percent_are_seven_buckets():
    assert sample(0.07, salt="s").buckets == 7
    assert sample(12.34, salt="s").buckets == 1234


def test_a_tenth_is_about_a_tenth_and_inside_of_a_fifth():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(20_000)))
    tenth, fifth, other = (rule.measure(base, AS_OF).data == 1 for rule in
                           (sample(10, salt="a"), sample(20, salt="a"), sample(10, salt="b")))  # fmt: skip
    assert 0.09 < tenth.mean() < 0.11
    assert not (tenth & ~fifth).any()
    assert 0.005 < (tenth & other).mean() < 0.015


def test_data_of_the_wrong_type_are_an_error_never_a_guess():
    base = base_of([(1, "a", 3, 1.0, "x")], customer_id=[1], age=["10"])
    with pytest.raises(DefinitionError, match=r"field\(.age.\) is a text, but 9 is a number"):
        (field("age") > 9).measure(base, AS_OF)
    with pytest.raises(MissingColumnError, match="Did you mean 'age'"):
        (field("agee") == "9").measure(base, AS_OF)
    with pytest.raises(DefinitionError, match="where="):
        (prop("sku") == "x").measure(base, AS_OF)
    deep = field("age")
    for _ in range(120):
        deep = deep.fill("x")
    with pytest.raises(LimitError):
        (deep == "x").measure(base, AS_OF)


def test_base_measure_shares_what_is_equal_and_gives_every_kind():
    base = base_of([(1, "a", 3, 1.0, "x"), (2, "a", 30, 2.0, "y")])
    rule = event("a").sum(within=days(1)) > 0
    found = base.measure(
        {"spent": event("a").sum(), "recent": rule, "again": rule, "sku": event("a").last("sku")}, as_of=AS_OF
    )
    assert found["spent"].tolist() == [1.0, 2.0]
    assert found["recent"].tolist() == found["again"].tolist() == [True, False]
    assert found["sku"].tolist() == ["x", "y"]
    shared = {}
    rule.measure(base, AS_OF, shared)
    assert set(shared) == {rule.fingerprint, event("a").sum(within=days(1)).fingerprint}
    shared[rule.fingerprint] = Truth(np.array([False, True]))
    assert rule.measure(base, AS_OF, shared).values().tolist() == [False, True]


def test_customers_in_another_order_than_the_log_get_their_own_figures():
    base = base_of([(1, "a", 3, 1.0, "x"), (2, "a", 30, 2.0, "y")], customer_id=[9, 2, 1])
    assert measured(event("a").sum(), base) == {9: 0.0, 2: 2.0, 1: 1.0}
    assert measured(event("a").last("sku"), base) == {9: None, 2: "y", 1: "x"}
    assert measured(event("a").mean(), base)[2] == 2.0
    assert measured(event("a").exists(), base) == {9: False, 2: True, 1: True}


def test_a_whole_number_that_some_customers_do_not_have_is_missing_for_them():
    log = EventLog.from_columns(customer_id=[1], type="a", time=["2026-01-01T00:00Z"], properties={"n": [7]})
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1, 2]), events=log)
    found = event("a").last("n").measure(base, AS_OF)
    assert found.missing.tolist() == [False, True]
    assert measured(event("a").last("n") == 7, base) == {1: True, 2: None}


@pytest.mark.slow
def test_many_events_of_many_customers_agree_with_a_plain_loop():
    rng = np.random.default_rng(11)
    m, n = 400_000, 20_000
    customer = rng.integers(0, n, m)
    kind = rng.choice(["a", "b", "c"], m, p=[0.4, 0.4, 0.2])
    time = np.datetime64("1990-01-01", "us") + rng.integers(0, 400, m) * np.timedelta64(31 * 24 * 3_600_000_001, "us")
    log = EventLog.from_columns(customer_id=customer, type=kind, time=time)
    base = CustomerBase(events=log)
    within = 93 * 24 * 3_600_000_003
    order = np.lexsort((time, customer))
    expected, strict, barred = set(), set(), set()
    rows = list(zip(customer[order].tolist(), time[order].astype(np.int64).tolist(), kind[order].tolist(), strict=True))
    start = 0
    while start < m:
        stop = start
        while stop < m and rows[stop][0] == rows[start][0]:
            stop += 1
        mine = rows[start:stop]
        instants = sorted({t for _, t, _ in mine})
        at = {t: {k for _, u, k in mine if u == t} for t in instants}
        for _, t, k in mine:
            if k == "a":
                later = [u for u in instants if t < u <= t + within and "b" in at[u]]
                if later:
                    expected.add(mine[0][0])
                    if not any(t < u < later[0] and "c" in at[u] for u in instants):
                        barred.add(mine[0][0])
                following = [u for u in instants if u > t][:1]
                if following and "b" in at[following[0]]:
                    strict.add(mine[0][0])
        start = stop
    steps = [event("a"), event("b")]
    span = timedelta(microseconds=within)
    as_of = "2030-01-01"
    for rule, whom in (
        (sequence(steps, within=span), expected),
        (sequence(steps, strict=True), strict),
        (sequence(steps, within=span, exclude=[event("c")]), barred),
    ):
        found = rule.measure(base, as_of).data == 1
        assert set(base.customer_id[found].tolist()) == whom
