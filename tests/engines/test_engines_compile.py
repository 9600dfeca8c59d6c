"""One rule over numpy, Polars and DuckDB: the same members, the same unknowns."""

from __future__ import annotations

import random
import runpy
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import engines
from relmark.core.base import CustomerBase
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.core.log import EventLog
from relmark.core.table import CustomerTable
from relmark.core.time import days, hours
from relmark.expressions import (
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    ids,
    nodes,
    prop,
    sample,
    segment,
    sequence,
)
from relmark.segmentation.segments import Segment

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
LAWS = runpy.run_path(str(Path(__file__).parents[1] / "properties" / "test_expressions_one_person_laws.py"))
NAMES = {"customer_id": "user", "time": "ts", "type": "event", "value": "amount"}
AS_OF = datetime(2026, 11, 9, tzinfo=UTC)


def frames(customers, events):
    """Return the customers and events of a small base as polars frames."""
    people = pl.DataFrame(
        {"user": [one.id for one in customers]}
        | {name: [one.attributes[name] for one in customers] for name in customers[0].attributes if name != "tags"},
        schema={
            "user": pl.String, "age": pl.Float64, "n": pl.Int64, "city": pl.String, "vip": pl.Boolean, "born": pl.Date,
            "joined": pl.Datetime("us", "UTC"),
        },
    )  # fmt: skip
    happened = pl.DataFrame(
        {
            "user": [one.customer_id for one in events],
            "event": [one.type for one in events],
            "ts": [one.time.replace(tzinfo=None) for one in events],
            "amount": [one.value for one in events],
            **{name: [one.properties[name] for one in events] for name in ("s", "n", "f")},
        },
        schema={
            "user": pl.String, "event": pl.String, "ts": pl.Datetime("us"), "amount": pl.Float64, "s": pl.String,
            "n": pl.Float64, "f": pl.Boolean,
        },
    )  # fmt: skip
    return people, happened


def through_polars(rule, people, happened, **more):
    found = engines.evaluate(
        rule, events=happened.lazy(), customers=None if people is None else people.lazy(), columns=NAMES, **more
    )
    assert isinstance(found, pl.LazyFrame)
    return rows_of(found.collect())


def through_duckdb(rule, people, happened, **more):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    tables = {"happened": happened} | ({} if people is None else {"people": people})
    for name, frame in tables.items():
        connection.register(name, frame.to_arrow())
    relations = {name: connection.sql(f"select * from {name}") for name in tables}
    found = engines.evaluate(
        rule, events=relations["happened"], customers=relations.get("people"), columns=NAMES, **more
    )
    assert type(found).__name__ == "DuckDBPyRelation"
    return rows_of(found.pl())


def rows_of(frame):
    return {row["customer_id"]: (row["member"], row.get("unknown")) for row in frame.to_dicts()}


ENGINES = pytest.mark.parametrize("through", [through_polars, through_duckdb])


def portable_rule(rng, as_of, depth=3):
    if depth and rng.random() < 0.6:
        parts = [portable_rule(rng, as_of, depth - 1) for _ in range(rng.choice([2, 2, 3]))]
        return rng.choice([all_of(*parts), any_of(*parts), ~parts[0], at_least(2, *parts)])
    while True:
        leaf = LAWS["some_leaf"](rng, as_of)
        sets = any(name in leaf.to_text() for name in ("tags", "kinds"))
        if not sets and not engines.unsupported(leaf, tz="Europe/Berlin"):
            return leaf


@pytest.mark.long
@ENGINES
@given(seed=st.integers(0, 2**40))
def test_engines_find_the_members_that_numpy_finds(through, seed):
    rng = random.Random(seed)
    as_of, tz = LAWS["some_as_of"](rng), rng.choice(["UTC", "Europe/Berlin"])
    base, customers, events = LAWS["some_base"](rng, tz, as_of)
    rule = portable_rule(rng, as_of)
    if tz != "UTC" and 'field("born")' in rule.to_text() and 'field("joined")' in rule.to_text():
        tz, base = "UTC", CustomerBase(customers=base.customers, events=base.events, tz="UTC")
    people, happened = frames(customers, events)
    expected = Segment("x", rule).evaluate(base, as_of=as_of)
    found = through(rule, people, happened, as_of=as_of, tz=tz, unknown=True)
    wanted = zip(expected.mask.tolist(), expected.unknown_mask.tolist(), strict=True)
    assert found == dict(zip(base.customer_id.tolist(), wanted, strict=True)), (seed, rule)


