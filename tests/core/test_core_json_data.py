"""Customers and events from JSON: typed by a schema, every problem at once, and back as they were."""

from __future__ import annotations

import contextlib
import json
import pickle
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import Customer, Event, Message, Purchase, Schema, Visit
from relmark.core.documents import Limits
from relmark.errors import DataError, InputError, LimitError

NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
SCHEMA = Schema(
    fields={"age": float, "vip": bool, "city": str, "born": date, "seen": datetime, "tags": frozenset, "x": "empty"},
    events={"purchase": {"sku": str, "quantity": float, "shipped": date}},
)
GOOD = {
    "id": "c1",
    "attributes": {
        "age": 41, "vip": True, "city": "Kazan", "born": "1985-04-12", "seen": "2026-11-01T12:30:00+03:00",
        "tags": ["a", "b"], "x": None,
    },
}  # fmt: skip


def codes(call) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        call()
    told = caught.value.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert [problem["code"] for problem in told["problems"]] == [problem.code for problem in caught.value.problems]
    assert all(problem.message for problem in caught.value.problems)
    assert pickle.loads(pickle.dumps(caught.value)).to_dict() == told
    return [(problem.path, problem.code) for problem in caught.value.problems]


def test_a_schema_types_what_json_cannot():
    for body in (GOOD, json.dumps(GOOD), json.dumps(GOOD).encode()):
        found = SCHEMA.customer(body)
        assert found == Customer(
            "c1",
            {"age": 41, "vip": True, "city": "Kazan", "born": date(1985, 4, 12), "seen": NOW,
             "tags": frozenset("ab"), "x": None},
        )  # fmt: skip


def test_every_problem_of_a_customer_comes_at_once_with_its_place():
    body = {
        "id": True,
        "name": "Ann",
        "attributes": {
            "age": "41", "vip": "true", "city": 7, "born": "April", "seen": "2026-11-01T09:30:00", "tags": ["a", ""],
            "citi": "x", "x": [1],
        },
    }  # fmt: skip
    assert codes(lambda: SCHEMA.customer(body)) == [
        ("$", "unknown_key"),
        ("$.id", "wrong_type"),
        ("$.attributes.age", "wrong_type"),
        ("$.attributes.vip", "wrong_type"),
        ("$.attributes.city", "wrong_type"),
        ("$.attributes.born", "wrong_type"),
        ("$.attributes.seen", "no_time_zone"),
        ("$.attributes.tags[1]", "wrong_type"),
        ("$.attributes.citi", "unknown_field"),
        ("$.attributes.x", "wrong_type"),
    ]


def test_what_is_written_as_text_is_converted_only_where_that_is_asked_for():
    body = {"id": 1, "attributes": {"age": " 41.5 ", "vip": "False", "city": 7}}
    assert codes(lambda: SCHEMA.customer(body)) == [
        (f"$.attributes.{name}", "wrong_type") for name in ("age", "vip", "city")
    ]
    assert SCHEMA.customer(body, convert=True).attributes == {"age": 41.5, "vip": False, "city": "7"}
    for text in ("", "x", "1_000", "nan", "inf", "1e400", "9" * 30, "٣", "0x10"):
        with pytest.raises(DataError):
            SCHEMA.customer({"id": 1, "attributes": {"age": text}}, convert=True)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (str(2**53 + 1), "too_large_number"), (str(-(2**53) - 1), "too_large_number"), ("9" * 400, "too_large_number"),
        ("-" + "9" * 400, "too_large_number"), ("9" * 5_000, "too_large_number"), ("NaN", "not_finite"),
        ("Infinity", "not_finite"), ("-Infinity", "not_finite"), ("1e400", "not_finite"), ("true", "wrong_type"),
    ],
)  # fmt: skip
def test_numbers_that_float64_does_not_hold_are_refused_in_every_door(token, code):
    text = '{"id": 1, "attributes": {"age": #}}'.replace("#", token)
    assert codes(lambda: SCHEMA.customer(text)) == [("$.attributes.age", code)]
    if code != "wrong_type":
        assert codes(lambda: Customer.from_dict(text)) == [("$.attributes.age", code)]
    event = '{"customer_id": 1, "type": "purchase", "time": "2026-11-01T09:30:00Z", "value": #,'
    event += '"properties": {"quantity": #}}'
    assert codes(lambda: SCHEMA.event(event.replace("#", token))) == [
        ("$.value", code),
        ("$.properties.quantity", code),
    ]
    line = '{"customer_id": 1, "time": "2026-11-01T09:30:00Z", "value": #, "quantity": #}'
    assert codes(lambda: Purchase.from_dict(line.replace("#", token))) == [("$.value", code), ("$.quantity", code)]


def test_the_largest_exact_number_is_taken():
    assert SCHEMA.customer({"id": 1, "attributes": {"age": 2**53}}).attributes["age"] == 2**53
    assert SCHEMA.customer({"id": 2**63 - 1}).id == 2**63 - 1
    assert codes(lambda: SCHEMA.customer({"id": 2**63})) == [("$.id", "too_large_number")]


