"""Small worlds whose answers are known."""

from __future__ import annotations

import numpy as np

from relmark import ItemTable
from relmark.recommend import (
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Ease,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
)


def checkerboard(n: int = 12) -> Interactions:
    """Customers of even number have the even items, those of odd number the odd ones; each lacks its own number."""
    customer, item = np.divmod(np.arange(n * n), n)
    keep = (customer % 2 == item % 2) & (customer != item)
    return Interactions.from_columns(customer_id=customer[keep], item=item[keep])


def shop(seed: int = 0, lines: int = 1500, customers: int = 40, wares: int = 25) -> Interactions:
    """Purchases with everything: times, quantities, money, orders, and a table of items, five of them new."""
    rng = np.random.default_rng(seed)
    n = wares + 5
    items = ItemTable.from_columns(
        item=np.arange(n),
        category=np.array(["tea", "cups", "jam"])[np.arange(n) % 3],
        price=np.arange(n) + 1.0,
        launched=np.where(np.arange(n) < wares, np.datetime64("2025-01-01"), np.datetime64("2026-03-30")),
        in_stock=np.arange(n) % 4 != 0,
    )
    return Interactions.from_columns(
        customer_id=rng.integers(0, customers, lines),
        item=np.minimum(rng.integers(0, wares, lines), rng.integers(0, wares, lines)),
        time=np.datetime64("2026-01-01") + rng.integers(0, 100, lines),
        quantity=rng.integers(1, 5, lines),
        value=rng.random(lines) * 20,
        order=rng.integers(0, 400, lines),
        catalog=items,
    )


SPECS = {
    "popular": Popular(),
    "buy again": BuyAgain(),
    "new arrivals": NewArrivals(),
    "neighbors": ItemNeighbors(k=5),
    "ease": Ease(regularization=10.0),
    "als": Als(factors=4, iterations=3),
    "bpr": Bpr(factors=4, iterations=5),
    "blend": Blend({Ease(regularization=10.0): 1.0, BuyAgain(): 0.5}),
    "fallback": Fallback([NewArrivals(), BuyAgain(), Popular()]),
}
