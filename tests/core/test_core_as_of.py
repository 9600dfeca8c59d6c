"""One meaning of a date: where the clock stands, what is seen, and how far back whole days go."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from relmark import CustomerBase, EventLog, days, hours
from relmark.core.as_of import read_as_of
from relmark.core.spans import calendar_days, check_span, earlier, months, parse_span, span_body
from relmark.core.time import instant
from relmark.errors import DefinitionError, InputError

BERLIN = "Europe/Berlin"


def at(text):
    return instant(text)


@pytest.mark.parametrize(
    "value", ["2026-11-01", "20261101", date(2026, 11, 1), np.datetime64("2026-11-01"), np.array("2026-11-01", "M8[D]")]
)
def test_a_date_sets_the_clock_to_its_midnight_and_sees_what_was_before(value):
    moment = read_as_of(value, tz=BERLIN)
    assert moment.clock == at("2026-11-01T00:00+01:00")
    assert moment.seen == moment.clock - 1
    assert moment.given == np.datetime64("2026-11-01")
    assert moment.given.dtype == "M8[D]"
    assert str(moment) == "2026-11-01"
    assert (moment.day - moment.last_day) == 1


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-01T00:00",
        datetime(2026, 11, 1),
        pd.Timestamp("2026-11-01"),
        np.datetime64("2026-11-01T00:00"),
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        "2026-10-31T23:00Z",
        pd.Timestamp("2026-11-01", tz=BERLIN),
    ],
)
def test_everything_else_is_an_instant_and_without_a_zone_it_is_local_whatever_its_type(value):
    moment = read_as_of(value, tz=BERLIN)
    assert moment.clock == moment.seen == at("2026-11-01T00:00+01:00")
    assert moment.given == np.datetime64("2026-10-31T23:00")
    assert moment.given.dtype == "M8[us]"
    assert str(moment) == "2026-10-31T23:00:00Z"


def test_whole_days_before_a_date_are_local_days_and_before_an_instant_hours():
    dated, timed = read_as_of("2026-11-01", tz=BERLIN), read_as_of("2026-11-01T00:00", tz=BERLIN)
    assert dated.before(days(30)) == at("2026-10-02T00:00+02:00") - 1  # 25 October has 25 hours
    assert timed.before(days(30)) == at("2026-10-02T01:00+02:00")
    assert timed.before(calendar_days(30)) == at("2026-10-02T00:00+02:00")
    assert dated.before(calendar_days(30)) == dated.before(days(30))
    assert dated.before(hours(36)) == dated.clock - 36 * 3_600_000_000 - 1
    assert dated.before(months(1)) == at("2026-10-01T00:00+02:00") - 1
    assert timed.before(months(1)) == at("2026-10-01T00:00+02:00")
    assert dated.moved(days(30)).given == np.datetime64("2026-10-02")


def test_silence_since_the_second_of_september_is_sixty_days_over_a_change_of_the_clock():
    moment = read_as_of("2026-11-01", tz=BERLIN)
    since = at("2026-09-02T00:00+02:00")
    assert moment.elapsed(since) == 60.0
    assert read_as_of("2026-11-01T00:00", tz=BERLIN).elapsed(since) == pytest.approx(60 + 1 / 24)


def test_months_end_where_a_month_is_short_and_wall_times_that_were_skipped_are_the_first_after():
    march = np.array([at("2026-03-31T12:00Z"), at("2024-03-30T12:00Z"), at("2026-01-15T00:00Z")])
    assert earlier(march, months(1), "UTC").tolist() == [
        at("2026-02-28T12:00Z"), at("2024-02-29T12:00Z"), at("2025-12-15T00:00Z"),
    ]  # fmt: skip
    skipped = np.array([at("2026-03-30T02:30+02:00")])
    assert earlier(skipped, calendar_days(1), BERLIN).tolist() == [at("2026-03-29T03:00+02:00")]


def test_one_per_customer_may_mix_dates_and_instants():
    many = read_as_of(["2026-11-01", "2026-11-01T00:00", date(2026, 10, 1)], tz=BERLIN, n=3)
    assert many.each
    assert many.dated.tolist() == [True, False, True]
    assert (many.clock - many.seen).tolist() == [1, 0, 1]
    assert many.given.dtype == "M8[us]"
    assert many.before(days(30))[:2].tolist() == [
        at("2026-10-02T00:00+02:00") - 1, at("2026-10-02T01:00+02:00"),
    ]  # fmt: skip
    assert many.take(np.array([2])).given.tolist() == [date(2026, 10, 1)]
    assert str(many) == "one instant per customer"
    with pytest.raises(InputError, match="as_of has 1 rows and the other columns have 3"):
        read_as_of(["2026-11-01"], n=3)
    with pytest.raises(InputError, match=r"as_of is None: .*\(row 1\)|as_of has None in row 1"):
        read_as_of(["2026-11-01", None], n=2)


@pytest.mark.parametrize("bad", [5, None, "soon", "2026-13-01", "x" * 100, ["2026-11-01"], pd.NaT])
def test_what_is_neither_a_date_nor_an_instant_is_refused(bad):
    with pytest.raises(InputError, match="as_of"):
        read_as_of(bad)


def test_spans_are_stored_and_checked():
    for span in (days(7), hours(36), calendar_days(7), months(3)):
        check_span("within", span)
        assert parse_span(span_body(span)) == span
    assert (repr(calendar_days(7)), repr(months(3))) == ("calendar_days(7)", "months(3)")
    for bad in (7, "P7D", None, days(0)):
        with pytest.raises(InputError, match="within is"):
            check_span("within", bad)
    for bad in (0, 1.5, True, 10**9):
        with pytest.raises(InputError, match=r"months\(n\) is"):
            months(bad)
    for bad in ({"months": 0}, {"weeks": 1}, {}, {"months": 1, "calendar_days": 1}, 7):
        with pytest.raises(DefinitionError):
            parse_span(bad)


# ---- days in logs and bases


def purchases(times, tz="UTC"):
    return EventLog.from_columns(customer_id=list(range(len(times))), type="purchase", time=times, tz=tz)


@pytest.mark.parametrize(
    "times",
    [
        np.array(["2026-10-31", "2026-11-01"], "M8[D]"),
        [date(2026, 10, 31), date(2026, 11, 1)],
        ["2026-10-31", "2026-11-01"],
        np.array(["2026-10-31", "2026-11-01"], "M8[ns]"),
        pd.Series(pd.to_datetime(["2026-10-31", "2026-11-01"])),
    ],
)
@pytest.mark.parametrize("tz", ["UTC", BERLIN, "America/New_York"])
def test_day_stamped_events_are_local_days_of_the_base(times, tz):
    log = purchases(times)
    base = CustomerBase(events=log, tz=tz)
    assert len(log.until("2026-11-01")) == 1
    assert len(log.until("2026-11-02")) == 2
    seen = [int(part.time[0]) for part in [base.events.partition("purchase")]]
    assert seen == [read_as_of("2026-10-31", tz=tz).clock]
    assert base.events.partition("purchase").day_zone == tz
    assert repr(base.events) == "EventLog(2 events, 2 customers, 1 type: purchase, 2026-10-31 to 2026-11-01)"


def test_a_column_of_midnights_without_a_zone_is_taken_for_days_and_says_so():
    log = purchases(np.array(["2026-10-31", "2026-11-01"], "M8[us]"))
    assert "every time of 'purchase' is a midnight without a zone" in log.notes[0]
    assert CustomerBase(events=log, tz=BERLIN).notes == log.notes
    assert purchases(np.array(["2026-10-31", "2026-11-01"], "M8[D]")).notes == ()
    assert purchases(["2026-10-31T00:00Z", "2026-11-01T00:00Z"]).partition("purchase").day_zone is None
    timed = purchases(np.array(["2026-10-31T00:00", "2026-11-01T09:00"], "M8[us]"))
    assert timed.partition("purchase").day_zone is None


def test_each_type_of_event_has_days_or_instants_of_its_own():
    log = EventLog.from_columns(
        customer_id=[1, 1, 1],
        type=["purchase", "visit", "purchase"],
        time=np.array(["2026-10-31", "2026-10-31T12:00", "2026-11-01"], "M8[us]"),
    )
    assert log.partition("purchase").day_zone == "UTC"
    assert log.partition("visit").day_zone is None
    moved = log.in_zone(BERLIN)
    assert moved.partition("purchase").time[0] == at("2026-10-31T00:00+01:00")
    assert moved.partition("visit").time[0] == at("2026-10-31T12:00Z")
    both = log.append(EventLog.from_columns(customer_id=[2], type="purchase", time=["2026-10-31T12:00Z"]))
    assert both.partition("purchase").day_zone is None
    assert log.append(log).partition("purchase").day_zone == "UTC"


def test_a_base_says_once_where_its_zone_is_not_the_one_in_which_naive_times_were_read():
    log = purchases(np.array(["2026-10-31T08:00", "2026-11-01T09:30"], "M8[us]"))
    assert CustomerBase(events=log).notes == ()
    (note,) = CustomerBase(events=log, tz="America/New_York").notes
    assert "read as UTC, but the base has the zone America/New_York: give tz='America/New_York'" in note
    assert CustomerBase(events=purchases(["2026-10-31T08:00Z"]), tz="America/New_York").notes == ()


def test_a_midnight_that_the_clock_skipped_is_the_first_instant_of_its_day():
    log = purchases(np.array(["2018-11-04"], "M8[D]"), tz="America/Sao_Paulo")
    assert log.first_time == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert purchases(np.array(["2018-11-04"], "M8[us]"), tz="America/Sao_Paulo").first_time == log.first_time
    assert len(log.until("2018-11-04")) == 0
