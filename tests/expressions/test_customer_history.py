"""A history of one customer: read once, asked many times, one event more without reading the rest again."""

from __future__ import annotations

import json
import math
import pickle
import random
import runpy
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import Customer, CustomerBase, CustomerHistory, Event, Purchase, Schema, days, event, field, prop
from relmark.core.errors import DataError, InputError
from relmark.recommend import Ease, Rules
from relmark.scoring import LeadScore, Rule, half_life
from relmark.segmentation import Segment, SegmentSet

_RANDOM = runpy.run_path(str(Path(__file__).parent / "random_rules.py"))
AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    fields={"age": float, "city": str, "vip": bool, "born": date, "joined": datetime, "tags": frozenset},
    events={"purchase": {"sku": str, "n": float, "gift": bool}, "visit": {"page": str, "day": date, "at": datetime}},
)
SEGMENT = Segment("s", (field("age") >= 18) & (event("purchase", where=prop("sku") == "a").count(within=days(9)) >= 1))
SCORE = LeadScore(name="x", rules=[Rule("v", each=event("visit"), points=3, decay=half_life(days(3)))])


def rows(n=6):
    return [
        {"customer_id": "c1", "type": "purchase" if k % 2 else "visit", "time": AS_OF - timedelta(days=k),
         "value": float(k), "sku": "a" if k % 3 else None, "page": "p", "n": k, "gift": None}
        for k in range(n)
    ]  # fmt: skip


def objects(given):
    names = {"purchase": ("sku", "n", "gift"), "visit": ("page",)}
    return [Event("c1", one["type"], one["time"], one["value"], {name: one[name] for name in names[one["type"]]})
            for one in given]  # fmt: skip


@given(seed=st.integers(0, 2**40))
def test_a_history_is_asked_as_a_customer_and_events_are(seed):
    rng = random.Random(seed)
    as_of, tz = _RANDOM["some_as_of"](rng), rng.choice(_RANDOM["ZONES"])
    _, customers, events = _RANDOM["some_base"](rng, tz, as_of)
    customer = rng.choice(customers)
    mine = [Event(customer.id, one.type, one.time, one.value, one.properties) for one in events]
    start = rng.randint(0, len(mine))
    history = CustomerHistory(customer, mine[:start], tz=tz)
    for one in mine[start:]:
        history = history.add(one)
    asked = _RANDOM["some_asked"](rng, as_of, tz)
    both = SegmentSet([Segment(name, _RANDOM["some_rule"](rng, as_of)) for name in "ab"])
    want = both.one(customer, mine, as_of=asked, tz=tz)
    got = both.one(history, as_of=asked)
    assert {name: one.to_dict() for name, one in got.items()} == {name: one.to_dict() for name, one in want.items()}
    for one in both:
        assert one.one(history, as_of=asked).to_dict() == want[one.name].to_dict()
    assert SCORE.one(history, as_of=asked).to_dict() == SCORE.one(customer, mine, as_of=asked, tz=tz).to_dict()
    again = pickle.loads(pickle.dumps(history))
    assert both["a"].one(again, as_of=asked).to_dict() == want["a"].to_dict()


def test_rows_of_a_database_are_what_events_are():
    given = rows()
    history = CustomerHistory.from_rows(SCHEMA, {"customer_id": "c1", "age": 30, "city": None}, given)
    same = CustomerHistory(Customer("c1", {"age": 30.0, "city": None}), objects(given))
    for definition in (SEGMENT, SCORE):
        one, other = (definition.one(who, as_of=AS_OF).to_dict() for who in (history, same))
        assert one == other
    assert len(history) == 6
    assert history.types == ("purchase", "visit")
    given[0]["value"] = 99.0
    given.clear()
    assert SCORE.one(history, as_of=AS_OF).to_dict() == SCORE.one(same, as_of=AS_OF).to_dict()


