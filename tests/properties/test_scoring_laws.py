"""Laws of lead scores: against a slow reading, one lead against many, sums, caps, order, time travel, next changes."""

import math
import random
import runpy
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, event, field, prop
from relmark.expressions.walk import asks_the_clock
from relmark.scoring import ByValue, Grade, Group, LeadScore, Rule, Tiers, half_life, linear_decay, step_decay

_RANDOM = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "random_rules.py"))
START = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=40)
US = timedelta(microseconds=1)
KINDS = ("click", "open", "visit")

rows = st.lists(
    st.tuples(
        st.integers(0, 3),  # customer
        st.sampled_from(KINDS),
        st.integers(0, 60 * 24 * 4),  # quarters of an hour
        st.sampled_from([None, 0.1, 2.5, 40.0, -3.0]),
        st.sampled_from([None, "a", "b"]),
    ),
    max_size=40,
)
ages = st.lists(st.one_of(st.none(), st.integers(10, 80)), min_size=4, max_size=4)
points = st.one_of(st.integers(-20, 30), st.floats(-20, 30).map(lambda x: round(x, 3)))
caps = st.one_of(st.none(), st.integers(0, 40))
floors = st.one_of(st.none(), st.none(), st.integers(-30, 0))
lengths = st.integers(1, 60 * 24).map(lambda hours: timedelta(hours=hours))
decays = st.one_of(
    st.none(),
    lengths.map(half_life),
    lengths.map(linear_decay),
    st.tuples(lengths, lengths).map(lambda p: step_decay({min(p): 0.5, max(p) + days(1): 0.125})),
)
selections = st.sampled_from(
    [event("visit"), event("open", "click"), event("visit", "open", where=prop("page") == "a"), event("none")]
)


@st.composite
def rules(draw, name):
    group = draw(st.sampled_from([None, "fit", "site"]))
    cap = draw(caps)
    if draw(st.booleans()):
        when = draw(
            st.sampled_from(
                [
                    field("age") >= 18,
                    event("visit").exists(within=days(9)),
                    event("open").count() >= 2,
                    event("visit").days_since_last() > 5,
                    ~event("click").exists(),
                ]
            )
        )
        given = draw(
            st.one_of(
                points,
                st.just(Tiers({0: 1, 30: 4.5}, of="age")),
                st.just(ByValue("age", {30: 5, 31: -2}, otherwise=0.25)),
                st.just(event("visit").sum(within=days(20)) * 0.3),
            )
        )
        return Rule(name, when=when, points=given, group=group, cap=cap, floor=draw(floors))
    given = draw(
        st.one_of(
            points,
            st.just(prop("value") * 0.07),
            st.just(ByValue("page", {"a": 3, "b": -1}, otherwise=0.5)),
            st.just(Tiers({1: 2, 3: 7})),
        )
    )
    rest = {"expires": draw(st.one_of(st.none(), lengths)), "floor": draw(floors)}
    rest["once_per"] = draw(st.sampled_from([None, None, "page", "value"]))
    if not isinstance(given, Tiers):
        rest["decay"] = draw(decays)
        period = draw(st.sampled_from([None, days(1), days(3), timedelta(hours=5), "week", "month"]))
        if period is not None and cap is not None:
            rest |= {"cap_per": period, "cap_total": draw(caps)}
    return Rule(name, each=draw(selections), points=given, group=group, cap=cap, **rest)


@st.composite
def scores(draw):
    n = draw(st.integers(1, 5))
    return LeadScore(
        name="law",
        rules=[draw(rules(f"r{k}")) for k in range(n)],
        groups=[Group("fit", draw(caps), draw(floors)), Group("site", draw(caps), draw(floors))],
        bands={"warm": 5, "hot": 20},
        grades=draw(st.sampled_from([None, Grade(fit={"A": 10, "B": 0}, site={1: 10, 2: 0})])),
        cap=draw(caps),
        floor=draw(floors),
    )


def events_of(rows):
    return [
        Event(f"c{who}", kind, START + timedelta(minutes=15 * quarter), value, {} if page is None else {"page": page})
        for who, kind, quarter, value, page in rows
    ]


def base_of(rows, ages, tz="UTC"):
    table = CustomerTable.from_columns(customer_id=[f"c{k}" for k in range(4)], age=ages)
    return CustomerBase(customers=table, events=EventLog.from_events(events_of(rows)) if rows else None, tz=tz)


def one_of(score, rows, ages, k, tz="UTC", as_of=AS_OF):
    own = [event for event in events_of(rows) if event.customer_id == f"c{k}"]
    return score.one(Customer(f"c{k}", {"age": ages[k]}), own, as_of=as_of, tz=tz)


