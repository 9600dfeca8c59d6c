"""Whole customers on a local Spark: every kind of definition, row by row; needs Java."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from relmark import engines
from relmark.errors import InputError, MissingColumnError, NotEnoughDataError
from relmark.expressions import event, field
from relmark.segmentation import Segment

pl = pytest.importorskip("polars")
SPARK = runpy.run_path(str(Path(__file__).parent / "test_engines_spark.py"))
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
REDUCED = runpy.run_path(str(Path(__file__).parent / "reduced.py"))
spark, table = SPARK["spark"], SPARK["table"]
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]
AS_OF, COLUMNS = SHOP["AS_OF"], SHOP["COLUMNS"]


def applied(spark, definition, people, happened, **more):
    found = engines.apply(
        definition, events=table(spark, happened), customers=None if people is None else table(spark, people),
        columns=COLUMNS, as_of=AS_OF, **more,
    )  # fmt: skip
    assert "DataFrame" in type(found).__name__
    return found.toArrow().to_pylist()


@pytest.mark.parametrize("partitions", ["1", "20"])
def test_every_kind_of_definition_says_on_spark_what_it_says_in_numpy(spark, partitions):
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    people, happened = SHOP["shop"](seed=3, n=12, most=0.5)  # more partitions than customers, one with half of the rows
    base = SHOP["base_of"](people, happened)
    try:
        for name, (definition, expected) in SHOP["definitions"](base).items():
            if name in {"function", "policy"}:  # Spark's workers do not know what this file defines
                continue
            rows = applied(spark, definition, people, happened)
            assert SHOP["found_rows"](rows) == SHOP["expected_rows"](expected), name
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "1")


def test_everyone_on_spark_is_seen_at_their_own_local_time(spark):
    people, happened, base = SHOP["zoned_shop"](1)
    for name, (definition, expected) in SHOP["zoned_definitions"](base, "2026-11-09").items():
        found = engines.apply(
            definition, events=table(spark, happened), customers=table(spark, people), columns=COLUMNS,
            as_of="2026-11-09", tz="Europe/Berlin", zone="home",
        )  # fmt: skip
        assert SHOP["found_rows"](found.toArrow().to_pylist()) == SHOP["expected_rows"](expected), name


def test_a_function_travels_and_no_events_are_no_error(spark):
    people, happened = SHOP["shop"](n=12)

    def count(base):
        return {"customer_id": base.customer_id, "events": base.measure({"n": EVERY}, as_of=AS_OF_)["n"]}

    EVERY, AS_OF_ = event.any().count(), AS_OF
    rows = applied(spark, count, people, happened)
    base = SHOP["base_of"](people, happened)
    assert {row["customer_id"]: row["events"] for row in rows} == dict(
        zip(base.customer_id.tolist(), count(base)["events"].tolist(), strict=True)
    )
    rule = ~event("purchase").exists()
    assert sorted(row["customer_id"] for row in applied(spark, rule, people, happened.clear())) == sorted(
        people["user"].to_list()
    )
    assert applied(spark, rule, None, happened.clear()) == []


def test_what_goes_wrong_reaches_the_driver_with_the_definitions_path(spark):
    people, happened = SHOP["shop"](n=12)
    with pytest.raises(InputError, match=r"\$\.rule\.right: Segment 'x'"):
        applied(spark, Segment("x", field("age") > "10"), people, happened)
    with pytest.raises(MissingColumnError, match=r"Segment 'x': \$\.rule"):
        applied(spark, Segment("x", field("agee") > 1), people, happened)

    def broken(base):
        if len(base.events):
            raise ZeroDivisionError("nothing to divide")
        return {"customer_id": base.customer_id}

    with pytest.raises(Exception, match=r"broken failed on a part with .*nothing to divide"):
        applied(spark, broken, people, happened)
    endless = people.with_columns(age=pl.lit(float("inf")))
    with pytest.raises(InputError, match="infinite"):
        applied(spark, Segment("x", field("age") > 1), endless, happened)


def test_states_that_executors_add_up_are_those_of_numpy(spark):
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    people, happened = SHOP["shop"](seed=2, n=60)
    base, frame, more = SHOP["base_of"](people, happened), table(spark, happened), {"columns": COLUMNS}
    REDUCED["check_purchases"](base, frame, AS_OF, **more)
    REDUCED["check_messages"](base, frame, AS_OF, table(spark, people), **more)
    spark.conf.set("spark.sql.shuffle.partitions", "20")  # the executors add up in two levels
    try:
        REDUCED["check_pairs"](base, frame, AS_OF, **more)
        REDUCED["check_tables"](base, frame, AS_OF, table(spark, people), **more)
        assert engines.reduce(lambda base: len(base.events), events=frame, as_of=AS_OF, **more) == len(happened)
        with pytest.raises(NotEnoughDataError, match="anything to add up"):
            engines.purchase_cells(frame, as_of="2001-01-01", **more)
        with pytest.raises(Exception, match=r"<lambda> failed on a part with .*ZeroDivisionError"):
            engines.reduce(lambda base: 1 // (len(base.events) * 0), events=frame, as_of=AS_OF, **more)
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", "1")