def test_columns_of_other_names_nested_properties_and_rows_of_drivers_are_read():
    given = [{"user": 7, "kind": "purchase", "ts": "2026-10-30T10:00:00+02:00", "amount": Decimal("9.5"),
              "payload": {"sku": "a", "n": np.float64(2.0)}, "id": 2**60},
             {"user": 7, "kind": "visit", "ts": np.datetime64("2026-10-30T10:00"), "amount": math.nan, "payload": None,
              "day": "2026-02-28", "id": 1}]  # fmt: skip
    names = {"customer_id": "user", "type": "kind", "time": "ts", "value": "amount", "properties": "payload"}
    history = CustomerHistory.from_rows(
        SCHEMA, {"user": np.int64(7), "tags": ["x"], "born": "2000-01-01", "joined": AS_OF}, given, columns=names
    )
    assert history.customer_id == 7
    rule = (event("purchase").sum() == 9.5) & (event("purchase").last("n") == 2) & event("visit").sum().between(0, 0)
    rule &= (
        (event("visit").last("day") == date(2026, 2, 28)) & field("tags").contains("x") & (field("born").age() == 26)
    )
    assert Segment("s", rule).one(history, as_of=AS_OF).member
    door = sqlite3.connect(":memory:")
    door.row_factory = sqlite3.Row
    row = door.execute("select 'purchase' as type, '2026-10-30T08:00:00Z' as time, 3.5 as value, 'a' as sku").fetchone()
    one = CustomerHistory.from_rows(SCHEMA, {"customer_id": "c1", "age": 20}, [row])
    assert SEGMENT.one(one, as_of=AS_OF).member
    door.close()


def test_every_fault_of_rows_is_named_at_once():
    given = [
        {"type": "purchase", "time": AS_OF, "value": "9", "n": True, "sku": 3, "gift": 1},
        {"type": "purchse", "time": AS_OF},
        {"type": "visit", "time": datetime(2026, 1, 1), "page": "\0", "day": AS_OF},
        {"type": "visit", "time": date(2026, 1, 1), "at": datetime(2026, 1, 1)},
        {"type": "visit", "time": None, "value": math.inf, "customer_id": "c2"},
        {"type": "purchase", "time": AS_OF, "value": 2**53 + 1, "n": 10**400},
    ]
    with pytest.raises(InputError) as caught:
        CustomerHistory.from_rows(SCHEMA, {"customer_id": "c1", "age": "30", "vip": 1, "born": AS_OF}, given)
    said = str(caught.value)
    for place in (
        "row.age is '30'", "row.vip is 1", "row.born is", "rows[0].value is '9'", "rows[0].n is True",
        "rows[0].sku is 3", "rows[0].gift is 1", "rows[1].type is 'purchse'", "'purchase'", "rows[2].time is",
        "rows[2].page is", "rows[2].day is", "rows[3].time is", "rows[3].at is", "rows[4].time is None",
        "rows[4].value is inf", "rows[4].customer_id is 'c2'", "rows[5].value is", "rows[5].n is",
    ):  # fmt: skip
        assert place in said, place


