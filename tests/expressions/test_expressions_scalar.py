"""Rules for one person: what comes in, what is refused, and the corners of calendars and clocks."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from relmark.core.base import CustomerBase
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.core.events import Customer, Event, Purchase
from relmark.core.hashing import hash_buckets
from relmark.core.log import EventLog
from relmark.core.table import CustomerTable
from relmark.core.time import days, hours, instant, local_midnights, minutes
from relmark.expressions import Window, all_of, event, everyone, field, ids, nodes, prop, sample, segment, sequence
from relmark.expressions.crossings import first_change, roots
from relmark.expressions.scalar import Person, events_of, program_of
from relmark.expressions.scalar_calendar import NEVER, Zone, first_day
from relmark.expressions.scalar_person import Moment, kind_of, plain_value
from relmark.expressions.tags import Tags

AS_OF = datetime(2026, 11, 9, tzinfo=UTC)
US = timedelta(microseconds=1)


def who(attributes=None, events=(), **more):
    customer = None if attributes is None else Customer("c1", attributes)
    return Person.of(customer, events, **{"as_of": AS_OF, **more})


def verdict(rule, attributes=None, events=(), tz="UTC", **more):
    return program_of(rule, tz).verdict(who(attributes, events, tz=tz, **more))


def happened(type: str, hours_ago: float, value=None, **properties) -> Event:
    return Event("c1", type, AS_OF - timedelta(hours=hours_ago), value, properties)


# What comes in


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (3, 3.0),
        (np.int64(3), 3.0),
        (np.float32(0.5), 0.5),
        (Decimal("2.5"), 2.5),
        (float("nan"), None),
        (None, None),
        ("x", "x"),
        (np.str_("x"), "x"),
        (True, True),
        (np.True_, True),
        (date(2026, 1, 2), date(2026, 1, 2)),
        (np.datetime64("2026-01-02"), date(2026, 1, 2)),
        (np.datetime64("NaT", "us"), None),
        (np.datetime64("1970-01-01T00:00:01"), Moment(1_000_000)),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), Moment(1_000_000)),
        (["a", "b"], Tags({"a", "b"})),
    ],
)
def test_a_value_has_one_python_type_a_kind(given, plain):
    found = plain_value("x", given)
    assert found == plain
    assert found is None or type(found) is type(plain)
    assert found is None or kind_of(found)


def test_what_is_no_value_is_refused_by_name():
    for value, words in [
        (float("inf"), "finite"),
        (datetime(2026, 1, 1), "no time zone"),
        ({"a", 1}, "tags are strings"),
        (object(), "is needed"),
    ]:
        with pytest.raises(InputError, match=words):
            verdict(field("x") == 1, {"x": value})


def test_the_events_of_two_people_are_refused():
    stranger = Event("c2", "visit", AS_OF)
    with pytest.raises(InputError, match="events of one customer"):
        who({}, [stranger])
    with pytest.raises(InputError, match="events of one customer"):
        who(None, [happened("visit", 1), stranger])
    with pytest.raises(InputError, match="Events are needed"):
        who({}, ["visit"])
    with pytest.raises(InputError, match="a Customer, or None"):
        Person.of("c1", [], as_of=AS_OF)


def test_later_events_are_never_seen_and_any_order_will_do():
    events = [happened("visit", -1), happened("visit", 3), happened("visit", 0), happened("visit", 2)]
    person = who({}, events)
    assert person.types == ("visit",)
    assert [AS_OF - hours(n) for n in (3, 2, 0)] == [one.time for one in person.events("visit")[1]]
    count = program_of(event("visit").count())
    assert count.value(person) == 3.0
    assert count.value(person, person.as_of + 10**12) == 3.0
    assert count.value(person, person.as_of - 1) == 2.0


def test_events_of_a_selection_in_a_window_are_found():
    events = [Purchase("c1", AS_OF - days(n), float(n), item="ab"[n % 2]) for n in range(5)]
    found = events_of(event("purchase", where=prop("item") == "a"), Window(within=days(3)))
    person = who({}, events)
    assert [one.value for _, one in found(person)] == [2.0, 0.0]
    assert [(AS_OF - datetime(1970, 1, 1, tzinfo=UTC)) // US - time for time, _ in found(person)] == [
        2 * 86_400_000_000, 0,
    ]  # fmt: skip
    assert [one.value for _, one in found(person, person.as_of - 86_400_000_000)] == [2.0]
    assert len(events_of(event("purchase"))(person)) == 5


def test_programs_are_made_once_and_do_not_travel():
    rule = (field("a") > 1) & event("x").exists()
    assert program_of(rule) is program_of(rule)
    assert program_of(rule, "Europe/Berlin") is not program_of(rule)
    again = pickle.loads(pickle.dumps(rule))
    assert again.fingerprint == rule.fingerprint
    assert program_of(again).verdict(who({"a": 2}, [happened("x", 1)])) is True


def test_values_come_out_as_python_has_them():
    attributes = {"at": AS_OF, "on": date(2026, 1, 2), "tags": {"a"}, "n": 3}
    values = {name: program_of(field(name)).value(who(attributes)) for name in [*attributes, "nothing"]}
    assert values == {"at": AS_OF, "on": date(2026, 1, 2), "tags": frozenset({"a"}), "n": 3.0, "nothing": None}


# What is refused


@pytest.mark.parametrize(
    "rule",
    [
        field("n") == "10",
        field("n").is_in(["a"]),
        field("n").between(date(2026, 1, 1), date(2026, 1, 2)),
        field("n") > field("s"),
        field("n").fill("x") == "y",
        field("s") + 1 > 2,
        1 + field("s") > 2,
        field("n").age() > 3,
        field("n").within(days(3)),
        field("n").contains("a"),
        field("tags").startswith("a"),
        field("tags") == field("tags"),
        field("tags").is_in([]),
        field("b") > field("b"),
        field("n") & field("b"),
        ~field("n"),
        field("n"),
        event("v").sum("s") > 1,
        event("v", where=prop("s") > 3).exists(),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_and_never_a_guess(rule):
    attributes = {"n": 10, "s": "10", "tags": {"a"}, "b": True}
    with pytest.raises(InputError, match=r"needed|meets|needs"):
        verdict(rule, attributes, [happened("v", 1, s="x")])


def test_booleans_have_no_order():
    with pytest.raises(InputError, match="only be compared with == and !="):
        program_of(nodes.Compare("lt", field("b"), nodes.Literal(True)))


def test_a_segment_of_a_segment_needs_its_set():
    with pytest.raises(DefinitionError, match="SegmentSet"):
        program_of(segment("adults"))
    rules = {"adults": field("age") >= 18}
    assert program_of(~segment("adults"), segments=rules).verdict(who({"age": 17})) is True


# Corners


def test_a_sample_is_that_of_columns():
    for id_ in [1, -7, 12_345_678_901, "c1", "Ünïcode", ""]:
        for percent in (0.01, 33.3, 100):
            person = Person(id_, {}, {}, 0)
            wanted = hash_buckets([id_], "sample:s")[0] < percent * 100
            assert program_of(sample(percent, salt="s")).verdict(person) == wanted


def test_sums_do_not_depend_on_order_and_too_large_ones_are_unknown():
    values = [1e16, 1.0, -1e16, 0.1]
    assert program_of(event("v").sum()).value(who({}, [happened("v", k, v) for k, v in enumerate(values)])) == 1.1
    huge = [happened("v", k, 1e308) for k in range(2)]
    for rule in (event("v").sum(), event("v").mean()):
        assert program_of(rule).value(who({}, huge)) is None
    assert program_of(field("n") * 10).value(who({"n": 1e308})) is None


def test_a_last_event_at_one_instant_needs_all_of_them():
    rule = event("v").last_event(prop("s") == "x")
    cases = {("x", "x"): True, ("x", "y"): False, ("x", None): None, ("y", None): False}
    for pair, wanted in cases.items():
        for one in (pair, pair[::-1]):
            events = [happened("v", 1, s=value) for value in one] + [happened("v", 2, s="z")]
            assert verdict(rule, {}, events) is wanted


def test_strict_sequences_look_at_all_types_and_exclusions_between_the_ends():
    a, b, c = happened("a", 3), happened("b", 2), happened("c", 1)
    ac = sequence([event("a"), event("c")], strict=True)
    assert verdict(ac, {}, [a, c]) is True
    assert verdict(ac, {}, [a, b, c]) is False
    assert verdict(sequence([event("a"), event("b"), event("c")], strict=True, within=hours(1)), {}, [a, b, c]) is False
    assert verdict(sequence([event("a"), event("c")], exclude=[event("b")]), {}, [a, b, c]) is False
    assert verdict(sequence([event("a"), event("c")], exclude=[event("a")]), {}, [a, b, c]) is True
    assert verdict(sequence([event("a"), event("d")]), {}, [a, b, c]) is False
    at_the_end = sequence([event("a"), event("c")], exclude=[event("b")])
    assert verdict(at_the_end, {}, [a, happened("b", 1), c]) is True
    assert verdict(at_the_end, {}, [a, happened("b", 3), c]) is True


def test_a_base_with_dates_and_instants_among_properties():
    log = EventLog.from_columns(
        customer_id=[1, 1, 2],
        type="v",
        time=np.array(["2026-11-01", "2026-11-02", "2026-11-03"], "M8[us]"),
        properties={
            "on": np.array(["2026-01-01", "NaT", "2026-01-03"], "M8[D]"),
            "at": np.array(["2026-01-01T10", "2026-01-02T11", "NaT"], "M8[s]"),
        },
    )
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[3], age=[4]), events=log)
    person = Person.from_base(base, 1, as_of=AS_OF)
    assert program_of(event("v").last("on")).value(person) == date(2026, 1, 1)
    assert program_of(event("v").last("at")).value(person) == datetime(2026, 1, 2, 11, tzinfo=UTC)
    assert program_of(event("v").last("at").age()).value(person) == 0.0
    assert program_of(event("v", where=prop("at") < date(2026, 1, 2)).count()).value(person) == 1.0
    assert person.types == ("v",)
    assert len(person.attributes) == 1
    assert list(person.attributes) == ["age"]
    assert person.attributes.get("age") is None
    with pytest.raises(MissingColumnError, match="'agee'"):
        person.attributes.get("agee")
    assert len(person._given) == 1
    silent = Person.from_base(base, 3, as_of=AS_OF)
    assert silent.id == 3
    assert program_of(event("v").count()).value(silent) == 0.0
    assert silent.attributes.get("age") == 4
    early = Person.from_base(base, 1, as_of="2020-01-01")
    assert program_of(event("v").exists()).verdict(early) is False
    assert program_of(event("never").exists()).verdict(silent) is False
    nothing = CustomerBase(events=log)
    assert Person.from_base(nothing, 2, as_of=AS_OF).id == 2


def test_midnights_are_those_of_columns_where_the_clock_skips_or_repeats_them():
    skipped = {
        "America/Sao_Paulo": date(2018, 11, 4),
        "Pacific/Apia": date(2011, 12, 30),
        "Asia/Beirut": date(2024, 3, 31),
    }
    for name, day in skipped.items():
        number = day.toordinal() - 719_163
        for near in range(number - 3, number + 4):
            assert Zone(name).midnight(near) == local_midnights(np.array([near]), name)[0]


def test_a_day_that_comes_twice_has_three_edges():
    zone = Zone("America/St_Johns")  # at 00:01 on 2007-11-04 the clock went back to 23:01 of the day before
    day = date(2007, 11, 4).toordinal() - 719_163
    first = zone.midnight(day)
    edges = [zone.next_edge(day, first - 1)]
    edges.append(zone.next_edge(day, edges[-1]))
    edges.append(zone.next_edge(day, edges[-1]))
    assert edges == [first, first + 60_000_000, first + 3_600_000_000]
    assert [zone.day(edge) - day for edge in edges] == [0, -1, 0]
    assert [zone.day(edge - 1) - day for edge in edges] == [-1, 0, -1]
    assert zone.next_edge(day, edges[-1]) == NEVER
    assert zone.next_edge(10**8, 0) == NEVER
    rule = field("born").upcoming(days(1))
    person = who({"born": date(2007, 11, 4)}, as_of=edges[0] * US + datetime(1970, 1, 1, tzinfo=UTC))
    assert program_of(rule, "America/St_Johns").next_change(person) == edges[1]
    returned = field("born").anniversary(upcoming=days(1))  # the birthday is over for a minute, and then it is not
    person = who({"born": date(1990, 11, 3)}, as_of=edges[0] * US + datetime(1970, 1, 1, tzinfo=UTC))
    assert program_of(returned, "America/St_Johns").next_change(person) == edges[1]


def test_calendar_periods_beyond_what_dates_hold_never_come():
    assert first_day(9_999 * 12 + 24, "month") > first_day(9_999 * 12, "month")
    assert first_day(-3, "year") < first_day(12, "year")
    rule = field("born").in_period("year", -1_200)
    assert program_of(rule).next_change(who({"born": date(9_000, 1, 1)})) is None


def test_birthdays_come_back_for_a_hundred_years_and_ages_are_exact():
    born = {"born": date(2008, 2, 29)}
    assert program_of(field("born").age() >= 18).next_change(who(born, as_of="2026-02-27")) == instant("2026-02-28")
    assert program_of(field("born").age() >= 100).next_change(who(born)) == instant("2108-02-29")
    assert program_of(field("born").age() >= 130).next_change(who(born)) is None


def test_regularly_changes_at_the_right_period():
    events = [happened("v", 24 * k) for k in (0, 8, 15)]
    assert program_of(event("v").regularly(3, of=3, period=days(7))).next_change(who({}, events)) == instant(
        AS_OF + days(6)
    )
    waiting = [happened("v", 24 * k) for k in (1, 8, 15)]
    rule = event("v").regularly(3, of=3, period=days(7))
    assert verdict(rule, {}, waiting) is True
    assert program_of(event("v").regularly(1, of=2, period=days(7))).next_change(who({}, [])) is None
    assert program_of(event("v").regularly(2, of=3, period="week")).next_change(who({}, events)) == instant(
        "2026-11-16"
    )
    assert program_of(event("v").regularly(4, of=5, period="week")).next_change(who({}, events)) is None


def test_two_events_that_share_a_period_may_part_later():
    events = [happened("v", 1), happened("v", 20)]
    rule = event("v").regularly(2, of=3, period=hours(24))
    assert verdict(rule, {}, events) is False
    change = program_of(rule).next_change(who({}, events))
    assert change == instant(AS_OF + hours(4))


def test_arithmetic_with_time_changes_to_the_microsecond():
    events = [happened("v", 24), happened("w", 48)]
    since_v, since_w = event("v").days_since_last(), event("w").days_since_last()
    cases = {
        since_v * 2 > 3: hours(12) + US,
        since_v + since_w >= 5: days(1),
        since_v / since_w >= 0.75: days(2),
        (since_v - 2) * (since_v - 2) <= 0.25: hours(12),
        (since_v - 2) * (since_v - 2) == 0: days(1),
        ((since_v - 2) / (since_v - 2)).is_null(): days(1),
        since_v.is_in([1.5, 3]): hours(12),
        since_v.between(2, 3): days(1),
        event("x").days_since_last().fill(7) > since_v: days(6),
        (since_v.fill(0) > 2) == (field("t") == True): days(1) + US,  # noqa: E712
        1 / (since_v - 2) > 3: days(1) + US,
        (since_v > 1) & (since_v - since_v > 0): None,
    }
    for rule, after in cases.items():
        wanted = None if after is None else instant(AS_OF + after)
        assert program_of(rule).next_change(who({"t": True}, events)) == wanted, rule


def test_roots_and_first_changes():
    assert roots([(6.0, -5.0, 1.0)]) == pytest.approx([2.0, 3.0])
    assert roots([(1.0, 0.0, 1.0), (5.0,), (0.0, 0.0), (4.0, 1.0)]) == []
    assert first_change(lambda at: at > 5, 0, 1, []) == 1
    assert first_change(lambda at: at > 5, 0, 100, []) == 6


def test_a_window_with_both_ends_and_a_delay():
    events = [happened("v", 24 * k) for k in (1, 3, 5, 40)]
    count = event("v").count(within=days(4), ago=days(2), since=AS_OF - days(30), until=AS_OF - days(2))
    assert program_of(count).value(who({}, events)) == 2.0
    assert program_of(count >= 2).next_change(who({}, events)) == instant(AS_OF + days(1))
    assert program_of(event("v").count(since=AS_OF - days(4)) >= 3).next_change(who({}, events)) is None
    assert program_of(event("v").exists(until=AS_OF - days(60), ago=days(30))).next_change(who({}, events)) is None


def test_logic_changes_when_its_parts_let_it():
    a, b = event("a").exists(within=days(2)), event("b").exists(within=days(3))
    events = [happened("a", 0), happened("b", 0)]
    ends = {
        a & b: days(2),
        a | b: days(3),
        ~a & ~b: days(3),
        ~(a & b): days(2),
        nodes.AtLeast(1, (a, b)): days(3),
        ~nodes.AtLeast(2, (a, b)): days(2),
        (a & b).is_null(): None,
        (a & b) == (b & b): days(2),
        (field("x") == 1) & a: None,
        everyone & ids(["c1"]) & a: days(2),
        all_of(a, field("x").is_null()): days(2),
    }
    for rule, after in ends.items():
        wanted = None if after is None else instant(AS_OF + after)
        assert program_of(rule).next_change(who({}, events)) == wanted, rule
    rules = {"recent": a}
    assert program_of(~segment("recent"), segments=rules).next_change(who({}, events)) == instant(AS_OF + days(2))
    assert program_of(segment("recent").is_null() | segment("recent"), segments=rules).next_change(
        who({}, events)
    ) == instant(AS_OF + days(2))


def test_a_clock_of_minutes_and_dates_of_instants():
    soon = {"at": AS_OF + minutes(90)}
    assert program_of(field("at").upcoming(hours(1))).next_change(who(soon)) == instant(AS_OF + minutes(30))
    assert program_of(field("at").older_than(hours(1))).next_change(who(soon)) == instant(AS_OF + minutes(150))
    assert program_of(field("at").anniversary(upcoming=days(1))).next_change(who(soon)) == instant(AS_OF + days(1))
    assert program_of(field("at").within(hours(1))).next_change(who({})) is None


def test_ten_thousand_events_in_a_window_are_no_reason_to_wait():
    events = [happened("v", k / 60, 1.0 + k % 7, s=f"{k % 50}") for k in range(10_000)]
    within = days(30)
    person = who({}, events)
    rules = [
        event("v").count(within=within) >= 5,
        event("v").sum(within=within) > 9,
        event("v").active_days(within=within) >= 2,
        nodes.Compare("gt", nodes.Literal(3), event("v").count_distinct("s", within=within)),
        event("v").exists(within=within),
    ]
    started = time.perf_counter()
    changes = [program_of(rule).next_change(person) for rule in rules]
    assert time.perf_counter() - started < 5
    assert changes[0] == instant(AS_OF + within - minutes(4))
    assert changes[3] == instant(AS_OF + within - minutes(2))
    assert changes[4] == instant(AS_OF + within)
    for rule, change in zip(rules, changes, strict=True):
        program = program_of(rule)
        assert program.verdict(person, change - 1) is not program.verdict(person, change)


def test_a_sum_with_refunds_may_come_back_over_its_bound():
    events = [happened("v", 72, 30.0), happened("v", 48, -20.0), happened("v", 24, 15.0)]
    rule = event("v").sum(within=days(4)) >= 20
    assert verdict(rule, {}, events) is True
    program, person = program_of(rule), who({}, events)
    assert program.next_change(person) == instant(AS_OF + days(1))
    low = event("v").sum(within=days(4)) >= 14
    after = program_of(low).next_change(person, instant(AS_OF + days(1)))
    assert after == instant(AS_OF + days(2))