PEOPLE = pl.DataFrame(
    {"user": ["a", "b", "c"], "age": [30, None, 17], "born": [date(1990, 1, 1), None, date(2009, 11, 9)]}
)
HAPPENED = pl.DataFrame(
    {
        "user": ["a", "a", "b", "d", None],
        "event": pl.Series(["purchase", "visit", "purchase", "visit", "purchase"], dtype=pl.Categorical),
        "ts": [datetime(2026, 11, day) for day in (2, 8, 9, 10, 3)],
        "amount": [20.0, None, float("nan"), 1.0, 5.0],
        "sku": pl.Series(["x", None, "y", "z", "x"], dtype=pl.Categorical),
    }
)


def members(through, rule, people=PEOPLE, happened=HAPPENED, **more):
    return sorted(
        id_ for id_, (member, _) in through(rule, people, happened, **{"as_of": AS_OF, **more}).items() if member
    )


@ENGINES
def test_a_person_whom_only_the_events_have_is_listed_and_missing_ids_are_nobody(through):
    assert through(everyone, PEOPLE, HAPPENED, as_of=AS_OF) == dict.fromkeys("abcd", (True, None))
    assert members(through, event("purchase").exists()) == ["a", "b"]
    assert members(through, ~event("purchase").exists()) == ["c", "d"]


@ENGINES
def test_missing_values_are_unknown_and_no_members(through):
    found = through(field("age") >= 18, PEOPLE, HAPPENED, as_of=AS_OF, unknown=True)
    assert found == {"a": (True, False), "b": (False, True), "c": (False, False), "d": (False, True)}
    assert members(through, event("purchase").mean() >= 0) == ["a"]
    assert members(through, event("purchase").sum() == 0) == ["b", "c", "d"]
    assert members(through, event("purchase").count() == 1) == ["a", "b"]


@ENGINES
def test_days_since_compare_to_the_microsecond(through):
    rule = event("visit").days_since_last()
    assert members(through, rule >= 1) == ["a"]
    assert members(through, rule > 1) == []
    assert members(through, rule == 1) == ["a"]
    assert members(through, rule.is_in([1, 7])) == ["a"]
    assert members(through, rule.is_in([])) == []
    assert members(through, rule.is_null()) == ["b", "c", "d"]
    assert members(through, rule.between(0.5, 1)) == ["a"]
    assert members(through, nodes.Compare("lt", nodes.Literal(1), rule), as_of=AS_OF + timedelta(microseconds=1)) == [
        "a"
    ]
    assert members(through, rule > -1e12) == ["a"]
    assert members(through, rule > 1e12) == []


@ENGINES
def test_without_customers_those_who_have_events_are_listed(through):
    rule = event("purchase", where=prop("sku") == "x").count(within=days(30)) >= 1
    assert members(through, rule, None) == ["a"]
    assert set(through(rule, None, HAPPENED, as_of=AS_OF)) == set("abd")
    assert members(through, ids(["a", "d"]) & event("visit").exists(), None) == ["a"]


@pytest.mark.parametrize("rule", [~event("purchase").exists(), everyone, ids(["a", "z"]), event("purchase").sum() < 10])
def test_without_customers_a_rule_that_the_silent_satisfy_is_refused(rule):
    with pytest.raises(InputError, match="people without events"):
        engines.evaluate(rule, events=HAPPENED, columns=NAMES, as_of=AS_OF)


def test_without_customers_fields_are_refused():
    with pytest.raises(InputError, match=r"\$.left uses field"):
        engines.evaluate(field("age") > 3, events=HAPPENED, columns=NAMES, as_of=AS_OF)
    with pytest.raises(InputError, match="pass the frame of customers"):
        engines.evaluate(sample(5, salt="s"), events=HAPPENED, columns=NAMES, as_of=AS_OF, precomputed={"$": "drawn"})