@given(scores(), rows, ages, st.sampled_from(["UTC", "Europe/Moscow", "America/New_York"]))
@settings(max_examples=2 * settings.default.max_examples)
def test_one_lead_and_many_agree_to_the_last_bit_and_lines_add_up(score, rows, ages, tz):
    base = base_of(rows, ages, tz)
    found = score.evaluate(base, as_of=AS_OF)
    for k in range(4):
        one = one_of(score, rows, ages, k, tz)
        assert float(one.total) == found.total[k]
        assert sum(line.points for line in one.lines) == one.total
        assert [float(line.points) for line in one.lines if line.kind == "rule"] == found.by_rule[k].tolist()
        assert [float(points) for points in one.by_group.values()] == found.by_group[k].tolist()
        assert one.band == found.band[k]
        assert one.grade == found.grade[k]
        caps = {line.rule: float(line.points) for line in one.lines if line.kind != "rule"}
        assert caps == {name: lost for name, lost in zip(found.caps, found.by_cap[k].tolist(), strict=True) if lost}
        assert score.explain(base, f"c{k}", as_of=AS_OF).total == one.total
        for line in one.lines:
            if line.events and not isinstance(score.rules[found.rules.index(line.rule)].points, Tiers):
                assert sum(event.points for event in line.events) == line.points


def some_score(rng, as_of):
    """Return a score whose conditions, events and calculations are of every node of the language."""
    given = []
    for k in range(rng.randint(1, 4)):
        number, text = _RANDOM["some_number"](rng, as_of, 2), _RANDOM["some_text"](rng, as_of)
        worth = rng.choice([3, -2.5, Tiers({0: 1, 2: 4.5}, of=number), ByValue(text, {"x": 5, "MVP": -2}, 0.25)])
        if rng.random() < 0.7:
            rule = _RANDOM["some_rule"](rng, as_of, rng.randint(0, 2))
            while asks_the_clock(rule):
                rule = _RANDOM["some_rule"](rng, as_of, rng.randint(0, 2))
            given.append(Rule(f"r{k}", when=rule, points=worth))
        else:
            worth = rng.choice([3, prop("n") * 2 - prop("value").fill(1), ByValue(prop("s").fill("x"), {"x": 2})])
            given.append(Rule(f"r{k}", each=_RANDOM["some_events"](rng), points=worth))
    return LeadScore(name="any", rules=given, bands={"warm": 3})


@pytest.mark.long
@given(st.integers(0, 2**40))
@settings(max_examples=3 * settings.default.max_examples, deadline=None)
def test_conditions_of_every_node_score_alike_for_one_and_many_and_name_what_is_missing(seed):
    rng = random.Random(seed)
    as_of, tz = _RANDOM["some_as_of"](rng), rng.choice(_RANDOM["ZONES"])
    base, customers, events = _RANDOM["some_base"](rng, tz, as_of)
    score = some_score(rng, as_of)
    found = score.evaluate(base, as_of=as_of)
    for row, who in enumerate(base.customer_id.tolist()):
        customer = next((one for one in customers if one.id == who), None)
        own = [one for one in events if one.customer_id == who]
        for one in (score.one(customer, own, as_of=as_of, tz=tz), score.explain(base, who, as_of=as_of)):
            assert float(one.total) == found.total[row], (seed, who)
            assert [float(line.points) for line in one.lines] == found.by_rule[row].tolist()
            for line, rule in zip(one.lines, score.rules, strict=True):
                if rule.when is not None and rule.when.measure(base, as_of).value(row) is None:
                    assert line.missing, (seed, who, rule.when)
            assert one.to_dict()["total"] == float(one.total)


@given(scores(), rows, ages, st.randoms(use_true_random=False))
def test_the_order_of_events_and_of_rules_never_matters(score, rows, ages, random):
    shuffled, order = list(rows), list(score.rules)
    random.shuffle(shuffled)
    random.shuffle(order)
    first = score.evaluate(base_of(rows, ages), as_of=AS_OF)
    second = attrs.evolve(score, rules=order).evaluate(base_of(shuffled, ages), as_of=AS_OF)
    assert np.array_equal(first.total, second.total)
    assert np.array_equal(first.by_group, second.by_group)


@given(scores(), rows, ages)
def test_a_cap_never_raises_a_score(score, rows, ages):
    base = base_of(rows, ages)
    capped = score.evaluate(base, as_of=AS_OF).total
    free_rules = [attrs.evolve(rule, cap=None, cap_per=None, cap_total=None) for rule in score.rules]
    free_groups = [attrs.evolve(group, cap=None) for group in score.groups]
    without_rule_caps = attrs.evolve(score, rules=free_rules).evaluate(base, as_of=AS_OF).total
    free = attrs.evolve(score, rules=free_rules, groups=free_groups, cap=None, grades=None).evaluate(base, as_of=AS_OF)
    assert (capped <= without_rule_caps).all()
    assert (without_rule_caps <= free.total).all()


