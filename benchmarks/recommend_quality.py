"""How good recommendations are on UCI Online Retail: the figures of docs/guides/recommend.md, recomputed.

Run ``python benchmarks/recommend_quality.py``; the data folder is ``../shared/data`` or ``$RELMARK_DATA``. What is said
to be chosen (lambda, half-life) is chosen on the 30 days before the test period, never on the test period itself.
"""

from __future__ import annotations

import timing  # first: it sets the BLAS to one thread

# isort: split

import os
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix

from relmark import days
from relmark.recommend import (
    Als,
    Blend,
    BuyAgain,
    Ease,
    Interactions,
    ItemNeighbors,
    Pairs,
    Popular,
    also_bought,
    compare,
    look_alike,
    split_by_time,
)

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
FAMILIES = ("LUNCH BAG", "JUMBO BAG", "T-LIGHT", "CHRISTMAS", "CAKESTAND", "SPACEBOY|DOLLY GIRL", "REGENCY")


def sales(*, known: bool) -> pl.DataFrame:
    """Return the lines with quantity and price above 0, of known customers alone or of all."""
    lines = pl.read_parquet(DATA / "online_retail.parquet").filter((pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0))
    return lines.filter(pl.col("CustomerID").is_not_null()) if known else lines


def interactions(lines: pl.DataFrame) -> Interactions:
    """Return lines of known customers as interactions."""
    return Interactions.from_columns(
        customer_id=lines["CustomerID"].to_numpy(),
        item=lines["StockCode"].to_numpy().astype(str),
        time=lines["InvoiceDate"].to_numpy(),
        quantity=lines["Quantity"].to_numpy().astype(float),
        value=(lines["Quantity"] * lines["UnitPrice"]).to_numpy(),
        order=lines["InvoiceNo"].to_numpy().astype(str),
    )


def chosen(x: Interactions, items: str) -> Ease:
    """Return EASE with lambda and half-life chosen on the 30 days before the test period."""
    earlier = split_by_time(x, days(30)).train
    grid = {
        f"lambda {lam}, half-life {half}": Ease(regularization=lam, half_life=None if half is None else days(half))
        for lam in (100.0, 200.0, 500.0)
        for half in (None, 240, 120, 60, 30)
    }
    result = compare(grid, earlier, items=items)
    best = max(grid, key=lambda name: result.estimate(name).value)
    print(
        f"chosen on the 30 days before ({items} items): EASE, {best}, nDCG@10 {result.estimate(best).value:.3f} there"
    )
    return grid[best]


def complete_baskets(lines: pl.DataFrame, draws: int = 10) -> None:
    """Hide one item of each of the last 20 % of invoices with two items or more, and look for it among the best 10."""
    invoices, code = np.unique(lines["InvoiceNo"].to_numpy().astype(str), return_inverse=True)
    item = lines["StockCode"].to_numpy().astype(str)
    first = np.full(len(invoices), lines["InvoiceDate"].max()).astype("M8[us]")
    np.minimum.at(first, code, lines["InvoiceDate"].to_numpy().astype("M8[us]"))
    order = np.argsort(first, kind="stable")
    train = np.isin(code, order[: int(0.8 * len(invoices))])
    x = Interactions.from_columns(customer_id=np.zeros(int(train.sum()), int), item=item[train], order=code[train])
    pairs = also_bought(x, min_count=3)
    known = np.unique(np.append(x.item, item))
    baskets = np.unique(code[~train] * len(known) + np.searchsorted(known, item[~train]))
    basket, ware = np.divmod(baskets, len(known))
    _, start, size = np.unique(basket, return_index=True, return_counts=True)
    start, size = start[size > 1], size[size > 1]
    row = np.repeat(np.arange(len(start)), size)
    place = np.arange(size.sum()) + np.repeat(start - np.cumsum(size) + size, size)
    rng = np.random.default_rng(0)
    hidden = [start + (rng.random(len(start)) * size).astype(int) for _ in range(draws)]
    print(f"basket completion, {len(start):,} invoices, one item hidden, mean hit rate at 10 of {draws} draws:")
    for name in ("llr", "jaccard", "cosine", "confidence", "lift"):
        measure, rates = directed(pairs, name, known), []
        for each in hidden:
            shown = ~np.isin(place, each)
            given = csr_matrix((np.ones(shown.sum()), (row[shown], ware[place[shown]])), shape=(len(start), len(known)))
            scores = (given @ measure).toarray()
            scores[given.nonzero()] = -1.0
            own = scores[np.arange(len(start)), ware[each]]
            rates.append(np.mean(((scores > own[:, None]).sum(axis=1) < 10) & (own > 0)))
        print(f"  {name:10} {np.mean(rates):.3f} ({min(rates):.3f} to {max(rates):.3f})")


def directed(pairs: Pairs, measure: str, known: np.ndarray) -> csr_matrix:
    """Return a measure of the pairs with lift over 1 as a matrix of items by items."""
    value = np.where(pairs.lift > 1, getattr(pairs, measure), 0.0)
    places = np.searchsorted(known, pairs.item), np.searchsorted(known, pairs.other)
    return csr_matrix((value, places), shape=(len(known),) * 2)


def audiences(lines: pl.DataFrame) -> None:
    """Look for the buyers of a product family by everything else that they bought."""
    print("look-alike, seed: the buyers of a product family, from all their other purchases; 500 people:")
    print(f"  {'family':20} {'seed':>5} {'ridge':>6} {'centroid':>8} {'activity':>8} {'lift':>5} {'of activity':>11}")
    rows = []
    for family in FAMILIES:
        inside = pl.col("Description").str.contains(family)
        seed = lines.filter(inside)["CustomerID"].unique().to_numpy()
        x = interactions(lines.filter(~inside))
        ridge, centroid = (look_alike(x, seed, 500, method=method) for method in ("ridge", "centroid"))
        rows.append((ridge.auc, centroid.auc, ridge.baseline_auc, ridge.lift, ridge.baseline_lift))
        figures = "{:6.3f} {:8.3f} {:8.3f} {:5.2f} {:11.2f}".format(*rows[-1])
        print(f"  {family:20} {ridge.seed:5,} {figures}")
    print(f"  {'mean':20} {'':5} " + "{:6.3f} {:8.3f} {:8.3f} {:5.2f} {:11.2f}".format(*np.mean(rows, axis=0)))


if __name__ == "__main__":
    print(timing.heading("implicit"))
    lines = sales(known=True)
    x = interactions(lines)
    print(repr(x))
    models = {
        "EASE, lambda 200": Ease(),
        "EASE, chosen earlier": chosen(x, "new"),
        "ALS, defaults": Als(),
        "neighbors, bm25": ItemNeighbors(measure="bm25"),
        "neighbors, cosine": ItemNeighbors(),
        "popular, 7 days": Popular(half_life=days(7)),
        "popular": Popular(),
    }
    print("\nlast 30 days, new items only\n" + str(compare(models, x, items="new")))
    models["EASE, chosen earlier"] = chosen(x, "all")
    models["buy again"] = BuyAgain()
    models["EASE and buy again"] = Blend({Ease(half_life=days(90)): 1.0, BuyAgain(): 1.0})
    result = compare(models, x)
    repeats = result.qualities["buy again"]
    print("\nlast 30 days, all items\n" + str(result))
    print(f"EASE and buy again over buy again: {result.difference('EASE and buy again', 'buy again')!r}")
    print(f"({len(repeats):,} customers)\n")
    complete_baskets(sales(known=False))
    print()
    audiences(lines)
