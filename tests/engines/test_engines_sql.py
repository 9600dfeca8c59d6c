"""Definitions as text of SQL: executed on PostgreSQL and DuckDB, their members are those of numpy."""

from __future__ import annotations

import random
import runpy
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import CustomerBase, Schema, calendar_days, days, engines, event, field, hours, ids, months, prop, sample
from relmark.errors import DefinitionError, InputError
from relmark.expressions import all_of
from relmark.segmentation import Segment, SegmentSet

duckdb = pytest.importorskip("duckdb")
ibis = pytest.importorskip("ibis")
sqlglot = pytest.importorskip("sqlglot")
COMPILE = runpy.run_path(str(Path(__file__).parent / "test_engines_compile.py"))
SCORES = runpy.run_path(str(Path(__file__).parent / "test_engines_scores.py"))
LAWS, NAMES = COMPILE["LAWS"], COMPILE["NAMES"]
SCHEMA = Schema(
    fields={"age": float, "n": float, "city": str, "vip": bool, "born": date, "joined": datetime},
    events={name: {"s": str, "n": float, "f": bool, "value": float} for name in "abc"},
)
DIALECTS = ["postgres", "duckdb", "bigquery", "snowflake", "clickhouse", "spark"]
KINDS = {"age": "double precision", "n": "double precision", "city": "text", "vip": "boolean", "born": "date",
         "joined": "timestamptz"}  # fmt: skip


def some_definition(rng, as_of):
    kind = rng.randrange(4)
    if kind == 0:
        return SCORES["some_score"](rng, as_of)
    if kind == 1:
        return SegmentSet([Segment(f"s{k}", COMPILE["portable_rule"](rng, as_of, 2)) for k in range(2)])
    return Segment("x", COMPILE["portable_rule"](rng, as_of))


def expected_of(definition, base, as_of):
    found = definition.evaluate(base, as_of=as_of)
    columns = found.to_columns()
    if isinstance(definition, Segment):
        columns = {"customer_id": found.customer_id, "member": found.mask}
    return SCORES["rows_of"](columns)


def some_shop(seed):
    rng = random.Random(seed)
    as_of = LAWS["some_as_of"](rng)
    base, customers, events = LAWS["some_base"](rng, "UTC", as_of)
    return as_of, base, *COMPILE["frames"](customers, events), some_definition(rng, as_of)


def on_duckdb(query, people, happened, as_of=None):
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("people_arrow", people.to_arrow())
    connection.register("events_arrow", happened.to_arrow())
    connection.execute("create schema shop; create table shop.events as select * from events_arrow; "
                       'create table "the people" as select * from people_arrow')  # fmt: skip
    rows = connection.sql(query, params={"as_of": as_of} if "$as_of" in query else {}).pl().to_dicts()
    return {row.pop("customer_id"): row for row in rows}


def written(definition, dialect, as_of=None, **more):
    return engines.to_sql(definition, dialect=dialect, table="shop.events", customers="the people", columns=NAMES,
                          as_of=as_of, schema=SCHEMA, **more)  # fmt: skip


def moved(definition, dialect):
    """Return the text with a parameter, or None for what counts days of the calendar."""
    try:
        return written(definition, dialect)
    except DefinitionError:
        with pytest.raises(DefinitionError, match="calendar day of as_of"):
            written(definition, dialect)
        return None


