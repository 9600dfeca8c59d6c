"""Each preset on people who show where it begins and where it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from relmark import CustomerBase, CustomerTable, Event, EventLog
from relmark.core.errors import InputError
from relmark.core.spans import calendar_days
from relmark.segmentation import Segment, days, hours, parse, presets, prop

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)


def members(rule, people, **fields):
    """People are lists of (type, hours before as_of, properties)."""
    events = [
        Event(customer_id=number, type=kind, time=AS_OF - hours(before), properties=(more or [{}])[0])
        for number, rows in enumerate(people)
        for kind, before, *more in rows
    ]
    table = CustomerTable.from_columns(customer_id=list(range(len(people))), **fields)
    base = CustomerBase(customers=table, events=EventLog.from_events(events))
    return Segment("x", rule).evaluate(base, as_of=AS_OF).ids.tolist()


CASES = {
    "abandoned_basket": (
        presets.abandoned_basket(hours(1), days(3)),
        [[("cart", 2)], [("cart", 0.5)], [("cart", 2), ("purchase", 1)], [("cart", 80)],
         [("purchase", 3), ("cart", 2)]],
        [0, 4],
    ),
    "abandoned_browse": (
        presets.abandoned_browse(),
        [[("view", 6), ("view", 5)], [("view", 5)], [("view", 6), ("view", 5), ("cart", 4)], [("view", 6), ("view", 1)],
         [("view", 99), ("view", 98)]],
        [0],
    ),
    "welcome": (
        presets.welcome(days(1)),
        [[("signup", 3)], [("signup", 30)], [("signup", 90), ("signup", 3)], [("signup", 3), ("unsubscribe", 1)]],
        [0],
    ),
    "win_back": (
        presets.win_back(days(180)),
        [[("purchase", 24 * 200)], [("purchase", 24 * 100)], [], [("purchase", 24 * 200), ("unsubscribe", 5)],
         [("purchase", 24 * 180)]],
        [0, 4],
    ),
    "post_purchase": (
        presets.post_purchase(days(7), where=prop("category") == "records"),
        [[("purchase", 24 * 7.5, {"category": "records"})], [("purchase", 24 * 7.5, {"category": "books"})],
         [("purchase", 24 * 8, {"category": "records"})], [("purchase", 24 * 7, {"category": "records"})]],
        [0, 3],
    ),
    "last_purchase_ago": (
        presets.last_purchase_ago(days(7), where=prop("category") == "records"),
        [[("purchase", 24 * 7.5, {"category": "records"})], [("purchase", 24 * 7.5, {"category": "books"})],
         [("purchase", 24 * 7.5, {"category": "records"}), ("purchase", 24 * 2, {"category": "books"})],
         [("purchase", 24 * 30, {"category": "books"}), ("purchase", 24 * 7, {"category": "records"})]],
        [0, 3],
    ),
    "never_bought": (
        presets.never_bought(days(30)),
        [[("signup", 24 * 31)], [("signup", 24 * 29)], [("signup", 24 * 30), ("purchase", 5)], [],
         [("signup", 24 * 40), ("unsubscribe", 5)], [("signup", 24 * 30)]],
        [0, 5],
    ),
    "opt_in_expired": (
        presets.opt_in_expired(days(7)),
        [[("signup", 24 * 8)], [("signup", 24 * 6)], [("signup", 24 * 8), ("opt_in_confirmed", 24 * 7)],
         [("signup", 24 * 7)], []],
        [0, 3],
    ),
    "sunset": (
        presets.sunset(days(180), sent=2),
        [[("message_sent", 24 * d) for d in (200, 90, 10)], [("message_sent", 24 * d) for d in (170, 90, 10)],
         [("message_sent", 24 * d) for d in (200, 10)],
         [("message_sent", 24 * 200), ("message_sent", 90), ("message_sent", 80), ("visit", 24 * 9)],
         [("message_sent", 24 * 200), ("message_sent", 90), ("message_sent", 80), ("message_opened", 24 * 190)]],
        [0, 4],
    ),
    "engaged_visitor": (
        presets.engaged_visitor(minutes=3, pages=3),
        [[("visit", 2, {"duration": 200.0, "pages": 4})], [("visit", 2, {"duration": 170.0, "pages": 4})],
         [("visit", 2, {"duration": 200.0, "pages": 3})],
         [("visit", 2, {"duration": 200.0, "pages": 4}), ("signup", 1)]],
        [0],
    ),
    "inactive_subscriber": (
        presets.inactive_subscriber(days(90), sent=2),
        [[("message_sent", 9), ("message_sent", 8)], [("message_sent", 9)], [("message_sent", 9), ("message_sent", 8),
         ("message_opened", 7)], [("message_sent", 9), ("message_sent", 8), ("unsubscribe", 7)]],
        [0],
    ),
    "frequency_cap": (
        presets.frequency_cap(2, days(7)),
        [[], [("message_sent", 9)], [("message_sent", 9), ("message_sent", 8)],
         [("message_sent", 9), ("message_sent", 200)]],
        [0, 1, 3],
    ),
    "about_to_lapse": (
        presets.about_to_lapse(2.0, 3),
        [[("purchase", 24 * d) for d in (40, 30, 21)], [("purchase", 24 * d) for d in (40, 30, 19)],
         [("purchase", 24 * d) for d in (90, 21)], []],
        [0],
    ),
    "about to lapse, but not lost": (
        presets.about_to_lapse(2.0, 3, days(60)),
        [[("purchase", 24 * d) for d in (40, 30, 21)], [("purchase", 24 * d) for d in (90, 80, 71)]],
        [0],
    ),
    "replenishment by the hour": (
        presets.replenishment(hours(36), hours(6)),
        [[("purchase", 31)], [("purchase", 29)], [("purchase", 43)]],
        [0],
    ),
    "double_opt_in_pending": (
        presets.double_opt_in_pending(),
        [[("signup", 30)], [("signup", 3)], [("signup", 30), ("opt_in_confirmed", 29)], [("signup", 24 * 8)]],
        [0],
    ),
    "replenishment": (
        presets.replenishment(days(30), days(3)),
        [[("purchase", 24 * 28)], [("purchase", 24 * 26)], [("purchase", 24 * 34)],
         [("purchase", 24 * 28), ("purchase", 5)]],
        [0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_preset_means_what_it_says(name):
    rule, people, expected = CASES[name]
    assert members(rule, people) == expected


def test_presets_of_dates():
    born = [date(1990, 3, 1), date(1990, 3, 2), date(1990, 3, 7), date(1990, 3, 8), None]
    assert members(presets.birthday(), [[]] * 5, birthday=born) == [0]
    assert members(presets.birthday(days(7), born="born"), [[]] * 5, born=born) == [0, 1, 2]
    ends = [date(2026, 3, 1), date(2026, 3, 7), date(2026, 3, 8), date(2026, 2, 28), None]
    assert members(presets.subscription_ending(days(7)), [[]] * 5, subscription_ends=ends) == [0, 1]


def test_every_preset_is_one_expression_with_a_text_form():
    for name in presets.__all__:
        rule = getattr(presets, name)()
        assert parse(rule.to_text()).fingerprint == rule.fingerprint


ZONES = ["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "UTC"]
DAILY = {
    "post_purchase": (presets.post_purchase(), 7),
    "whole days are local ones": (presets.post_purchase(days(3), days(1)), 3),
    "last_purchase_ago": (presets.last_purchase_ago(), 14),
    "welcome": (presets.welcome(signup="purchase"), 0),
}


def daily_runs(tz, clock, start, n):
    """Return the instants of n daily runs at a local time; none on a day that skips it."""
    zone, found = ZoneInfo(tz), []
    for k in range(n):
        at = datetime.combine(start + timedelta(days=k), clock, zone)
        if at.astimezone(UTC).astimezone(zone).time() == clock:
            found.append(at.astimezone(UTC))
    return found


@pytest.mark.long
@pytest.mark.parametrize("tz", ZONES)
@pytest.mark.parametrize("name", DAILY)
@pytest.mark.parametrize("clock", [time(0), time(9), time(2, 30), time(23, 45)])
def test_a_daily_run_at_one_local_time_meets_everybody_once_through_a_year(tz, name, clock):
    (rule, after), zone = DAILY[name], ZoneInfo(tz)
    year = 2018 if tz == "America/Sao_Paulo" else 2026  # when its midnights were still skipped
    runs = daily_runs(tz, clock, date(year, 1, 1), 370 + after)
    bought = [datetime(year, 1, 1 + after, tzinfo=UTC) + timedelta(minutes=347 * k) for k in range(1_454)]
    bought = [at for at in bought if runs[0] + days(2) < at < runs[-1] - days(after + 2)]
    log = EventLog.from_columns(customer_id=list(range(len(bought))), type="purchase", time=bought)
    base = CustomerBase(events=log, tz=tz)
    met = sum(Segment("daily", rule).evaluate(base, as_of=run).mask.astype(int) for run in runs)
    took_place = {run.astimezone(zone).date() for run in runs}
    for times, moment in zip(met.tolist(), bought, strict=True):
        wall = moment.astimezone(zone)
        if moment != wall.replace(fold=1 - wall.fold).astimezone(UTC):
            continue  # on a clock that is set back or forward this very hour, which run it is depends on the clock
        day = wall.date() + timedelta(days=after + (wall.time() > clock))
        assert times == (day in took_place), (moment, times)


@pytest.mark.parametrize(("at", "runs"), [
    ("2026-10-18T00:30+02:00", ["2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"]),
    ("2026-03-21T23:30+01:00", ["2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"]),
])  # fmt: skip
def test_the_days_on_which_the_clock_changes_are_days_like_any_other(at, runs):
    base = CustomerBase(
        events=EventLog.from_columns(customer_id=[1], type="purchase", time=[datetime.fromisoformat(at)]),
        tz="Europe/Berlin",
    )
    found = [Segment("tips", presets.post_purchase()).evaluate(base, as_of=run).size for run in runs]
    dated = [Segment("tips", presets.post_purchase()).evaluate(base, as_of=run[:10]).size for run in runs]
    assert sum(found) == sum(dated) == 1


def test_presets_refuse_what_could_never_hold():
    with pytest.raises(InputError, match="early"):
        presets.replenishment(days(3), days(3))
    with pytest.raises(InputError, match="both in whole days, or both as hours"):
        presets.replenishment(calendar_days(3), hours(3))
    with pytest.raises(InputError, match="early"):
        presets.replenishment(hours(3), hours(30))
    with pytest.raises(InputError, match="n is 0"):
        presets.frequency_cap(0)
    with pytest.raises(InputError, match="purchases"):
        presets.about_to_lapse(2, 1)
