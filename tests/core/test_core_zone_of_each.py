"""A base in which each customer lives in a time zone of their own: as if everybody were asked alone, in their zone."""

from __future__ import annotations

import random
import runpy
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import Customer, CustomerBase, CustomerTable, EventLog, calendar_days, days, event, field
from relmark.core.errors import InputError, MissingColumnError
from relmark.expressions.walk import asks_the_clock
from relmark.scoring import LeadScore, Rule, half_life
from relmark.segmentation import Segment, SegmentSet

_RANDOM = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "random_rules.py"))
ZONES = ("Pacific/Apia", "America/New_York", "Europe/Berlin", "Asia/Kolkata", None)


def world(rng, tz, as_of):
    """Return a small base whose customers live in zones of their own, and who they are."""
    base, customers, events = _RANDOM["some_base"](rng, tz, as_of)
    zones = [rng.choice(ZONES) for _ in customers]
    table = base.customers.with_column("home", np.array(zones, dtype=object))
    base = CustomerBase(customers=table, events=base.events, tz=tz, zone="home")
    return base, dict(zip((one.id for one in customers), customers, strict=True)), events


@pytest.mark.long
@settings(max_examples=3 * settings.default.max_examples)
@given(st.integers(0, 2**40))
def test_everybody_is_seen_as_if_asked_alone_in_their_zone(seed):
    rng = random.Random(seed)
    as_of, tz = _RANDOM["some_as_of"](rng), rng.choice(["UTC", "Europe/Berlin"])
    base, customers, events = world(rng, tz, as_of)
    asked = _RANDOM["some_asked"](rng, as_of, tz)
    rule = _RANDOM["some_rule"](rng, as_of)
    segment = Segment("s", rule)
    found = segment.evaluate(base, as_of=asked)
    many = SegmentSet([segment, Segment("t", ~rule)]).evaluate(base, as_of=asked)
    assert many.masks["s"].tolist() == found.mask.tolist()
    each = segment.evaluate(base, as_of=[asked] * len(base))
    assert each.mask.tolist() == found.mask.tolist()
    measured = rule.measure(base, asked)
    for row, id_ in enumerate(base.customer_id.tolist()):
        own = [one for one in events if one.customer_id == id_]
        home = base.column("home").value(row) or tz
        alone = segment.one(customers.get(id_), own, as_of=asked, tz=home)
        member, unknown = bool(found.mask[row]), bool(found.unknown_mask[row])
        assert (member, unknown) == (alone.member, alone.verdict is None), (seed, rule, id_)
        assert measured.kind == "empty" or int(measured.data[row]) == (-1 if unknown else int(member))
        told = segment.explain(base, id_, as_of=asked)
        assert (told.verdict, told.next_change) == (alone.verdict, alone.next_change)
        assert base.tz_of(id_) == home


@given(st.integers(0, 2**40))
def test_scores_see_everybody_in_their_zone(seed):
    rng = random.Random(seed)
    as_of, tz = _RANDOM["some_as_of"](rng), rng.choice(["UTC", "Europe/Berlin"])
    base, customers, events = world(rng, tz, as_of)
    asked = _RANDOM["some_asked"](rng, as_of, tz)
    rule = next(one for _ in range(99) if not asks_the_clock(one := _RANDOM["some_rule"](rng, as_of)))
    score = LeadScore(
        name="s",
        rules=[
            Rule("rule", points=7, when=rule),
            Rule("days", points=3, each=event("a"), cap=3, cap_per="day"),
            Rule("fades", points=5, each=event("b"), decay=half_life(days(2))),
        ],
    )
    found = score.evaluate(base, as_of=asked)
    for row, id_ in enumerate(base.customer_id.tolist()):
        own = [one for one in events if one.customer_id == id_]
        alone = score.one(customers.get(id_), own, as_of=asked, tz=base.tz_of(id_))
        assert found.total[row] == alone.total == score.explain(base, id_, as_of=asked).total


def people(**columns) -> CustomerTable:
    return CustomerTable.from_columns(customer_id=["apia", "york", "home"], **columns)


HOMES = ["Pacific/Apia", "America/New_York", None]


def test_a_date_begins_at_the_midnight_of_each():
    log = EventLog.from_columns(
        customer_id=["apia", "york", "home"], type="visit", time=np.array(["2026-03-10T12:00"] * 3, dtype="M8[m]")
    )
    base = CustomerBase(customers=people(zone=HOMES), events=log, tz="UTC", zone="zone")
    # 12:00 UTC is 01:00 on the 11th in Apia, 08:00 on the 10th in New York.
    seen = event("visit").exists(within=calendar_days(1))
    assert seen.measure(base, date(2026, 3, 11)).values().tolist() == [False, True, True]
    assert seen.measure(base, date(2026, 3, 12)).values().tolist() == [True, False, False]
    assert "customers in their own zones" in repr(base)


def test_birthdays_are_local():
    base = CustomerBase(
        customers=people(born=np.full(3, "1990-03-11", dtype="M8[D]"), zone=HOMES), tz="UTC", zone="zone"
    )
    noon = datetime.fromisoformat("2026-03-10T12:00+00:00")
    today = field("born").anniversary(upcoming=days(1))
    assert today.measure(base, noon).values().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("columns", "zone", "error", "message"),
    [
        ({"zone": HOMES}, "home", MissingColumnError, "no field 'home'"),
        ({"zone": [1, 2, 3]}, "zone", InputError, "names of time zones are needed"),
        ({"zone": ["UTC", "Mars/Base", None]}, "zone", InputError, "'Mars/Base' in row 1, which is not a time zone"),
    ],
)
def test_zones_that_are_none_are_refused(columns, zone, error, message):
    with pytest.raises(error, match=message):
        CustomerBase(customers=people(**columns), zone=zone)


def test_nobody_has_no_zone_and_a_base_of_nobody_works():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[], zone=[]), zone="zone")
    assert Segment("s", field("zone").is_null()).evaluate(base, as_of="2026-01-01").mask.tolist() == []
    one = CustomerBase(customers=people(zone=[None] * 3), tz="Europe/Berlin", zone="zone")
    assert one.tz_of("apia") == "Europe/Berlin"
    assert Segment("s", field("zone").is_null()).one(Customer("x"), [], as_of="2026-01-01").member