def test_each_fault_of_rows_has_its_path_its_code_and_a_hint_for_an_answer_in_json():
    given = [
        {"type": "purchase", "time": AS_OF, "value": "49.90", "sku": 1001, "gift": "true"},
        {"type": "purchse", "time": "2026-01-01T10:00"},
        {"type": "visit", "time": 1_794_312_000},
        {"type": "visit", "time": AS_OF, "customer_id": "7", "properties": "{}"},
    ]
    with pytest.raises(DataError) as caught:
        CustomerHistory.from_rows(SCHEMA, {"customer_id": 7}, given)
    found = {problem.path: (problem.code, problem.argument, problem.hint) for problem in caught.value.problems}
    zone = "Write its zone: '2026-11-01T09:30:00Z' or '2026-11-01T10:30:00+01:00'."
    number = "Give an int, a float or a Decimal, or pass convert=True."
    assert found == {
        "rows[0].value": ("wrong_type", "value", number),
        "rows[0].sku": ("wrong_type", "sku", "Give str(value), or pass convert=True."),
        "rows[0].gift": ("wrong_type", "gift", "Give a bool, or pass convert=True."),
        "rows[1].type": ("unknown_event", "type", "Did you mean 'purchase'?"),
        "rows[1].time": ("no_time_zone", "time", zone),
        "rows[2].time": ("wrong_type", "time", "Seconds since 1970 are datetime.fromtimestamp(seconds, UTC)."),
        "rows[3].customer_id": ("mixed_types", "customer_id", "An id is an int everywhere or a text everywhere."),
        "rows[3].properties": ("wrong_type", "properties", "Read it with json.loads first."),
    }  # fmt: skip
    told = caught.value.to_dict()
    assert {one["path"] for one in told["problems"]} == set(found)
    assert (told["path"], json.loads(json.dumps(told))) == (caught.value.problems[0].path, told)
    with pytest.raises(DataError) as caught:
        CustomerHistory.from_rows(SCHEMA, None, [*given[:1], {**given[0], "sku": None, "gift": None}])
    assert str(caught.value).count("rows[1].value is '49.90': a number is needed.") == 1
    with pytest.raises(DataError) as caught:
        CustomerHistory.from_rows(SCHEMA, None, [{**given[0], "sku": None, "gift": None, "customer_id": 7}])
    told = caught.value.to_dict()
    assert (told["path"], told["message"], told["hint"]) == (
        "rows[0].value", "rows[0].value is '49.90': a number is needed.", number
    )  # fmt: skip


def test_rows_that_call_the_time_otherwise_are_one_fault_that_names_what_they_have():
    given = [{"uid": 7, "type": "visit", "ts": AS_OF, "page": "a"}] * 5
    with pytest.raises(
        DataError, match="column 'tss', and no row has it; the first row has 'uid', 'type', 'ts', 'page'"
    ):
        CustomerHistory.from_rows(SCHEMA, {"uid": 7}, given, columns={"customer_id": "uid", "time": "tss"})
    with pytest.raises(DataError) as caught:
        CustomerHistory.from_rows(SCHEMA, {"uid": 7}, given)
    assert [(one.path, one.code) for one in caught.value.problems] == [
        ("columns", "missing_column"), ("row.customer_id", "missing_value")
    ]  # fmt: skip
    assert caught.value.problems[1].hint == "Name the column: columns={'customer_id': ...}."
    with pytest.raises(DataError) as caught:
        CustomerHistory.from_rows(SCHEMA, {"uid": 7}, given, columns={"customer_id": "uid", "time": "tss"})
    assert caught.value.hint == "Name the column: columns={'time': 'ts'}."
    assert len(CustomerHistory.from_rows(SCHEMA, {"uid": 7}, [], columns={"customer_id": "uid", "time": "tss"})) == 0


def test_values_of_a_column_that_the_schema_has_as_empty_are_read_as_what_they_are():
    schema = Schema(fields={"later": "empty"}, events={"visit": {"page": "empty"}})
    given = [5, Decimal("2.5"), True, "a", AS_OF, date(2026, 1, 2), ["x", "y"], None, math.nan]
    read = [
        CustomerHistory.from_rows(schema, {"customer_id": 1, "later": one}, []).attributes["later"] for one in given
    ]
    assert read == [5, 2.5, True, "a", AS_OF, date(2026, 1, 2), frozenset("xy"), None, None]
    body = {"customer_id": 1, "type": "visit", "time": AS_OF, "page": "home"}
    visited = CustomerHistory.from_rows(schema, None, [body])
    rule = event("visit", where=prop("page") == "home").exists()
    assert Segment("s", rule).one(visited, as_of=AS_OF + timedelta(hours=1)).member
    for wrong in ({"a": 1}, datetime(2026, 1, 1), math.inf):
        with pytest.raises(DataError, match=r"row\.later is"):
            CustomerHistory.from_rows(schema, {"customer_id": 1, "later": wrong}, [])


