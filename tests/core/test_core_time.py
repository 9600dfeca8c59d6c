"""Instants and durations: every form that comes in, and what a refusal says."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from relmark import days, hours, minutes
from relmark.core.time import (
    UtcTimes,
    aware,
    duration,
    duration_text,
    instant,
    instant_text,
    instant_texts,
    instants,
    local_days,
    local_instants,
    local_midnights,
    parse_duration,
    time_zone,
    to_local,
)
from relmark.errors import DefinitionError, InputError

NOV = 1_793_491_200_000_000  # 2026-11-01T00:00Z


def refused(text):
    return pytest.raises(InputError, match=re.escape(text))


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-01",
        "20261101",
        "2026-11-01T00:00Z",
        "2026-11-01T03:00+03:00",
        date(2026, 11, 1),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 10, 31, 20, tzinfo=ZoneInfo("America/New_York")),
        np.datetime64("2026-11-01"),
        np.datetime64("2026-11"),
        np.datetime64("2026-11-01T00:00", "ns"),
        pd.Timestamp("2026-11-01T03:00+03:00"),
    ],
)
def test_an_instant_comes_in_many_forms(value):
    assert instant(value) == NOV


def test_a_date_is_its_midnight_in_the_zone_and_an_instant_is_not_moved():
    berlin = "Europe/Berlin"
    assert instant("2026-11-01", tz=berlin) == instant("2026-11-01T00:00+01:00")
    assert instant(np.datetime64("2026-07-01"), tz=berlin) == instant("2026-07-01T00:00+02:00")
    assert instant(np.datetime64("2026-11-01T00:00"), tz=berlin) == NOV
    assert instant_text(NOV) == "2026-11-01T00:00:00Z"
    assert aware(NOV, berlin).isoformat() == "2026-11-01T01:00:00+01:00"


class Nowhere(tzinfo):
    def utcoffset(self, dt):  # noqa: ARG002
        return None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            datetime(2026, 11, 1),
            "as_of is 2026-11-01 00:00:00, which has no time zone: give a time with one, such as",
        ),
        (datetime(2026, 11, 1, tzinfo=Nowhere()), "which has no time zone"),
        (pd.NaT, "as_of is NaT: an instant is needed."),
        (np.datetime64("NaT", "us"), "as_of is NaT: an instant is needed."),
        ("2026-11-01T09:30", "as_of is '2026-11-01T09:30', which has no time zone: give a time with one"),
        ("yesterday", "as_of is 'yesterday': write an ISO date ('2026-11-01') or an ISO time ('2026-11-01T09:30Z')"),
        ("2026-02-30", "as_of is '2026-02-30': write an ISO date"),
        ("x" * 100, "as_of is 'xxxx"),
        (1_793_491_200, "as_of is 1793491200: a datetime, a datetime64, an ISO text or a date is needed."),
        (None, "as_of is None"),
        (
            np.datetime64(300_000, "Y"),
            "as_of has a time of the year 301,970 in row 0: only the years 1 to 9999 are supported.",
        ),
    ],
)
def test_an_instant_that_cannot_be_understood_is_refused(value, message):
    with refused(message):
        instant(value)


def test_columns_of_times_come_in_many_forms():
    expected = [NOV, NOV + 1]
    forms = [
        np.array(expected).view("M8[us]"),
        np.array(expected).astype("M8[us]").astype("M8[ns]"),
        np.array(expected).view("M8[us]").astype(">M8[us]"),
        np.repeat(np.array(expected).view("M8[us]"), 2)[::2],
        [aware(t) for t in expected],
        [aware(t, "Asia/Tokyo") for t in expected],
        [aware(NOV), aware(NOV + 1, "Asia/Tokyo")],
        [instant_text(t) for t in expected],
        pd.Series([aware(t, "Asia/Tokyo") for t in expected]),
        pd.Series(np.array(expected).view("M8[us]")),
        UtcTimes(np.array(expected).view("M8[us]")),
    ]
    for form in forms:
        assert instants("time", form).tolist() == expected
    assert instants("time", []).tolist() == []
    assert instants("time", [date(2026, 11, 1)]).tolist() == [NOV]
    assert instants("time", np.array(["2026-11"], "M8[M]")).tolist() == [NOV]


def test_datetime64_is_local_where_a_zone_is_named_and_what_is_aware_is_not_moved():
    berlin = "Europe/Berlin"
    local = np.array(["2026-11-01T01:00", "NaT"], "M8[m]")
    missing = np.iinfo(np.int64).min
    assert instants("time", local, tz=berlin, missing=True).tolist() == [NOV, missing]
    assert instants("time", [np.datetime64("2026-11-01T01:00"), None], tz=berlin, missing=True).tolist() == [
        NOV,
        missing,
    ]
    assert (
        instants("time", np.array(local.tolist() and [local[0], None], dtype=object), tz=berlin, missing=True)[0] == NOV
    )
    assert instants("time", [aware(NOV), aware(NOV)], tz=berlin).tolist() == [NOV, NOV]
    assert instants("time", UtcTimes(np.array([NOV]).view("M8[us]")), tz=berlin).tolist() == [NOV]
    assert UtcTimes(np.array([NOV]).view("M8[us]")).take(np.array([True])).__array__().view(np.int64).tolist() == [NOV]


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        ([[1]], {}, "time has shape (1, 1): one column of times is needed."),
        ([1, 2], {}, "time has dtype int64: times are needed. Convert numbers to times"),
        (
            [20260105, 20260211],
            {},
            "times are needed. Dates that are written as numbers are read as texts, such as '2026",
        ),
        ([20260105, 1], {}, "times are needed. Convert numbers to times"),
        (
            ["2026-03-29T02:30"],
            {"tz": "Europe/Berlin"},
            "these times, such as tz='UTC', give times with a zone, or",
        ),
        (["2026-01-05", "05.01.2026"], {}, "(row 1) Read texts in another format as times first, as in pandas.to_date"),
        (
            np.array(["2026-01-01", "NaT"], "M8[D]"),
            {},
            "time has NaT in row 1: every event needs a time. Drop these rows.",
        ),
        ([aware(NOV), None], {}, "time has None in row 1: every event needs a time. Drop these rows."),
        ([aware(NOV), "2026-01-32"], {}, "(row 1)"),
        (["2026-01-01T00:00Z", "soon"], {}, "time is 'soon': write an ISO date"),
        (np.array([1, 300_000], "M8[Y]"), {}, "time has a time of the year 301,970 in row 1: only the years 1 to 9999"),
        (np.array([2**62, 1]).view("M8[us]"), {}, "in row 0: only the years 1 to 9999 are supported."),
        (np.array([-(2**62), 1]).view("M8[s]"), {}, "in row 0: only the years 1 to 9999 are supported."),
        (
            np.array(["NaT", "2026-03-29T02:30"], "M8[us]"),
            {"tz": "Europe/Berlin", "missing": True},
            "time has 2026-03-29T02:30:00.000000 in row 1, which does not exist in Europe/Berlin: the clock",
        ),
        (
            [np.datetime64("2026-03-29T02:30"), aware(NOV)],
            {"tz": "Europe/Berlin"},
            "which does not exist in Europe/Berlin",
        ),
    ],
)
def test_a_column_of_times_is_refused_with_its_row(values, arguments, message):
    with refused(message):
        instants("time", values, **arguments)


def test_days_of_a_zone_and_zones_that_do_not_exist():
    assert local_days(np.array([NOV - 1]), "Asia/Tokyo").tolist() == [NOV // 86_400_000_000]
    assert local_days(np.array([NOV - 1])).tolist() == [NOV // 86_400_000_000 - 1]
    assert time_zone("UTC") is UTC
    empty = np.empty(0, dtype=np.int64)
    for convert in (to_local, local_instants, local_midnights, local_days):
        assert convert(empty, "Asia/Tokyo").tolist() == []
        assert convert(empty, "UTC").tolist() == []
        with refused("tz is 'Mars/Base', which this machine does not know: write a name such as 'Europe/Berlin'"):
            convert(empty, "Mars/Base")
    for name in ("../etc/passwd", "", "Europe"):
        with refused("which this machine does not know"):
            time_zone(name)
    for name in (None, ["UTC"], 3):
        with refused("a name such as 'Europe/Berlin' is needed"):
            time_zone(name)


def test_durations():
    assert days(2) == hours(48) == minutes(2_880) == timedelta(days=2)
    assert days(0.5) == hours(12)
    assert days(np.int64(1)) == timedelta(days=1)
    for n in (float("nan"), float("inf"), 10**12, True, "3", None):
        with refused("is needed"):
            days(n)
    assert duration("within", days(1)) == 86_400_000_000
    assert duration("shift", -days(1), positive=False) == -86_400_000_000
    with refused("within is 30: a timedelta is needed, such as days(30) or hours(2)."):
        duration("within", 30)
    with refused("within is 0:00:00: a duration above zero is needed."):
        duration("within", days(0))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P30D", days(30)),
        ("P2W", days(14)),
        ("PT36H", hours(36)),
        ("-P1DT0.5S", -timedelta(days=1, microseconds=500_000)),
        ("PT1M30.000001S", timedelta(seconds=90, microseconds=1)),
        ("P0D", timedelta(0)),
    ],
)
def test_iso_durations_are_read(text, value):
    assert parse_duration(text) == value
    assert parse_duration(duration_text(value)) == value


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "30D", "P1M", "P1Y", "P1.5D", "P٣D", " P1D", "p1d", 30, None])
def test_what_is_no_iso_duration_is_refused(text):
    with pytest.raises(DefinitionError, match="is not a duration") as caught:
        parse_duration(text, path="$.within")
    assert (caught.value.path, caught.value.code) == ("$.within", "not_duration")


def test_a_duration_beyond_python_is_refused():
    with pytest.raises(DefinitionError, match="is too long"):
        parse_duration("P999999999W")
    assert duration_text(timedelta(0)) == "P0D"
    assert instant(datetime(2026, 11, 1, 5, 30, tzinfo=timezone(hours(5.5)))) == NOV


def test_many_instants_are_written_as_one_is():
    values = [
        0,
        -1,
        1,
        1_500_000,
        -62_135_596_800_000_000,
        253_402_300_799_999_999,
        *range(0, 40_000_000_000_000, 999_999_999_983),
    ]
    assert instant_texts(values) == [instant_text(value) for value in values]
    assert instant_texts(values[:3]) == [instant_text(value) for value in values[:3]]
