"""Frames as warehouses hold them: sentinel dates, ids of several types, columns without values, odd columns."""

from __future__ import annotations

import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from relmark import CustomerBase, CustomerTable, EventLog, at_least, days, engines, event, field, ids, prop
from relmark.errors import InputError, MissingColumnError

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
END, START = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)
COMPILE = runpy.run_path(str(Path(__file__).parent / "test_engines_compile.py"))
ENGINES = COMPILE["ENGINES"]


def both(through, people, happened):
    if through is COMPILE["through_polars"]:
        return people.lazy(), happened.lazy(), None
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("people", people.to_arrow())
    connection.register("happened", happened.to_arrow())
    # Before 1.5 a relation of DuckDB lives no longer than its connection, which the caller keeps.
    return connection.sql("select * from people"), connection.sql("select * from happened"), connection


def found(through, rule, people, happened, columns=None, **more):
    customers, events, _kept = both(through, people, happened)
    frame = engines.evaluate(rule, events=events, customers=customers, columns=columns, as_of=AS_OF, **more)
    rows = frame.collect().to_dicts() if hasattr(frame, "collect") else frame.pl().to_dicts()
    return {row["customer_id"]: row["member"] for row in rows}


PEOPLE = pl.DataFrame(
    {
        "customer_id": ["a", "b", "c"],
        "valid_to": [END.replace(tzinfo=None), START.replace(tzinfo=None), None],
        "until": [date(9999, 12, 31), date(1, 1, 1), None],
        "type": ["gold", "plain", None],
        "age": [20.0, 30.0, None],
    }
)
HAPPENED = pl.DataFrame(
    {
        "customer_id": ["a", "a", "b"],
        "time": [datetime(2026, 10, 1), datetime(1, 1, 1), datetime(2026, 9, 1)],
        "type": ["buy", "buy", "buy"],
        "value": [1.0, 2.0, 4.0],
    }
)


def through_numpy(rule, tz="UTC"):
    table = CustomerTable.from_columns(
        customer_id=["a", "b", "c"], valid_to=[END, START, None], until=[date(9999, 12, 31), date(1, 1, 1), None],
        type=["gold", "plain", None], age=[20.0, 30.0, None],
    )  # fmt: skip
    log = EventLog.from_columns(
        customer_id=["a", "a", "b"], type="buy", time=[datetime(2026, 10, 1, tzinfo=UTC), START,
                                                       datetime(2026, 9, 1, tzinfo=UTC)], value=[1.0, 2.0, 4.0],
    )  # fmt: skip
    base = CustomerBase(customers=table, events=log, tz=tz)
    column = rule.measure(base, AS_OF)
    return {who: column.value(row) is True for row, who in enumerate(base.customer_id.tolist())}


ever = timedelta.max
SENTINELS = [
    field("valid_to") == END, field("valid_to") != END, field("valid_to") >= END, field("valid_to") < END,
    field("valid_to") <= START, field("valid_to").is_in([END]), field("valid_to").between(AS_OF, END),
    field("until") == date(9999, 12, 31), field("until") < date(9999, 12, 31), field("until") == date(1, 1, 1),
    field("until") > AS_OF, field("until").upcoming(days(30)), field("until").older_than(days(9)),
    field("valid_to").upcoming(ever), field("valid_to").within(ever), field("until").within(ever),
    field("valid_to").older_than(ever), event("buy").count(within=ever) >= 2, event("buy").count(until=END) >= 2,
    event("buy").count(since=START) >= 2, event("buy").not_followed_by(event("x"), within=days(1), recent=ever),
    event("buy").not_followed_by(event("x"), within=ever), event("buy").days_since_first() > 1e9,
    event("buy").days_since_first() > 700_000, field("until").upcoming(days(999_999)),
]  # fmt: skip


@pytest.mark.long
@ENGINES
@pytest.mark.parametrize("rule", SENTINELS, ids=repr)
@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/New_York"])
def test_the_ends_of_the_calendar_are_what_they_are_in_numpy(through, rule, tz):
    assert found(through, rule, PEOPLE, HAPPENED, tz=tz) == through_numpy(rule, tz)


