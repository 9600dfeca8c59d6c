"""Windows of months at the ends of months: a month before 29, 30 and 31 March are all the last day of February."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relmark import Event, calendar_days, days, event, hours, months, sequence
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.scalar_calendar import Zone

MINUTES = timedelta(minutes=30)
SEEN = [
    Event("c", "a", datetime(2024, 2, 29, 19, 30, tzinfo=UTC)),
    Event("c", "b", datetime(2024, 2, 29, 12, tzinfo=UTC)),
]
RULES = {
    "ago": event("a").exists(within=days(1), ago=months(1)),
    "within": event("a").exists(within=months(1)),
    "both": event("a", "b").count(within=months(1), ago=months(1)) == 1,
    "after hours": event("a").exists(within=months(1), ago=hours(5)),
    "after days": event("a", "b").count(within=months(1), ago=calendar_days(2)) == 1,
    "recent": sequence([event("b"), event("a")], recent=months(1)),
}


@pytest.mark.long
@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "Pacific/Apia"])
@pytest.mark.parametrize("name", RULES)
def test_what_left_a_window_of_months_may_come_back_and_is_foreseen(name, tz):
    program = program_of(RULES[name], tz)
    start = datetime(2024, 3, 1, tzinfo=UTC)
    person = Person.of(None, SEEN, as_of=start, tz=tz)
    changes, moment = [], int(person.as_of)
    while (change := program.next_change(person, moment)) is not None:
        changes.append(moment := change)
    step = MINUTES // timedelta(microseconds=1)
    near = {int(person.as_of) + k * step + d for k in range(48 * 70) for d in (-1, 0, 1)}
    near |= {change + d for change in changes for d in (-1, 0)}
    times = sorted(time for time in near if time >= int(person.as_of))
    verdicts = [program.verdict(person, time) for time in times]
    seen = [time for k, time in enumerate(times) if k and verdicts[k] != verdicts[k - 1]]
    assert [change for change in changes if change <= times[-1]] == seen
    assert seen


def test_a_turn_of_months_is_the_next_midnight_of_a_day_that_a_shorter_month_lacks():
    zone, at = Zone("UTC"), datetime(2024, 2, 10, 5, tzinfo=UTC)
    found, moment = [], int(at.timestamp()) * 1_000_000
    for _ in range(5):
        moment = zone.next_turn(moment, (months(1),))
        found.append(datetime.fromtimestamp(moment / 1e6, UTC).strftime("%m-%d %H:%M"))
    assert found == ["02-29 00:00", "03-29 00:00", "03-30 00:00", "03-31 00:00", "04-29 00:00"]
    assert zone.next_turn(moment, (days(3),)) == zone.next_turn(moment, (days(3), calendar_days(2)))
