"""One meaning of a date, wherever one can stand: every package says what a table of local days says.

Each customer has one event, so that a verdict about a customer is a verdict about an instant. The times lie on every
local day around a change of the clock: at its midnight, beside it, and within the day; and, in a second log, as days
alone. What a window means is said here once more, in plain Python, by dates of the wall clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, engines, event, field, hours, prop
from relmark.core.spans import calendar_days, months
from relmark.expressions import Expression, nodes, parse, period, sequence
from relmark.ltv import purchase_summary
from relmark.metrics import base_health, cohort_retention, commerce_metrics, funnel, message_metrics
from relmark.scoring import Group, LeadScore, Rule, half_life
from relmark.segmentation import Rfm, Segment

US = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
# Three days after the clock changes, so that windows of a few days go back over it.
WORLDS = [
    ("UTC", date(2026, 11, 1)), (BERLIN, date(2026, 4, 1)), (BERLIN, date(2026, 10, 28)), (NEW_YORK, date(2026, 3, 11)),
    (NEW_YORK, date(2026, 11, 4)),
]  # fmt: skip
CLOCKS = (time(0), time(0, 30), time(3), time(12), time(23, 30), time(23, 59, 59, 999_999))


def day(start, n):
    return start + timedelta(days=n)


def midnight(one, tz):
    return datetime.combine(one, time(), ZoneInfo(tz)).astimezone(UTC)


class World:
    """A base of timed or of day-stamped purchases, one per customer, and the plain list of them."""

    def __init__(self, tz, today, *, stamped):
        self.tz, self.today, self.stamped, self.zone = tz, today, stamped, ZoneInfo(tz)
        local = [day(today, k) for k in range(-40, 3)]
        if stamped:
            self.times = [midnight(one, tz) for one in local]
            given = np.array(local, dtype="M8[D]")
        else:
            self.times = [datetime.combine(one, clock, self.zone).astimezone(UTC) for one in local for clock in CLOCKS]
            given = self.times
        self.n = len(self.times)
        log = EventLog.from_columns(customer_id=list(range(self.n)), type="purchase", time=given, value=np.ones(self.n))
        table = CustomerTable.from_columns(
            customer_id=list(range(self.n)), when=list(given) if stamped else self.times,
        )  # fmt: skip
        self.base = CustomerBase(customers=table, events=log, tz=tz)
        self.log = log

    def local(self, moment):
        return moment.astimezone(self.zone).date()

    def clock(self, as_of):
        """Return the instant at which the clock stands."""
        return as_of if isinstance(as_of, datetime) else midnight(as_of, self.tz)

    def seen(self, as_of):
        """Return whose event is seen: at or before an instant, on a day before a date."""
        if isinstance(as_of, datetime):
            return [t <= as_of for t in self.times]
        return [self.local(t) < as_of for t in self.times]

    def back(self, as_of, n):
        """Return whose event is later than n days before: local days before a date, 24 hours each before an instant."""
        if isinstance(as_of, datetime):
            return [t > as_of - days(n) for t in self.times]
        return [self.local(t) >= day(as_of, -n) for t in self.times]

    def holds(self, rule, as_of, expected):
        """Check a rule over columns, for one person, in a base where each has an as_of, and after a round trip."""
        segment = Segment("s", rule)
        members = segment.evaluate(self.base, as_of=as_of)
        found = members.mask.tolist()
        wrong = [(self.times[k].isoformat(), found[k]) for k in range(self.n) if found[k] != expected[k]]
        assert not wrong, (rule, as_of, wrong[:5])
        assert members.as_of.dtype == np.dtype("M8[us]" if isinstance(as_of, datetime) else "M8[D]")
        each = segment.evaluate(self.base, as_of=[as_of] * self.n)
        assert each.mask.tolist() == expected
        assert each.as_of.shape == (self.n,)
        for again in (Expression.from_json(rule.to_json()), parse(rule.to_text())):
            assert again.fingerprint == rule.fingerprint
            assert Segment("s", again).evaluate(self.base, as_of=as_of).mask.tolist() == expected
        for row in range(0, self.n, 5):
            one = segment.explain(self.base, row, as_of=as_of)
            assert one.member is expected[row], (rule, as_of, self.times[row])
            own = Event(row, "purchase", self.times[row], 1.0)
            when = self.local(self.times[row]) if self.stamped else self.times[row]
            same = segment.one(Customer(row, {"when": when}), [own], as_of=as_of, tz=self.tz)
            assert same.member is expected[row]
            if one.next_change is not None:
                assert segment.explain(self.base, row, as_of=one.next_change).member != expected[row]


@pytest.fixture(params=[(*world, stamped) for world in WORLDS for stamped in (False, True)],
                ids=lambda one: f"{one[0]} {one[1]} {'days' if one[2] else 'times'}")  # fmt: skip
def world(request):
    tz, today, stamped = request.param
    return World(tz, today, stamped=stamped)


def asked(world):
    """Return a date, the instant of its midnight, and an instant within the day."""
    start = midnight(world.today, world.tz)
    return [world.today, start, start + hours(12)]


def both(*columns):
    return [all(row) for row in zip(*columns, strict=True)]


BUY = event("purchase")


def test_what_is_seen(world):
    for as_of in asked(world):
        world.holds(BUY.exists(), as_of, world.seen(as_of))
        world.holds(BUY.count() >= 1, as_of, world.seen(as_of))
        cut = world.base.events.until(as_of, tz=world.tz)
        assert len(cut) == sum(world.seen(as_of))
        assert len(world.log.until(as_of, tz=world.tz)) == sum(world.seen(as_of))
        assert len(world.base.purchases().until(as_of)) == sum(world.seen(as_of))


@pytest.mark.long
@pytest.mark.parametrize("n", [1, 3, 7, 30])
def test_windows_of_whole_days(world, n):
    for as_of in asked(world):
        inside = both(world.seen(as_of), world.back(as_of, n))
        world.holds(BUY.exists(within=days(n)), as_of, inside)
        before = [s and not b for s, b in zip(world.seen(as_of), world.back(as_of, n), strict=True)]
        world.holds(BUY.exists(ago=days(n)), as_of, before)
        if isinstance(as_of, datetime):
            continue
        world.holds(BUY.exists(within=calendar_days(n)), as_of, inside)
        world.holds(BUY.exists(ago=calendar_days(n)), as_of, before)
        world.holds(BUY.exists(during=period("day", -1, count=n)), as_of, inside)


@pytest.mark.long
def test_windows_of_local_days_and_months_before_an_instant(world):
    noon = datetime.combine(world.today, time(12), world.zone)
    for n in (1, 3, 7):
        start = datetime.combine(day(world.today, -n), time(12), world.zone)  # the same time of the wall clock
        inside = [start.astimezone(UTC) < t <= noon.astimezone(UTC) for t in world.times]
        world.holds(BUY.exists(within=calendar_days(n)), noon, inside)
    before = datetime.combine(world.today.replace(month=world.today.month - 1), time(12), world.zone)
    inside = [before.astimezone(UTC) < t <= noon.astimezone(UTC) for t in world.times]
    world.holds(BUY.exists(within=months(1)), noon, inside)
    first = world.today.replace(month=world.today.month - 1)
    world.holds(BUY.exists(within=months(1)), world.today, [first <= world.local(t) < world.today for t in world.times])


def test_windows_of_hours_are_elapsed_time_before_the_midnight_of_a_date(world):
    edge = midnight(world.today, world.tz)
    world.holds(BUY.exists(within=hours(36)), world.today, [edge - hours(36) <= t < edge for t in world.times])
    world.holds(BUY.exists(within=hours(36)), edge, [edge - hours(36) < t <= edge for t in world.times])


def test_beginnings_and_ends_of_windows(world):
    first, last = day(world.today, -8), day(world.today, -2)
    later = midnight(day(world.today, 5), world.tz)
    inside = [first <= world.local(t) < last for t in world.times]
    world.holds(BUY.exists(between=(first, last)), later, inside)
    world.holds(BUY.exists(since=first, until=last), later, inside)
    world.holds(BUY.exists(between=(first.isoformat(), last.isoformat())), later, inside)
    start, end = midnight(first, world.tz), midnight(last, world.tz)
    world.holds(BUY.exists(between=(start, end)), later, [start <= t <= end for t in world.times])
    world.holds(BUY.exists(since=first), later, [world.local(t) >= first for t in world.times])
    world.holds(BUY.exists(until=last), later, [world.local(t) < last for t in world.times])
    halves = [BUY.exists(between=(first, last)), BUY.exists(between=(last, world.today))]
    together = [Segment("s", half).evaluate(world.base, as_of=later).size for half in halves]
    assert sum(together) == sum(first <= world.local(t) < world.today for t in world.times)


@pytest.mark.long
def test_fields(world):
    first, last = day(world.today, -8), day(world.today, -2)
    when = field("when")
    kept = [world.local(t) for t in world.times] if world.stamped else world.times
    start, end = midnight(first, world.tz), midnight(last, world.tz)
    for as_of in asked(world):
        clock = world.clock(as_of)
        world.holds(when.between(first, last), as_of, [start <= t <= end for t in world.times])
        world.holds(when >= first, as_of, [t >= start for t in world.times])
        world.holds(when.before(first), as_of, [t < start for t in world.times])
        back = midnight(day(as_of, -3), world.tz) if not isinstance(as_of, datetime) else as_of - days(3)
        world.holds(when.within(days(3)), as_of, [back < t <= clock for t in world.times])
        world.holds(when.older_than(days(3)), as_of, [t <= back for t in world.times])
        today = world.local(clock)
        world.holds(when.in_period("day"), as_of, [world.local(t) == today for t in world.times])
        world.holds(when.age() < 0, as_of, [world.local(t) > today for t in world.times])
        ahead = [0 <= (world.local(t) - today).days < 2 for t in world.times]
        world.holds(when.anniversary(upcoming=days(2)), as_of, ahead)
    if world.stamped:
        world.holds(when.upcoming(days(2)), world.today, [0 <= (one - world.today).days < 2 for one in kept])


def test_days_since(world):
    for as_of in asked(world):
        seen = world.seen(as_of)
        clock = world.clock(as_of)
        if isinstance(as_of, datetime):
            elapsed = [(clock - t) / days(1) for t in world.times]
        else:
            wall = datetime.combine(as_of, time())
            elapsed = [(wall - t.astimezone(world.zone).replace(tzinfo=None)) / days(1) for t in world.times]
        for bound in (1, 3, 7):
            world.holds(BUY.days_since_last() >= bound, as_of, both(seen, [one >= bound for one in elapsed]))
        found = BUY.days_since_first().measure(world.base, as_of).values()
        assert [one for one, s in zip(found.tolist(), seen, strict=True) if s] == [
            one for one, s in zip(elapsed, seen, strict=True) if s
        ]


def test_silence_and_order(world):
    """Regularly, not followed by, and sequences; whole days before a date are local days for them too."""
    for as_of in asked(world):
        seen, back = world.seen(as_of), world.back(as_of, 3)
        world.holds(BUY.regularly(1, of=3, period=days(1)), as_of, both(seen, back))
        today = world.local(world.clock(as_of))
        near = [day(today, -3) < world.local(t) <= today for t in world.times]
        world.holds(BUY.regularly(1, of=3, period="day"), as_of, both(seen, near))
        clock = world.clock(as_of)
        if isinstance(as_of, datetime):
            waited = [clock - t >= days(3) for t in world.times]
            recent = [clock - t < days(7) for t in world.times]
        else:
            wall = [t.astimezone(world.zone).replace(tzinfo=None) for t in world.times]
            waited = [datetime.combine(as_of, time()) - one >= days(3) for one in wall]
            recent = [datetime.combine(as_of, time()) - one < days(7) for one in wall]
        world.holds(BUY.not_followed_by(event("x"), within=days(3)), as_of, both(seen, waited))
        rule = BUY.not_followed_by(event("x"), within=days(3), recent=days(7))
        world.holds(rule, as_of, both(seen, waited, recent))
        world.holds(BUY.last_event(nodes.Prop("value") == 1, within=days(3)), as_of, both(seen, back))
        world.holds(BUY.first_time(days(3)), as_of, both(seen, back))


def test_steps_are_seen_up_to_the_date_and_a_day_between_them_is_twenty_four_hours():
    tz, zone = BERLIN, ZoneInfo(BERLIN)
    start = datetime(2026, 10, 25, 0, 30, tzinfo=zone).astimezone(UTC)  # the day of 25 hours
    rows = [
        (0, start, start + days(1)),
        (1, start, start + days(1) + US),
        (2, start + hours(1), midnight(date(2026, 10, 26), tz)),
    ]
    events = [Event(who, kind, at) for who, *times in rows for kind, at in zip(("a", "b"), times, strict=True)]
    base = CustomerBase(events=EventLog.from_events(events), tz=tz)
    rule = sequence([event("a"), event("b")], within=days(1))
    on = [Segment("s", rule).evaluate(base, as_of=one).ids.tolist() for one in (date(2026, 10, 26), date(2026, 10, 27))]
    assert on == [[0], [0, 2]]


def test_rfm_and_lifetime_value_count_calendar_days(world):
    for as_of in asked(world):
        seen = world.seen(as_of)
        who = [k for k in range(world.n) if seen[k]]
        scores = Rfm().fit(world.base, as_of=as_of).score(world.base, as_of=as_of)
        today = world.local(world.clock(as_of))
        found = dict(zip(scores.customer_id.tolist(), scores.calendar_days_since.tolist(), strict=True))
        assert [found[k] for k in who] == [(today - world.local(world.times[k])).days for k in who]
        summary = purchase_summary(world.base, as_of=as_of, unit="day")
        assert summary.customer_id.tolist() == who
        last = today if isinstance(as_of, datetime) else day(today, -1)
        assert summary.T.tolist() == [(last - world.local(world.times[k])).days for k in who]


@pytest.mark.parametrize("n", [3, 30])
def test_metrics_have_the_windows_and_the_days_of_rules(world, n):
    for as_of in asked(world):
        seen, back = world.seen(as_of), world.back(as_of, n)
        inside = both(seen, back)
        letters = {"sent": "purchase"}
        told = message_metrics(world.base, as_of=as_of, within=days(n), events=letters, by="day")
        assert told.sent.sum() == sum(inside)
        local = sorted({world.local(t) for t, one in zip(world.times, inside, strict=True) if one})
        assert told["day"].astype("M8[D]").tolist() == local
        assert told.as_of.dtype == np.dtype("M8[us]" if isinstance(as_of, datetime) else "M8[D]")
        shop = commerce_metrics(world.base, as_of=as_of, within=days(n), period="day")
        assert shop.orders.sum() == sum(inside)
        health = base_health(world.base, as_of=as_of, within=days(n))
        assert (health.active.tolist(), health.customers.tolist()) == ([sum(inside)], [sum(seen)])
        cohorts = cohort_retention(world.base, as_of=as_of, period="day")
        by_day = [world.local(t) for t, one in zip(world.times, seen, strict=True) if one]
        assert cohorts.cohorts.tolist() == sorted(set(by_day))
        assert cohorts.sizes.tolist() == [by_day.count(one) for one in sorted(set(by_day))]
        in_progress = isinstance(as_of, datetime)  # a date has seen whole days alone
        assert bool(cohorts.in_progress.any()) is in_progress
        walk = funnel(world.base, [BUY, BUY], as_of=as_of)
        assert walk.entered == sum(seen)


def test_lead_scores(world):
    each = LeadScore(name="s", rules=[Rule("fresh", each=BUY, points=2, expires=days(3))])
    fading = LeadScore(
        name="s", groups=[Group("g", cap=50)],
        rules=[Rule("buys", each=BUY, points=8, decay=half_life(days(3)), group="g", cap=8, cap_per=days(1))],
    )  # fmt: skip
    for as_of in asked(world):
        seen, back = world.seen(as_of), world.back(as_of, 3)
        fresh = each.evaluate(world.base, as_of=as_of)
        assert fresh.total.tolist() == [2.0 * one for one in both(seen, back)]
        assert fresh.as_of.dtype == np.dtype("M8[us]" if isinstance(as_of, datetime) else "M8[D]")
        faded = fading.evaluate(world.base, as_of=as_of).total
        for row in range(0, world.n, 7):
            assert each.explain(world.base, row, as_of=as_of).total == fresh.total[row]
            assert fading.explain(world.base, row, as_of=as_of).total == faded[row]
            own = [Event(row, "purchase", world.times[row], 1.0)]
            assert fading.one(None, own, as_of=as_of, tz=world.tz).total == faded[row]
            assert (faded[row] > 0) == seen[row]
        whole = {0.0, 1.0, 2.0, 4.0, 8.0}
        if not isinstance(as_of, datetime) and world.stamped:  # three local days are one half-life
            rows = [k for k in range(world.n) if seen[k] and (as_of - world.local(world.times[k])).days in {3, 6, 9}]
            assert {float(faded[k]) for k in rows} <= whole


def test_each_customer_may_have_a_date_or_an_instant_of_their_own(world):
    kinds = asked(world)
    given = [kinds[k % 3] for k in range(world.n)]
    expected = [world.seen(as_of)[k] and world.back(as_of, 3)[k] for k, as_of in enumerate(given)]
    found = Segment("s", BUY.exists(within=days(3))).evaluate(world.base, as_of=given)
    assert found.mask.tolist() == expected
    assert found.as_of.dtype == np.dtype("M8[us]")
    measured = world.base.measure({"n": BUY.count(within=days(3))}, as_of=given)
    assert np.asarray(measured["n"]).tolist() == expected


def test_what_changes_next_comes_at_an_instant(world):
    rule = Segment("s", BUY.exists(within=days(3)))
    edge = midnight(world.today, world.tz)
    for row in range(world.n):
        one = rule.explain(world.base, row, as_of=world.today)
        if one.member and world.times[row] > edge - days(3):
            assert one.next_change == world.times[row] + days(3)  # from then on by the hour, as nobody asks by date
        if world.times[row] == edge:  # the midnight itself is not seen on the date
            assert not one.member


RULES = [
    BUY.exists(), BUY.exists(within=days(3)), BUY.exists(ago=days(3)), BUY.exists(within=calendar_days(3)),
    BUY.exists(within=calendar_days(2), ago=calendar_days(4)), BUY.exists(within=months(1)),
    BUY.exists(during=period("week", -1)), BUY.exists(within=hours(36)), BUY.days_since_last() >= 3,
    BUY.days_since_first() < 3, BUY.days_since_last().between(2, 4), BUY.days_since_last().is_in([2, 5]),
    BUY.not_followed_by(event("x"), within=days(3)), BUY.not_followed_by(event("x"), within=hours(36), recent=days(7)),
    BUY.exists(since=date(2026, 3, 9), until=date(2026, 10, 26)), BUY.sum(within=days(7)) > 0,
    BUY.first(since=date(2026, 3, 9)) > 0, event.any().exists(within=days(3)),
    event.any(where=prop("value") > 0).exists(),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.to_text())
def test_engines_say_the_same_of_times_and_of_dates(world, rule):
    pl = pytest.importorskip("polars")
    duckdb = pytest.importorskip("duckdb")
    people = pl.DataFrame({"customer_id": list(range(world.n))})
    time_column = (
        pl.Series([world.local(t) for t in world.times], dtype=pl.Date)
        if world.stamped
        else pl.Series([t.replace(tzinfo=None) for t in world.times], dtype=pl.Datetime("us"))
    )
    happened = pl.DataFrame({
        "customer_id": list(range(world.n)), "type": ["purchase"] * world.n, "time": time_column,
        "value": [1.0] * world.n,
    })  # fmt: skip
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("people", people.to_arrow())
    connection.register("happened", happened.to_arrow())
    for as_of in asked(world):
        expected = Segment("s", rule).evaluate(world.base, as_of=as_of).mask.tolist()
        lazy = engines.evaluate(rule, events=happened.lazy(), customers=people.lazy(), as_of=as_of, tz=world.tz)
        assert lazy.collect().sort("customer_id")["member"].to_list() == expected, as_of
        sql = engines.evaluate(
            rule, events=connection.sql("select * from happened"), customers=connection.sql("select * from people"),
            as_of=as_of, tz=world.tz,
        )  # fmt: skip
        assert sql.pl().sort("customer_id")["member"].to_list() == expected, as_of
