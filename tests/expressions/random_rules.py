"""Random rules of every node of the language, and small random bases to ask them of, made from a `random.Random`."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from relmark.core.base import CustomerBase
from relmark.core.columns import Column
from relmark.core.events import Customer, Event
from relmark.core.log import EventLog
from relmark.core.spans import calendar_days, months
from relmark.core.table import CustomerTable
from relmark.core.time import aware, days, hours, local_midnights, minutes
from relmark.expressions import nodes
from relmark.expressions.builders import (
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    hour_of_day,
    ids,
    prop,
    sample,
    sequence,
    stage,
    weekday,
)
from relmark.expressions.periods import period

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Pacific/Apia", "Asia/Kolkata")
HOUR = timedelta(hours=1)
TYPES = ("a", "b", "c")
SETS = (frozenset(), frozenset({"x"}), frozenset({"x", "xy"}), frozenset({"MVP"}), frozenset({"x", "Ax b"}))
WORDS = ("x", "xy", "Ax b", "MVP", "b-VP", "")


def some_base(rng: random.Random, tz: str, as_of: datetime) -> tuple[CustomerBase, list[Customer], list[Event]]:
    """Return a small base, and the same as objects."""
    n = rng.randint(1, 4)
    around = [as_of + step * HOUR for step in (-24 * 200, -240, -48, -24, -24, -2, -1, 0, 0, 1, 30, 24 * 40)]
    births = [as_of.date() + timedelta(days=step) for step in (-15_000, -7_305, -366, -365, -364, -1, 0, 1, 3, 200)]
    births += [date(2000, 2, 29), date(1988, 2, 28), date(1990, 3, 1), date(2001, 12, 31), date(2004, 1, 1)]
    attributes = [
        {
            "age": rng.choice([None, 0.0, -1.5, 2.0, 3.0, 18.0]),
            "n": rng.choice([1, 2, 3]),
            "city": rng.choice([None, *WORDS]),
            "vip": rng.choice([None, True, False]),
            "born": rng.choice([None, *births]),
            "joined": rng.choice([None, *around]),
            "tags": rng.choice([None, frozenset(), frozenset({"x"}), frozenset({"x", "xy"}), frozenset({"MVP"})]),
        }
        for _ in range(n)
    ]
    ids_ = [f"c{k}" for k in range(n)]
    names = list(attributes[0])
    table = CustomerTable.from_columns(
        customer_id=ids_, **{name: column(name, [row[name] for row in attributes]) for name in names}
    )
    span = rng.choice([30, 300, 3_000])
    events = [
        Event(
            rng.choice([*ids_, "z"]),
            rng.choice(TYPES),
            some_time(rng, as_of, span, tz),
            rng.choice([None, 1.0, 2.0, 0.1, -3.7, 10.25]),
            {
                "s": rng.choice([None, *WORDS]),
                "n": rng.choice([None, 1, 2.5]),
                "f": rng.choice([None, True, False]),
                "kinds": rng.choice([None, *SETS]),
            },
        )
        for _ in range(rng.randint(0, 25))
    ]
    log = EventLog.from_events(events) if events else EventLog.empty(np.array(ids_))
    customers = [Customer(id_, row) for id_, row in zip(ids_, attributes, strict=True)]
    return CustomerBase(customers=table, events=log, tz=tz), customers, events


def some_time(rng: random.Random, as_of: datetime, span: int, tz: str) -> datetime:
    """Return whole and half hours, and midnights of the zone, as data without a time of day have them."""
    time = as_of + HOUR * rng.randint(-span, 3) + timedelta(minutes=rng.choice([0, 0, 0, 30, 59]))
    if rng.random() < 0.7:
        return time
    day = (time.astimezone(ZoneInfo(tz)).date() - date(1970, 1, 1)).days
    return aware(int(local_midnights(np.array([day]), tz)[0]))


def column(name: str, values: list) -> Column:
    if name in {"born", "tags", "joined"}:
        box = np.empty(len(values), dtype=object)
        box[:] = values
        return Column.of(name, box)
    return Column.of(name, values)


def some_asked(rng: random.Random, as_of: datetime, tz: str) -> datetime | date:
    """Return the instant, or a date near it in the zone: what `as_of` may be."""
    today = as_of.astimezone(ZoneInfo(tz)).date()
    return rng.choice([as_of, as_of, today, today, today + timedelta(days=1), today - timedelta(days=2)])


def some_span(rng: random.Random) -> Any:
    return rng.choice([some_duration(rng), some_duration(rng), calendar_days(rng.choice([1, 7])), months(1)])


def some_duration(rng: random.Random) -> timedelta:
    return rng.choice([minutes(30), hours(1), hours(24), hours(25), days(2), days(7), days(30), days(400)])


def some_window(rng: random.Random, as_of: datetime) -> dict:
    window = {}
    if rng.random() < 0.5:
        window["within"] = some_span(rng)
    if rng.random() < 0.2:
        window["ago"] = some_span(rng)
    if rng.random() < 0.15:
        unit = rng.choice(["day", "week", "month", "quarter", "year"])
        window["during"] = period(unit, rng.randint(-2, 0), count=rng.choice([1, 1, 3]))
    if rng.random() < 0.15:
        window["since"] = rng.choice([as_of - days(10), (as_of - days(9)).date(), as_of + days(1)])
    if rng.random() < 0.15:
        window["until"] = rng.choice([as_of - days(8), (as_of - days(3)).date(), as_of + days(9)])
    if {"since", "until"} <= set(window) and type(window["since"]) is type(window["until"]):
        window["since"], window["until"] = sorted([window["since"], window["until"]])
    return window


def some_event_test(rng: random.Random, depth: int = 1):
    if depth and rng.random() < 0.3:
        a, b = some_event_test(rng, depth - 1), some_event_test(rng, depth - 1)
        return rng.choice([a & b, a | b, ~a, at_least(1, a, b)])
    return rng.choice(
        [
            prop("s") == rng.choice(WORDS[:5]),
            prop("s").is_in(["x", "MVP"]),
            prop("s").contains("x"),
            prop("s").is_empty(),
            prop("kinds").contains_any(["x", "MVP"]),
            prop("kinds").contains_all(["x", "xy"]),
            prop("kinds").contains_none(["xy"]),
            rng.choice([prop("kinds").is_empty(), prop("kinds").is_null()]),
            rng.choice([hour_of_day() >= rng.choice([1, 12, 23]), weekday().is_in([1, 6, 7])]),
            prop("s").fill("x").startswith("x"),
            prop("n") > 1,
            prop("n") * 2 + 1 <= prop("value"),
            prop("f") == True,  # noqa: E712
            prop("f").is_null(),
            prop("value").between(0, 2),
            prop("type") == "b",
            prop("value") >= prop("n"),
        ]
    )


def some_events(rng: random.Random):
    where = some_event_test(rng) if rng.random() < 0.4 else None
    if rng.random() < 0.1:
        return event.any(where=where)
    return event(*rng.sample(TYPES, rng.choice([1, 1, 1, 2])), *(["never"] if rng.random() < 0.1 else []), where=where)


def some_number(rng: random.Random, as_of: datetime, depth: int):
    if depth and rng.random() < 0.25:
        a, b = some_number(rng, as_of, depth - 1), some_number(rng, as_of, depth - 1)
        return rng.choice([a + b, a - b, a * b, a / b, a + 1, a * -1, a / 2, a.fill(2)])
    window = some_window(rng, as_of)
    return rng.choice(
        [
            lambda: field("age"),
            lambda: field("n"),
            lambda: field("born").age(),
            lambda: field("joined").age(),
            lambda: some_events(rng).count(**window),
            lambda: some_events(rng).count(**window),
            lambda: some_events(rng).sum(**window),
            lambda: some_events(rng).sum("n", **window),
            lambda: some_events(rng).mean(**window),
            lambda: some_events(rng).min(**window),
            lambda: some_events(rng).max("n", **window),
            lambda: some_events(rng).first("n", **window),
            lambda: some_events(rng).last(**window),
            lambda: some_events(rng).most_frequent("n", **window),
            lambda: some_events(rng).count_distinct(rng.choice(["s", "n", "f", "type", "kinds"]), **window),
            lambda: some_events(rng).active_days(**window),
            lambda: some_events(rng).days_since_first(**window),
            lambda: some_events(rng).days_since_last(**window),
            lambda: some_events(rng).days_since_last(**window),
            lambda: some_stage(rng).days(),
        ]
    )()


def some_text(rng: random.Random, as_of: datetime):
    window = some_window(rng, as_of)
    return rng.choice(
        [
            lambda: field("city"),
            lambda: field("city").fill("x"),
            lambda: some_events(rng).first("s", **window),
            lambda: some_events(rng).last("s", **window),
            lambda: some_events(rng).most_frequent(rng.choice(["s", "kinds"]), **window),
            lambda: some_stage(rng),
        ]
    )()


def some_stage(rng: random.Random):
    steps = rng.sample(["x", "b", "MVP", "won"], rng.choice([2, 2, 3]))
    return stage({name: some_events(rng) for name in steps}, within=rng.choice([None, hours(30), days(20)]))


def some_leaf(rng: random.Random, as_of: datetime):
    today = as_of.date()
    moment = rng.choice([field("born"), field("joined"), field("joined"), some_stage(rng).entered()])
    number = some_number(rng, as_of, 2)
    bound = rng.choice([0, 1, 2, 2.5, 3, 10, 24 / 24, 40])
    op = rng.choice(list(nodes.COMPARISONS))
    casefold = rng.random() < 0.5
    return rng.choice(
        [
            lambda: nodes.Compare(op, number, nodes.Literal(bound)),
            lambda: nodes.Compare(op, number, nodes.Literal(bound)),
            lambda: nodes.Compare(op, nodes.Literal(bound), number),
            lambda: nodes.Compare(op, number, some_number(rng, as_of, 1)),
            lambda: number.between(0, 3),
            lambda: number.is_in([0, 1, 2, 30]),
            lambda: ~number.is_null(),
            lambda: nodes.Compare(op, some_text(rng, as_of), nodes.Literal(rng.choice(WORDS))),
            lambda: nodes.Compare(op, some_text(rng, as_of), some_text(rng, as_of)),
            lambda: some_text(rng, as_of).is_in(rng.choice([[], ["x"], ["x", "MVP", ""]])),
            lambda: some_text(rng, as_of).like(rng.choice(["*", "x*", "?", "*VP", "*x?b*"]), casefold=casefold),
            lambda: some_text(rng, as_of).has_word(rng.choice(["VP", ["x", "b"]]), casefold=casefold),
            lambda: some_text(rng, as_of).contains_none(["x", "V"], casefold=casefold),
            lambda: getattr(some_text(rng, as_of), rng.choice(["endswith", "startswith", "contains"]))(
                "x", casefold=casefold
            ),
            lambda: some_text(rng, as_of).contains_any(["b", "V"], casefold=casefold),
            lambda: some_text(rng, as_of).contains_all(["x", "b"], casefold=casefold),
            lambda: field("tags").contains_any(["mvp", "x"], casefold=casefold),
            lambda: field("tags").contains("x"),
            lambda: field("tags").contains_all(["x", "XY"], casefold=casefold),
            lambda: field("tags").contains_none(["x", "mvp"], casefold=casefold),
            lambda: field("tags").is_null(),
            lambda: getattr(some_events(rng), rng.choice(["first", "last"]))(
                "kinds", **some_window(rng, as_of)
            ).contains(rng.choice(["x", "xy"]), casefold=casefold),
            lambda: some_events(rng).last("kinds").is_empty(),
            lambda: rng.choice([field("tags"), some_text(rng, as_of)]).is_empty(),
            lambda: field("vip"),
            lambda: field("vip").fill(True),
            lambda: field("vip") != True,  # noqa: E712
            lambda: some_events(rng).last("f") == False,  # noqa: E712
            lambda: nodes.Compare(op, moment, nodes.Literal(rng.choice([today, as_of]))),
            lambda: nodes.Compare(op, field("born"), field("joined")),
            lambda: moment.is_in([today, today - days(1)]),
            lambda: moment.between(today - days(300), today),
            lambda: moment.within(some_duration(rng)),
            lambda: moment.older_than(some_duration(rng)),
            lambda: field("born").upcoming(rng.choice([days(1), days(4), days(300)])),
            lambda: field("joined").upcoming(some_duration(rng)),
            lambda: moment.anniversary(upcoming=rng.choice([days(1), days(7), days(365)])),
            lambda: moment.anniversary(past=rng.choice([days(1), days(7), days(365)])),
            lambda: moment.in_period(rng.choice(nodes.PERIODS), rng.choice([-1, 0, 0, 1]), yearly=rng.random() < 0.5),
            lambda: some_events(rng).exists(**some_window(rng, as_of)),
            lambda: some_events(rng).regularly(
                *rng.choice([(1, 2), (2, 3), (2, 12)]), rng.choice([hours(5), days(7), *nodes.PERIODS])
            ),
            lambda: some_events(rng).last_event(some_event_test(rng), **some_window(rng, as_of)),
            lambda: some_events(rng).not_followed_by(
                some_events(rng), hours(rng.choice([1, 24])), rng.choice([None, days(3)])
            ),
            lambda: sequence(
                [some_events(rng) for _ in range(rng.choice([2, 2, 3]))],
                within=rng.choice([None, hours(30), days(20)]),
                strict=rng.random() < 0.3,
                exclude=[some_events(rng) for _ in range(rng.choice([0, 0, 1]))],
                apart=rng.choice([None, None, minutes(30), hours(2)]),
                recent=rng.choice([None, None, days(7), hours(30), calendar_days(7), months(1)]),
                same=rng.choice([None, None, "n", "value", "kinds"]),
            ),
            lambda: some_events(rng).first_time(days(3)),
            lambda: some_events(rng).restarted(days(1), days(2)),
            lambda: rng.choice([hour_of_day().between(2, 20), weekday() == rng.randint(1, 7), hour_of_day() == 25]),
            lambda: everyone,
            lambda: ids(["c0", "c2"]),
            lambda: ids([]),
            lambda: sample(40, salt="s"),
        ]
    )()


def some_rule(rng: random.Random, as_of: datetime, depth: int = 3):
    if depth and rng.random() < 0.6:
        parts = [some_rule(rng, as_of, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
        return rng.choice([all_of(*parts), any_of(*parts), ~parts[0], at_least(2, *parts)])
    return some_leaf(rng, as_of)


def some_as_of(rng: random.Random) -> datetime:
    start = rng.choice(
        ["2026-11-01", "2024-02-28", "2024-02-29", "2025-12-31", "2026-03-29", "2011-12-30", "2007-11-04"]
    )
    return datetime.fromisoformat(start).replace(tzinfo=UTC) + HOUR * rng.randint(0, 30)
