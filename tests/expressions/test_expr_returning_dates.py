"""Dates that return every year: anniversaries to come and past ones, and the calendar month of a birthday."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from relmark import CustomerBase, CustomerTable, days, field, parse
from relmark.engines.portable import reasons
from relmark.errors import InputError
from relmark.expressions import Expression
from relmark.expressions.scalar import Person, program_of
from relmark.segmentation import Segment

BORN = [
    date(1990, 3, 1), date(1988, 2, 29), date(1975, 12, 31), date(2001, 1, 1), date(1999, 2, 22), date(1999, 2, 23),
    None,
]  # fmt: skip


def base(tz="UTC"):
    table = CustomerTable.from_columns(customer_id=list(range(len(BORN))), born=BORN)
    return CustomerBase(customers=table, tz=tz)


def who(rule, as_of, tz="UTC"):
    found = Segment("s", rule).evaluate(base(tz), as_of=as_of)
    assert found.unknown == 1  # whose birthday is not known
    return found.ids.tolist()


def returned(born, today, reach):
    """Return whether a date's month and day were one of the last days, day by day."""
    back = (today - timedelta(days=k) for k in range(reach))
    return any(_returns(born, day) for day in back)


def _returns(born, day):
    leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    wanted = (2, 28) if (born.month, born.day) == (2, 29) and not leap else (born.month, born.day)
    return (day.month, day.day) == wanted


def test_a_past_anniversary_is_today_or_one_of_the_days_before():
    seven = field("born").anniversary(past=days(7))
    assert who(seven, "2026-03-01") == [0, 1, 5]  # 1 March, 28 February for the 29th, 23 February; not the 22nd
    assert who(seven, "2028-03-01") == [0, 1]  # in a leap year seven days from 24 February on
    assert who(field("born").anniversary(past=days(1)), "2028-02-28") == []
    assert who(field("born").anniversary(past=days(1)), "2028-02-29") == [1]
    assert who(field("born").anniversary(past=days(2)), "2026-01-01") == [2, 3]


@pytest.mark.parametrize("reach", [1, 2, 7, 59, 364, 365])
def test_past_anniversaries_are_those_of_the_days_before_counted_one_by_one(reach):
    rule = field("born").anniversary(past=days(reach))
    for k in range(0, 1500, 13):
        today = date(2023, 12, 25) + timedelta(days=k)
        assert who(rule, today) == [k for k, born in enumerate(BORN) if born and returned(born, today, reach)]


def test_the_month_of_a_birthday_is_a_calendar_month_of_any_year():
    month = field("born").in_period("month", yearly=True)
    assert who(month, "2026-02-10") == [1, 4, 5]
    assert who(month, "2026-03-31") == [0]
    assert who(field("born").in_period("month", 1, yearly=True), "2026-12-02") == [3]
    assert who(field("born").in_period("quarter", yearly=True), "2026-12-02") == [2]
    assert who(field("born").in_period("year", yearly=True), "2026-12-02") == [0, 1, 2, 3, 4, 5]
    # the week of 29 December 2025 to 4 January 2026 lies in two years
    assert who(field("born").in_period("week", yearly=True), "2026-01-04") == [2, 3]
    assert who(field("born").in_period("day", yearly=True), "2026-02-28") == [1]


def test_the_month_is_that_of_the_zone_of_the_base():
    month, late = field("born").in_period("month", yearly=True), datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert who(month, late) == [1, 4, 5]
    assert who(month, late, "Europe/Berlin") == [0]
    assert 0 in who(field("born").anniversary(past=days(1)), late, "Europe/Berlin")


def test_a_year_far_away_is_no_trouble():
    for offset in (-1200, 1200):
        for unit in ("day", "week", "month", "quarter", "year"):
            rule = field("born").in_period(unit, offset, yearly=True)
            for as_of in ("1800-05-05", "2026-02-27"):
                mask = Segment("s", rule).evaluate(base(), as_of=as_of).mask
                moment = datetime.fromisoformat(f"{as_of}T12:00+00:00")
                ones = [
                    program_of(rule).verdict(Person.from_base(base(), k, as_of=moment)) is True
                    for k in range(len(BORN))
                ]
                assert mask.tolist() == ones


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (field("born").anniversary(past=days(7)), 'field("born").anniversary(past=days(7))'),
        (field("born").in_period("month", yearly=True), 'field("born").in_period("month", yearly=True)'),
        (field("born").in_period("week", 1, yearly=True), 'field("born").in_period("week", 1, yearly=True)'),
    ],
    ids=["past", "month", "week"],
)
def test_they_are_written_read_and_refused_by_engines_by_their_path(rule, text):
    assert rule.to_text() == text
    assert parse(text).fingerprint == rule.fingerprint == Expression.from_json(rule.to_json()).fingerprint
    assert list(reasons(rule)) == ["$"]


def test_the_year_makes_another_rule():
    assert field("b").in_period("month").fingerprint != field("b").in_period("month", yearly=True).fingerprint
    assert field("b").in_period("month", yearly=False).to_json() == field("b").in_period("month").to_json()


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "rule",
    [
        field("born").anniversary(past=days(3)),
        field("born").anniversary(past=days(365)),
        field("born").in_period("month", yearly=True),
        field("born").in_period("week", -1, yearly=True),
        field("born").in_period("day", 2, yearly=True),
    ],
    ids=repr,
)
def test_the_next_change_is_the_first_day_with_another_answer(rule, tz):
    program, world = program_of(rule, tz=tz), base(tz)
    start = datetime(2027, 2, 20, 11, 30, tzinfo=UTC)
    for row, born in enumerate(BORN):
        person = Person.from_base(world, row, as_of=start)
        change = program.next_change(person)
        now = program.verdict(person) is True
        first = None
        for k in range(1, 760):
            noon = start + timedelta(days=k)
            if (program.verdict(Person.from_base(world, row, as_of=noon)) is True) != now:
                first = noon
                break
        if first is None:
            assert change is None or born is not None
            continue
        assert change is not None
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=change)
        assert first - timedelta(days=1) < at <= first


def test_the_explanation_says_when_it_ends():
    past = Segment("s", field("born").anniversary(past=days(7))).explain(base(), 0, as_of="2026-03-04T00:00Z")
    assert past.member
    assert "until 2026-03-08, when the day comes" in str(past)
    month = Segment("s", field("born").in_period("month", yearly=True)).explain(base(), 0, as_of="2026-03-04T00:00Z")
    assert month.member
    assert "2026-04-01" in str(month)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: field("b").anniversary(), "upcoming= and past="),
        (lambda: field("b").anniversary(days(1), past=days(1)), "upcoming= and past="),
        (lambda: field("b").anniversary(past=days(366)), "anniversary.past=366 days"),
        (lambda: field("b").anniversary(past=timedelta(hours=30)), "whole days"),
        (lambda: field("b").in_period("month", yearly=1), "yearly is 1"),
        (lambda: Expression.from_dict(field("b").in_period("day").to_dict() | {"yearly": 1}), "yearly"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(make, word):
    with pytest.raises(InputError, match=word):
        make()