def test_numbers_booleans_and_texts_that_are_written_as_one_another_are_converted_where_that_is_asked_for():
    plain = {"type": "purchase", "time": AS_OF, "value": 49.9, "n": 2, "sku": "1001", "gift": True}
    written = {"type": "purchase", "time": AS_OF, "value": " 49.90", "n": "2", "sku": 1001, "gift": "true"}
    empty = {"type": "purchase", "time": AS_OF, "value": None, "n": None, "sku": None, "gift": None}
    want = CustomerHistory.from_rows(SCHEMA, {"customer_id": 7, "age": 30, "vip": False}, [plain, empty])
    got = CustomerHistory.from_rows(
        SCHEMA, {"customer_id": 7, "age": "30", "vip": "False"}, [written, empty], convert=True
    )
    rule = (event("purchase").sum() == 49.9) & (event("purchase").sum("n") == 2)
    rule &= event("purchase", where=(prop("sku") == "1001") & (prop("gift") == True)).count() == 1  # noqa: E712
    rule &= (field("age") == 30) & (field("vip") == False)  # noqa: E712
    assert [Segment("s", rule).one(one, as_of=AS_OF + timedelta(days=1)).member for one in (want, got)] == [True, True]
    for name, wrong in (
        ("value", "49,90"), ("value", "1e999"), ("value", str(2**53 + 1)), ("value", ""), ("value", True), ("n", "two"),
        ("sku", 1.5), ("sku", True), ("gift", "yes"), ("gift", 1),
    ):  # fmt: skip
        with pytest.raises(DataError, match=rf"rows\[0\].{name} is"):
            CustomerHistory.from_rows(SCHEMA, {"customer_id": 7}, [{**plain, name: wrong}], convert=True)


@pytest.mark.parametrize(
    ("row", "given", "said"),
    [
        ({"age": 3}, [], "row.customer_id is None"),
        ([], [], "row is"),
        ({"customer_id": 1}, "x", "rows is"),
        ({"customer_id": 1}, [3], r"rows\[0\] is 3"),
        ({"customer_id": True}, [], "row.customer_id is True"),
        ({"customer_id": 2**64}, [], "64 bits"),
        ({"customer_id": 1}, [{"type": ["visit"], "time": AS_OF}], r"rows\[0\].type is"),
        ({"customer_id": 1}, [{"type": "visit", "time": AS_OF, "properties": "{}"}], r"rows\[0\].properties is '{}'"),
        ({"customer_id": 1}, [{"type": "visit", "time": AS_OF, "customer_id": "1"}], "among events of 1"),
    ],
)
def test_what_is_not_a_row_is_said(row, given, said):
    with pytest.raises(InputError, match=said):
        CustomerHistory.from_rows(SCHEMA, row, given)


def test_who_the_customer_is_may_be_known_from_the_events_alone():
    assert CustomerHistory.from_rows(SCHEMA, None, rows()).customer_id == "c1"
    assert CustomerHistory.from_rows(SCHEMA, None, []).customer_id is None
    assert CustomerHistory(None).add(Purchase("c9", AS_OF, 3.0)).customer_id == "c9"


def test_an_event_more_leaves_the_history_as_it_was():
    first = CustomerHistory(Customer("c1", {"age": 30}), objects(rows()))
    before = SCORE.one(first, as_of=AS_OF).to_dict()
    second = first.add(Event("c1", "visit", AS_OF - timedelta(days=1, hours=1)))
    assert SCORE.one(first, as_of=AS_OF).to_dict() == before
    assert SCORE.one(second, as_of=AS_OF).total > before["total"]
    assert (len(first), len(second)) == (6, 7)
    with pytest.raises(InputError, match="customer 'c2'"):
        first.add(Event("c2", "visit", AS_OF))
    with pytest.raises(InputError, match="Events are needed"):
        first.add({"type": "visit"})