@given(scores(), rows, ages)
def test_scoring_at_an_instant_is_scoring_the_log_cut_there(score, rows, ages):
    base = base_of(rows, ages)
    cut = CustomerBase(customers=base.customers, events=base.events.until(AS_OF))
    assert np.array_equal(score.evaluate(base, as_of=AS_OF).total, score.evaluate(cut, as_of=AS_OF).total)


@given(scores(), rows, ages)
def test_an_instant_for_each_is_the_instant_for_all(score, rows, ages):
    base = base_of(rows, ages)
    moments = [AS_OF + days(k - 2) for k in range(4)]
    mixed = score.evaluate(base, as_of=moments)
    for k, moment in enumerate(moments):
        alone = score.evaluate(base, as_of=moment)
        assert mixed.total[k] == alone.total[k]
        assert mixed.by_rule[k].tolist() == alone.by_rule[k].tolist()


@given(scores())
def test_the_stored_form_is_the_score(score):
    back = LeadScore.from_json(score.to_json())
    assert back == score
    assert back.fingerprint == score.fingerprint


@given(st.one_of(lengths.map(half_life), lengths.map(linear_decay)), st.lists(st.integers(0, 10**14), min_size=2))
def test_factors_fall_from_one_with_age_and_are_the_same_for_one_and_many(decay, ages):
    ages = sorted(ages)
    many = decay.factors(np.array(ages))
    assert many.tolist() == [decay.factor(age) for age in ages]
    assert decay.factor(0) == 1.0
    assert (np.diff(many) <= 1e-15).all()
    assert ((many >= 0) & (many <= 1)).all()


