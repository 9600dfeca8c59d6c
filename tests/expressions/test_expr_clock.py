"""What the local clock shows: of events, of now, in each zone, and when it changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from relmark import (
    Customer,
    CustomerBase,
    CustomerTable,
    Event,
    EventLog,
    days,
    event,
    field,
    hour_of_day,
    now,
    weekday,
)
from relmark.core.errors import InputError
from relmark.expressions import parse
from relmark.expressions.scalar import Person, program_of
from relmark.scoring import LeadScore, Rule
from relmark.segmentation import Segment

BERLIN = ZoneInfo("Europe/Berlin")


def log(*times: str) -> EventLog:
    return EventLog.from_columns(customer_id=["a"] * len(times), type="visit", time=np.array(times, dtype="M8[m]"))


def test_events_are_told_by_the_local_hour_and_day():
    # 2026-03-27 is a Friday; 23:30 UTC is half past midnight on Saturday in Berlin.
    base = CustomerBase(events=log("2026-03-27T23:30", "2026-03-27T19:00", "2026-03-30T05:00"), tz="UTC")
    here = CustomerBase(events=base.events, tz="Europe/Berlin")
    for shop, night, evening, weekend in ((base, 2, 1, 0), (here, 1, 1, 1)):
        found = shop.measure(
            {
                "night": event("visit").hour_of_day(22, 6).count(),
                "evening": event("visit").hour_of_day(18, 22).count(),
                "weekend": event("visit").weekday(6, 7).count(),
            },
            as_of="2026-04-01",
        )
        assert [int(found[name][0]) for name in ("night", "evening", "weekend")] == [night, evening, weekend]


def test_days_without_a_time_begin_at_hour_zero():
    stamped = EventLog.from_columns(customer_id=["a"], type="visit", time=np.array(["2026-03-28"], dtype="M8[D]"))
    base = CustomerBase(events=stamped, tz="Europe/Berlin")
    assert event("visit", where=(hour_of_day() == 0) & (weekday() == 6)).exists().measure(base, "2026-04-01").data[0]
    assert (now.hour() == 0).measure(base, date(2026, 3, 30)).data.tolist() == [1]
    assert (now.weekday() == 1).measure(base, date(2026, 3, 30)).data.tolist() == [1]


def test_the_hour_of_now_is_that_of_each_zone():
    table = CustomerTable.from_columns(customer_id=["b", "y"], home=["Europe/Berlin", "America/New_York"])
    base = CustomerBase(customers=table, zone="home")
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert now.hour().measure(base, noon).data.tolist() == [14, 8]


@pytest.mark.parametrize(
    ("rule", "asked", "changes"),
    [
        (now.hour() >= 9, "2026-03-23T07:00Z", "2026-03-23T08:00Z"),
        (now.hour().between(9, 20), "2026-03-23T10:00Z", "2026-03-23T20:00Z"),
        # The night of 29 March has no hour from two to three: it comes a week later.
        ((now.hour() == 2) & (now.weekday() == 7), "2026-03-23T10:00Z", "2026-04-05T00:00Z"),
        # That of 25 October has it twice, two hours in a row.
        ((now.hour() == 2) & (now.weekday() == 7), "2026-10-25T00:10Z", "2026-10-25T02:00Z"),
        (now.hour() == 25, "2026-03-23T10:00Z", None),
        ((now.hour() == 9) & ~(now.hour() == 9), "2026-03-23T10:00Z", None),
        (now.weekday() >= 1, "2026-03-23T10:00Z", None),
        ((now.hour() == 25) | field("vip"), "2026-03-23T10:00Z", None),
        # Something else ends the round of the clock.
        ((now.hour() == 25) | event("visit").exists(within=days(30)), "2026-03-23T10:00Z", "2026-04-19T10:00Z"),
        ((now.hour() == 9) & ~event("visit").exists(within=days(30)), "2026-03-23T10:00Z", "2026-04-20T07:00Z"),
    ],
)
def test_it_changes_with_the_local_clock(rule, asked, changes):
    one = Segment("s", rule).one(
        Customer("a", {"vip": False}), [Event("a", "visit", "2026-03-20T10:00Z")], as_of=asked, tz="Europe/Berlin"
    )
    wanted = None if changes is None else datetime.fromisoformat(changes)
    assert one.next_change == wanted


def test_every_hour_of_a_year_is_as_python_shows_it():
    program = program_of(now.hour() * 10 + now.weekday(), "Europe/Berlin")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for step in range(0, 24 * 365, 7):
        at = start + timedelta(hours=step, minutes=30)
        local = at.astimezone(BERLIN)
        assert program.value(Person.of(None, [], as_of=at, tz="Europe/Berlin")) == local.hour * 10 + local.isoweekday()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: event("visit").hour_of_day(24, 3), "first is 24: a whole number of at least 0 and at most 23"),
        (lambda: event("visit").hour_of_day(3, 25), "before is 25"),
        (lambda: event("visit").weekday(), "has no day"),
        (lambda: event("visit").weekday(8), "at least 1 and at most 7"),
        (lambda: Rule("r", when=now.hour() > 9, points=1), "would change with the hour"),
    ],
)
def test_what_no_clock_shows_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_scores_count_events_by_the_clock():
    score = LeadScore(name="s", rules=[Rule("evening", each=event("visit").hour_of_day(18, 22), points=2)])
    base = CustomerBase(events=log("2026-03-27T19:00", "2026-03-27T09:00"))
    assert score.evaluate(base, as_of="2026-04-01").total.tolist() == [2.0]


def test_it_reads_and_writes_itself():
    rule = event("visit").hour_of_day(22, 6).weekday(5).exists() & (now.hour() < 9)
    assert parse(rule.to_text()).fingerprint == rule.fingerprint
    assert repr(now) == "now"
