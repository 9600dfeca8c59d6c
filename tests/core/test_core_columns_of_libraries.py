"""Loose columns of polars, pyarrow and numpy's own strings: what they say of zones and missing values is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, field
from relmark.core.as_of import read_as_of
from relmark.core.columns import Column
from relmark.core.ids import code_ids, id_array
from relmark.core.time import instants
from relmark.errors import InputError

NOON = [datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 0, tzinfo=UTC)]
MICROS = np.array(["2026-01-01T12:00", "2026-07-01T00:00"], dtype="M8[us]")


def polars(zone, unit="us"):
    pl = pytest.importorskip("polars")
    return pl.Series(NOON).dt.cast_time_unit(unit).dt.convert_time_zone(zone)


def arrow(zone, unit="us"):
    pa = pytest.importorskip("pyarrow")
    return pa.array(NOON, type=pa.timestamp(unit, tz=zone))


def chunked(zone, unit="us"):
    pa = pytest.importorskip("pyarrow")
    return pa.chunked_array([arrow(zone, unit)[:1], arrow(zone, unit)[1:]])


def dictionary(zone, unit="us"):
    return arrow(zone, unit).dictionary_encode()


def pandas(zone, unit="us"):
    pd = pytest.importorskip("pandas")
    return pd.Series(NOON).dt.tz_convert(zone).dt.as_unit(unit)


EACH = [polars, arrow, chunked, dictionary, pandas]


@pytest.mark.parametrize("tz", ["UTC", "America/New_York"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("make", EACH, ids=lambda make: make.__name__)
def test_a_loose_column_with_a_zone_is_not_read_as_local_time(make, zone, unit, tz):
    column = make(zone, unit)
    log = EventLog.from_columns(customer_id=[1, 2], type="a", time=column, tz=tz, properties={"at": column})
    assert log.to_columns()["time"].tolist() == MICROS.tolist()
    assert log.to_columns()["at"].tolist() == MICROS.tolist()
    assert not log.naive
    assert log.notes == ()
    dropped = EventLog.from_columns(customer_id=[1, None], type="a", time=column, tz=tz, on_error="drop")
    assert dropped.to_columns()["time"].tolist() == MICROS[:1].tolist()
    named = {"user": [1, 2], "ts": column, "money": [1.0, 2.0]}
    bought = EventLog.purchases(named, customer_id="user", time="ts", value="money", tz=tz)
    assert bought.to_columns()["time"].tolist() == MICROS.tolist()
    assert instants("t", column, tz=tz).tolist() == MICROS.astype(np.int64).tolist()
    as_of = read_as_of(column, tz=tz, n=2)
    assert as_of.clock.tolist() == MICROS.astype(np.int64).tolist()
    assert not as_of.dated.any()
    table = CustomerTable.from_columns(customer_id=[1, 2], joined=column)
    base = CustomerBase(customers=table, tz=tz)
    assert base.measure({"now": field("joined") == NOON[0]}, as_of=NOON[1])["now"].tolist() == [True, False]


@pytest.mark.parametrize("make", EACH, ids=lambda make: make.__name__)
def test_midnights_with_a_zone_are_instants_and_no_days(make):
    column = make("UTC")[1:]
    assert Column.of("x", column).kind == "instant"
    log = EventLog.from_columns(customer_id=[1], type="a", time=column, tz="America/New_York")
    assert log.to_columns()["time"].tolist() == MICROS[1:].tolist()


def test_missing_times_of_such_columns_are_missing():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    for column in (pa.array([NOON[0], None]), pl.Series([NOON[0], None])):
        assert Column.of("x", column, tz="Asia/Tokyo").missing.tolist() == [False, True]
        with pytest.raises(InputError, match="time has NaT in row 1"):
            EventLog.from_columns(customer_id=[1, 2], type="a", time=column)
        kept = EventLog.from_columns(customer_id=[1, 2], type="a", time=column, on_error="drop", tz="Asia/Tokyo")
        assert kept.to_columns()["time"].tolist() == MICROS[:1].tolist()


def test_columns_without_a_zone_stay_local_and_days_stay_days():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    naive = [datetime(2026, 1, 1, 12)]
    for column in (pa.array(naive), pl.Series(naive)):
        log = EventLog.from_columns(customer_id=[1], type="a", time=column, tz="America/New_York")
        assert log.to_columns()["time"].tolist() == [datetime(2026, 1, 1, 17)]
        assert log.naive
    for column in (pa.array([date(2026, 1, 1)]), pl.Series([date(2026, 1, 1)])):
        assert Column.of("x", column).kind == "date"


# numpy's strings of any width

WIDE = np.dtypes.StringDType


def test_ids_of_variable_width_are_ids():
    ids = np.array(["b", "a" * 50, "b"], dtype=WIDE())
    assert id_array("x", ids).tolist() == ["b", "a" * 50, "b"]
    assert id_array("x", ids).dtype.kind == "U"
    names, codes = code_ids("x", ids)
    assert (names.tolist(), codes.tolist()) == (["a" * 50, "b"], [1, 0, 1])
    log = EventLog.from_columns(customer_id=ids, type=ids, time=[NOON[0]] * 3, properties={"word": ids})
    assert log.to_columns()["customer_id"].tolist() == ids.tolist()
    table = CustomerTable.from_columns(customer_id=ids[:2], city=ids[:2])
    assert CustomerBase(customers=table).find(ids).tolist() == [0, 1, 0]
    assert id_array("x", np.array([], dtype=WIDE())).dtype.kind == "U"


@pytest.mark.parametrize("nothing", [None, np.nan], ids=repr)
def test_missing_ones_among_them_are_refused_or_dropped_as_anywhere(nothing):
    ids = np.array(["a", nothing], dtype=WIDE(na_object=nothing))
    with pytest.raises(InputError, match="customer_id is missing in row 1"):
        EventLog.from_columns(customer_id=ids, type="a", time=NOON)
    kept = EventLog.from_columns(customer_id=ids, type="a", time=NOON, on_error="drop")
    assert kept.to_columns()["customer_id"].tolist() == ["a"]
    assert kept.dropped == {"customer_id": 1}
    assert Column.of("x", ids).missing.tolist() == [False, True]


@pytest.mark.parametrize("words", [[""], ["a\0"]], ids=["empty", "null character"])
def test_what_names_nobody_is_refused_here_too(words):
    with pytest.raises(InputError, match="customer_id"):
        EventLog.from_columns(customer_id=np.array(words, dtype=WIDE()), type="a", time=NOON[:1])