@ENGINES
def test_a_field_called_type_is_the_customers_own_whatever_the_events_call_theirs(through):
    happened = HAPPENED.rename({"type": "event", "time": "ts"})
    people = PEOPLE.with_columns(pl.lit("buy").alias("event"), pl.lit(3).alias("value"))
    columns = {"type": "event", "time": "ts", "value": "amount"}
    rule = (field("type") == "gold") & (field("value") == 3) & event("buy").exists()
    assert found(through, rule, people, happened, columns) == {"a": True, "b": False, "c": False}
    with pytest.raises(InputError, match="rename one of them"):
        found(
            through,
            field("age") > 1,
            people.with_columns(pl.lit(1).alias("years")),
            happened,
            {**columns, "age": "years"},
        )


@ENGINES
@pytest.mark.parametrize("kinds", [(pl.Int32, pl.Int64), (pl.Int64, pl.UInt16), (pl.Int8, pl.Int8)])
def test_ids_of_different_widths_match(through, kinds):
    happened = HAPPENED.with_columns(pl.Series("customer_id", [1, 1, 2], dtype=kinds[0]))
    people = PEOPLE.with_columns(pl.Series("customer_id", [1, 2, 3], dtype=kinds[1]))
    assert found(through, event("buy").count() >= 2, people, happened) == {1: True, 2: False, 3: False}
    assert found(through, ids([2, 9]), people, happened) == {1: False, 2: True, 3: False}
    with pytest.raises(InputError, match="ids"):
        found(through, ids(["a"]), people, happened)


@ENGINES
@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["a", "b", "c"])])
def test_ids_and_fields_that_are_categories_are_texts(through, kind):
    people = PEOPLE.with_columns(pl.col("customer_id").cast(kind), pl.col("type").cast(pl.Categorical))
    rule = (field("type") == "gold") & event("buy").exists()
    assert found(through, rule, people, HAPPENED) == {"a": True, "b": False, "c": False}


@ENGINES
def test_ids_of_different_kinds_are_refused_by_name(through):
    people = PEOPLE.with_columns(pl.Series("customer_id", [1, 2, 3]))
    with pytest.raises(InputError, match="texts in events and integers in customers"):
        found(through, event("buy").exists(), people, HAPPENED)
    with pytest.raises(InputError, match="ids must be integers or texts"):
        found(through, event("buy").exists(), PEOPLE.with_columns(pl.lit(1.5).alias("customer_id")), HAPPENED)


@ENGINES
def test_customers_without_an_id_or_twice_are_refused_as_in_numpy(through):
    gone = PEOPLE.with_columns(pl.Series("customer_id", ["a", None, "c"]))
    with pytest.raises(InputError, match="missing in 1 rows"):
        found(through, event("buy").exists(), gone, HAPPENED)
    twice = PEOPLE.with_columns(pl.Series("customer_id", ["a", "a", "c"]))
    with pytest.raises(InputError, match="1 repeated ids"):
        found(through, event("buy").exists(), twice, HAPPENED)


@ENGINES
def test_infinite_numbers_are_refused_in_fields_and_are_no_values_in_events(through):
    people = PEOPLE.with_columns(pl.Series("age", [1.0, float("inf"), float("nan")]))
    with pytest.raises(InputError, match="'age' is infinite in 1 rows"):
        found(through, field("age") > 2, people, HAPPENED)
    assert found(through, event("buy").exists(), people, HAPPENED) == {"a": True, "b": True, "c": False}
    happened = HAPPENED.with_columns(pl.Series("value", [1.0, float("inf"), float("-inf")]))
    assert found(through, event("buy").sum() == 1, PEOPLE, happened) == {"a": True, "b": False, "c": False}
    assert found(through, event("buy").count() >= 1, PEOPLE, happened) == {"a": True, "b": True, "c": False}


@ENGINES
def test_a_column_of_lists_is_named_with_its_type(through):
    people = PEOPLE.with_columns(pl.Series("tags", [["x"], [], None]))
    with pytest.raises(InputError, match="'tags' of customers, but engines cannot evaluate rules on its type List"):
        found(through, field("tags").contains("x"), people, HAPPENED)
    happened = HAPPENED.with_columns(pl.Series("items", [["x"], [], None]))
    with pytest.raises(InputError, match="'items' of events, but engines cannot evaluate rules on its type List"):
        found(through, event("buy", where=prop("items").contains("x")).exists(), PEOPLE, happened)
    with pytest.raises(InputError, match="'items' of events, but engines cannot evaluate rules on its type List"):
        found(through, event("buy").count_distinct("items") > 1, PEOPLE, happened)
    with pytest.raises(MissingColumnError, match="agee"):
        found(through, field("agee") > 1, people, HAPPENED)


