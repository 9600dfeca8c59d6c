"""Laws of the log: however its events come in, they are the same events, and nothing that came in is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import Event, EventLog
from relmark.core.time import instant

START = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = ("purchase", "visit", "message_sent")


@st.composite
def rows(draw: st.DrawFn, *, distinct: bool = False, least: int = 0) -> list[dict[str, Any]]:
    """Return rows in any order: few customers, many equal times, values and properties that are often missing."""
    words = draw(st.booleans())
    ids = st.sampled_from(["a", "b", "ж", "z9"]) if words else st.sampled_from([-3, 0, 5, 2**40])
    minutes = st.integers(-5, 5) if not distinct else st.integers(-10_000, 10_000)
    row = st.fixed_dictionaries(
        {
            "customer_id": ids,
            "type": st.sampled_from(TYPES),
            "minute": minutes,
            "value": st.none() | st.sampled_from([0.0, -2.5, 10.0, 1e9]),
            "sku": st.none() | st.sampled_from(["x", "y", ""]),
            "count": st.none() | st.integers(-3, 3),
        }
    )
    unique = (lambda r: r["minute"]) if distinct else None
    return draw(st.lists(row, min_size=least, max_size=25, unique_by=unique))


def as_log(given_rows: list[dict[str, Any]]) -> EventLog:
    """Build a log from columns."""
    return EventLog.from_columns(
        customer_id=[r["customer_id"] for r in given_rows],
        time=[START + timedelta(minutes=r["minute"]) for r in given_rows],
        type=[r["type"] for r in given_rows],
        value=[r["value"] for r in given_rows],
        properties={name: [r[name] for r in given_rows] for name in ("sku", "count")},
    )


def in_order(given_rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return rows as tuples, by time and then by arrival: the slow obvious version of `seen`."""
    ordered = sorted(given_rows, key=lambda r: r["minute"])  # Python's sort is stable
    return [
        (r["customer_id"], r["type"], START + timedelta(minutes=r["minute"]), r["value"], r["sku"], r["count"])
        for r in ordered
    ]


def seen(log: EventLog) -> list[tuple[Any, ...]]:
    """Return a log's events as tuples, missing ones None, through its only table."""
    columns = log.to_columns()
    n = len(columns["time"])
    names = ("customer_id", "type", "time", "value", "sku", "count")
    filled = [columns.get(name, np.full(n, None, dtype=object)).tolist() for name in names]
    filled[2] = [moment.replace(tzinfo=UTC) for moment in filled[2]]
    return [tuple(None if v is None or v != v else v for v in row) for row in zip(*filled, strict=True)]  # noqa: PLR0124


@given(rows())
def test_a_log_holds_its_rows_in_the_order_of_time_and_then_of_arrival(r):
    log = as_log(r)
    assert seen(log) == in_order(r)
    assert len(log) == len(r)
    assert log.customer_id.tolist() == sorted({row["customer_id"] for row in r})
    assert log.types == tuple(sorted({row["type"] for row in r}))


@given(rows())
def test_events_one_at_a_time_make_the_log_that_columns_make(r):
    events = [
        Event(
            row["customer_id"],
            row["type"],
            START + timedelta(minutes=row["minute"]),
            row["value"],
            {"sku": row["sku"], "count": row["count"]},
        )
        for row in r
    ]
    assert seen(EventLog.from_events(events)) == seen(as_log(r))


@given(rows(least=1), st.data())
def test_append_equals_concat_equals_one_build(r, data):
    first = data.draw(st.integers(0, len(r)))
    second = data.draw(st.integers(first, len(r)))
    parts = [as_log(r[:first]), as_log(r[first:second]), as_log(r[second:])]
    whole = seen(as_log(r))
    assert seen(EventLog.concat(parts)) == whole
    assert seen(parts[0].append(parts[1]).append(parts[2])) == whole
    assert seen(parts[0].append(parts[1].append(parts[2]))) == whole


@given(rows(), st.integers(-6, 6))
def test_until_never_sees_the_future(r, minute):
    as_of = START + timedelta(minutes=minute)
    log = as_log(r).until(as_of)
    assert seen(log) == in_order([row for row in r if row["minute"] <= minute])
    assert log.customer_id.tolist() == sorted({row["customer_id"] for row in r if row["minute"] <= minute})