def test_the_person_is_the_same_for_all_questions_of_one_time_and_another_for_another():
    history = CustomerHistory(Customer("c1", {"age": 30}), objects(rows()), tz="Europe/Berlin")
    one = history.person(AS_OF)
    assert history.person(AS_OF.astimezone(timezone(timedelta(hours=3)))) is one
    assert history.person("2026-11-01") is not one
    assert history.person("2026-11-01").as_of.__class__ is not int
    assert SEGMENT.one(history, as_of="2026-10-20").as_of == np.datetime64("2026-10-20")


def test_what_does_not_fit_together_is_refused():
    history = CustomerHistory(Customer("c1", {"age": 30}), [], tz="Europe/Berlin")
    with pytest.raises(InputError, match="together with a CustomerHistory"):
        SEGMENT.one(history, [], as_of=AS_OF)
    with pytest.raises(InputError, match="events are missing"):
        SCORE.one(Customer("c1"), as_of=AS_OF)
    with pytest.raises(InputError, match="tz is 'UTC'"):
        SEGMENT.one(history, as_of=AS_OF, tz="UTC")
    with pytest.raises(InputError, match="zone"):
        CustomerHistory(None, [], tz="Mars")
    with pytest.raises(InputError, match="columns has"):
        CustomerHistory.from_rows(SCHEMA, None, [], columns={"name": "x"})
    with pytest.raises(InputError, match="schema is"):
        CustomerHistory.from_rows({}, None, [])
    assert SEGMENT.one(history, as_of=AS_OF, tz="Europe/Berlin").member is False


@pytest.mark.long
def test_threads_ask_one_history_at_once():
    history = CustomerHistory(Customer("c1", {"age": 30}), objects(rows(400)))
    times = [AS_OF - timedelta(days=k % 7) for k in range(400)]
    often = event("purchase").most_frequent("sku", within=days(300)) == "a"
    many = Segment("m", SEGMENT.rule & often & (event("purchase").count_distinct("n", within=days(300)) > 140))
    want = [many.one(Customer("c1", {"age": 30}), objects(rows(400)), as_of=time).to_dict() for time in times[:7]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda time: many.one(history, as_of=time).to_dict(), times))
    assert all(one == want[k % 7] for k, one in enumerate(found))


def test_a_history_is_a_base_of_one_for_doors_that_take_many():
    bought = [
        Purchase("c1", "2026-11-01T10:00Z", 20.0, item="tea", order="o1"),
        Purchase("c1", "2026-11-03T10:00Z", 10.0, item="cup", order="o2"),
        Event("c1", "visit", "2026-11-04T00:00Z", properties={"shelf": {"tea"}}),
    ]
    history = CustomerHistory(Customer("c1", {"age": 30}), bought, tz="Europe/Berlin")
    base = history.to_base()
    assert (base.customer_id.tolist(), base.tz, base.column("age").value(0)) == (["c1"], "Europe/Berlin", 30.0)
    assert base.events.to_columns()["time"].tolist() == [one.to_event().time.replace(tzinfo=None) for one in bought]
    assert base.purchases().orders().value.tolist() == [20.0, 10.0]
    lines = {"who": ["a", "a", "b", "b"], "sku": ["tea", "pot", "cup", "pot"], "day": ["2026-10-01T12:00Z"] * 4}
    shop = CustomerBase.from_orders(lines, customer_id="who", time="day", item="sku")
    model = Ease(regularization=1.0).fit(shop)
    rules = Rules(exclude_bought="always")
    found = model.recommend(history=history, k=1, rules=rules)
    assert [one.item for one in found.for_customer("c1")] == ["pot"]
    assert found.item.tolist() == model.recommend(history=base, k=1, rules=rules).item.tolist()
    assert CustomerHistory(None, []).to_base().customer_id.tolist() == []
    assert len(CustomerHistory(Customer(7), []).to_base()) == 1
