"""Random contact policies, and people with their events around the changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from relmark import Customer, Event, event, field, now
from relmark.campaigns import Campaign, Cap, Chain, ContactPolicy, Holdout, QuietHours, Step

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
# the nights on which the clocks of these zones change
AROUND = [
    datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 3, 7, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC),
]  # fmt: skip
CHANNELS = ["email", "push", "sms"]
TYPES = ["cart", "signup", "purchase", "visit"]
HOURS = st.integers(1, 60).map(lambda n: timedelta(hours=n))
QUARTERS = st.integers(0, 4 * 24 * 4).map(lambda n: timedelta(minutes=15 * n))


def rules():
    return st.sampled_from([
        None, field("age") >= 30, event("visit").exists(within=timedelta(hours=30)), ~event("purchase").exists(),
        event("purchase").count(within=timedelta(hours=20)) < 2, field("vip") == True, now.hour() >= 12,  # noqa: E712
        event("visit").days_since_last() < 1.5,
    ])  # fmt: skip


@st.composite
def campaigns(draw, name, *, limits=False):
    transactional = draw(st.integers(0, 5)) == 0
    trigger = draw(st.sampled_from([None, event("cart"), event("visit")]))
    again = draw(st.sampled_from([None, timedelta(hours=6), timedelta(hours=24), timedelta(days=2)]))
    parts = {} if trigger is not None and draw(st.booleans()) else {"again": again}
    start = draw(st.sampled_from([None, None, "2026-03-29", "2026-10-25", "2026-03-28T13:00Z"]))
    if start is not None:
        parts["start"] = start
    if start is None and draw(st.integers(0, 3)) == 0:
        parts["end"] = draw(st.sampled_from(["2026-03-29", "2026-10-25", "2026-07-11T05:00Z"]))
    if not transactional:
        parts["control"] = draw(st.sampled_from([None, 0.3]))
        parts["hour"] = draw(st.sampled_from([None, None, field("hour")]))
        if limits and draw(st.booleans()):
            parts["limit"] = draw(st.integers(1, 4))
            parts["best_by"] = draw(st.sampled_from([None, field("age")]))
    else:
        parts["counts"] = draw(st.booleans())
    return Campaign(
        name, who=draw(rules()), trigger=trigger, transactional=transactional,
        channels=draw(st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True)),
        category=draw(st.sampled_from([None, "promo", "service"])), times=draw(st.sampled_from([None, None, 1, 2])),
        **parts,
    )  # fmt: skip


@st.composite
def chains(draw, name):
    n = draw(st.integers(1, 3))
    afters = sorted(draw(st.lists(QUARTERS, min_size=n, max_size=n)))
    return Chain(
        name, starts=event("signup"), until=draw(st.sampled_from([None, event("purchase")])),
        steps=[Step(f"s{k}", after=after, when=draw(rules())) for k, after in enumerate(afters)],
        channels=draw(st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True)),
        late=draw(st.one_of(st.none(), HOURS)), restart=draw(st.booleans()),
        control=draw(st.sampled_from([None, 0.3])), step_control=draw(st.sampled_from([None, 0.4])),
        category=draw(st.sampled_from([None, "promo"])), hour=draw(st.sampled_from([None, None, field("hour")])),
    )  # fmt: skip


@st.composite
def caps(draw, names):
    parts = {}
    if draw(st.booleans()):
        parts["within"] = draw(HOURS)
    else:
        parts["per"] = draw(st.sampled_from(["day", "week", "month"]))
    which = draw(st.sampled_from([None, None, "channel", "category", "campaign"]))
    if which is not None:
        values = {"channel": CHANNELS, "category": ["promo", "service"], "campaign": names}[which]
        parts[which] = draw(st.sampled_from(values))
    return Cap(draw(st.integers(1, 3)), **parts)


@st.composite
def quiet_hours(draw):
    start, end = draw(st.lists(st.integers(0, 95), min_size=2, max_size=2, unique=True))
    weekdays = draw(st.one_of(st.none(), st.lists(st.integers(1, 7), min_size=1, unique=True)))
    return QuietHours(*(f"{k // 4:02}:{k % 4 * 15:02}" for k in (start, end)), weekdays=weekdays)


@st.composite
def policies(draw, *, limits=False):
    names = [f"c{k}" for k in range(draw(st.integers(1, 4)))]
    entries = [draw(st.one_of(campaigns(name, limits=limits), chains(name))) for name in names]
    conditions = {name: draw(rules()) for name in CHANNELS}
    return ContactPolicy(
        "p", campaigns=entries, channels=conditions, caps=draw(st.lists(caps(names), max_size=3)),
        transactional_channels=draw(st.sampled_from([{}, {"email": None}])),
        gap=draw(st.sampled_from([None, timedelta(hours=1), timedelta(hours=5)])),
        quiet=draw(st.one_of(st.none(), quiet_hours())), at_most=draw(st.sampled_from([1, 1, 2])),
        holdout=draw(st.sampled_from([None, None, Holdout(0.3, salt="h"), Holdout(0.3, salt="h", period="month")])),
        prefer=draw(st.sampled_from([None, field("best")])),
    )  # fmt: skip


@st.composite
def people(draw, around, *, n=6):
    """Customers and their events by id; messages are among them."""
    found = {}
    for k in range(draw(st.integers(1, n))):
        who = Customer(f"u{k}", {
            "age": draw(st.sampled_from([None, 20.0, 40.0])), "vip": draw(st.sampled_from([None, True, False])),
            "hour": draw(st.sampled_from([None, 2.0, 9.0, 23.0, 30.0])),
            "best": draw(st.sampled_from([None, "sms", "push", "fax"])), "zone": draw(st.sampled_from([None, *ZONES])),
        })  # fmt: skip
        events = [Event(who.id, draw(st.sampled_from(TYPES)), around + draw(QUARTERS) - timedelta(days=3))
                  for _ in range(draw(st.integers(0, 6)))]  # fmt: skip
        for _ in range(draw(st.integers(0, 4))):
            properties = {
                "campaign": draw(st.sampled_from(["c0", "c1", "c2", "other"])),
                "channel": draw(st.sampled_from(CHANNELS)),
                "step": draw(st.sampled_from([None, "s0", "s1"])), "arm": "sent",
                "category": draw(st.sampled_from([None, "promo"])),
            }  # fmt: skip
            events.append(Event(who.id, draw(st.sampled_from(["message_sent", "message_withheld"])),
                                around + draw(QUARTERS) - timedelta(days=3),
                                properties={key: value for key, value in properties.items() if value}))  # fmt: skip
        found[who.id] = (who, events)
    return found