@given(lengths, st.integers(0, 10**13))
def test_a_half_life_is_the_power_of_a_half(length, age):
    x = Fraction(age, length // US)
    assume(x < 900)
    # 2 ** -x by the integer part and a float power of the rest
    expected = math.ldexp(0.5 ** float(x - int(x)), -int(x))
    # the age in half-lives is itself rounded to a float, which costs ln 2 times its own last place
    assert math.isclose(half_life(length).factor(age), expected, rel_tol=3e-16 * (2 + float(x)))


# ---- a slow reading


def naive(score, rows, ages, k):
    """The rules of one customer in exact arithmetic, straight from the page: event, expiry, decay, caps."""
    own = [row for row in rows if row[0] == k and START + timedelta(minutes=15 * row[2]) <= AS_OF]
    groups, total = defaultdict(Fraction), Fraction(0)
    for rule in score.rules:
        given = Fraction(0)
        periods = defaultdict(Fraction)
        happened = sorted((row for row in own if row[1] in rule.each.types), key=lambda row: row[2])
        if rule.once_per is not None:
            of = 4 if rule.once_per == "page" else 3
            last = {row[of]: place for place, row in enumerate(happened)}
            happened = [row for place, row in enumerate(happened) if row[of] is None or last[row[of]] == place]
        for _, _, quarter, _, _ in happened:
            age = AS_OF - START - timedelta(minutes=15 * quarter)
            if rule.expires is not None and age >= rule.expires:
                continue
            factor = 1.0 if rule.decay is None else _factor(rule.decay, age)
            worth = Fraction(round(rule.points * 1000 * factor), 1000)
            periods[(START + timedelta(minutes=15 * quarter)).date()] += worth
        for worth in periods.values():
            given += worth if rule.cap_per is None else min(worth, Fraction(rule.cap))
        limit = rule.cap if rule.cap_per is None else rule.cap_total
        given = given if limit is None else min(given, Fraction(limit))
        given = given if rule.floor is None else max(given, Fraction(rule.floor))
        if rule.group is None:
            total += given
        else:
            groups[rule.group] += given
    for group in score.groups:
        total += groups[group.name] if group.cap is None else min(groups[group.name], Fraction(group.cap))
    return float(total if score.cap is None else min(total, Fraction(score.cap)))


def _factor(decay, age):
    if hasattr(decay, "steps"):
        return next((part for length, part in reversed(decay.steps) if age >= length), 1.0)
    x = age / decay.length
    return 0.5**x if type(decay).__name__ == "HalfLife" else max(0.0, 1 - x)


plain_rules = st.builds(
    lambda kind, points, cap, per, total, group, decay, expires, floor, once: Rule(
        "x",
        each=event(kind),
        points=points,
        cap=cap,
        cap_per=days(1) if per and cap is not None else None,
        cap_total=total if per and cap is not None else None,
        group=group,
        decay=decay,
        expires=expires,
        floor=floor,
        once_per=once,
    ),
    st.sampled_from(KINDS),
    st.integers(-9, 9),
    caps,
    st.booleans(),
    caps,
    st.sampled_from([None, "fit"]),
    decays,
    st.one_of(st.none(), lengths),
    floors,
    st.sampled_from([None, "page", "value"]),
)


@given(st.lists(plain_rules, min_size=1, max_size=4), caps, caps, rows, ages)
def test_points_are_those_of_a_slow_reading(given_rules, group_cap, cap, rows, ages):
    named = [attrs.evolve(rule, name=f"r{k}") for k, rule in enumerate(given_rules)]
    score = LeadScore(name="slow", rules=named, groups=[Group("fit", group_cap)], cap=cap)
    found = score.evaluate(base_of(rows, ages), as_of=AS_OF).total
    for k in range(4):
        assert found[k] == naive(score, rows, ages, k)


# ---- when the answer changes


@given(scores(), rows, ages, st.lists(st.integers(1, 10**9), min_size=5, max_size=5))
def test_the_next_change_is_the_first(score, rows, ages, samples):
    own = [row for row in rows if row[0] == 0 and START + timedelta(minutes=15 * row[2]) <= AS_OF]
    now = one_of(score, own, ages, 0)
    coming = now.next_change
    end = AS_OF + days(40_000) if coming is None else coming
    if coming is not None:
        assert one_of(score, own, ages, 0, as_of=coming).total != now.total
        assert one_of(score, own, ages, 0, as_of=coming - US).total == now.total
    for sample in samples:
        moment = AS_OF + (end - AS_OF) * (sample / 10**9) * (1 if coming is None else 1 - 1e-9)
        if moment < end:
            assert one_of(score, own, ages, 0, as_of=moment).total == now.total


@given(scores(), rows, ages, st.lists(st.integers(1, 10**9), min_size=5, max_size=5))
def test_the_next_change_of_band_is_the_first(score, rows, ages, samples):
    own = [row for row in rows if row[0] == 0 and START + timedelta(minutes=15 * row[2]) <= AS_OF]
    now = one_of(score, own, ages, 0)
    answer = (now.band, now.grade)
    coming = now.next_band_change
    end = AS_OF + days(3_000) if coming is None else coming
    if coming is not None:
        after, before = (one_of(score, own, ages, 0, as_of=moment) for moment in (coming, coming - US))
        assert (after.band, after.grade) != answer
        assert (before.band, before.grade) == answer
    for sample in samples:
        moment = AS_OF + (end - AS_OF) * (sample / 10**9)
        if moment < end:
            found = one_of(score, own, ages, 0, as_of=moment)
            assert (found.band, found.grade) == answer


def turns(points, decay, age, until):
    """Return every age after another, up to a last one, at which points after decay are another thousandth."""
    found, now = [], round(points * 1000 * decay.factor(age))
    while (last := round(points * 1000 * decay.factor(until))) != now:
        low, high = age, until
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if round(points * 1000 * decay.factor(middle)) == now else (low, middle)
        found.append(high)
        age, now = high, round(points * 1000 * decay.factor(high))
        assert abs(now) >= abs(last)
    return found


@given(
    st.lists(st.tuples(st.sampled_from(KINDS[:2]), st.integers(0, 3_000)), min_size=1, max_size=5),
    st.sampled_from([half_life(days(2)), half_life(timedelta(hours=7)), linear_decay(days(3)), linear_decay(days(9))]),
    st.sampled_from([half_life(days(2)), linear_decay(days(5)), step_decay({days(1): 0.5, days(4): 0.0})]),
    st.sampled_from([0.02, 0.05, 0.1]),
    st.sampled_from([0.03, -0.02, -0.05]),
    st.sampled_from([None, 0.06]),
)
def test_the_next_change_of_band_is_the_one_that_a_slow_search_finds(given_rows, first, second, one, other, cap):
    """Of few events with few points every instant at which any of them loses a thousandth is tried in turn."""
    decays, worth = dict(zip(KINDS, (first, second), strict=False)), dict(zip(KINDS, (one, other), strict=False))
    score = LeadScore(
        name="slow", bands={"c": 0.1, "b": 0.05, "a": 0.012, "z": -0.01},
        rules=[Rule(kind, each=event(kind), points=worth[kind], decay=decays[kind], cap=cap) for kind in KINDS[:2]],
    )  # fmt: skip
    events = [Event(0, kind, AS_OF - timedelta(minutes=ago)) for kind, ago in given_rows]
    now = score.one(None, events, as_of=AS_OF)
    last = days(60) // US
    times = {
        happened.time + age * US
        for happened in events
        for age in turns(worth[happened.type], decays[happened.type], (AS_OF - happened.time) // US, last)
    }
    want = next((t for t in sorted(times) if t > AS_OF and score.one(None, events, as_of=t).band != now.band), None)
    assert now.next_band_change == want
    changed = next(
        (t for t in sorted(times) if t > AS_OF and score.one(None, events, as_of=t).total != now.total), None
    )
    assert now.next_change == changed