@pytest.mark.parametrize(
    "rule",
    [field("no") > 1, field("no") == "x", field("no").is_in(["x"]), field("no").between(1, 2),
     field("no").contains("x"), field("no").within(days(1)), field("no") + 1 > 2, field("no") == field("age"),
     ~(field("no") > 1), field("no"), ~field("no"), field("no") & (field("age") > 1),
     field("no") | (field("age") > 99), at_least(2, field("no"), field("age") > 1, field("age") > 99),
     event("buy", where=prop("gone")).exists(), event("buy", where=prop("gone") | (prop("value") > 99)).exists(),
     event("buy").sum("gone") > 1, event("buy").mean("gone") > 1, event("buy").last("gone") == "x",
     event("buy").count_distinct("gone") > 1, event("buy", where=prop("gone") == 1).exists()],
    ids=repr,
)  # fmt: skip
def test_a_column_without_any_value_is_unknown_everywhere(rule):
    people = PEOPLE.with_columns(pl.Series("no", [None] * 3, dtype=pl.Null))
    happened = HAPPENED.with_columns(pl.Series("gone", [None] * 3, dtype=pl.Null))
    polars = COMPILE["through_polars"]
    assert not any(found(polars, rule, people, happened).values())
    known = {
        field("no").is_null(): {"a", "b", "c"}, field("no").fill(3) > 2: {"a", "b", "c"},
        event("buy").sum("gone") == 0: {"a", "b", "c"}, event("buy").count_distinct("gone") == 0: {"a", "b", "c"},
        event("buy").mean("gone").is_null(): {"a", "b", "c"},
        event("buy", where=prop("gone").is_null()).exists(): {"a", "b"},
    }  # fmt: skip
    for other, who in known.items():
        assert {name for name, member in found(polars, other, people, happened).items() if member} == who, other


# PostgreSQL


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [event("buy").count_distinct("sku") >= 2, event("buy").active_days() >= 2, event("buy").count(within=days(60)) >= 2,
     event("buy").sum() > 2, event("buy").last("sku") == "y", event("buy").first("paid") == True,  # noqa: E712
     event("buy", where=prop("sku") == "x").exists() & (event("buy").days_since_last() > 10),
     event("buy").not_followed_by(event("x"), within=days(1))],
    ids=repr,
)  # fmt: skip
def test_postgres_runs_what_a_rule_becomes_and_finds_the_same_people(psql, rule):
    ibis = pytest.importorskip("ibis")
    types = {"customer_id": "string", "time": "timestamp", "type": "string", "value": "float64", "sku": "string"}
    events = ibis.table(types | {"paid": "boolean"}, name="events")
    rows = [("a", "2026-10-01", 1.0, "x", True), ("a", "2026-10-02", 2.0, "y", False),
            ("b", "2026-09-01", 4.0, None, None), ("b", "2026-09-01", 1.0, "x", True),
            ("c", "2026-10-31", None, "y", True)]  # fmt: skip
    psql("drop table if exists events; create table events(customer_id text, time timestamp, type text, value double "
         "precision, sku text, paid boolean)")  # fmt: skip
    for who, when, value, sku, paid in rows:
        known = [f"'{who}'", f"'{when}'", "'buy'", value, None if sku is None else f"'{sku}'", paid]
        psql(f"insert into events values ({', '.join('null' if one is None else str(one) for one in known)})")
    frame = engines.evaluate(rule, events=events, as_of=AS_OF)
    answer = psql(str(ibis.to_sql(frame, dialect="postgres")))
    members = {line.split("|")[0] for line in answer.split() if line.endswith("|t")}
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows], type="buy", time=[f"{row[1]}T00:00Z" for row in rows],
        value=[row[2] for row in rows], properties={"sku": [row[3] for row in rows], "paid": [row[4] for row in rows]},
    )  # fmt: skip
    base = CustomerBase(events=log)
    column = rule.measure(base, AS_OF)
    assert members == {who for row, who in enumerate(base.customer_id.tolist()) if column.value(row) is True}
