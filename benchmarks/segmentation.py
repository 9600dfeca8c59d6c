"""Segments over 10 M events of 1 M customers: windows, sequences and a hundred mixed rules, beside polars, DuckDB,
pandas.

Run ``python benchmarks/segmentation.py [events] [customers]``. Every rival answers the same question, and the answers
are compared before anything is timed.
"""

from __future__ import annotations

import sys

from timing import cpu_seconds, heading, paired, report  # isort: skip

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from relmark import CustomerBase, CustomerTable, EventLog, any_of, at_least, days, event, field, prop, sample, sequence
from relmark.segmentation import Segment, SegmentSet

SEED = 20_261
DAY = 86_400_000_000
START = np.datetime64("2025-01-01", "us").view(np.int64)
AS_OF = START + 365 * DAY
TYPES = ("purchase", "cart", "visit")
WORDS = np.array(list("abcdefghij"))
CITIES = np.array(["Omsk", "Kazan", "Perm", "Tver"])


def data(m: int, n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return {
        "customer": rng.integers(0, n, m).astype(np.int32),
        "time": np.sort(START + rng.integers(0, 365 * DAY, m)),
        "type": rng.choice(np.arange(3, dtype=np.int8), m, p=[0.45, 0.35, 0.2]),
        "value": rng.gamma(2.0, 15.0, m).round(2),
        "sku": rng.integers(0, 10, m).astype(np.int8),
        "age": rng.integers(15, 90, n).astype(np.float64),
        "city": rng.integers(0, 4, n),
    }


def base_of(d: dict[str, np.ndarray]) -> CustomerBase:
    log = EventLog.from_columns(
        customer_id=d["customer"],
        type=np.array(TYPES)[d["type"]],
        time=d["time"].view("M8[us]"),
        value=d["value"],
        properties={"sku": WORDS[d["sku"]]},
    )
    n = len(d["age"])
    table = CustomerTable.from_columns(customer_id=np.arange(n), age=d["age"], city=CITIES[d["city"]])
    return CustomerBase(customers=table, events=log)


def hundred() -> SegmentSet:
    """A hundred rules of the kinds that marketing has, none equal to another; some share a part."""
    bought, visit = event("purchase"), event("visit")
    segments = []
    for k in range(10):
        word, window, city = str(WORDS[k]), days(7 * (k + 1)), str(CITIES[k % 4])
        of_word = event("purchase", where=prop("sku") == word)
        rules = [
            (field("age") >= 20 + k) & (field("city") == city) & bought.exists(within=window),
            bought.count(within=window) >= 2,
            (bought.sum(within=days(90)) > 50 + 10 * k) & ~visit.exists(within=window),
            (bought.days_since_last() > 30 + 5 * k) & field("city").is_in([city, "Omsk"]),
            of_word.count(within=days(180)) >= 2,
            (of_word.exists() & ~bought.exists(within=window)) | (field("age") < 18 + k),
            event("cart").not_followed_by(bought, within=days(1), recent=window + days(1)),
            at_least(2, visit.exists(within=window), event("cart").exists(within=window), field("age") > 30 + k),
            any_of(bought.mean(within=days(180)) > 40 + k, bought.max(within=window) > 150 - k) & sample(50, salt=word),
            (bought.active_days(within=window) >= 2) & (bought.count() > visit.count() + k),
        ]
        segments += [Segment(f"{k}.{number}", rule) for number, rule in enumerate(rules)]
    return SegmentSet(segments)


def main(m: int, n: int) -> None:
    d = data(m, n)
    base = base_of(d)
    columns = {name: d[name] for name in ("customer", "time", "type", "value", "sku")}
    frame = pl.DataFrame(columns)
    told = frame.with_columns(pl.col("time").set_sorted())
    table = pd.DataFrame(columns)
    duck = duckdb.connect()
    duck.execute("set threads = 1")
    duck.register("columns", frame.to_arrow())
    duck.execute("create table log as select * from columns")
    low = AS_OF - 30 * DAY

    often = Segment("often", event("purchase").count(within=days(30)) >= 3)
    chain = Segment("chain", sequence([event("cart"), event("purchase")], within=days(7)))

    def ours_often() -> np.ndarray:
        return often.evaluate(base, as_of="2026-01-01").ids

    def ours_chain() -> np.ndarray:
        return chain.evaluate(base, as_of="2026-01-01").ids

    lazy = frame.lazy()  # as it is read; `told` knows that it stands in the order of time
    inside = (pl.col("time") > low) & (pl.col("time") <= AS_OF) & (pl.col("type") == 0)

    def counted(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.filter(inside).group_by("customer").len().filter(pl.col("len") >= 3).select("customer")

    def polars_often() -> np.ndarray:
        return counted(lazy).collect()["customer"].to_numpy()

    def polars_told_often() -> np.ndarray:
        return counted(told.lazy()).collect()["customer"].to_numpy()

    def pandas_often() -> np.ndarray:
        rows = table["time"].gt(low) & table["time"].le(AS_OF) & table["type"].eq(0)
        sizes = table["customer"][rows].value_counts(sort=False)
        return sizes.index[sizes >= 3].to_numpy()

    def duck_often() -> np.ndarray:
        return duck.execute(
            f"select customer from log where time > {low} and time <= {AS_OF} and type = 0 "
            "group by customer having count(*) >= 3"
        ).fetchnumpy()["customer"]

    carts = told.lazy().filter(pl.col("type") == 1).select("customer", "time", started="time")
    bought = told.lazy().filter((pl.col("type") == 0) & (pl.col("time") <= AS_OF)).select("customer", "time")
    joined = bought.join_asof(
        carts, on="time", by="customer", allow_exact_matches=False, tolerance=7 * DAY, check_sortedness=False
    )
    chained = joined.filter(pl.col("started").is_not_null()).select(pl.col("customer").unique())

    def polars_chain() -> np.ndarray:
        return chained.collect()["customer"].to_numpy()

    def duck_chain() -> np.ndarray:
        return duck.execute(
            "select distinct b.customer from (select customer, time from log where type = 0) b "
            "asof join (select customer, time from log where type = 1) a "
            f"on a.customer = b.customer and a.time < b.time where b.time - a.time <= {7 * DAY}"
        ).fetchnumpy()["customer"]

    def pandas_chain() -> np.ndarray:
        first = table.loc[table["type"].eq(1), ["customer", "time"]].assign(started=lambda t: t["time"])
        later = table.loc[table["type"].eq(0), ["customer", "time"]]
        both = pd.merge_asof(later, first, on="time", by="customer", allow_exact_matches=False, tolerance=7 * DAY)
        return both["customer"][both["started"].notna()].unique()

    for ours, others in (
        (ours_often, (polars_often, polars_told_often, pandas_often, duck_often)),
        (ours_chain, (polars_chain, pandas_chain, duck_chain)),
    ):
        members = np.sort(ours())
        for other in others:
            assert (np.sort(other()) == members).all(), other.__name__

    print(heading("polars", "duckdb", "pandas"))
    print(f"{m:,} events, {n:,} customers, seed {SEED}\n")
    report(
        {
            "3 purchases in 30 days, beside polars": (paired(ours_often, polars_often), "5"),
            "3 purchases in 30 days, beside polars told of the order": (paired(ours_often, polars_told_often), ""),
            "3 purchases in 30 days, beside DuckDB": (paired(ours_often, duck_often), ""),
            "3 purchases in 30 days, beside pandas": (paired(ours_often, pandas_often), ""),
            "cart then purchase in 7 days, beside polars": (paired(ours_chain, polars_chain), "2"),
            "cart then purchase in 7 days, beside DuckDB": (paired(ours_chain, duck_chain, repeat=3), ""),
            "cart then purchase in 7 days, beside pandas": (paired(ours_chain, pandas_chain, repeat=3), ""),
        }
    )
    many = hundred()
    many.evaluate(base, as_of="2026-01-01")
    seconds = sorted(cpu_seconds(lambda: many.evaluate(base, as_of="2026-01-01")) for _ in range(3))
    print(f"\n100 mixed segments on one base: {seconds[1]:.2f} s of CPU ({seconds[0]:.2f} to {seconds[2]:.2f}), goal 3")
    who = base.customer_id[:200]
    rule = many["0.2"]
    rule.explain(base, who[0], as_of="2026-01-01")
    each = cpu_seconds(lambda: [rule.explain(base, customer, as_of="2026-01-01") for customer in who]) / len(who)
    print(f"explain one customer of the base: {each * 1e3:.2f} ms, goal 2")


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]] or [10_000_000, 1_000_000]
    main(*sizes)
