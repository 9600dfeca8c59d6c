"""Frames of pandas, polars and pyarrow: the same columns from each, nothing guessed, nothing rounded."""

from __future__ import annotations

import builtins
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import CustomerTable, EventLog
from relmark.core.columns import Column
from relmark.core.frames import columns_of, to_frame
from relmark.core.ids import Coded
from relmark.core.time import UtcTimes
from relmark.errors import InputError, MissingColumnError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BIG = 2**60 + 1

WAYS = {
    "pandas": lambda data: pd.DataFrame({name: pd.Series(values) for name, values in data.items()}),
    "pandas of objects": lambda data: pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in data.items()}),
    "pandas of arrow": lambda data: pa.table(data).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda data: pl.DataFrame(data, strict=False),
    "pyarrow": pa.table,
    "pyarrow in chunks": lambda data: pa.concat_tables([pa.table(data).slice(0, 1), pa.table(data).slice(1)]),
    "mapping": lambda data: data,
}
ways = pytest.mark.parametrize("way", WAYS)


def refused(text, kind=InputError):
    return pytest.raises(kind, match=re.escape(text))


def plain(values):
    column = Column.of("x", values)
    return [column.value(row) for row in range(len(column))]


@ways
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, BIG], [1, 2, BIG]),
        ([1, 2, None], [1, 2, None]),
        ([1.5, None, 2.0], [1.5, None, 2.0]),
        (["b", None, "a"], ["b", None, "a"]),
        (["ж", "", "ж"], ["ж", "", "ж"]),
        ([None, None, "x"], [None, None, "x"]),
        ([True, None, False], [True, None, False]),
        ([True, True, False], [True, True, False]),
        ([date(2026, 1, 1), None, date(2026, 1, 2)], [np.datetime64("2026-01-01"), None, np.datetime64("2026-01-02")]),
        (
            [NOON, None, NOON],
            [np.datetime64("2026-01-01T12:00"), None, np.datetime64("2026-01-01T12:00")],
        ),
        ([Decimal("1.50"), None, Decimal(2)], [1.5, None, 2.0]),
        ([["b", "a"], None, []], [frozenset("ab"), None, frozenset()]),
        ([["b", "a"], ["a", "c"], ["a", "d"]], [frozenset("ab"), frozenset("ac"), frozenset("ad")]),
    ],
)
def test_a_column_is_the_same_from_every_library(way, values, expected):
    column = columns_of(WAYS[way]({"x": values}))["x"]
    assert plain(column) == expected


@ways
def test_no_rows_and_no_values(way):
    assert plain(columns_of(WAYS[way]({"x": np.array([], "U1").tolist(), "y": []}))["x"]) == []
    if way != "pandas of arrow":
        assert plain(columns_of(WAYS[way]({"x": [None, None]}))["x"]) == [None, None]


def test_strings_come_coded_by_the_library():
    words = ["b", None, "a", "b"]
    for frame in (pd.DataFrame({"x": words}), pl.DataFrame({"x": words}), pa.table({"x": words})):
        column = columns_of(frame)["x"]
        assert isinstance(column, Coded)
        assert [None if k < 0 else column.categories[k] for k in column.codes] == words
    nothing = columns_of(pl.DataFrame({"x": pl.Series([None, None], dtype=pl.String)}))["x"]
    assert nothing.codes.tolist() == [-1, -1]


