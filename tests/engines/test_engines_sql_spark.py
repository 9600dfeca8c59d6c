"""Definitions as text of Spark's SQL, executed on a local Spark: what they find is what numpy finds; needs Java."""

from __future__ import annotations

import runpy
from datetime import UTC
from pathlib import Path

import pytest

from relmark import engines

pytest.importorskip("polars")
pytest.importorskip("duckdb")
pytest.importorskip("ibis")
SPARK = runpy.run_path(str(Path(__file__).parent / "test_engines_spark.py"))
SQL = runpy.run_path(str(Path(__file__).parent / "test_engines_sql.py"))
spark, table = SPARK["spark"], SPARK["table"]
pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def written(definition, as_of=None):
    return engines.to_sql(definition, dialect="spark", table="happened", customers="the_people", columns=SQL["NAMES"],
                          as_of=as_of, schema=SQL["SCHEMA"])  # fmt: skip


@pytest.mark.parametrize("seed", range(16))
def test_spark_executes_the_text_of_any_definition_that_is_portable(spark, seed):
    as_of, base, people, happened, definition = SQL["some_shop"](seed)
    table(spark, people).createOrReplaceTempView("the_people")
    table(spark, happened).createOrReplaceTempView("happened")
    expected = SQL["expected_of"](definition, base, as_of)

    def found(query, **parameters):
        rows = spark.sql(query, args=parameters).toArrow().to_pylist()
        return {row.pop("customer_id"): row for row in rows}

    assert found(written(definition, as_of)) == expected, definition
    query = SQL["moved"](definition, "spark")
    if query is not None:
        query = written(definition)
        assert found(query, as_of=as_of.astimezone(UTC)) == expected, definition
