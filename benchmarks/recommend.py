"""Recommendations against implicit and mlxtend: CPU seconds, BLAS at one thread, paired in one process.

Run ``python benchmarks/recommend.py``. The customers and items are made up (seed 0), popularity falls off like a power
law; where the data folder is there, pairs are counted on the invoices of UCI Online Retail.
"""

from __future__ import annotations

import timing  # first: it sets the BLAS to one thread

# isort: split

import os
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from relmark import CustomerBase
from relmark.recommend import Als, Ease, FactorModel, Interactions, ItemNeighbors, Rules, also_bought

DATA = Path(os.environ.get("RELMARK_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
BOUGHT = Rules(exclude_bought="always")


def made_up(customers: int, items: int, each: int, seed: int = 0) -> Interactions:
    """Return purchases of `each` items a customer, popular items more often."""
    rng = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, items + 1) ** 0.8
    item = rng.choice(items, customers * each, p=weight / weight.sum())
    return Interactions.from_columns(
        customer_id=np.append(np.repeat(np.arange(customers), each), np.zeros(items, dtype=np.int64)),
        item=np.append(item, np.arange(items)),  # customer 0 has everything once, so that every item occurs
    )


def factor_rivals(customers: int, items: int, factors: int = 64) -> timing.Timing:
    """Time the best 20 of every customer, what they have left out, from the same factors."""
    from implicit.cpu.als import AlternatingLeastSquares

    rng = np.random.default_rng(0)
    x = made_up(customers, items, 30)
    U = rng.normal(size=(customers, factors)).astype(np.float32)
    V = rng.normal(size=(items, factors)).astype(np.float32)
    ours = FactorModel.from_factors(
        item=x.item, item_factors=V, customer_id=x.customer_id, customer_factors=U, interactions=x
    )
    rival = AlternatingLeastSquares(factors=factors, num_threads=1)
    rival.user_factors, rival.item_factors = U, V
    matrix, everyone = csr_matrix(x.matrix()), np.arange(customers)
    return timing.paired(
        lambda: ours.recommend(k=20, rules=BOUGHT),
        lambda: rival.recommend(everyone, matrix, N=20, filter_already_liked_items=True),
    )


def neighbor_rivals(customers: int, items: int) -> timing.Timing:
    """Time the best 20 of every customer from 20 neighbors an item."""
    from implicit.nearest_neighbours import CosineRecommender

    x = made_up(customers, items, 30)
    ours = ItemNeighbors(k=20).fit(x)
    rival = CosineRecommender(K=21, num_threads=1)
    matrix, everyone = csr_matrix(x.matrix()), np.arange(customers)
    rival.fit(matrix, show_progress=False)
    return timing.paired(
        lambda: ours.recommend(k=20, rules=BOUGHT), lambda: rival.recommend(everyone, matrix, N=20), repeat=3
    )


def pair_rivals() -> timing.Timing:
    """Time the pairs of UCI invoices, from a sparse matrix of orders by items, as mlxtend takes it."""
    import pandas as pd
    import polars as pl
    from mlxtend.frequent_patterns import association_rules, fpgrowth

    lines = pl.read_parquet(DATA / "online_retail.parquet").filter(
        (pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0) & pl.col("CustomerID").is_not_null()
    )
    x = Interactions.from_columns(
        customer_id=lines["CustomerID"].to_numpy(),
        item=lines["StockCode"].to_numpy().astype(str),
        order=lines["InvoiceNo"].to_numpy().astype(str),
    )
    baskets = x.by_order()
    one_hot = pd.DataFrame.sparse.from_spmatrix(baskets.matrix().astype(bool), columns=x.item)
    least = 50

    def rival() -> None:
        sets = fpgrowth(one_hot, min_support=(least - 0.5) / len(one_hot), max_len=2, use_colnames=True)
        association_rules(sets, metric="support", min_threshold=0)

    return timing.paired(lambda: also_bought(x, min_count=least), rival, repeat=3)


def reading() -> timing.Timing:
    """Time two million order lines of a base read as they are coded, against ids decoded and coded again."""
    rng = np.random.default_rng(0)
    n = 2_000_000
    who = rng.integers(0, 200_000, n)
    orders = {
        "customer": who.astype(str),
        "sku": np.char.add("sku", rng.integers(0, 20_000, n).astype(str)),
        "receipt": (who * 10 + rng.integers(0, 8, n)).astype(str),
        "time": np.datetime64("2026-01-01", "s") + rng.integers(0, 200 * 86_400, n).astype("m8[s]"),
        "amount": rng.random(n) * 20,
    }
    names = {"customer_id": "customer", "item": "sku", "order": "receipt", "time": "time", "value": "amount"}
    base = CustomerBase.from_orders(orders, **names)

    def again() -> None:
        bought = base.purchases()
        columns = base.events.to_columns()
        Interactions.from_columns(**{name: columns[name] for name in ("customer_id", "item", "order", "time", "value")})
        assert len(bought) == n

    return timing.paired(lambda: Interactions.of(base), again, repeat=3)


def one_customer() -> None:
    """Print how long one customer takes, in microseconds of CPU."""
    x = made_up(5000, 1000, 30)
    for name, spec in {"Ease": Ease(), "Als(factors=64)": Als(factors=64), "ItemNeighbors": ItemNeighbors()}.items():
        model = spec.fit(x)
        model.recommend(7, 10, rules=BOUGHT)
        cost = timing.cpu_seconds(lambda m=model: [m.recommend(c, 10, rules=BOUGHT) for c in range(500)]) / 500
        basket = timing.cpu_seconds(lambda m=model: [m.for_basket([c, c + 1], 10) for c in range(500)]) / 500
        print(f"one customer, 1,000 items, {name}: {1e6 * cost:.0f} us; a basket with reasons: {1e6 * basket:.0f} us")


def ease_fit() -> None:
    """Print what fitting EASE costs."""
    for items in (1_000, 5_000):
        x = made_up(20_000, items, 30)
        seconds = timing.cpu_seconds(lambda x=x: Ease().fit(x))
        print(f"Ease().fit, 20,000 customers, {items:,} items: {seconds:.2f} s of CPU")


if __name__ == "__main__":
    print(timing.heading("implicit", "mlxtend"))
    rows = {
        "top 20 from 64 factors, bought left out, 1,000 items": (factor_rivals(20_000, 1_000), "5 x implicit"),
        "top 20 from 64 factors, bought left out, 10,000 items": (factor_rivals(10_000, 10_000), "1.5 x implicit"),
        "top 20 from neighbors, 1,000 items": (neighbor_rivals(10_000, 1_000), "5 x implicit"),
        "top 20 from neighbors, 10,000 items": (neighbor_rivals(5_000, 10_000), "5 x implicit"),
    }
    rows["2,000,000 lines of a base"] = (reading(), "5 x decoding")
    if (DATA / "online_retail.parquet").exists():
        rows["pairs of UCI invoices, 50 and more together"] = (pair_rivals(), "10 x mlxtend")
    else:
        print("online_retail.parquet is not there: pairs are left out")
    timing.report(rows)
    one_customer()
    ease_fit()
