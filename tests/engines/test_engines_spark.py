"""The same rules on a local Spark; needs Java, and runs where the mark `engines` is asked for."""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relmark import engines
from relmark.core.errors import InputError
from relmark.expressions import event

pl = pytest.importorskip("polars")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sql = pytest.importorskip("pyspark.sql")

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]
COMPILE = runpy.run_path(str(Path(__file__).parent / "test_engines_compile.py"))
TYPES = {pl.String: "string", pl.Float64: "double", pl.Int64: "bigint", pl.Boolean: "boolean", pl.Date: "date"}


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
    }
    builder = sql.SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def table(spark, frame):
    kinds = [
        f"{name} {'timestamp' if isinstance(kind, pl.Datetime) else TYPES[type(kind)]}"
        for name, kind in frame.schema.items()
    ]
    rows = [
        tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row)
        for row in frame.rows()
    ]
    return spark.createDataFrame(rows, schema=", ".join(kinds))


@pytest.mark.parametrize("seed", [6, 9, 10])
def test_spark_finds_the_members_that_numpy_finds(spark, seed):
    def through(rule, people, happened, **more):
        found = engines.evaluate(
            rule, events=table(spark, happened), customers=table(spark, people), columns=COMPILE["NAMES"], **more
        )
        return {row["customer_id"]: (row["member"], row["unknown"]) for row in found.collect()}

    COMPILE["test_engines_find_the_members_that_numpy_finds"].hypothesis.inner_test(through, seed)


def test_a_session_of_another_zone_is_refused(spark):
    events = table(spark, COMPILE["HAPPENED"].select("user", "ts", "amount", event=pl.lit("purchase")))
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        with pytest.raises(InputError, match="set the session time zone to UTC"):
            engines.evaluate(event("purchase").exists(), events=events, columns=COMPILE["NAMES"], as_of="2026-11-09")
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
