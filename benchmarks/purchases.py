"""Purchases of 10 million lines: what reading them once costs, beside one sort of an integer column.

Run ``python benchmarks/purchases.py`` from the project's root. Both sides run in one process on one thread; the sort is
of 10 million int64, the cheapest thing that orders anything.
"""

import timing  # isort: skip  (sets the BLAS to one thread before numpy loads)

import numpy as np

from relmark import CustomerBase
from relmark.ltv import purchase_summary

SEED, LINES, CUSTOMERS = 20_261_101, 10_000_000, 1_000_000


def columns():
    rng = np.random.default_rng(SEED)
    # A few customers buy often, most seldom; an order has about four lines; the rows come in the order of time.
    orders = LINES // 4
    weight = rng.gamma(0.8, size=CUSTOMERS)
    owner = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(orders)).clip(max=CUSTOMERS - 1)
    time = np.sort(rng.integers(0, 730 * 86_400, orders)).astype("m8[s]") + np.datetime64("2024-11-01", "s")
    order = np.sort(rng.integers(0, orders, LINES))
    value = np.round(rng.gamma(2.0, 12.0, LINES), 2)
    return {
        "user": owner[order],
        "time": time[order],
        "value": value,
        "order": order,
        "item": rng.integers(0, 5_000, LINES),
    }


COLUMNS = columns()
NAMES = {"customer_id": "user", "time": "time", "value": "value", "order": "order", "item": "item"}
BASE = CustomerBase.from_orders(COLUMNS, **NAMES)
REFUNDED = COLUMNS | {"value": np.where(np.random.default_rng(1).random(LINES) < 0.01, -5.0, COLUMNS["value"])}
BACK = CustomerBase.from_orders(REFUNDED, **NAMES)
KEYS = np.random.default_rng(2).integers(0, 1 << 60, LINES)


def sort():
    keys = KEYS.copy()
    keys.sort()


if __name__ == "__main__":
    print(timing.heading())
    print(
        f"{LINES:,} lines of {LINES // 4:,} orders, {CUSTOMERS:,} customers, seed {SEED}; CPU seconds, medians of pairs"
    )
    timing.report(
        {
            "base.purchases() and its lines": (timing.paired(lambda: len(BASE.purchases()), sort), "1"),
            "its orders": (timing.paired(lambda: BASE.purchases().orders(), sort, repeat=3), ""),
            "its days": (timing.paired(lambda: BASE.purchases().days(), sort, repeat=3), ""),
            "100,000 refunds carried back": (timing.paired(lambda: len(BACK.purchases()), sort, repeat=3), ""),
            "purchase_summary": (
                timing.paired(lambda: purchase_summary(BASE, as_of="2026-11-01", unit="week"), sort, repeat=3),
                "",
            ),
        }
    )
