"""No node of the language is left behind: each gives numpy's answer by `evaluate` or by `apply`, on every engine."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from relmark import CustomerBase, CustomerTable, EventLog, engines, everyone, field
from relmark.expressions import nodes
from relmark.expressions.kinds import kind_of
from relmark.expressions.walk import walk
from relmark.segmentation import Segment, SegmentSet

pl = pytest.importorskip("polars")
duckdb = pytest.importorskip("duckdb")
EVERY = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "test_every_node.py"))
SHOP = runpy.run_path(str(Path(__file__).parent / "applied.py"))
EXAMPLES, AS_OF = EVERY["EXAMPLES"], "2026-11-09T12:00Z"
COLUMNS = {"customer_id": "user", "time": "ts", "type": "event", "value": "amount"}
PEOPLE, HAPPENED = SHOP["shop"](seed=5, n=40, most=0.4)
HAPPENED = HAPPENED.with_columns(
    event=pl.col("event").replace({"purchase": "a", "visit": "b", "seen": "c"}),
    sku=pl.col("sku").replace({"a": "x"}),
)  # fmt: skip
LOG = EventLog.from_frame(HAPPENED, customer_id="user", type="event", time="ts", value="amount",
                          properties=["sku", "page"])  # fmt: skip
BASE = CustomerBase(customers=CustomerTable.from_frame(PEOPLE, customer_id="user"), events=LOG)
OTHER = {"other": field("age") > 20}
TEXTS = {  # ids of the shop, where the example has numbers
    "ids": nodes.Ids(("c0", "c9")), "or": nodes.Or((field("vip"), nodes.Ids(("c1",)))),
    "at_least": nodes.AtLeast(2, (everyone, field("vip"), nodes.Ids(("c0",)))),
}  # fmt: skip


def rule_of(name):
    return TEXTS.get(name, EXAMPLES[name])


def is_rule(rule):
    return kind_of(rule, BASE.schema()) == "boolean"


def expected(name):
    rule = rule_of(name)
    if name == "segment":
        found = SegmentSet([Segment("other", OTHER["other"]), Segment("x", rule)]).evaluate(BASE, as_of=AS_OF)
        return dict(zip(found.customer_id.tolist(), found.masks["x"].tolist(), strict=True))
    if is_rule(rule):
        found = Segment("x", rule).evaluate(BASE, as_of=AS_OF)
        return dict(zip(found.customer_id.tolist(), found.mask.tolist(), strict=True))
    found = BASE.measure({"x": rule}, as_of=AS_OF)
    return {who: SHOP["plain"](value) for who, value in zip(found["customer_id"].tolist(), found["x"].tolist(),
                                                            strict=True)}  # fmt: skip


def on_polars():
    return HAPPENED.lazy(), PEOPLE.lazy(), lambda frame: frame.collect().to_dicts()


def on_duckdb():
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("happened", HAPPENED.to_arrow())
    connection.register("people", PEOPLE.to_arrow())
    return (*[connection.sql(f"select * from {name}") for name in ("happened", "people")],
            lambda frame: frame.pl().to_dicts())  # fmt: skip


def answer(name, place):
    """Return what an engine says of an example: by its own plan where that can be said, else by whole customers."""
    rule, (events, customers, rows) = rule_of(name), place
    given = {"events": events, "customers": customers, "columns": COLUMNS, "as_of": AS_OF}
    if name == "segment":
        return {row["customer_id"]: row["member"] for row in rows(engines.evaluate(rule, segments=OTHER, **given))}
    if not is_rule(rule):
        found = rows(engines.apply({"x": rule}, **given))
        return {row["customer_id"]: SHOP["plain"](row["x"]) for row in found}
    how = engines.apply if engines.unsupported(rule) else engines.evaluate
    return {row["customer_id"]: row["member"] for row in rows(how(rule, **given))}


def test_every_node_class_has_an_example():
    named = {type(node) for rule in map(rule_of, EXAMPLES) for _, node in walk(rule)}
    assert set(EVERY["CLASSES"]) <= named | {nodes.Literal}


@pytest.mark.long
@pytest.mark.parametrize("place", [on_polars, on_duckdb])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_node_gives_numpys_answer(place, name):
    assert answer(name, place()) == expected(name)


JAVA = shutil.which("java") is not None
SPARK = runpy.run_path(str(Path(__file__).parent / "test_engines_spark.py")) if JAVA else {}
spark = SPARK.get("spark")


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not SPARK, reason="Spark needs Java")
def test_every_node_gives_numpys_answer_on_spark(spark):
    events, customers = SPARK["table"](spark, HAPPENED), SPARK["table"](spark, PEOPLE)
    given = {"events": events, "customers": customers, "columns": COLUMNS, "as_of": AS_OF}
    rules = {name: rule_of(name) for name in EXAMPLES if name != "segment" and is_rule(rule_of(name))}
    native = {name: rule for name, rule in rules.items() if not engines.unsupported(rule)}
    said = {name: {} for name in EXAMPLES}
    listed = SegmentSet([Segment("other", OTHER["other"]), Segment("segment", rule_of("segment")),
                         *[Segment(name, rule) for name, rule in native.items()]])  # fmt: skip
    for row in engines.evaluate(listed, **given).toArrow().to_pylist():
        for name in [*native, "segment"]:
            said[name][row["customer_id"]] = row[name]
    carried = {name: rule_of(name) for name in EXAMPLES if name not in native and name != "segment"}
    for row in engines.apply(carried, **given).toArrow().to_pylist():
        for name in carried:
            value = SHOP["plain"](row[name])
            said[name][row["customer_id"]] = bool(value) if name in rules else value
    for name in EXAMPLES:
        assert said[name] == expected(name), name
