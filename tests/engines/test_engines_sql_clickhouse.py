"""Definitions as text of ClickHouse's SQL, executed by chdb where it is installed: they find what numpy finds."""

from __future__ import annotations

import json
import runpy
from datetime import UTC
from pathlib import Path

import pytest

from relmark import engines

pytest.importorskip("polars")
pytest.importorskip("duckdb")
pytest.importorskip("ibis")
chdb = pytest.importorskip("chdb.session")
SQL = runpy.run_path(str(Path(__file__).parent / "test_engines_sql.py"))
pytestmark = [pytest.mark.engines, pytest.mark.slow]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return chdb.Session(str(tmp_path_factory.mktemp("clickhouse")))


def written(definition, as_of=None):
    return engines.to_sql(definition, dialect="clickhouse", table="shop.events", customers="shop.people",
                          columns=SQL["NAMES"], as_of=as_of, schema=SQL["SCHEMA"])  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_clickhouse_executes_the_text_of_any_definition_that_is_portable(session, tmp_path, seed):
    as_of, base, people, happened, definition = SQL["some_shop"](seed)
    session.query("drop database if exists shop; create database shop")
    for name, frame in (("events", happened), ("people", people)):
        frame.write_parquet(tmp_path / f"{name}.parquet")
        session.query(f"create table shop.{name} engine=Memory as select * from file('{tmp_path}/{name}.parquet')")
    expected = SQL["expected_of"](definition, base, as_of)

    def found(query, **parameters):
        lines = str(session.query(query, "JSONEachRow", params=parameters)).splitlines()
        rows = [json.loads(line) for line in lines]
        return {row.pop("customer_id"): row for row in rows}

    assert found(written(definition, as_of)) == expected, definition
    query = SQL["moved"](definition, "clickhouse")
    if query is not None:
        moment = as_of.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
        assert found(written(definition), as_of=moment) == expected, definition