def test_categoricals_keep_their_codes_and_what_their_categories_are():
    words = ["b", None, "a", "b"]
    arrow = pa.array(words).dictionary_encode()
    chunked = pa.chunked_array([pa.array(["b", None]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()])
    for frame in (
        pd.DataFrame({"x": pd.Categorical(words, categories=["z", "b", "a"])}),
        pl.DataFrame({"x": pl.Series(words, dtype=pl.Categorical)}),
        pl.DataFrame({"x": pl.Series(words, dtype=pl.Enum(["z", "b", "a"]))}),
        pa.table({"x": arrow}),
        pa.table({"x": chunked}),
    ):
        assert plain(columns_of(frame)["x"]) == words
    numbers = pd.DataFrame({"user": pd.Categorical([30, 10, 30]), "half": pd.Categorical([1.5, None, 2.5])})
    assert plain(columns_of(numbers)["half"]) == [1.5, None, 2.5]
    table = CustomerTable.from_frame(numbers.iloc[1:], customer_id="user")
    assert table.customer_id.tolist() == [10, 30]
    log = EventLog.from_frame(numbers.assign(type="a", time=NOON), customer_id="user")
    assert log.customer_id.tolist() == [10, 30]
    pool = pl.DataFrame({"x": pl.Series(["q", "r", "s"], dtype=pl.Categorical)})
    later = pl.DataFrame({"x": pl.Series(["s", "q"], dtype=pl.Categorical)})
    assert plain(columns_of(pl.concat([pool, later]))["x"]) == ["q", "r", "s", "s", "q"]


def test_times_with_a_zone_are_not_moved_by_tz_and_times_without_are():
    stamps = pd.Series(["2026-01-01T01:00", "2026-01-01T02:00"]).astype("datetime64[ns]")
    naive = pd.DataFrame({"u": [1, 2], "t": stamps, "type": "a"})
    zoned = naive.assign(t=stamps.dt.tz_localize("Asia/Tokyo"))
    names = {"customer_id": "u", "time": "t", "tz": "Europe/Berlin"}
    assert EventLog.from_frame(naive, **names).first_time == datetime(2026, 1, 1, tzinfo=UTC)
    for frame in (zoned, pl.from_pandas(zoned), pa.Table.from_pandas(zoned)):
        assert isinstance(columns_of(frame)["t"], UtcTimes)
        assert EventLog.from_frame(frame, **names).first_time == datetime(2025, 12, 31, 16, tzinfo=UTC)
        assert EventLog.from_frame(frame, customer_id="u", time="t").first_time == datetime(
            2025, 12, 31, 16, tzinfo=UTC
        )


def test_missing_ids_in_a_frame_are_refused_with_their_row():
    for frame in (
        pd.DataFrame({"u": ["a", None], "type": "x", "time": NOON}),
        pl.DataFrame({"u": [1, None], "type": ["x", "x"], "time": [NOON, NOON]}),
        pa.table({"u": ["a", None], "type": ["x", "x"], "time": [NOON, NOON]}),
    ):
        with refused("customer_id is missing in row 1: drop these rows."):
            EventLog.from_frame(frame, customer_id="u")
        assert EventLog.from_frame(frame, customer_id="u", on_error="drop").dropped == {"customer_id": 1}
    with refused("type is missing in row 1: drop these rows."):
        EventLog.from_frame(pa.table({"customer_id": [1, 2], "type": ["x", None], "time": [NOON, NOON]}))


def test_nothing_writes_into_a_frame():
    frame = pl.DataFrame({"u": [3, 1, 2], "t": [NOON] * 3, "v": [1.0, 2.0, 3.0], "type": ["b", "a", "b"]})
    before = frame.clone()
    EventLog.from_frame(frame, customer_id="u", time="t", value="v")
    assert frame.equals(before)


def test_a_frame_that_lacks_a_column_or_is_none_is_refused():
    frame = pl.DataFrame({f"column {k}": [1] for k in range(25)})
    with refused("there is no column 'colum 3': the data have 'column 0'", MissingColumnError) as caught:
        columns_of(frame, ["colum 3"])
    assert ", .... Did you mean 'column 3'?" in str(caught.value)
    with refused(
        "a LazyFrame was given: a mapping of columns, or an eager frame of pandas, polars or pyarrow is needed."
    ):
        columns_of(frame.lazy())
    with refused("x has"):
        Column.of("x", columns_of(pl.DataFrame({"x": [pl.Series([1])]}))["x"])


def test_without_narwhals_a_mapping_still_works_and_a_frame_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "narwhals":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert columns_of({"x": [1]}) == {"x": [1]}
    with refused(
        "a DataFrame was given, but narwhals, which reads frames, is not installed. "
        "Install it with pip install 'relmark[dataframes]'"
    ):
        columns_of(pd.DataFrame({"x": [1]}))


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_columns_become_a_frame_and_come_back(backend):
    table = CustomerTable.from_columns(
        customer_id=["b", "a"],
        n=[1, 2],
        x=[1.5, None],
        flag=[True, None],
        word=["p", None],
        day=np.array(["2026-01-01", "NaT"], "M8[D]"),
        at=[NOON, None],
        tags=[{"b", "a"}, None],
        never=[None, None],
    )
    frame = table.to_frame(backend)
    again = CustomerTable.from_frame(frame)
    assert again.customer_id.tolist() == ["b", "a"]
    for name, column in table.columns.items():
        got = again.column(name)
        # pandas has no dates of its own: they come back as instants at midnight
        assert plain(got) == plain(column) or name == "day"
    for array in (table.column("x").data, table.customer_id):
        assert not array.flags.writeable


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("relmark.core.frames.import_module", missing)
    with refused("backend is 'polars', which is not installed: pip install polars."):
        to_frame({"x": np.array([1])}, "polars")
