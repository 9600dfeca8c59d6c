"""Tables, the base, schemas: one index, alignment, and what does not fit."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, date, datetime

import attrs
import numpy as np
import pandas as pd
import pytest

from relmark import Customer, CustomerBase, CustomerTable, EventLog, ItemTable, Purchase, Schema, Visit
from relmark.core.columns import Column
from relmark.core.results import ColumnarResult
from relmark.errors import InputError, MissingColumnError


def refused(text, kind=InputError):
    return pytest.raises(kind, match=re.escape(text))


def table():
    return CustomerTable.from_columns(customer_id=["b", "a"], city=["Omsk", "Kazan"], age=[30, 41])


def log():
    return EventLog.from_events([Purchase("c", "2026-01-05T12:00Z", 10, item="x"), Visit("a", "2026-01-02T09:00Z")])


def base():
    return CustomerBase(customers=table(), events=log(), items=ItemTable.from_columns(item=["x"], price=[10.0]))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Scores(ColumnarResult):
    customer_id: np.ndarray
    score: np.ndarray
    group: np.ndarray


# ---- tables


def test_a_table_holds_typed_columns_in_the_order_given():
    people = table()
    assert people.customer_id.tolist() == ["b", "a"]
    assert people.column("age").data.dtype == np.int64
    assert people.find(["a", "z", "b"]).tolist() == [1, -1, 0]
    assert repr(people) == "CustomerTable(2 rows; city: text, age: number)"
    assert "Omsk" in str(people)
    assert "<table>" in people._repr_html_()
    assert people.with_column("city", ["X", None]).column("city").values().tolist() == ["X", None]
    assert people.column("city").values().tolist() == ["Omsk", "Kazan"]
    many = CustomerTable.from_columns(customer_id=range(30), n=range(30))
    assert str(many).endswith("... 10 more rows")
    assert repr(CustomerTable.from_columns(customer_id=[])) == "CustomerTable(0 rows; no columns)"
    assert CustomerTable.from_columns(customer_id=[]).find([1]).tolist() == [-1]


@pytest.mark.parametrize(
    ("make", "message", "kind"),
    [
        (
            lambda: CustomerTable.from_columns(customer_id=[1, 2, 1]),
            "customer_id has 1 in row 2 and in an earlier row",
            InputError,
        ),
        (
            lambda: CustomerTable.from_columns(customer_id=["a", ""]),
            "customer_id is an empty string in row 1",
            InputError,
        ),
        (lambda: CustomerTable.from_columns(customer_id=["a", None]), "customer_id is missing in row 1", InputError),
        (
            lambda: CustomerTable.from_columns(customer_id=[1], age=[1, 2]),
            "age has 2 rows and the other columns have 1",
            InputError,
        ),
        (
            lambda: CustomerTable.from_columns(customer_id=[1, 2], city="ab"),
            "city is 'ab': a column is needed",
            InputError,
        ),
        (
            lambda: table().column("cty"),
            "there is no column 'cty'; there are 'city', 'age'. Did you mean 'city'?",
            MissingColumnError,
        ),
        (
            lambda: table().with_column("customer_id", [1, 2]),
            "which is the name of the column of ids: choose another name.",
            InputError,
        ),
        (lambda: table().with_column("", [1, 2]), "the name of a column is '': a string that is not empty", InputError),
        (lambda: table().with_column("x", [1]), "x has 1 rows and the other columns have 2", InputError),
        (
            lambda: CustomerTable.from_frame({"id": [1]}),
            "there is no column 'customer_id': name the column of ids with customer_id=, one of 'id'.",
            MissingColumnError,
        ),
        (
            lambda: CustomerTable.from_frame({"id": [1]}, user="id"),
            "from_frame has no argument 'user': customer_id=",
            InputError,
        ),
        (lambda: ItemTable.from_columns(item=["a", "a"]), "item has 'a' in row 1 and in an earlier row", InputError),
        (
            lambda: CustomerTable.from_frame(pd.DataFrame({"customer_id": pd.Categorical(["a", None])})),
            "customer_id is missing in row 1: drop these rows.",
            InputError,
        ),
    ],
)
def test_a_table_that_cannot_be_is_refused(make, message, kind):
    with refused(message, kind):
        make()


def test_tables_from_frames_customers_and_columns_agree():
    people = [Customer("b", {"city": "Omsk", "age": 30}), Customer("a", {"city": "Kazan", "age": 41})]
    frame = pd.DataFrame({"id": ["b", "a"], "city": ["Omsk", "Kazan"], "age": [30, 41]})
    for made in (CustomerTable.from_customers(people), CustomerTable.from_frame(frame, customer_id="id")):
        assert {k: v.tolist() for k, v in made.to_columns().items()} == {
            k: v.tolist() for k, v in table().to_columns().items()
        }
    ids = np.array([5, 6])
    made = CustomerTable.from_columns(customer_id=ids, tz=["a", "b"])  # a field may have any name
    ids[0] = 9
    assert made.customer_id.tolist() == [5, 6]
    berlin = CustomerTable.from_frame(
        {"customer_id": [1], "at": np.array(["2026-01-01T01"], "M8[h]")}, tz="Europe/Berlin"
    )
    assert berlin.column("at").value(0) == np.datetime64("2026-01-01T00:00")
    again = pickle.loads(pickle.dumps(table()))
    assert again.find(["a"]).tolist() == [1]
    assert ItemTable.from_columns(item=["x", "y"], price=[1.0, None]).item.tolist() == ["x", "y"]


# ---- the base


def test_everyone_is_on_one_index_the_tables_order_first():
    everyone = base()
    assert everyone.customer_id.tolist() == ["b", "a", "c"]
    assert everyone.code_to_row.tolist() == [1, 2]  # the log has a and c
    assert len(everyone) == 3
    assert everyone.find(["c", "z", "b"]).tolist() == [2, -1, 0]
    assert everyone.fields == ("city", "age")
    assert everyone.column("age").values().tolist()[:2] == [30.0, 41.0]
    assert everyone.column("city").values().tolist() == ["Omsk", "Kazan", None]
    assert repr(everyone) == "CustomerBase(3 customers, 2 fields, 2 events, 1 items, UTC)"
    for array in (everyone.customer_id, everyone.code_to_row):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array
    again = pickle.loads(pickle.dumps(everyone))
    assert again.customer_id.tolist() == ["b", "a", "c"]


def test_any_part_may_be_left_out():
    nobody = CustomerBase()
    assert len(nobody) == 0
    assert nobody.schema() == Schema()
    assert nobody.find(["a"]).tolist() == [-1]
    assert CustomerBase(events=log()).customer_id.tolist() == ["a", "c"]
    assert CustomerBase(events=log()).fields == ()
    assert CustomerBase(customers=table()).code_to_row.tolist() == []
    assert CustomerBase(customers=CustomerTable.from_columns(customer_id=[]), events=log()).customer_id.tolist() == [
        "a",
        "c",
    ]
    alone = CustomerBase(customers=table())
    assert alone.column("city") is alone.customers.column("city")


@pytest.mark.parametrize(
    ("make", "message", "kind"),
    [
        (
            lambda: CustomerBase(customers={"customer_id": [1]}),
            "customers is of type dict: type CustomerTable is needed. Make it with",
            InputError,
        ),
        (
            lambda: CustomerBase(events=[]),
            "events is of type list: type EventLog is needed. Make it with EventLog.from_frame(...).",
            InputError,
        ),
        (lambda: CustomerBase(items=table()), "items is of type CustomerTable: type ItemTable is needed.", InputError),
        (lambda: CustomerBase(tz="Mars/Base"), "tz is 'Mars/Base', which this machine does not know", InputError),
        (lambda: CustomerBase(tz=3), "tz is 3: a name such as", InputError),
        (
            lambda: CustomerBase(customers=CustomerTable.from_columns(customer_id=[1]), events=log()),
            "the customer table has int ids and the log has str ids: convert one side first.",
            InputError,
        ),
        (
            lambda: base().column("cty"),
            "customers have no field 'cty'; their fields are 'city', 'age'. Did you mean 'city'?",
            MissingColumnError,
        ),
        (lambda: CustomerBase().column("x"), "customers have no field 'x'; their fields are none.", MissingColumnError),
        (lambda: base().with_column("x", [1]), "x has 1 rows and the other columns have 3", InputError),
        (lambda: base().with_column("customer_id", [1, 2, 3]), "the name of the column of ids", InputError),
        (
            lambda: base().with_columns({"score": [1]}),
            "the result has no column 'customer_id': it has 'score'.",
            MissingColumnError,
        ),
        (
            lambda: base().with_columns({}),
            "the result has no column 'customer_id': it has no columns.",
            MissingColumnError,
        ),
        (
            lambda: base().with_columns({"customer_id": ["a", "z", "q"], "x": [1, 2, 3]}),
            "the result has customer 'z', whom the base does not have (2 such): build the base with them",
            InputError,
        ),
        (
            lambda: base().with_columns({"customer_id": ["a", "a"], "x": [1, 2]}),
            "the result has a customer twice",
            InputError,
        ),
        (
            lambda: base().with_columns({"customer_id": ["a"], "x": [1]}, ["y"]),
            "the result has no column 'y': it has 'x'.",
            MissingColumnError,
        ),
        (
            lambda: base().with_columns({"customer_id": ["a"], "x": [1]}, "x"),
            "names is 'x': a list of names is needed",
            InputError,
        ),
        (
            lambda: base().with_columns({"customer_id": [1], "x": [1]}),
            "customer_id has 1, an id of type int",
            InputError,
        ),
        (
            lambda: base().measure({"x": 3}, as_of="2026-01-01"),
            "expressions['x'] is 3: an expression is needed",
            InputError,
        ),
        (
            lambda: base().measure({"customer_id": 3}, as_of="2026-01-01"),
            "the name of the column of ids: choose another name.",
            InputError,
        ),
        (lambda: base().measure({}, as_of="soon"), "as_of is 'soon': write an ISO date", InputError),
    ],
)
def test_a_base_that_cannot_be_is_refused(make, message, kind):
    with refused(message, kind):
        make()


def test_results_of_rooms_join_by_customer():
    scores = Scores(customer_id=np.array(["c", "b"]), score=np.array([3, 2]), group=np.array(["x", "y"]))
    for result in (
        scores,
        scores.to_columns(),
        scores.to_frame("pandas"),
        scores.to_frame("polars"),
        scores.to_frame("pyarrow"),
    ):
        joined = base().with_columns(result)
        np.testing.assert_array_equal(joined.column("score").values(), [2.0, np.nan, 3.0])
        assert joined.column("group").values().tolist() == ["y", None, "x"]
    named = base().with_columns(scores, {"score": "points"})
    assert named.fields == ("city", "age", "points")
    assert base().with_columns(scores, ["group"]).fields == ("city", "age", "group")
    assert base().with_columns(scores, []).fields == ("city", "age")
    whole = base().with_columns({"customer_id": ["c", "a", "b"], "n": [2**60 + 1, 2, 3]})
    assert whole.column("n").values().tolist() == [3, 2, 2**60 + 1]
    replaced = base().with_column("city", [None, "x", "y"])
    assert replaced.column("city").values().tolist() == [None, "x", "y"]
    assert replaced.events is not None
    assert base().fields == ("city", "age")


class Twice:
    def measure(self, base, as_of, shared=None):
        shared.setdefault("calls", []).append(base.as_of(as_of))
        return Column.of("x", [True, None, False]) if len(shared["calls"]) == 1 else np.arange(3)


def test_measures_are_aligned_and_share_their_work():
    found = base().measure({"flag": Twice(), "n": Twice()}, as_of="2026-01-01")
    assert found["customer_id"].tolist() == ["b", "a", "c"]
    assert found["flag"].tolist() == [True, None, False]
    assert found["n"].tolist() == [0, 1, 2]


def test_as_of_is_one_instant_or_one_a_customer():
    midnight = 1_767_225_600_000_000
    assert base().as_of("2026-01-01").clock == midnight
    assert base().as_of(pd.Timestamp("2026-01-01", tz="UTC")).clock == midnight
    moscow = CustomerBase(customers=table(), events=log(), tz="Europe/Moscow")
    three = 3 * 3_600_000_000
    for many in (
        ["2026-01-01", date(2026, 1, 1), np.datetime64("2026-01-01")],
        np.array(["2026-01-01"] * 3, "M8[D]"),
        np.array(["2026-01-01"] * 3),
        np.array([date(2026, 1, 1)] * 3, dtype=object),
        ["2025-12-31T21:00Z", datetime(2025, 12, 31, 21, tzinfo=UTC), np.datetime64("2026-01-01T00:00")],
        np.array(["2026-01-01T00:00"] * 3, "M8[m]"),  # without a zone it is local time of the base
        pd.Series([pd.Timestamp("2026-01-01", tz="Europe/Moscow")] * 3),
        pd.Series(np.array(["2026-01-01T00:00"] * 3, "M8[ns]")),
    ):
        assert moscow.as_of(many).clock.tolist() == [midnight - three] * 3
    assert moscow.as_of("2026-01-01").clock == midnight - three
    with refused("as_of has 2 rows and the other columns have 3"):
        base().as_of(["2026-01-01"] * 2)
    with refused("as_of has None in row 1"):
        base().as_of(["2026-01-01", None, "2026-01-01"])


# ---- schemas


def test_a_schema_names_fields_and_events_with_their_kinds():
    found = base().schema()
    assert found == Schema(fields={"city": str, "age": float}, events={"purchase": {"item": str}, "visit": {}})
    kinds = Schema(fields={"a": bool, "b": int, "c": date, "d": datetime, "e": set, "f": frozenset, "g": "text"}).fields
    assert kinds == {"a": "boolean", "b": "number", "c": "date", "d": "instant", "e": "tags", "f": "tags", "g": "text"}
    assert Schema.from_json(found.to_json()) == found
    assert "contains" in found.operators("city")
    with refused("there is no field 'cty'. Did you mean 'city'?"):
        found.operators("cty")
    for kind in (list, "txt", [], {}):
        with refused("bool, int, float, str, date, datetime, frozenset (tags) or one of number, boolean"):
            Schema(fields={"x": kind})
    with refused("events['buy']['sku'] is 'txt'"):
        Schema(events={"buy": {"sku": "txt"}})


def test_a_notebook_shows_what_a_base_holds_with_every_name_escaped():
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=[1, 2], **{"<b>": ["x", "y"]}),
        items=ItemTable.from_columns(item=["scarf"]),
    )
    assert repr(base) == "CustomerBase(2 customers, 1 fields, 0 events, 1 items, UTC)"
    shown = base._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown


def test_a_base_says_how_many_rows_were_dropped():
    orders = {"u": [1, None, 2, None], "t": ["2026-01-05"] * 4}
    shop = CustomerBase.from_orders(orders, customer_id="u", time="t", on_error="drop")
    assert repr(shop) == "CustomerBase(2 customers, 0 fields, 2 events, 2 rows dropped, UTC)"
    assert "rows dropped" in shop._repr_html_()
    whole = CustomerBase.from_orders({"u": [1, 2], "t": ["2026-01-05"] * 2}, customer_id="u", time="t", on_error="drop")
    assert "dropped" not in repr(whole)
