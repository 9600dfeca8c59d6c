"""Every door that takes data, tried with every type that a user may hold: a result, or an error with a remedy."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, ItemTable, resolve_identities
from relmark.errors import InputError, MissingColumnError, RelmarkError

DAYS = ["2026-01-05", "2026-01-06", "2026-01-07"]
TIMES = [f"{day}T09:30" for day in DAYS]
AWARE = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in TIMES]

TIME_COLUMNS = {
    "list of texts": TIMES,
    "list of texts with a zone": [f"{text}Z" for text in TIMES],
    "list of datetimes": [datetime.fromisoformat(text) for text in TIMES],
    "list of aware datetimes": AWARE,
    "list of dates": [date.fromisoformat(day) for day in DAYS],
    "array of texts": np.array(TIMES),
    "array of objects": np.array(TIMES, dtype=object),
    "datetime64[D]": np.array(DAYS, "M8[D]"),
    "datetime64[ns]": np.array(TIMES, "M8[ns]"),
    "datetime64[s]": np.array(TIMES, "M8[s]"),
    "StringDType": np.array(TIMES, dtype=np.dtypes.StringDType()),
}
FRAMES = {
    "mapping": lambda columns: columns,
    "pandas": pd.DataFrame,
    "pandas with an index": lambda columns: pd.DataFrame(columns, index=[7, 7, 9]),
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "pyarrow": lambda columns: pa.table({name: pa.array(list(column)) for name, column in columns.items()}),
}


def in_frame(kind, column):
    """Column of times as a frame library holds it, or None where it cannot."""
    if kind.startswith("pandas"):
        return FRAMES[kind]({"u": ["a", "b", "a"], "t": column, "v": [1.0, 2.0, 3.0]})
    if isinstance(column, np.ndarray) and column.dtype.kind in "OT":
        column = column.tolist()
    if isinstance(column, np.ndarray) and column.dtype == "M8[s]":
        column = column.astype("M8[ms]")  # polars knows no seconds
    if kind == "polars":
        return pl.DataFrame({"u": ["a", "b", "a"], "t": column, "v": [1.0, 2.0, 3.0]}, strict=False)
    if kind == "pyarrow":
        return pa.table({"u": ["a", "b", "a"], "t": pa.array(column), "v": [1.0, 2.0, 3.0]})
    return {"u": ["a", "b", "a"], "t": column, "v": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize(("frame", "time"), [*itertools.product(FRAMES, TIME_COLUMNS)])
def test_times_come_in_every_type_from_every_frame(frame, time):
    given = in_frame(frame, TIME_COLUMNS[time])
    base = CustomerBase.from_orders(given, customer_id="u", time="t", value="v", tz="Europe/Berlin")
    assert len(base.purchases()) == 3
    days = base.purchases().days()
    assert days.day.astype(str).tolist() == [DAYS[0], DAYS[2], DAYS[1]]
    if "zone" in time or "aware" in time:
        assert base.events.first_time == AWARE[0]
    elif time not in {"list of dates", "datetime64[D]"}:
        assert base.events.first_time == datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("column", ["t", "words"])
def test_categories_of_times_are_read_once_each(frame, column):
    if frame == "mapping":
        return
    words = (
        pd.Categorical([TIMES[0], TIMES[1], TIMES[0]]) if frame.startswith("pandas") else [TIMES[0], TIMES[1], TIMES[0]]
    )
    given = {"u": ["a", "b", "a"], column: words}
    if frame == "polars":
        given[column] = pl.Series(words, dtype=pl.Categorical)
    table = (
        pa.table({"u": given["u"], column: pa.array(words).dictionary_encode()})
        if frame == "pyarrow"
        else FRAMES[frame](given)
    )
    log = EventLog.purchases(table, customer_id="u", time=column)
    assert log.to_columns()["time"].astype(str).tolist() == [f"{t}:00.000000" for t in (TIMES[0], TIMES[0], TIMES[1])]


@pytest.mark.parametrize("frame", ["mapping", "pandas", "polars", "pyarrow"])
def test_a_text_that_is_no_time_is_named_with_its_row(frame):
    given = in_frame(frame, [TIMES[0], "05.01.2026", TIMES[1]])
    with pytest.raises(InputError, match=r"time is '05.01.2026': write an ISO date .*\(row 1\)"):
        EventLog.purchases(given, customer_id="u", time="t")
    missing = in_frame(frame, [TIMES[0], None, TIMES[1]])
    with pytest.raises(InputError, match=r"time .*row 1.*Drop these rows"):
        EventLog.purchases(missing, customer_id="u", time="t")
    assert EventLog.purchases(missing, customer_id="u", time="t", on_error="drop").dropped == {"time": 1}


ID_COLUMNS = {
    "ints": [3, 1, 3],
    "texts": ["c", "a", "c"],
    "int32": np.array([3, 1, 3], np.int32),
    "uint8": np.array([3, 1, 3], np.uint8),
    "nullable Int64": pd.array([3, 1, 3], dtype="Int64"),
    "string": pd.array(["c", "a", "c"], dtype="string"),
    "categorical": pd.Categorical(["c", "a", "c"]),
    "Series with an index": pd.Series([3, 1, 3], index=[5, 6, 7]),
    "polars": pl.Series([3, 1, 3]),
    "polars texts": pl.Series(["c", "a", "c"]),
    "pyarrow": pa.array(["c", "a", "c"]),
}
VALUE_COLUMNS = {
    "floats": [1.5, 2.5, 3.0],
    "ints": [1, 2, 3],
    "decimals": [Decimal("1.5"), Decimal("2.5"), Decimal(3)],
    "float32": np.array([1.5, 2.5, 3.0], np.float32),
    "nullable": pd.array([1.5, 2.5, 3.0], dtype="Float64"),
    "polars": pl.Series([1.5, 2.5, 3.0]),
    "pyarrow": pa.array([1.5, 2.5, 3.0]),
    "booleans": [True, False, True],
}


@pytest.mark.parametrize(("ids", "values"), [*itertools.product(ID_COLUMNS, VALUE_COLUMNS)])
def test_ids_and_values_come_in_every_type(ids, values):
    columns = {"u": ID_COLUMNS[ids], "t": DAYS, "v": VALUE_COLUMNS[values]}
    if values == "booleans":
        with pytest.raises(InputError, match="v is a column of kind 'boolean': numbers are needed"):
            CustomerBase.from_orders(columns, customer_id="u", time="t", value="v")
        return
    base = CustomerBase.from_orders(columns, customer_id="u", time="t", value="v")
    assert base.customer_id.tolist() in ([1, 3], ["a", "c"])
    assert float(base.purchases().lines.value.sum()) in (7.0, 6.0)


WRONG = [
    None, 5, 1.5, True, "text", b"bytes", object(), lambda: 1, range(2),
    [], [None], [[1]], {}, {"a": 1}, set(), [1, "a"], [float("nan")], [Decimal("NaN")], ["\0"], [10**400],
    [date(1, 1, 1)],
    np.array(5), np.array([[1, 2]]), np.array([1j]), np.array([], dtype=object),
    np.array(["NaT"], "M8[D]"), np.array([1], "m8[D]"),
    pd.NaT, pd.Series([1, 2]), pd.DataFrame({"a": [1]}),
    pl.Series(["x"]), pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}).lazy(), pa.array([1]), pa.table({"a": [1]}),
]  # fmt: skip
ONE = {"u": [1], "t": DAYS[:1]}
NAMES = {"customer_id": "u", "time": "t"}


def small():
    return CustomerBase.from_orders({"u": [1, 2], "t": DAYS[:2], "v": [1.0, 2.0]}, customer_id="u", time="t", value="v")


DOORS = {
    "log.customer_id": lambda x: EventLog.from_columns(customer_id=x, time=DAYS[:1], type="a"),
    "log.time": lambda x: EventLog.from_columns(customer_id=[1], time=x, type="a"),
    "log.type": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type=x),
    "log.value": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type="a", value=x),
    "log.properties": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type="a", properties=x),
    "log.property": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type="a", properties={"p": x}),
    "log.tz": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type="a", tz=x),
    "log.on_error": lambda x: EventLog.from_columns(customer_id=[1], time=DAYS[:1], type="a", on_error=x),
    "from_events": EventLog.from_events,
    "from_frame": EventLog.from_frame,
    "from_frame.type": lambda x: EventLog.from_frame({"customer_id": [1], "time": DAYS[:1]}, type=x),
    "purchases": lambda x: EventLog.purchases(x, customer_id="u", time="t", value="v"),
    "purchases.customer_id": lambda x: EventLog.purchases({**ONE, "u": x}, **NAMES),
    "purchases.time": lambda x: EventLog.purchases({**ONE, "t": x}, **NAMES),
    "purchases.value": lambda x: EventLog.purchases(
        {"u": [1], "t": DAYS[:1], "v": x}, customer_id="u", time="t", value="v"
    ),
    "purchases.value name": lambda x: EventLog.purchases(ONE, **NAMES, value=x),
    "purchases.name": lambda x: EventLog.purchases(ONE, customer_id=x, time="t"),
    "purchases.properties": lambda x: EventLog.purchases(
        {"u": [1], "t": DAYS[:1]}, customer_id="u", time="t", properties=x
    ),
    "from_orders": lambda x: CustomerBase.from_orders(x, customer_id="u", time="t"),
    "from_orders.customers": lambda x: CustomerBase.from_orders(
        {"u": [1], "t": DAYS[:1]}, customer_id="u", time="t", customers=x
    ),
    "from_orders.items": lambda x: CustomerBase.from_orders(
        {"u": [1], "t": DAYS[:1]}, customer_id="u", time="t", items=x
    ),
    "base.customers": lambda x: CustomerBase(customers=x),
    "base.events": lambda x: CustomerBase(events=x),
    "base.tz": lambda x: CustomerBase(tz=x),
    "table.customer_id": lambda x: CustomerTable.from_columns(customer_id=x),
    "table.column": lambda x: CustomerTable.from_columns(customer_id=[1], a=x),
    "table.frame": CustomerTable.from_frame,
    "items": lambda x: ItemTable.from_columns(item=x),
    "identities": lambda x: resolve_identities(x, keys=["email"]),
    "identities.keys": lambda x: resolve_identities({"email": ["a@b.c"]}, keys=x),
    "base.purchases": lambda x: small().purchases(order=x),
    "base.refunds": lambda x: small().purchases(refunds=x),
    "purchases.until": small().purchases().until,
    "log.until": small().events.until,
    "log.take": small().events.take,
    "log.without": small().events.without,
    "base.find": small().find,
    "base.with_column": lambda x: small().with_column("a", x),
    "base.with_columns": small().with_columns,
    "base.measure": lambda x: small().measure(x, as_of="2026-01-05"),
    "base.as_of": small().as_of,
}


@pytest.mark.parametrize(("door", "wrong"), [*itertools.product(DOORS, range(len(WRONG)))])
def test_whatever_is_given_there_is_a_result_or_an_error_of_ours(door, wrong):
    said = "a result"
    try:
        DOORS[door](WRONG[wrong])
    except RelmarkError as error:
        said = str(error)
    assert 7 < len(said) < 1_000


# ---- odd frames


def test_columns_may_have_numbers_for_names_and_not_twice_the_same_or_several_levels():
    frame = pd.DataFrame({0: ["a", "b"], 1: DAYS[:2], 2: [1.0, 2.0]})
    base = CustomerBase.from_orders(frame, customer_id=0, time=1, value=2)
    assert base.purchases().lines.value.tolist() == [2.0, 2.0]  # a number that is not a name would be everyone's value
    twice = pd.DataFrame([["a", DAYS[0], 1.0]], columns=["u", "t", "t"])
    with pytest.raises(InputError, match="the frame has two columns 't': rename or drop one"):
        CustomerBase.from_orders(twice, customer_id="u", time="t")
    levels = pd.DataFrame([["a", DAYS[0]]], columns=pd.MultiIndex.from_tuples([("x", "u"), ("x", "t")]))
    with pytest.raises(InputError, match=r"columns of several levels, such as \('x', 'u'\): join the levels"):
        CustomerBase.from_orders(levels, customer_id="u", time="t")
    with pytest.raises(InputError, match="Collect a lazy frame first"):
        CustomerBase.from_orders(pl.DataFrame({"u": [1]}).lazy(), customer_id="u", time="t")


def test_a_type_for_all_rows_is_taken_where_no_column_resembles_it_and_said():
    frame = pd.DataFrame({"customer_id": [1, 2], "time": DAYS[:2], "event": ["a", "b"]})
    log = EventLog.from_frame(frame, type="purchase")
    assert log.types == ("purchase",)
    assert log.notes[-1] == "the data have no column 'purchase': every event is of this type"
    assert EventLog.from_frame(frame, type="event").types == ("a", "b")
    with pytest.raises(MissingColumnError, match="Did you mean 'event'"):
        EventLog.from_frame(frame, type="evnt")


def test_a_column_of_values_that_was_not_taken_is_said():
    frame = {"customer_id": [1, 2], "time": DAYS[:2], "type": ["a", "b"], "value": [1.0, 2.0]}
    words = "the data have a column 'value' that was not used: to use it, pass value='value'"
    assert EventLog.from_frame(frame).notes[-1] == words
    assert words not in EventLog.from_frame(frame, value="value").notes
