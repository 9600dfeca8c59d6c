"""Rules over columns say what a slow, obvious reading says of each customer, for random rules, people and times."""

from __future__ import annotations

import random
import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relmark.core.base import CustomerBase
from relmark.core.log import EventLog
from relmark.core.spans import calendar_days, months
from relmark.core.table import CustomerTable
from relmark.core.time import days, hours
from relmark.expressions import (
    Expression,
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    hour_of_day,
    ids,
    nodes,
    parse,
    period,
    prop,
    sample,
    sequence,
    stage,
    weekday,
)
from relmark.segmentation import Segment

_NAIVE = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "naive_rules.py"))
Naive, Tags = _NAIVE["Naive"], _NAIVE["Tags"]

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/St_Johns")
AS_OF = datetime(2024, 3, 1, 4, 30, tzinfo=UTC)
TYPES = ("a", "b", "c")
SKUS = ("x", "y", "z w")
SETS = (Tags(), Tags({"x"}), Tags({"x", "y"}), Tags({"x", "z"}), Tags({"Z w"}))


class World:
    """Some customers with attributes and events, as columns and as plain lists."""

    def __init__(self, rng: random.Random, n_events: int = 25) -> None:
        self.tz = rng.choice(ZONES)
        self.ids = list(range(rng.randint(1, 5)))

        def maybe(make):
            return [make() if rng.random() < 0.75 else None for _ in self.ids]

        self.columns = {
            "age": maybe(lambda: rng.choice([17, 18, 18.5, 30])),
            "city": maybe(lambda: rng.choice(["Omsk", "Kazan", "omsk-2", "MVP of VP"])),
            "vip": maybe(lambda: rng.random() < 0.5),
            "born": maybe(lambda: date(2000, 1, 1) + timedelta(days=rng.choice([59, 60, 0, 365, 58, 8850, 8820]))),
            "joined": maybe(lambda: AS_OF - timedelta(hours=rng.choice([-200, -30, -1, 0, 1, 24, 48, 5000]))),
            "tags": maybe(lambda: Tags(rng.sample(["red", "Blue", "tall"], rng.randint(0, 2)))),
        }
        self.events = []
        for _ in range(rng.randint(0, n_events)):
            kind = rng.choice(TYPES)
            self.events.append(
                {
                    "customer_id": rng.choice([*self.ids, 99]),
                    "type": kind,
                    "time": self.some_time(rng),
                    "value": rng.choice([None, 0.1, 0.2, 5.0, -3.25]),
                    "properties": {
                        "sku": rng.choice([None, *SKUS]),
                        "quantity": rng.choice([None, 1, 2.5]),
                        "paid": rng.choice([None, True, False]),
                        "kinds": rng.choice([None, *SETS]),
                    },
                }
            )

    def some_time(self, rng: random.Random) -> datetime:
        """Half days before and after, and midnights of the zone, as day-stamped data have them."""
        if rng.random() < 0.6:
            return AS_OF + timedelta(hours=12 * rng.randint(-40, 2))
        day = rng.choice(DAYS) - timedelta(days=rng.randint(-1, 32))
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.tz)).astimezone(UTC)

    def shuffled(self, rng: random.Random) -> list[dict]:
        rows = list(self.events)
        rng.shuffle(rows)
        return rows

    def base(self, rows: list[dict] | None = None) -> CustomerBase:
        rows = self.events if rows is None else rows
        # A first row of each type, in the far future, says of which kind the properties are.
        rows = rows + [
            {"customer_id": 98, "type": kind, "time": datetime(2100, 1, 1, tzinfo=UTC), "value": 1.0,
             "properties": {"sku": "x", "quantity": 1.0, "paid": True, "kinds": SETS[1]}}
            for kind in TYPES
        ]  # fmt: skip
        log = EventLog.from_columns(
            customer_id=[row["customer_id"] for row in rows],
            type=[row["type"] for row in rows],
            time=[row["time"] for row in rows],
            value=[row["value"] for row in rows],
            properties={
                name: [row["properties"][name] for row in rows] for name in ("sku", "quantity", "paid", "kinds")
            },
        )
        table = CustomerTable.from_columns(customer_id=self.ids, **self.columns)
        return CustomerBase(customers=table, events=log, tz=self.tz)

    def naive(self, who: int, as_of: datetime) -> Naive:
        attributes = {name: column[who] for name, column in self.columns.items()} if who in self.ids else {}
        events = [
            {**row, "time": (row["time"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)}
            for row in self.events
            if row["customer_id"] == who
        ]
        moment = as_of
        if isinstance(as_of, datetime):
            moment = (as_of - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return Naive(who, attributes, events, moment, self.tz)


DAYS = (date(2024, 3, 1), date(2024, 2, 29), date(2024, 3, 2), date(2024, 3, 11), date(2024, 4, 1), date(2023, 11, 6))


def some_as_of(rng):
    """The instant, or a date: in March clocks change in America and at its end in Europe."""
    return rng.choice([AS_OF, AS_OF, *DAYS])


def some_calendar_span(rng):
    return rng.choice([some_span(rng), calendar_days(rng.choice([1, 3, 30])), months(rng.choice([1, 2]))])


def some_span(rng):
    return rng.choice([hours(12), days(1), days(1.5), days(3), days(7), hours(30), days(30)])


def some_window(rng):
    window = {}
    if rng.random() < 0.5:
        window["within"] = some_calendar_span(rng)
    if rng.random() < 0.2:
        window["ago"] = some_calendar_span(rng)
    if rng.random() < 0.15:
        unit = rng.choice(["day", "week", "month", "quarter", "year"])
        window["during"] = period(unit, rng.randint(-2, 0), count=rng.choice([1, 1, 3]))
    if rng.random() < 0.15:
        window["since"] = rng.choice([date(2024, 2, 20), AS_OF - days(5)])
    if rng.random() < 0.15:
        window["until"] = rng.choice([date(2024, 2, 29), AS_OF - days(2)])
    return window


def some_where(rng, depth=1):
    choice = rng.randint(0, 9 if depth else 7)
    if rng.random() < 0.1:
        return rng.choice([hour_of_day() >= rng.choice([1, 12, 23]), weekday().is_in([1, 6, 7])])
    if rng.random() < 0.15:
        test = rng.choice(["contains_any", "contains_all", "contains_none"])
        return rng.choice([prop("kinds").is_empty(), getattr(prop("kinds"), test)(rng.sample(SKUS, 2), casefold=True)])
    match choice:
        case 0:
            return prop("sku") == rng.choice(SKUS)
        case 1:
            return prop("value") > rng.choice([0, 0.1])
        case 2:
            return prop("quantity") * 2 + 1 >= prop("value")
        case 3:
            return prop("sku").is_in(rng.sample(SKUS, rng.randint(0, 2)))
        case 4:
            return prop("paid") == rng.choice([True, False])
        case 5:
            return prop("sku").is_null()
        case 6:
            return prop("type") == rng.choice(TYPES)
        case 7:
            return prop("sku").fill("x").like(rng.choice(["*", "?", "z*w", "x*"]))
        case 8:
            return ~some_where(rng, 0)
    return rng.choice([all_of, any_of])(some_where(rng, 0), some_where(rng, 0))


def some_events(rng):
    where = some_where(rng) if rng.random() < 0.4 else None
    if rng.random() < 0.1:
        return event.any(where=where)
    return event(*rng.sample(TYPES, rng.choice([1, 1, 1, 2])), where=where)


def some_number(rng, depth=1):
    choice = rng.randint(0, 9 if depth else 7)
    events = some_events(rng)
    match choice:
        case 0:
            return field("age")
        case 1:
            return field("born").age()
        case 2:
            return events.count(**some_window(rng))
        case 3:
            return events.active_days(**some_window(rng))
        case 4:
            return getattr(events, rng.choice(["days_since_first", "days_since_last"]))(**some_window(rng))
        case 5 | 6:
            figure = rng.choice(["sum", "mean", "min", "max", "first", "last"])
            return getattr(events, figure)(rng.choice(["value", "quantity"]), **some_window(rng))
        case 7:
            return events.count_distinct(rng.choice(["sku", "quantity", "paid", "value", "kinds"]), **some_window(rng))
        case 8:
            return rng.choice([some_number(rng, 0).fill(rng.choice([0, 2.5])), some_stage(rng).days()])
    a, b = some_number(rng, 0), some_number(rng, 0)
    return rng.choice([a + b, a - b, a * b, a / b, -a])


def some_text(rng):
    if rng.random() < 0.2:
        return some_events(rng).most_frequent("kinds", **some_window(rng))
    of = getattr(some_events(rng), rng.choice(["first", "last", "most_frequent"]))
    return rng.choice([field("city"), field("city"), of("sku", **some_window(rng)), some_stage(rng)])


def some_stage(rng):
    names = rng.sample(["x", "Omsk", "y"], rng.randint(2, 3))
    return stage({name: some_events(rng) for name in names}, within=rng.choice([None, days(1), some_span(rng)]))


def some_test(rng):
    text, number = some_text(rng), some_number(rng)
    bound = rng.choice([0, 1, 2, 0.1, 0.30000000000000004, 18, 24])
    match rng.randint(0, 19):
        case 0 | 1 | 2:
            op = rng.choice(["eq", "ne", "lt", "le", "gt", "ge"])
            left, right = number, rng.choice([nodes.Literal(bound), some_number(rng)])
            return nodes.Compare(op, *rng.choice([(left, right), (right, left)]))
        case 3:
            return number.between(0, bound)
        case 4:
            op = rng.choice(["eq", "ne", "lt", "ge", "le", "gt"])
            return nodes.Compare(op, text, rng.choice([nodes.Literal("x"), nodes.Literal("Oz"), some_text(rng)]))
        case 5:
            return text.is_in(rng.sample(["x", "y", "Omsk", "nowhere"], rng.randint(0, 3)))
        case 6:
            test = rng.choice(
                ["contains", "startswith", "endswith", "like", "has_word", "contains_any", "contains_all"]
            )
            return getattr(text, test)(rng.choice(["VP", "o", "Omsk", "*p", "k?"]), casefold=rng.random() < 0.5)
        case 7:
            tests = ["contains", "contains_any", "contains_all", "contains_none"]
            test = rng.choice(tests)
            values = "red" if test == "contains" else rng.sample(["red", "blue", "tall"], 2)
            last = getattr(some_events(rng), rng.choice(["first", "last"]))("kinds", **some_window(rng))
            return getattr(rng.choice([field("tags"), last]), test)(values, casefold=rng.random() < 0.5)
        case 8:
            of = rng.choice([field("born"), field("joined"), some_stage(rng).entered()])
            return getattr(of, rng.choice(["within", "older_than"]))(some_span(rng))
        case 9:
            return rng.choice([field("born").upcoming(days(7)), field("joined").upcoming(some_span(rng))])
        case 10:
            side = rng.choice(["upcoming", "past"])
            return field(rng.choice(["born", "joined"])).anniversary(**{side: days(rng.choice([1, 2, 7, 365]))})
        case 11:
            units = ["day", "week", "month", "quarter", "year"]
            return field(rng.choice(["born", "joined"])).in_period(
                rng.choice(units), rng.randint(-2, 2), yearly=rng.random() < 0.5
            )
        case 12:
            when = rng.choice([date(2024, 3, 1), AS_OF, AS_OF - hours(1)])
            return getattr(field(rng.choice(["born", "joined"])), rng.choice(["before", "after"]))(when)
        case 13:
            return some_events(rng).regularly(
                2, of=rng.randint(2, 5), period=rng.choice([days(3), "week", "day", "month"])
            )
        case 14:
            return some_events(rng).last_event(some_where(rng), **some_window(rng))
        case 15:
            steps = [some_events(rng) for _ in range(rng.randint(2, 3))]
            exclude = [some_events(rng)] if rng.random() < 0.3 else []
            within = some_span(rng) if rng.random() < 0.5 else None
            apart = rng.choice([None, None, hours(12), hours(6)]) if within is None or within >= days(1) else None
            recent = some_calendar_span(rng) if rng.random() < 0.3 else None
            strict = rng.random() < 0.3
            same = rng.choice([None, "sku", "value", "type", "kinds"])
            return sequence(steps, within=within, strict=strict, exclude=exclude, apart=apart, recent=recent, same=same)
        case 16:
            within = rng.choice([hours(12), days(2)])
            recent = days(6) if rng.random() < 0.5 else None
            return some_events(rng).not_followed_by(some_events(rng), within=within, recent=recent)
        case 17 if rng.random() < 0.3:
            return rng.choice([hour_of_day().between(2, 20), weekday() == rng.randint(1, 7)])
        case 17:
            return rng.choice([field("vip"), field("vip") == True, ids([0, 2, 99]), sample(50, salt="s"), everyone])  # noqa: E712
        case 18:
            return rng.choice([text.is_null(), number.is_null(), field("born").is_null(), field("tags").not_null(),
                           field("tags").is_empty(), text.is_empty()])  # fmt: skip
    selected = some_events(rng)
    return rng.choice([
        selected.exists(**some_window(rng)), selected.first_time(days(5)), selected.stopped(days(4), days(3)),
        selected.restarted(days(4), days(3)), field("born") < field("joined"), field("joined") == field("born"),
    ])  # fmt: skip


def some_rule(rng, depth=2):
    choice = rng.randint(0, 4)
    if depth == 0 or choice <= 1:
        return some_test(rng)
    if choice == 2:
        return ~some_rule(rng, depth - 1)
    parts = [some_rule(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if choice == 3:
        return rng.choice([all_of, any_of])(*parts)
    return at_least(rng.randint(1, len(parts)), *parts)


def as_python(column):
    return [None if gone else value for gone, value in zip(column.missing, column.values(), strict=True)]


@settings(max_examples=4 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_a_rule_over_columns_says_what_the_naive_reading_says_of_each_customer(seed):
    rng = random.Random(seed)
    world = World(rng)
    base = world.base()
    rule = some_rule(rng)
    body = rule.to_dict()
    if rng.random() < 0.3:
        instants = [AS_OF + timedelta(hours=hour) for hour in (-30, 0, 12, -100)]
        moments = [rng.choice([*instants, *DAYS]) for _ in base.customer_id]
        found = as_python(rule.measure(base, moments))
    else:
        as_of = some_as_of(rng)
        moments = [as_of] * len(base.customer_id)
        found = as_python(rule.measure(base, as_of))
        members = Segment("s", rule).evaluate(base, as_of=as_of)  # keeps nothing, and so takes other paths
        assert members.mask.tolist() == [verdict is not None and bool(verdict) for verdict in found]
        assert members.unknown_mask.tolist() == [verdict is None for verdict in found]
    for who, verdict, moment in zip(base.customer_id.tolist(), found, moments, strict=True):
        expected = world.naive(who, moment).value(body)
        assert verdict == expected, (who, verdict, expected, rule.to_text())


@settings(max_examples=3 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_a_figure_over_columns_is_what_the_naive_reading_gives(seed):
    rng = random.Random(seed)
    world = World(rng)
    base = world.base()
    figure = some_number(rng)
    as_of = some_as_of(rng)
    found = as_python(figure.measure(base, as_of))
    for who, value in zip(base.customer_id.tolist(), found, strict=True):
        expected = world.naive(who, as_of).value(figure.to_dict())
        known = None if value is not None and np.isnan(value) else value
        assert known == expected, (who, known, expected, figure.to_text())


@settings(max_examples=2 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_shuffled_events_later_events_and_shards_of_customers_change_nothing(seed):
    rng = random.Random(seed)
    world = World(rng, n_events=40)
    segment = Segment("s", some_rule(rng))
    as_of = some_as_of(rng)
    whole = segment.evaluate(world.base(), as_of=as_of)
    verdicts = dict(zip(whole.customer_id.tolist(), zip(whole.mask, whole.unknown_mask, strict=True), strict=True))

    again = segment.evaluate(world.base(world.shuffled(rng)), as_of=as_of)
    assert (again.mask == whole.mask).all()
    assert (again.unknown_mask == whole.unknown_mask).all()

    base = world.base()
    cut = CustomerBase(customers=base.customers, events=base.events.until(as_of, tz=base.tz), tz=base.tz)
    early = segment.evaluate(cut, as_of=as_of)
    for who, mask, unknown in zip(early.customer_id.tolist(), early.mask, early.unknown_mask, strict=True):
        assert verdicts[who] == (mask, unknown)

    for who in world.ids:
        rows = [row for row in world.events if row["customer_id"] == who]
        shard = segment.evaluate(world.base(rows), as_of=as_of)
        row = shard.customer_id.tolist().index(who)
        assert verdicts[who] == (shard.mask[row], shard.unknown_mask[row])


@settings(max_examples=3 * settings.default.max_examples, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_json_and_text_round_trips_keep_the_fingerprint(seed):
    rule = some_rule(random.Random(seed), depth=3)
    assert Expression.from_json(rule.to_json()).fingerprint == rule.fingerprint
    assert Expression.from_json(rule.to_json()).to_json() == rule.to_json()
    assert parse(rule.to_text()).fingerprint == rule.fingerprint
    assert parse(rule.to_text()).to_text() == rule.to_text()
