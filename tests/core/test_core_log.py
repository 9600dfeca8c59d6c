"""The log: its doors and what they refuse, what it holds, and the logs that it makes."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from relmark import CustomerBase, Event, EventLog, Message, Purchase, Visit, days, hours, minutes
from relmark.core.columns import Column
from relmark.errors import InputError, MissingColumnError

T = np.array(["2026-01-05", "2026-01-02", "2026-01-03"], "M8[D]")
NAN = float("nan")


def refused(text, kind=InputError):
    return pytest.raises(kind, match=re.escape(text))


def small():
    return EventLog.from_columns(
        customer_id=["b", "a", "b"],
        type=["visit", "purchase", "purchase"],
        time=T,
        value=[None, 10.0, 20.0],
        properties={"sku": [None, "x", "y"], "page": ["home", None, None]},
    )


GOOD = {"customer_id": [1, 2, 3], "type": "purchase", "time": T}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"customer_id": [1, 2]}, "time has 3 rows and the other columns have 2: give one value per row."),
        ({"value": [1.0]}, "value has 1 rows and the other columns have 3: give one value per row."),
        ({"properties": {"sku": ["x"]}}, "properties['sku'] has 1 rows and the other columns have 3"),
        ({"customer_id": [1, None, 3]}, "customer_id is missing in row 1: drop these rows."),
        ({"customer_id": [1, None, 3]}, '1 of 3 rows has no id: on_error="drop" leaves out such rows and counts them.'),
        ({"customer_id": np.array([NAN, 2.0, NAN])}, '2 of 3 rows have no id: on_error="drop" leaves out such'),
        ({"customer_id": ["7", "nan", "8.0"]}, "customer_id is 'nan' in row 1, where every other id is a number"),
        ({"customer_id": ["<NA>", "nan", "8"]}, "is '<NA>' in row 0, where every other id is a number: it is the text"),
        (
            {"customer_id": ["a", "", "b"]},
            "customer_id is an empty string in row 1: drop these rows, or give them an id.",
        ),
        ({"customer_id": [1, "a", 2]}, "customer_id has 'a' in row 1 and 1 in row 0: ids are all int or all str."),
        ({"customer_id": [1.0, 2.0, NAN]}, "customer_id has 1.0 in row 0: ids are int or str."),
        ({"customer_id": np.array([1.0, 2.0, NAN])}, "Floats often come from integers with missing values: drop those"),
        ({"customer_id": [True, False, True]}, "customer_id has True in row 0: ids are int or str."),
        ({"customer_id": [1, True, 2]}, "customer_id has True in row 1: ids are int or str."),
        ({"customer_id": [b"a", b"b", b"c"]}, "ids are int or str"),
        ({"customer_id": [2**70, 1, 2]}, "customer_id has integers beyond int64: give these ids as strings."),
        (
            {"customer_id": np.array([2**63, 1, 2], np.uint64)},
            "customer_id has 9223372036854775808: ids are int64 or str.",
        ),
        ({"customer_id": [[1], [2], [3]]}, "customer_id has [1] in row 0: ids are int or str."),
        ({"customer_id": np.ones((3, 1), int)}, "customer_id has shape (3, 1): one value per row is needed."),
        ({"customer_id": "abc"}, "customer_id is 'abc': a column is needed, one value per row."),
        ({"customer_id": {1, 2, 3}}, "customer_id is {1, 2, 3}: a column is needed"),
        ({"customer_id": np.array(3)}, "customer_id has shape (): one value per row is needed."),
        ({"customer_id": iter([1, 2, 3])}, "a column is needed, one value per row."),
        ({"customer_id": ["a", "b\0", "c"]}, "which ends in a null character: remove it."),
        (
            {"time": np.array(["2026-01-05", "NaT", "2026-01-03"], "M8[D]")},
            "time has NaT in row 1: every event needs a time.",
        ),
        ({"time": ["2026-01-01", "soon", "2026-01-01"]}, "time is 'soon': write an ISO date"),
        ({"time": [1, 2, 3]}, "time has dtype int64: times are needed. Convert numbers to times"),
        ({"time": ["2026-01-05", "x", "y"]}, "time is 'x': write an ISO date ('2026-11-01')"),
        ({"type": ""}, "type is '': a name is needed."),
        ({"type": ["a", None, "b"]}, "type is missing in row 1: drop these rows."),
        ({"type": ["a", "", "b"]}, "type is an empty string in row 1"),
        ({"type": ["a", 3, "b"]}, "type has 3 in row 1: a string is needed, as in the other rows."),
        ({"type": [["a"], ["b"], ["c"]]}, "type has ['a'] in row 0: a string is needed."),
        ({"type": np.array([["a"], ["b"], ["c"]])}, "type has shape (3, 1)"),
        ({"type": np.array([["a"]] * 3, dtype=object)}, "type has shape (3, 1)"),
        (
            {"value": [1.0, np.inf, 2.0]},
            "value has inf in row 1: finite numbers are needed, or NaN for a missing value.",
        ),
        ({"value": np.array([1.0, -np.inf, 2.0])}, "value has -inf in row 1: finite numbers are needed, or NaN"),
        ({"value": ["1", "2", "3"]}, "value is a column of kind 'text': numbers are needed."),
        ({"value": [True, False, True]}, "value is a column of kind 'boolean': numbers are needed."),
        ({"value": [1, "2", None]}, "value has '2' (text) in row 1 and 1 (number) in row 0: give a column one type."),
        ({"value": np.ones((3, 1))}, "value has shape (3, 1): one value per row is needed."),
        (
            {"properties": {"time": [1, 2, 3]}},
            "properties has 'time', which is the name of another argument: rename the property.",
        ),
        ({"properties": {"": [1, 2, 3]}}, "the name of a property is '': a string that is not empty is needed."),
        ({"properties": {3: [1, 2, 3]}}, "the name of a property is 3: a string"),
        ({"properties": ["sku"]}, "properties is ['sku']: a mapping of names to columns is needed."),
        ({"properties": {"tags": [{"a"}, None, {3}]}}, "properties['tags'] has the tag 3 in row 2"),
        ({"properties": {"sku": [1, "a", None]}}, "properties['sku'] has 'a' (text) in row 1 and 1 (number) in row 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore': it must be one of 'raise', 'drop'."),
        ({"tz": "Mars/Base"}, "tz is 'Mars/Base', which this machine does not know"),
    ],
)
def test_columns_that_cannot_be_a_log_are_refused_with_row_value_and_remedy(changed, message):
    with refused(message):
        EventLog.from_columns(**(GOOD | changed))


def test_rows_that_fail_are_dropped_and_counted_where_asked():
    log = EventLog.from_columns(
        customer_id=np.array([1.0, NAN, 3.0, 4.0, 5.0, 6.0]),
        type=["a", "a", None, "b", "a", ""],
        time=np.array(["2026-01-01", "NaT", "2026-01-03", "NaT", "2026-01-05", "2026-01-06"], "M8[D]"),
        value=[1.0, 2.0, 3.0, 4.0, np.inf, 5.0],
        properties={"sku": ["p", "q", "r", "s", "t", "u"]},
        on_error="drop",
    )
    assert log.to_columns()["customer_id"].tolist() == [1]
    assert log.customer_id.dtype == np.int64
    assert log.dropped == {"customer_id": 1, "time": 1, "type": 2, "value": 1}
    words = EventLog.from_columns(
        customer_id=np.array(["a", "", "b"]), type="v", time=[datetime(2026, 1, 1, tzinfo=UTC)] * 3, on_error="drop"
    )
    assert words.dropped == {"customer_id": 1}
    assert EventLog.from_columns(**GOOD, on_error="drop").dropped == {}
    with refused("ids are int or str"):
        EventLog.from_columns(**(GOOD | {"customer_id": np.array([1.5, 2.0, NAN])}), on_error="drop")


def test_dropping_takes_every_kind_of_column():
    series = pd.Series(["a", None, "b"], dtype="category")
    frame = pd.DataFrame({"user": series, "ts": T, "amount": [1.0, 2.0, np.inf], "n": pd.array([1, None, 3], "Int64")})
    frame["at"] = frame["ts"].dt.tz_localize("Asia/Tokyo")
    log = EventLog.from_frame(
        frame.assign(type="v"), customer_id="user", time="at", value="amount", properties=["n", "user"], on_error="drop"
    )
    assert log.dropped == {"customer_id": 1, "value": 1}
    assert log.to_columns()["n"].tolist() == [1]
    listed = EventLog.from_columns(
        customer_id=pd.Series([1, 2, 3]), type="v", time=pd.Series(T), value=[1.0, np.inf, None], on_error="drop"
    )
    assert listed.dropped == {"value": 1}
    assert listed.to_columns()["value"].tolist()[-1] == 1.0
    column = Column.of("n", [1, 2, 3])
    kept = EventLog.from_columns(**(GOOD | {"customer_id": np.array([1.0, NAN, 3.0])}), value=column, on_error="drop")
    assert kept.to_columns()["value"].tolist() == [3.0, 1.0]


def test_a_log_knows_what_it_holds():
    log = small()
    assert len(log) == 3
    assert log.n_customers == 2
    assert log.types == ("purchase", "visit")
    assert log.first_time == datetime(2026, 1, 2, tzinfo=UTC)
    assert log.last_time == datetime(2026, 1, 5, tzinfo=UTC)
    assert repr(log) == "EventLog(3 events, 2 customers, 2 types: purchase, visit, 2026-01-02 to 2026-01-05)"
    assert "purchase" in str(log)
    assert "<table>" in log._repr_html_()
    assert set(log.partition("purchase").properties) == {"sku"}
    assert log.partition("visit").value is None
    assert log.partition("visti") is None
    columns = log.to_columns()
    assert list(columns) == ["customer_id", "type", "time", "value", "page", "sku"]
    assert columns["time"].dtype == "M8[us]"
    with pytest.raises(TypeError, match="cannot be iterated over"):
        iter(log)
    assert log.to_frame().shape == (3, 6)


def test_an_empty_log_is_a_log():
    for log in (
        EventLog.empty(),
        EventLog.from_events([]),
        EventLog.from_columns(customer_id=[], time=[], type=[]),
        EventLog.from_columns(customer_id=np.array([], "U3"), time=np.array([], "M8[us]"), type="purchase", value=[]),
        EventLog.concat([]),
        EventLog.concat([EventLog.empty(), EventLog.empty()]),
        small().take([False] * 3),
        small().until("2020-01-01"),
        small().without(["a", "b"]),
        small().of_type(),
        EventLog.purchases({"u": [], "t": [], "v": []}, customer_id="u", time="t", value="v"),
    ):
        assert len(log) == 0
        assert log.types == ()
        assert log.n_customers == 0
        assert repr(log) == "EventLog(0 events)"
        assert log.first_time is None
        assert log.last_time is None
        assert {name: len(column) for name, column in log.to_columns().items()} == {
            "customer_id": 0,
            "type": 0,
            "time": 0,
        }
        assert len(log.until("2026-01-01")) == len(log.take([])) == len(log.without([1])) == 0
        assert len(log.append(small())) == 3
        assert str(log)
        with refused("the log has no events of type 'visit': it is empty."):
            log.of_type("visit")
    assert EventLog.empty(np.array(["a"])).customer_id.dtype.kind == "U"


def test_one_customer_with_one_event_is_a_log():
    log = EventLog.from_events([Visit("c1", "2026-01-01T00:00Z")])
    assert log.until("2026-01-01T00:00Z").n_customers == 1  # an instant sees itself
    assert log.until("2026-01-01").n_customers == 0  # a date sees what was before it
    assert log.partition("visit").by_customer[0].tolist() == [0]


def test_events_of_one_time_keep_the_order_in_which_they_came_across_types():
    time = datetime(2026, 1, 1, tzinfo=UTC)
    log = EventLog.from_events([Event("c", name, time) for name in ("z", "a", "m", "a")])
    assert log.to_columns()["type"].tolist() == ["z", "a", "m", "a"]
    again = log.append(EventLog.from_events([Event("c", "b", time)])).append(log)
    assert again.to_columns()["type"].tolist() == ["z", "a", "m", "a", "b", "z", "a", "m", "a"]


def test_typed_events_become_a_log():
    log = EventLog.from_events(
        [
            Purchase("c1", "2026-01-01T10:00Z", 5, order="o", item="i", quantity=2),
            Message("c1", "2026-01-01T09:00Z", "opened", "mail", campaign="spring"),
            Event(
                "c2",
                "call",
                "2026-01-01T08:00Z",
                value=NAN,
                properties={"ok": True, "at": datetime(2026, 1, 1, tzinfo=UTC)},
            ),
        ]
    )
    assert log.types == ("call", "message_opened", "purchase")
    assert log.partition("purchase").value.tolist() == [5.0]
    assert log.partition("call").value is None
    assert log.partition("call").properties["at"].kind == "instant"
    with refused("events has 3 in row 0: Events are needed."):
        EventLog.from_events([3])
    with refused("customer_id has 2 in row 1 and 'a' in row 0: ids are all int or all str."):
        EventLog.from_events([Visit("a", "2026-01-01T10:00Z"), Visit(2, "2026-01-01T10:00Z")])


def test_a_frame_or_a_mapping_becomes_a_log_by_the_names_of_its_columns():
    data = {"user": ["a", "b"], "kind": ["x", "y"], "ts": T[:2], "sum": [1.0, None], "sku": ["p", "q"]}
    log = EventLog.from_frame(data, customer_id="user", type="kind", time="ts", value="sum", properties=["sku"])
    assert log.to_columns()["sku"].tolist() == ["q", "p"]
    with refused("there is no column 'usr': the data have 'user', 'kind'", MissingColumnError):
        EventLog.from_frame(data, customer_id="usr", type="kind", time="ts")
    with refused("Did you mean 'user'?", MissingColumnError):
        EventLog.from_frame(data, customer_id="usr", type="kind", time="ts")
    with refused("properties is 'sku': a list of names is needed, such as ['sku']."):
        EventLog.from_frame(data, customer_id="user", type="kind", time="ts", properties="sku")
    with refused("a list was given: a mapping of columns, or an eager frame of pandas, polars or pyarrow is needed."):
        EventLog.from_frame([data])


def test_orders_become_purchases_with_the_names_that_functions_assume():
    orders = {
        "u": [1, 2],
        "t": T[:2],
        "v": [5.0, 7.0],
        "inv": ["a", "b"],
        "sku": ["p", "q"],
        "n": [1, 2],
        "shop": ["x", "y"],
    }
    named = {"customer_id": "u", "time": "t", "value": "v"}
    log = EventLog.purchases(orders, **named, order="inv", item="sku", quantity="n", properties=["shop"])
    assert sorted(log.partition("purchase").properties) == ["item", "order", "quantity", "shop"]
    bad = orders | {"v": [5.0, None], "u": [None, 2]}
    with refused(
        'v has nan in row 1: a purchase needs a value, 0 if it was free. Fill or drop these rows, or pass on_error="'
    ):
        EventLog.purchases(bad, **named)
    dropped = EventLog.purchases(bad | {"u": np.array([NAN, 2.0]), "v": [5.0, 7.0]}, **named, on_error="drop")
    assert dropped.dropped == {"customer_id": 1}
    both = EventLog.purchases(bad | {"v": [NAN, np.inf], "u": [1, 2]}, **named, order="inv", on_error="drop")
    assert len(both) == 0
    assert both.dropped == {"value": 2}
    with refused("v has inf in row 0"):
        EventLog.purchases(bad | {"v": [np.inf, 1.0]}, **named)
    with refused("on_error is 'skip'"):
        EventLog.purchases(bad, **named, on_error="skip")
    with refused("v is a column of kind 'text': numbers are needed."):
        EventLog.purchases(orders | {"v": ["5", "7"]}, **named, on_error="drop")


def test_a_time_zone_names_what_datetime64_means():
    utc = EventLog.from_columns(
        customer_id=[1], time=np.array(["2026-01-01T01:00"], "M8[s]"), type="a", tz="Europe/Berlin"
    )
    assert utc.first_time == datetime(2026, 1, 1, tzinfo=UTC)
    with refused("time has 2026-03-29T02:30:00.000000 in row 0, which does not exist in Europe/Berlin"):
        EventLog.from_columns(
            customer_id=[1], time=np.array(["2026-03-29T02:30"], "M8[s]"), type="a", tz="Europe/Berlin"
        )


def test_logs_are_joined_with_all_that_they_have():
    a, b = small(), EventLog.from_columns(customer_id=["c"], type="call", time=T[:1], properties={"n": [1]})
    both = a.append(b)
    assert both.types == ("call", "purchase", "visit")
    assert both.customer_id.tolist() == ["a", "b", "c"]
    assert EventLog.concat(log for log in (a, b)).types == both.types
    dropped = EventLog.from_columns(customer_id=["c", None], type="call", time=T[:2], on_error="drop")
    assert dropped.append(dropped).append(EventLog.empty()).dropped == {"customer_id": 2}
    with refused("logs[1] is a dict: an EventLog is needed."):
        EventLog.concat([a, {}])
    with refused("some logs have int ids and others have str ids: convert one side first."):
        a.append(EventLog.from_columns(customer_id=[1], type="call", time=T[:1]))
    with refused(
        "property 'sku' is of kind text in events of type 'purchase' and of kind number in those of type 'call'"
    ):
        a.append(EventLog.from_columns(customer_id=["c"], type="call", time=T[:1], properties={"sku": [1]}))


def test_every_kind_of_property_survives_joining_and_cutting():
    n = 4
    whole = EventLog.from_columns(
        customer_id=list(range(n)),
        type=["a", "b", "a", "b"],
        time=np.arange(n).astype("M8[D]"),
        properties={
            "number": [1, 2, 3, 4],
            "part": [1.5, None, 2.5, None],
            "flag": [True, None, False, True],
            "word": ["x", "y", None, "x"],
            "day": [T[0].item(), None, T[1].item(), None],
            "at": [None, datetime(2026, 1, 1, tzinfo=UTC), None, None],
            "never": [None] * n,
        },
    )
    cut = EventLog.concat([whole.take(np.arange(n) == k) for k in range(n)])
    for name, column in whole.to_columns().items():
        assert repr(cut.to_columns()[name].tolist()) == repr(column.tolist()), name
    assert "never" not in whole.to_columns()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([1, 0, 1], "mask has dtype int64 and shape (3,): one boolean per event is needed."),
        ([True], "mask has 1 rows and the other columns have 3"),
        ([[True]] * 3, "mask has dtype bool and shape (3, 1)"),
    ],
)
def test_a_mask_is_one_boolean_an_event(mask, message):
    with refused(message):
        small().take(mask)


def test_a_type_that_the_log_does_not_have_is_an_error_with_the_nearest_name():
    with refused("the log has no events of type 'purchse': it has 'purchase', 'visit'. Did you mean 'purchase'?"):
        small().of_type("purchse")
    assert small().of_type("visit", "purchase").types == ("purchase", "visit")


def test_a_log_as_it_was_does_not_know_what_later_events_had():
    log = EventLog.from_columns(
        customer_id=[1, 1, 2], type="a", time=np.sort(T), value=[None, None, 5.0], properties={"sku": [None, "x", "y"]}
    )
    assert list(log.until("2026-01-03").to_columns()) == ["customer_id", "type", "time"]
    assert list(log.until("2026-01-04").to_columns()) == ["customer_id", "type", "time", "sku"]
    assert log.until("2026-01-04").partition("a").value is None
    assert CustomerBase(events=log.until("2026-01-03")).schema().events == {"a": {}}
    assert list(log.take([True, False, True]).to_columns()) == ["customer_id", "type", "time", "value", "sku"]


def test_people_are_erased_and_no_word_of_theirs_is_left():
    log = small().without({"b"})
    assert log.customer_id.tolist() == ["a"]
    assert b"home" not in pickle.dumps(log)
    assert log.partition("purchase").properties["sku"].categories.tolist() == ["x"]
    assert small().without("b").customer_id.tolist() == ["a"]
    assert len(small().without(["nobody"])) == 3
    assert len(small().without([])) == 3
    with refused("ids has 3, an id of type int: the ids of the data are str."):
        small().without([3])


def test_page_views_become_visits_at_silences_longer_than_the_gap():
    start = np.datetime64("2026-01-01T00:00", "us")
    at = start + np.array([0, 10, 40, 71, 5], "m8[m]")
    views = EventLog.from_columns(
        customer_id=["a", "a", "a", "a", "b"],
        time=at,
        type="page_view",
        properties={
            "page": ["home", "cart", "end", "back", "b"],
            "channel": ["mail", None, None, "direct", None],
            "n": range(5),
        },
    )
    visits = views.sessions(gap=minutes(30))
    columns = visits.to_columns()
    assert columns["customer_id"].tolist() == ["a", "b", "a"]
    assert columns["duration"].tolist() == [2_400.0, 0.0, 0.0]  # 30 minutes of silence do not end a visit, 31 do
    assert columns["pages"].tolist() == [3, 1, 1]
    assert columns["page"].tolist() == ["home", "b", "back"]
    assert columns["channel"].tolist() == ["mail", None, "direct"]
    assert "n" not in columns
    assert views.sessions(gap=days(1), type="trip").types == ("trip",)
    with refused("gap is 30: a timedelta is needed"):
        views.sessions(gap=30)
    with refused("the log has no events of type 'view'"):
        views.sessions(gap=hours(1), of="view")


def test_a_log_comes_back_from_a_pickle_and_its_caches_are_made_again():
    log = small()
    log.partition("purchase").by_customer
    log.to_columns()
    again = pickle.loads(pickle.dumps(log))
    for name, column in log.to_columns().items():
        assert again.to_columns()[name].tolist() == column.tolist() or name == "value"
    assert again.partition("purchase").by_customer[0].tolist() == log.partition("purchase").by_customer[0].tolist()
    assert len(pickle.loads(pickle.dumps(CustomerBase(events=log)))) == 2
    with pytest.raises(AttributeError):
        log.customer_id = []
    with pytest.raises(AttributeError, match="nothing"):
        log.nothing


def test_a_column_of_words_where_numbers_are_needed_is_told_by_its_first_row_if_it_has_one():
    with pytest.raises(InputError, match="Row 1 has 'x': convert the column") as raised:
        EventLog.from_columns(customer_id=[1, 2], type="a", time=["2026-01-01"] * 2, value=[None, "x"])
    assert raised.value.row == 1
    with pytest.raises(InputError, match="numbers are needed") as raised:
        EventLog.from_columns(customer_id=[], type="a", time=[], value=np.array([], dtype=str))
    assert raised.value.row is None


# ---- mistakes that tables of orders bring


def test_ids_without_missing_ones_are_refused_without_a_word_of_rows_to_drop():
    with pytest.raises(InputError) as found:
        EventLog.from_columns(**GOOD | {"customer_id": np.array([1.0, 2.0, 3.0])})
    assert found.value.hint == ""


def test_the_word_nan_is_an_id_where_other_ids_are_words():
    log = EventLog.from_columns(**GOOD | {"customer_id": ["nan", "ann", "7"]})
    assert log.customer_id.tolist() == ["7", "ann", "nan"]
    assert EventLog.from_columns(**GOOD | {"customer_id": ["1", "20", "3"]}).n_customers == 3
    orders = {"u": ["1", "2", "nan"], "t": T, "v": [NAN, 1.0, 2.0]}
    with refused("customer_id is 'nan' in row 2, where every other id is a number"):
        EventLog.purchases(orders, customer_id="u", time="t", value="v", on_error="drop")


@pytest.mark.parametrize("backend", [pl.DataFrame, pd.DataFrame])
def test_the_first_text_that_is_not_a_time_is_named_in_every_library(backend):
    texts = [f"{day:02}.01.2026" for day in range(31, 0, -1)]
    frame = backend({"u": list(range(31)), "t": ["2026-01-05", *texts[1:]]})
    with refused(
        "time is '30.01.2026': write an ISO date ('2026-11-01') or an ISO time ('2026-11-01T09:30Z'). (row 1)"
    ):
        EventLog.purchases(frame, customer_id="u", time="t")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "12,50",
            "pandas.to_numeric(column.str.replace(',', '.')) or, in polars, column.str.replace(',', '.').cast(float).",
        ),
        (
            "-7,1",
            "pandas.to_numeric(column.str.replace(',', '.')) or, in polars, column.str.replace(',', '.').cast(float).",
        ),
        ("12.50", "pandas.to_numeric(column) or, in polars, column.cast(float)."),
        ("1,234.50", "pandas.to_numeric(column) or, in polars, column.cast(float)."),
    ],
)
def test_money_that_is_text_is_refused_with_the_call_that_makes_numbers_of_it(text, remedy):
    with refused(f"Row 1 has {text!r}: convert the column to numbers first, as in {remedy}"):
        EventLog.purchases({"u": [1, 2], "t": T[:2], "v": [None, text]}, customer_id="u", time="t", value="v")


def test_returned_goods_with_money_that_came_in_are_refused():
    orders = {"u": [1, 2, 1, 3], "t": ["2026-01-09", "2026-01-05", "2026-01-06", "2026-01-07"], "n": [-2, 3, 1, -1]}
    named = {"customer_id": "u", "time": "t", "value": "price", "quantity": "n"}
    with refused("n is -2 and price is 5 in row 0 (and 1 more rows): a return needs a negative value. Pass the money"):
        EventLog.purchases(orders | {"price": [5.0, 4.0, 3.0, 2.0]}, **named)
    with refused("n is -1 and price is 2 in row 3: a return"):
        EventLog.purchases(orders | {"u": [None, 2, 1, 3], "price": [5.0, 4.0, 3.0, 2.0]}, **named, on_error="drop")
    taken = EventLog.purchases(orders | {"price": [-10.0, 12.0, 3.0, 0.0]}, **named)
    assert taken.partition("purchase").value.tolist() == [12.0, 3.0, 0.0, -10.0]
    assert len(EventLog.purchases(orders, **named | {"value": None})) == 4