@pytest.mark.long
@given(seed=st.integers(0, 2**40))
@settings(max_examples=max(settings.default.max_examples // 4, 1), deadline=None)
def test_duckdb_executes_the_text_of_any_definition_that_is_portable(seed):
    as_of, base, people, happened, definition = some_shop(seed)
    expected = expected_of(definition, base, as_of)
    assert on_duckdb(written(definition, "duckdb", as_of), people, happened) == expected, (seed, definition)
    query = moved(definition, "duckdb")
    if query is None:
        return
    assert on_duckdb(query, people, happened, as_of.astimezone(UTC).replace(tzinfo=None)) == expected, (seed, query)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_postgres_executes_the_text_of_any_definition_that_is_portable(psql, part):
    for seed in range(8 * part, 8 * part + 8):
        as_of, base, people, happened, definition = some_shop(seed)
        load(psql, people, happened)
        expected = expected_of(definition, base, as_of)
        queries = [written(definition, "postgres", as_of)]
        query = moved(definition, "postgres")
        if query is not None:
            moment = as_of.astimezone(UTC).isoformat()
            queries.append(query.replace("%(as_of)s", f"'{moment}'").replace("%%", "%"))
        for query in queries:
            found = psql(f"select row_to_json(found) from ({query}) as found")
            rows = [sql_row(line) for line in found.splitlines()]
            assert {row.pop("customer_id"): row for row in rows} == expected, (seed, definition)


def sql_row(line):
    import json

    return json.loads(line)


def sql_value(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (date, datetime)):
        return f"'{value.isoformat()}'"
    return f"'{value}'" if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"


def load(psql, people, happened):
    types = {"user": "text", "event": "text", "ts": "timestamp", "amount": "double precision", "s": "text",
             "n": "double precision", "f": "boolean"}  # fmt: skip
    kinds = {"user": "text"} | KINDS
    statements = ['drop schema if exists shop cascade; create schema shop; drop table if exists "the people"']
    for name, frame, own in (("shop.events", happened, types), ('"the people"', people, kinds)):
        listed = ", ".join(f'"{column}" {kind}' for column, kind in own.items())
        statements.append(f"create table {name} ({listed})")
        rows = [f"({', '.join(sql_value(value) for value in row)})" for row in frame.select(list(own)).rows()]
        if rows:
            statements.append(f"insert into {name} values {', '.join(rows)}")
    psql(";\n".join(statements))


@pytest.mark.long
@pytest.mark.parametrize("dialect", DIALECTS)
def test_texts_name_the_tables_and_the_parameter_that_were_asked_for_and_parse(dialect):
    rule = (event("purchase", where=prop("s") == "a").count(within=days(30)) >= 2) & (field("age") > 3)
    query = written(rule, dialect)
    assert "__relmark" not in query
    assert "shop.events" in query
    parameter = {"postgres": "%(as_of)s", "duckdb": "$as_of", "bigquery": "@as_of",
                 "clickhouse": "{as_of: DateTime64(6)}"}.get(dialect, ":as_of")  # fmt: skip
    assert parameter in query
    assert "2023" not in query
    assert sqlglot.parse_one(query, read=dialect).find(sqlglot.exp.Table) is not None
    assert written(rule, dialect) == query  # the same text each time
    fixed = written(rule, dialect, "2026-11-09T00:00Z")
    assert parameter not in fixed
    assert "2026" in fixed
    template = engines.to_sql(event("a").exists(), dialect=dialect, table="{{ ref('events') }}")
    assert "FROM {{ ref('events') }} AS" in template


@pytest.mark.long
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(4))
def test_every_portable_definition_is_written_in_every_dialect(dialect, seed):
    as_of, _, _, _, definition = some_shop(seed)
    query = written(definition, dialect, as_of)
    assert "shop.events" in query
    assert "__relmark" not in query


def test_what_depends_on_the_calendar_needs_an_as_of():
    assert "7' DAY" in written(event("a").count(within=calendar_days(7)) >= 1, "duckdb")  # in UTC days have 24 hours
    with pytest.raises(InputError, match="clocks of Europe/Berlin change"):
        written(event("a").exists(within=days(3)), "duckdb", tz="Europe/Berlin")
    for rule in (event("a").count(within=months(1)) >= 1,
                 event("a").count(within=months(12)) >= 1, field("born").upcoming(days(7))):  # fmt: skip
        with pytest.raises(DefinitionError, match="depends on the calendar day of as_of"):
            written(rule, "duckdb")
        assert "2026" in written(rule, "duckdb", "2026-11-09")
    fixed = event("a").count(since=datetime(2023, 3, 10, 5, 6, 7, 891_011, tzinfo=UTC)) >= 1  # one of our own instants
    assert "2023" in written(fixed & event("a").exists(within=hours(3)), "postgres").replace("MAKE_TIMESTAMP", "")


def test_a_percent_sign_in_a_text_is_no_parameter_of_postgres():
    rule = event("a", where=prop("s") == "50%").exists()
    assert "'50%%'" in written(rule, "postgres")
    assert "'50%'" in written(rule, "postgres", "2026-11-09")
    assert "'50%'" in written(rule, "duckdb")


def test_kinds_are_those_that_the_rules_ask_for_else_the_schema_says_them():
    def of(rule, **more):
        return engines.to_sql(rule, dialect="duckdb", customers="people", **more)

    known = (
        (field("age") >= 18) & field("city").contains("x") & field("vip") & (field("n") / 2 > field("m"))
        & field("a").is_in(["x"]) & field("b").between(1, 2) & (field("c").fill(3) == field("d"))
        & (event("p", where=prop("ok") & (prop("s") == "x")).last("n") > 3) & (field("day") == date(2026, 1, 1))
        & (event("p").count_distinct("any") > 1) & field("some").is_null()
        & (field("at") > datetime(2026, 1, 1, tzinfo=UTC)) & (field("zero") == event("p").count())
    )  # fmt: skip
    assert "shop" not in of(known)
    for rule, path in {
        field("born").within(days(3)): r"\$\.arg uses field\('born'\)",
        field("x") == field("y"): None,
        (field("x") > 1) & (field("x") == "a"): r"\$\.args\[0\]\.left uses field\('x'\).*number and text",
    }.items():
        if path is None:
            assert of(rule)
            continue
        with pytest.raises(InputError, match=path):
            of(rule)
    assert of(field("born").within(days(3)), as_of="2026-01-01", schema=Schema(fields={"born": date}))
    with pytest.raises(InputError, match="schema="):
        of(field("born") == date(2026, 1, 1), tz="Europe/Berlin", as_of="2026-01-01")
    assert "1" in of(ids([1, 2]) & (field("age") > 1))


def test_sets_of_tags_are_refused_with_what_to_do_instead():
    schema = Schema(fields={"likes": frozenset, "born": date}, events={"buy": {"labels": frozenset}})
    for rule, path in (
        (field("born").is_null() & field("likes").contains_any(["tea"]), "$.args[1].arg"),
        (event("buy", where=prop("labels").contains_all(["gift"])).exists(), "$.events.where.arg"),
    ):
        with pytest.raises(DefinitionError, match=r"is a set of tags in the schema.*engines\.apply") as caught:
            engines.to_sql(rule, dialect="duckdb", customers="people", schema=schema)
        assert (caught.value.code, caught.value.path) == ("not_portable", path)
    as_text = Schema(fields={"likes": str})
    assert "likes" in engines.to_sql(field("likes").contains("tea"), customers="people", schema=as_text)


def test_a_column_without_a_value_in_the_data_has_the_kind_that_the_rules_ask_for():
    nothing = Schema(fields={"city": "empty"}, events={"a": {"sku": str}, "b": {"sku": "empty"}})
    rule = (field("city") == "Omsk") & event("b", where=prop("sku") == "x").exists()
    said = engines.to_sql(rule, dialect="duckdb", customers="people", schema=nothing)
    assert said == engines.to_sql(rule, dialect="duckdb", customers="people")


def test_what_stays_in_numpy_and_bad_names_are_refused():
    with pytest.raises(DefinitionError, match=r"\$\.args\[1\] \(the hash of ids\)"):
        written(all_of(event("a").exists(), sample(5, salt="s")), "postgres")
    for name in ("a.b.c.d", "a..b", "", 3):
        with pytest.raises(InputError, match="table"):
            engines.to_sql(event("a").exists(), table=name)
    with pytest.raises(InputError, match="dialect"):
        engines.to_sql(event("a").exists(), dialect="oracle")
    with pytest.raises(InputError, match="pass customers"):
        engines.to_sql(field("age") > 1)
    assert 'FROM "my events" AS' in engines.to_sql(event("a").exists(), table="my events")


def test_without_ibis_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(InputError, match=r"pip install 'relmark\[sql\]'"):
        engines.to_sql(event("a").exists())


def test_a_base_in_numpy_is_what_the_text_is_about():
    as_of, base, people, happened, _ = some_shop(5)
    rule = event("a").count(within=timedelta(days=30)) >= 1
    assert isinstance(base, CustomerBase)
    found = on_duckdb(written(rule, "duckdb"), people, happened, as_of.astimezone(UTC).replace(tzinfo=None))
    assert {who for who, row in found.items() if row["member"]} == set(
        Segment("x", rule).evaluate(base, as_of=as_of).ids.tolist()
    )