def test_every_problem_of_an_event_comes_at_once_with_its_place():
    assert codes(lambda: SCHEMA.event({"type": "purchas", "time": None, "value": "7", "customer": 1})) == [
        ("$.type", "unknown_event"),
        ("$", "unknown_key"),
        ("$", "missing_key"),
        ("$.time", "missing_value"),
        ("$.value", "wrong_type"),
    ]
    body = {"customer_id": 1, "type": "purchase", "time": "2026-11-01", "properties": {"skew": 1, "shipped": "soon"}}
    assert codes(lambda: SCHEMA.event(body)) == [
        ("$.time", "wrong_type"),
        ("$.properties.skew", "unknown_property"),
        ("$.properties.shipped", "wrong_type"),
    ]


def test_what_is_no_object_or_too_large_is_refused():
    assert codes(lambda: SCHEMA.customer("[1]")) == [("$", "not_object")]
    assert codes(lambda: Customer.from_dict({"id": 1, "attributes": []})) == [("$.attributes", "wrong_type")]
    for text in ("{", '{"id": 1, "id": 2}', 7):
        with pytest.raises(InputError):
            SCHEMA.customer(text)
    with pytest.raises(LimitError):
        SCHEMA.customer(json.dumps(GOOD), limits=Limits(bytes=10))
    small = Limits(string=3, members=2)
    assert codes(lambda: SCHEMA.customer({"id": 1, "attributes": {"city": "Kazan"}}, limits=small)) == [
        ("$.attributes.city", "too_long")
    ]
    assert codes(lambda: SCHEMA.customer({"id": 1, "attributes": {"tags": ["a", "b", "c"]}}, limits=small)) == [
        ("$.attributes.tags", "too_many")
    ]
    assert codes(lambda: SCHEMA.customer({"id": 1, "attributes": dict.fromkeys("abc")}, limits=small)) == [
        ("$.attributes", "too_many")
    ]
    for bad in ("a\0", "\ud800"):
        assert codes(lambda bad=bad: SCHEMA.customer({"id": 1, "attributes": {"city": bad}})) == [
            ("$.attributes.city", "bad_text")
        ]


def test_what_a_constructor_refuses_has_its_place_too():
    line = {"customer_id": 1, "time": "2026-11-01T09:30:00Z", "value": None}
    assert codes(lambda: Purchase.from_dict(line)) == [("$.value", "missing_value")]
    mail = {"customer_id": 1, "time": "2026-11-01T09:30:00Z", "action": "seen", "channel": "mail"}
    ((path, code),) = codes(lambda: Message.from_dict(mail))
    assert (path, code) == ("$.action", "unknown_name")
    twice = {"customer_id": 1, "time": "2026-11-01T09:30:00Z", "page": "/", "properties": {"page": "/b"}}
    assert codes(lambda: Visit.from_dict(twice)) == [("$.properties.page", "duplicate")]


def test_python_values_pass_a_door_as_they_do_a_constructor():
    body = {"id": np.int64(3), "attributes": {"age": np.float32(1.5), "born": date(1985, 4, 12), "tags": {"a"}}}
    assert SCHEMA.customer(body) == Customer(3, {"age": 1.5, "born": date(1985, 4, 12), "tags": frozenset("a")})


TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=6)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | NUMBERS | st.booleans() | TEXT | st.dates() | TIMES
IDS = TEXT | st.integers(-(2**63) + 1, 2**63 - 1)
WORDS = st.none() | TEXT | st.integers(-(2**53), 2**53)
PROPERTIES = st.dictionaries(TEXT.map("p".__add__), PLAIN, max_size=4)
OBJECTS = (
    st.builds(Customer, IDS, st.dictionaries(TEXT, PLAIN | st.frozensets(TEXT, max_size=3), max_size=4))
    | st.builds(Event, IDS, TEXT, TIMES, st.none() | NUMBERS, PROPERTIES)
    | st.builds(Purchase, IDS, TIMES, NUMBERS, WORDS, WORDS, st.none() | NUMBERS, PROPERTIES)
    | st.builds(Message, IDS, TIMES, st.sampled_from(["sent", "opened"]), TEXT, WORDS, WORDS, PROPERTIES)
    | st.builds(
        Visit, IDS, TIMES, st.none() | TEXT, WORDS, WORDS,
        st.none() | st.timedeltas(timedelta(0), timedelta(days=99)) | st.floats(0, 1e6), PROPERTIES,
    )
)  # fmt: skip


@given(OBJECTS)
def test_an_object_comes_back_from_json_as_it_was(one):
    text = json.dumps(one.to_dict(), allow_nan=False)
    assert type(one).from_dict(one.to_dict()) == one
    assert type(one).from_dict(text) == one
    assert type(one).from_dict(text).to_dict() == one.to_dict()


@given(st.recursive(PLAIN | st.just(2**70) | st.just(float("nan")), lambda part: st.lists(part, max_size=2)
       | st.dictionaries(st.sampled_from(["id", "attributes", "age", "tags", "date", "born"]), part, max_size=3),
       max_leaves=12))  # fmt: skip
def test_whatever_comes_a_door_answers_with_a_customer_or_an_input_error(body):
    for door in (SCHEMA.customer, Customer.from_dict, SCHEMA.event, Event.from_dict, Purchase.from_dict):
        with contextlib.suppress(InputError):
            assert isinstance(door(body), (Customer, Event, Purchase))
