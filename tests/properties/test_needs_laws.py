"""With only what a definition needs, every answer is what it is with everything: of every node, for sets and scores."""

from __future__ import annotations

import random
import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import (
    Customer,
    CustomerBase,
    CustomerHistory,
    CustomerTable,
    Event,
    Needs,
    calendar_days,
    days,
    event,
    months,
    period,
)
from relmark.core.time import aware
from relmark.expressions import prop, segment
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.walk import asks_the_clock
from relmark.scoring import ByValue, LeadScore, Rule, Tiers, half_life, linear_decay
from relmark.segmentation import Segment, SegmentSet

_TESTS = Path(__file__).parents[1]
_RANDOM = runpy.run_path(str(_TESTS / "expressions" / "random_rules.py"))
some_as_of, some_asked, some_base, some_events, some_leaf, some_rule = (
    _RANDOM[name]
    for name in (
        "some_as_of", "some_asked", "some_base", "some_events", "some_leaf", "some_rule",
    )
)  # fmt: skip
ZONES = _RANDOM["ZONES"]
US = timedelta(microseconds=1)
_AROUND = [
    *(k * US for k in (-2, -1, 0, 1, 2)),
    *(timedelta(hours=h) + k * US for h in (-2, -1, 1, 2) for k in (-1, 0, 1)),
]


def pruned(needs, customer, events, as_of, tz):
    """Return what needs say that must be loaded: an event kept with the properties asked of its type alone."""
    kept = needs.keep(events, as_of, tz=tz)
    asked = [
        Event(one.customer_id, one.type, one.time, one.value,
              {name: one.properties[name] for name in needs.properties_of(one.type) if name in one.properties})
        for one in kept
    ]  # fmt: skip
    fields = {name: customer.attributes[name] for name in needs.fields if name in customer.attributes}
    return Customer(customer.id, fields), asked


def own_events(rng, customer, events):
    mine = [one for one in events if rng.random() < 0.3 or one.customer_id == customer.id]
    return [Event(customer.id, one.type, one.time, one.value, one.properties) for one in mine]


def edge_events(rng, needs, customer, events, as_of, tz):
    """Return events at the very edge of what counts, and a microsecond around it."""
    first = needs.since(as_of, tz=tz)
    if first is None or not events:
        return []
    return [
        Event(customer.id, one.type, first + rng.choice(_AROUND), one.value, one.properties)
        for one in rng.sample(events, min(3, len(events)))
    ]