def test_what_stays_in_numpy_is_named_with_its_path():
    parts = {
        sample(10, salt="s"): "$",
        field("city").like("K*"): "$",
        field("city").has_word("VP"): "$",
        field("city").contains("k", casefold=True): "$",
        field("born").in_period("month"): "$",
        field("born").anniversary(upcoming=days(7)): "$",
        field("born").age() >= 18: "$.left",
        event("a").regularly(2, of=3, period="month"): "$",
        event("a").last_event(prop("s") == "x"): "$",
        sequence([event("a"), event("b")]): "$",
        event("a").most_frequent("s") == "x": "$.left",
        event("a", where=prop("s").like("x*")).exists(): "$.events.where",
        event("a").days_since_last() * 2 > 3: "$.left.left",
        event("a").days_since_last() > event("b").days_since_last(): "$.left",
    }
    for rule, path in parts.items():
        assert engines.unsupported(rule)[0] == path, rule
        with pytest.raises(DefinitionError, match="only numpy can evaluate") as raised:
            engines.evaluate(rule, events=HAPPENED, customers=PEOPLE, columns=NAMES, as_of=AS_OF)
        assert raised.value.path == path
    assert engines.unsupported(all_of(everyone, *parts))[1] == "$.args[2]"
    assert engines.unsupported(event("a").active_days() > 2) == ()
    assert engines.unsupported(event("a").active_days() > 2, tz="Europe/Berlin") == ("$.left",)
    with pytest.raises(InputError, match="it must be a rule"):
        engines.unsupported("x")


@ENGINES
def test_members_computed_elsewhere_stand_for_a_path(through):
    people = PEOPLE.with_columns(drawn=pl.Series([True, False, None]))
    rule = sample(50, salt="s") & everyone
    found = through(rule, people, HAPPENED, as_of=AS_OF, precomputed={"$.args[0]": "drawn"}, unknown=True)
    assert found == {"a": (True, False), "b": (False, False), "c": (False, True), "d": (False, True)}


@ENGINES
def test_segments_of_segments(through):
    rules = {"adults": field("age") >= 18, "buyers": segment("adults") & event("purchase").exists()}
    assert members(through, ~segment("buyers") | segment("adults"), segments=rules) == ["a", "c", "d"]
    with pytest.raises(DefinitionError, match="kids"):
        members(through, segment("kids"), segments=rules)
    with pytest.raises(DefinitionError, match="adults:"):
        members(through, segment("adults"), segments={"adults": sample(5, salt="s")})


@ENGINES
def test_an_abandoned_basket_runs_on_engines(through):
    rule = event("visit").not_followed_by(event("purchase"), within=hours(1), recent=days(3))
    assert members(through, rule) == ["a"]
    assert members(through, rule, as_of=AS_OF + days(2)) == ["d"]
    assert members(
        through, event("purchase").not_followed_by(event("visit"), within=hours(1)), as_of=AS_OF + days(1)
    ) == ["b"]


def test_wrong_types_and_unknown_columns_are_refused_before_anything_runs():
    def run(rule, **more):
        return engines.evaluate(
            rule, **({"events": HAPPENED, "customers": PEOPLE, "columns": NAMES} | more), as_of=AS_OF
        )

    with pytest.raises(DefinitionError, match="they cannot be compared"):
        run(field("age") > "10")
    with pytest.raises(MissingColumnError, match="'age'"):
        run(field("agee") > 10)
    with pytest.raises(MissingColumnError, match="sku"):
        run(event("purchase", where=prop("skuu") == "x").exists())
    with pytest.raises(MissingColumnError, match="value"):
        run(event("purchase").sum() > 0, columns={name: NAMES[name] for name in ("customer_id", "time", "type")})
    with pytest.raises(MissingColumnError, match="Name it in columns"):
        run(everyone, columns={})
    with pytest.raises(InputError, match="it must hold times"):
        run(everyone & event("purchase").exists(), columns=NAMES | {"time": "amount"})
    with pytest.raises(InputError, match=r"EventLog\.from_frame"):
        run(everyone, events=HAPPENED.to_pandas())
    with pytest.raises(InputError, match="events is a dict"):
        run(everyone, events={})


