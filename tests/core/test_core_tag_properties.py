"""Events whose properties are sets of tags: taken in, handed out, asked of, and refused where one value is needed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import Customer, CustomerBase, Event, EventLog, event, minutes, prop, sequence
from relmark.core.errors import DefinitionError, InputError
from relmark.scoring import LeadScore, Rule
from relmark.segmentation import Segment

DAY = [datetime(2026, 1, day, 9, tzinfo=UTC) for day in range(1, 8)]
EVENTS = [
    Event("a", "view", DAY[0], properties={"shelf": {"toys", "books"}}),
    Event("a", "view", DAY[1], properties={"shelf": ["toys"]}),
    Event("a", "view", DAY[2], properties={"shelf": None}),
    Event("a", "view", DAY[3], properties={"shelf": ()}),
    Event("b", "view", DAY[0], properties={"shelf": ("garden",)}),
    Event("b", "view", DAY[0], properties={"shelf": ("garden", "books")}),
    Event("c", "buy", DAY[0]),
]
VIEW = event("view")
NOW = "2026-02-01"


def base() -> CustomerBase:
    return CustomerBase(events=EventLog.from_events(EVENTS))


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table, dict])
def test_lists_of_a_frame_are_sets_of_tags(make):
    frame = make({"user": ["a", "a", "b"], "ts": [DAY[0]] * 3, "shelf": [["toys", "books", "toys"], None, []]})
    log = EventLog.from_frame(frame, customer_id="user", time="ts", type="view", properties=["shelf"])
    expected = [frozenset({"books", "toys"}), None, frozenset()]
    assert log.to_columns()["shelf"].tolist() == expected
    assert EventLog.from_columns(**_back(log)).to_columns()["shelf"].tolist() == expected
    both = EventLog.concat([log, EventLog.from_events(EVENTS)])
    assert both.to_columns()["shelf"].tolist().count(frozenset({"toys", "books"})) == 2
    assert CustomerBase(events=log).schema().events == {"view": {"shelf": "tags"}}


def _back(log: EventLog) -> dict[str, object]:
    columns = log.to_columns()
    return {name: columns[name] for name in ("customer_id", "type", "time")} | {
        "properties": {"shelf": columns["shelf"]}
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (event("view", where=prop("shelf").contains("books")).count(), [1, 1, 0]),
        (event("view", where=prop("shelf").contains_none(["books"])).count(), [2, 1, 0]),
        (event("view", where=prop("shelf").is_empty()).count(), [1, 0, 0]),
        (event("view", where=prop("shelf").is_null()).count(), [1, 0, 0]),
        (VIEW.count_distinct("shelf"), [2, 2, 0]),  # books and toys; books and garden
        (VIEW.most_frequent("shelf"), ["toys", "garden", None]),
        (VIEW.first("shelf"), [frozenset({"books", "toys"}), frozenset({"books", "garden"}), None]),
        (VIEW.last("shelf"), [frozenset(), frozenset({"books", "garden"}), None]),
        (sequence([VIEW, VIEW], same="shelf"), [False, False, False]),
    ],
)
def test_what_is_asked_of_tags_is_the_same_of_many_and_of_one(expression, expected):
    shop = base()
    found = expression.measure(shop, NOW)
    assert [None if gone else value for gone, value in zip(found.missing, found.values(), strict=True)] == expected
    assert not Segment("s", expression.not_null()).problems(shop.schema())
    for name, wanted in zip("abc", expected, strict=True):
        rule = Segment("s", _is(expression, wanted))
        own = [one for one in EVENTS if one.customer_id == name]
        assert rule.one(Customer(name), own, as_of=NOW).member
        assert rule.explain(shop, name, as_of=NOW).member


def _is(expression, wanted):
    if wanted is None:
        return expression.is_null()
    if isinstance(wanted, bool):
        return expression if wanted else ~expression
    if isinstance(wanted, frozenset):
        return expression.contains_all(sorted(wanted)) if wanted else expression.is_empty()
    return expression == wanted


def test_a_mail_counts_once_for_each_set_of_tags():
    score = LeadScore(name="s", rules=[Rule("seen", points=5, each=VIEW, once_per="shelf")])
    own = [one for one in EVENTS if one.customer_id == "a"]
    assert score.evaluate(base(), as_of=NOW).total.tolist()[0] == score.one(Customer("a"), own, as_of=NOW).total


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda b: event("view", where=prop("shelf") == "toys").exists().measure(b, NOW), DefinitionError,
         "a set of tags cannot be compared. Use contains_any"),
        (lambda b: VIEW.sum("shelf").measure(b, NOW), DefinitionError, "is a set of tags, but sum needs numbers"),
        (lambda b: b.events.sessions(gap=minutes(30), of="view", type="s", cut_by="shelf"), InputError,
         "cut_by names a property of kind 'tags'"),
        (lambda b: b.purchases(type="view", order="shelf").orders(), InputError,
         "the property of orders or items holds sets of tags"),
        (lambda _: Event("a", "view", DAY[0], properties={"shelf": [1]}), InputError, "has the tag 1: tags are str"),
        (lambda _: Event("a", "view", DAY[0], properties={"shelf": ["x\0"]}), InputError, "NUL"),
        (lambda _: EventLog.from_columns(customer_id=[1], type="v", time=np.array(["2026-01-01"], "M8[s]"),
                                         properties={"shelf": [[2.5]]}), InputError, "tags are strings"),
    ],
)  # fmt: skip
def test_tags_are_refused_where_one_value_is_needed(ask, error, message):
    with pytest.raises(error, match=message):
        ask(base())