@pytest.mark.long
@given(seed=st.integers(0, 2**40))
@settings(max_examples=3 * settings.default.max_examples)
def test_a_rule_says_the_same_of_what_it_needs_as_of_everything(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer = rng.choice(customers)
    asked = some_asked(rng, as_of, tz)
    for _ in range(3):
        rule = some_leaf(rng, as_of) if rng.random() < 0.6 else some_rule(rng, as_of)
        needs = rule.needs()
        mine = own_events(rng, customer, events)
        mine += edge_events(rng, needs, customer, mine, asked, tz)
        less = pruned(needs, customer, mine, asked, tz)
        one = Segment("s", rule)
        whole, part = one.one(customer, mine, as_of=asked, tz=tz), one.one(*less, as_of=asked, tz=tz)
        assert part.verdict == whole.verdict, (seed, rule)
        assert part.next_change == whole.next_change, (seed, rule)
        assert part.to_dict() == whole.to_dict(), (seed, rule)


@given(seed=st.integers(0, 2**40))
@settings(max_examples=2 * settings.default.max_examples)
def test_what_is_kept_now_is_enough_for_any_later_time(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer = rng.choice(customers)
    mine = own_events(rng, customer, events)
    program = program_of(some_rule(rng, as_of), tz)
    needs = program.needs()
    asked = some_asked(rng, as_of, tz)
    mine += edge_events(rng, needs, customer, mine, asked, tz)
    now = Person.of(customer, mine, as_of=asked, tz=tz).as_of
    kept = needs.keep(mine, asked, tz=tz)
    for _ in range(6):
        later = aware(int(now) + rng.choice([0, 1, rng.randint(0, 4_000_000_000_000), 3_600_000_000]))
        if rng.random() < 0.4:
            later = later.astimezone(program.zone._zone or later.tzinfo).date() + days(1)
        people = [Person.of(customer, some, as_of=later, tz=tz) for some in (mine, kept)]
        assert program.verdict(people[0]) == program.verdict(people[1]), (seed, program.expression, later)


@given(seed=st.integers(0, 2**40))
def test_columns_say_the_same_of_what_a_rule_needs(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    base, _, events = some_base(rng, tz, as_of)
    rule, asked = some_rule(rng, as_of), some_asked(rng, as_of, tz)
    needs = rule.needs()
    log = needs.keep(base.events, asked, tz=tz)
    assert len(log) == len(needs.keep(events, asked, tz=tz))
    columns = {name: base.column(name) for name in needs.fields}
    known = [row for row, who in enumerate(base.customer_id.tolist()) if who != "z"]
    table = CustomerTable.from_columns(
        customer_id=base.customer_id[known], **{name: column.take(known) for name, column in columns.items()}
    )
    less = CustomerBase(customers=table, events=log, tz=tz)
    whole, part = rule.measure(base, asked), rule.measure(less, asked)
    verdicts = [column.values() if column.kind != "empty" else None for column in (whole, part)]
    rows = {who: row for row, who in enumerate(less.customer_id.tolist())}
    for row, who in enumerate(base.customer_id.tolist()):
        if who in rows:
            want, got = (None if v is None else v[k] for v, k in zip(verdicts, (row, rows[who]), strict=True))
            assert want == got or {want, got} <= {None}, (seed, rule, who)


@given(seed=st.integers(0, 2**40))
def test_a_history_keeps_what_a_list_keeps(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer = rng.choice(customers)
    mine = own_events(rng, customer, events)
    rule, asked = some_rule(rng, as_of), some_asked(rng, as_of, tz)
    needs = rule.needs()
    history = needs.keep(CustomerHistory(customer, mine, tz=tz), asked)
    assert len(history) == len(needs.keep(mine, asked, tz=tz))
    one = Segment("s", rule)
    assert one.one(history, as_of=asked).to_dict() == one.one(customer, mine, as_of=asked, tz=tz).to_dict()


@given(seed=st.integers(0, 2**40))
def test_a_set_says_the_same_of_what_it_needs(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer, asked = rng.choice(customers), some_asked(rng, as_of, tz)
    first = Segment("first", some_rule(rng, as_of))
    both = SegmentSet([first, Segment("second", segment("first") & some_leaf(rng, as_of))])
    mine = own_events(rng, customer, events)
    needs = both.needs()
    mine += edge_events(rng, needs, customer, mine, asked, tz)
    less = pruned(needs, customer, mine, asked, tz)
    whole, part = both.one(customer, mine, as_of=asked, tz=tz), both.one(*less, as_of=asked, tz=tz)
    assert {name: one.to_dict() for name, one in part.items()} == {n: one.to_dict() for n, one in whole.items()}


def some_score(rng, as_of):
    """Return a score with both kinds of rules, decays, expiry and points of every kind."""
    rules = []
    for k in range(rng.randint(1, 4)):
        if rng.random() < 0.4:
            points = rng.choice([5, Tiers({1: 2, 3: 4}, of=some_events(rng).count(within=days(9))),
                                 ByValue("city", {"x": 3})])  # fmt: skip
            rule = next(one for _ in range(99) if not asks_the_clock(one := some_rule(rng, as_of, 1)))
            rules.append(Rule(f"r{k}", when=rule, points=points))
            continue
        tiers = rng.random() < 0.2
        points = Tiers({1: 2, 3: 5}) if tiers else rng.choice([3, -4, ByValue("s", {"x": 2.5, "": 1}), prop("n") * 2])
        more = {} if tiers else {"decay": rng.choice([None, half_life(days(3)), linear_decay(days(8))])}
        if not tiers and rng.random() < 0.3:
            more |= {"cap": 4, "cap_per": rng.choice([days(1), "week"])}
        once = rng.choice([None, "s"])
        rules.append(Rule(f"r{k}", each=some_events(rng), points=points, once_per=once,
                          expires=rng.choice([None, days(2), days(30)]), **more))  # fmt: skip
    return LeadScore(name="s", rules=rules, bands={"hot": 10, "warm": 2})


@given(seed=st.integers(0, 2**40))
@settings(max_examples=2 * settings.default.max_examples)
def test_a_score_says_the_same_of_what_it_needs(seed):
    rng = random.Random(seed)
    as_of, tz = some_as_of(rng), rng.choice(ZONES)
    _, customers, events = some_base(rng, tz, as_of)
    customer, asked = rng.choice(customers), some_asked(rng, as_of, tz)
    score = some_score(rng, as_of)
    mine = own_events(rng, customer, events)
    needs = score.needs()
    mine += edge_events(rng, needs, customer, mine, asked, tz)
    less = pruned(needs, customer, mine, asked, tz)
    whole, part = score.one(customer, mine, as_of=asked, tz=tz), score.one(*less, as_of=asked, tz=tz)
    assert part.to_dict() == whole.to_dict(), (seed, score)
    assert str(part) == str(whole)


@given(seed=st.integers(0, 2**40))
@settings(max_examples=2 * settings.default.max_examples)
def test_needs_add_up_and_come_back_from_json(seed):
    rng = random.Random(seed)
    as_of = some_as_of(rng)
    a, b, c = (some_rule(rng, as_of, 1).needs() for _ in range(3))
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + a == a
    assert a + Needs() == a == sum([a, Needs()])
    for one in (a, a + b, a + b + c):
        assert Needs.from_dict(one.to_dict()) == one == Needs.from_json(one.to_json())
        assert hash(Needs.from_dict(one.to_dict())) == hash(one)
        for name in one.events:
            assert one.horizon is None or one.horizon_of(name) <= one.horizon


@pytest.mark.parametrize(
    ("rule", "asked", "at"),
    [  # the clock is set back on 25 October: thirty local days have an hour more
        (event("a").exists(within=days(30)), "2026-11-10", "2026-10-11T00:00:00+02:00"),
        (event("a").exists(within=calendar_days(30)), "2026-11-10T09:00+01:00", "2026-10-11T09:00:00.000001+02:00"),
        (event("a").exists(within=months(1)), "2026-10-31T09:00+01:00", "2026-09-30T09:00:00.000001+02:00"),
        (event("a").exists(during=period("month", -1)), "2026-11-30T23:30+01:00", "2026-10-01T00:00+02:00"),
        (event("a").regularly(1, of=2, period="month"), "2026-10-31T23:30+01:00", "2026-09-01T00:00+02:00"),
    ],
)
def test_what_counts_where_the_clock_changes_is_kept(rule, asked, at):
    one, tz = Event("c", "a", at), "Europe/Berlin"
    assert Segment("s", rule).one(None, [one], as_of=asked, tz=tz).member
    assert rule.needs().keep([one], asked, tz=tz) == [one]


def test_a_longest_row_of_months_is_what_a_month_can_be():
    for n, most in {1: 31, 2: 62, 3: 92, 11: 337, 12: 366, 48: 1461, 4800: 146_097, 4801: 146_128}.items():
        assert event("a").exists(within=months(n)).needs().horizon == days(most), n
    for unit, most in {"day": 3, "week": 21, "month": 92, "quarter": 276, "year": 1096}.items():
        assert event("a").exists(during=period(unit, -2)).needs().horizon == days(most), unit


EXACT = {
    "within": (event("a").exists(within=days(3)), days(3)),
    "ago": (event("a").count(within=days(3), ago=days(2)) > 0, days(5)),
    "regularly": (event("a").regularly(1, of=4, period=days(2)), days(8)),
    "last event": (event("a").last_event(prop("s") == "x", within=days(3)), days(3)),
    "recent": (event("a").not_followed_by(event("b"), timedelta(hours=1), days(3)), days(3)),
}


@pytest.mark.parametrize("name", EXACT)
def test_the_horizon_is_not_longer_than_it_has_to_be(name):
    rule, horizon = EXACT[name]
    assert rule.needs().horizon == horizon
    asked = aware(1_800_000_000_000_000)
    tight = Event("c", "a", asked - horizon + US, None, {"s": "x"})
    gone = Event("c", "a", asked - horizon, None, {"s": "x"})
    assert rule.needs().keep([tight, gone], asked) == [tight]
    one = Segment("s", rule)
    assert one.one(None, [tight], as_of=asked).member
    assert not one.one(None, [gone], as_of=asked).member