def test_times_with_a_zone_are_turned_into_utc_or_refused():
    rule = event("purchase").exists(within=days(1))
    local = HAPPENED.with_columns(pl.col("ts").dt.replace_time_zone("Asia/Kolkata"))
    assert members(through_polars, rule, happened=local) == ["b"]
    assert members(through_polars, rule, happened=local, as_of="2026-11-09T23:00Z") == []
    connection = duckdb.connect()
    connection.register("happened", HAPPENED.with_columns(pl.col("event", "sku").cast(pl.String)).to_arrow())
    text = "select user, event, ts::timestamptz as ts, amount, sku from happened"
    connection.execute("set timezone = 'UTC'")
    found = engines.evaluate(rule, events=connection.sql(text), columns=NAMES, as_of=AS_OF)
    assert [row["customer_id"] for row in found.pl().to_dicts() if row["member"]] == ["b"]
    connection.execute("set timezone = 'Asia/Kolkata'")
    with pytest.raises(InputError, match="set the session time zone to UTC"):
        engines.evaluate(rule, events=connection.sql(text), columns=NAMES, as_of=AS_OF)


def test_customers_may_call_their_id_customer_id():
    people = PEOPLE.rename({"user": "customer_id"})
    assert members(through_polars, field("age") > 18, people) == ["a"]


def test_dates_and_instants_compare_in_utc_and_with_fixed_values_in_any_zone():
    people = PEOPLE.with_columns(joined=pl.Series([datetime(1990, 1, 1), None, datetime(2009, 11, 8)]))
    assert members(through_polars, field("born") > field("joined"), people) == ["c"]
    with pytest.raises(InputError, match="only in UTC"):
        members(through_polars, field("born") > field("joined"), people, tz="Europe/Berlin")
    midnight = datetime(1989, 12, 31, 23, tzinfo=UTC)  # of 1990-01-01 in Berlin
    for op, found in {"eq": ["a"], "ne": ["c"], "lt": [], "le": ["a"], "gt": ["c"], "ge": ["a", "c"]}.items():
        rule = nodes.Compare(op, field("born"), nodes.Literal(midnight))
        assert members(through_polars, rule, people, tz="Europe/Berlin") == found
    assert members(through_polars, field("born").is_in([midnight]), people, tz="Europe/Berlin") == ["a"]


def test_the_plan_is_lazy_and_the_numpy_answer_is_the_same_for_a_segment():
    seg = Segment("x", (field("age") >= 18) & (event("purchase").count(within=days(30)) >= 1))
    base = CustomerBase(
        customers=CustomerTable.from_frame(PEOPLE, customer_id="user"),
        events=EventLog.from_frame(
            HAPPENED.drop_nulls("user"), customer_id="user", type="event", time="ts", value="amount"
        ),
    )
    assert members(through_duckdb, seg) == seg.evaluate(base, as_of=AS_OF).ids.tolist()


@ENGINES
@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (event("purchase", "visit").active_days(within=days(30)) >= 2, ["a"]),
        (event("purchase", "visit").active_days() - event("purchase").count() == 1, ["a"]),
        (event("purchase", where=prop("sku").endswith("x")).exists(), ["a"]),
        (event("purchase", where=prop("sku").startswith("y")).exists(), ["b"]),
        (event("purchase", where=prop("sku").contains_all(["x", "y"])).exists(), []),
        (event("purchase", where=prop("sku").contains_none(["x"])).exists(), ["b"]),
        (nodes.Literal(3).between(1, 4) & event("visit").exists(), ["a"]),
        ((field("age") >= 18) == event("visit").exists(), ["a", "c"]),
        (event("purchase").first("sku") == event("purchase").last("sku"), ["a", "b"]),
        (field("age").fill(40) * 2 > 70, ["b", "d"]),
        (field("age") / (field("age") - 30) > 0, []),
        (event("purchase").count_distinct("sku") >= 1, ["a", "b"]),
        (field("born").is_in([]), []),
        (~field("born").is_in([]), ["a", "c"]),
        (field("born").is_in([date(1990, 1, 1)]), ["a"]),
        (field("born").older_than(days(7_000)), ["a"]),
        (field("born").within(days(7_000)), ["c"]),
        (field("born").upcoming(days(7)), []),
        (nodes.Compare("lt", nodes.Literal(18), field("age")), ["a"]),
        (ids([]), []),
    ],
)
def test_each_portable_part_finds_whom_it_means(through, rule, found):
    assert members(through, rule) == found


def test_without_narwhals_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(InputError, match=r"pip install 'relmark\[dataframes\]'"):
        engines.evaluate(everyone, events=HAPPENED, as_of=AS_OF)