@given(rows(), st.data())
def test_take_without_and_of_type_agree_with_filtering_the_rows(r, data):
    log = as_log(r)
    ordered = sorted(r, key=lambda row: row["minute"])
    mask = data.draw(st.lists(st.booleans(), min_size=len(r), max_size=len(r)))
    assert seen(log.take(np.array(mask, dtype=bool))) == in_order([x for x, m in zip(ordered, mask, strict=True) if m])
    for gone in log.customer_id.tolist():
        assert seen(log.without([gone])) == in_order([row for row in r if row["customer_id"] != gone])
    for name in log.types:
        assert seen(log.of_type(name)) == in_order([row for row in r if row["type"] == name])


@given(rows(), st.data())
def test_a_log_cut_and_joined_again_is_itself(r, data):
    log = as_log(r)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(r), max_size=len(r))), dtype=bool)
    again = EventLog.concat([log.take(mask), log.take(~mask)])
    assert sorted(map(repr, seen(again))) == sorted(map(repr, seen(log)))
    assert again.customer_id.tolist() == log.customer_id.tolist()


@given(rows(distinct=True), st.randoms(use_true_random=False))
def test_the_order_of_rows_with_distinct_times_changes_nothing(r, random):
    shuffled = list(r)
    random.shuffle(shuffled)
    assert seen(as_log(shuffled)) == seen(as_log(r))


@given(rows())
def test_a_log_makes_itself_again_from_its_own_columns(r):
    log = as_log(r)
    columns = log.to_columns()
    own = {name: columns.pop(name) for name in ("customer_id", "type", "time")}
    value = columns.pop("value", None)
    again = EventLog.from_columns(**own, value=value, properties=columns)
    assert seen(again) == seen(log)
    assert again.types == log.types


@given(rows(least=1))
def test_nothing_writes_into_what_came_in_and_nothing_of_it_is_kept(r):
    ids = np.array([row["customer_id"] for row in r])
    times = np.array([instant(START + timedelta(minutes=row["minute"])) for row in r]).view("M8[us]")
    values = np.array([np.nan if row["value"] is None else row["value"] for row in r])
    seen_at = times.copy()
    columns = {"customer_id": ids, "time": times, "value": values, "properties": {"at": seen_at, "n": values}}
    frozen = [array.copy() for array in (ids, times, values)]
    for array in (ids, times, values, seen_at):
        array.flags.writeable = False
    log = EventLog.from_columns(**columns, type="visit")
    order, offsets = log.partition("visit").by_customer
    before = log.to_columns()
    for array, kept in zip((ids, times, values), frozen, strict=True):
        np.testing.assert_array_equal(array, kept)
    for array in (ids, times, values, seen_at):
        array.flags.writeable = True
        array[:] = array[::-1].copy() if array is ids else (array.view(np.int64) + 1).view(array.dtype)
    for name, column in log.to_columns().items():
        np.testing.assert_array_equal(column, before[name])
    part = log.partition("visit")
    for array in (log.customer_id, part.code, part.time, part.row, order, offsets):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


@given(rows())
def test_the_customer_order_of_a_partition_is_customer_then_time_then_arrival(r):
    log = as_log(r)
    for name in log.types:
        part = log.partition(name)
        order, offsets = part.by_customer
        assert order.tolist() == sorted(range(len(part)), key=lambda k: (part.code[k], part.time[k], part.row[k]))
        assert np.diff(offsets).tolist() == np.bincount(part.code, minlength=log.n_customers).tolist()


@given(rows(), st.integers(-6, 6), st.integers(-6, 6))
def test_a_window_is_open_below_and_closed_above(r, low, high):
    log = as_log(r)
    for name in log.types:
        part = log.partition(name)
        a, b = (instant(START + timedelta(minutes=minute)) for minute in (low, high))
        inside = part.time[part.window(a, b)]
        assert inside.tolist() == [t for t in part.time.tolist() if a < t <= b]
        assert part.time[part.window(None, b)].tolist() == [t for t in part.time.tolist() if t <= b]
        assert part.time[part.window(a, None)].tolist() == [t for t in part.time.tolist() if t > a]
