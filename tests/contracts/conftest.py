"""A small shop whose figures can be worked out by hand; every block of the public contract is read against it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, ItemTable

ORDERS = {
    "user": ["c1", "c1", "c1", "c1", "c2", "c2", "c2", "c3", "c4", "c4"],
    "ts": [
        "2026-08-01", "2026-08-01", "2026-09-15", "2026-10-20", "2026-09-10", "2026-10-31", "2026-10-31",
        "2026-07-05", "2026-10-01", "2026-10-05",
    ],
    "invoice": ["A1", "A1", "A2", "A3", "B1", "B2", "B2", "C1", "D1", "D2"],
    "sku": ["tea", "cup", "tea", "tea", "cup", "tea", "pot", "pot", "tea", "tea"],
    "qty": [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, -1.0],
    "amount": [10.0, 8.0, 5.0, 6.0, 8.0, 5.0, 20.0, 20.0, 15.0, -5.0],
}  # fmt: skip

VISITS = {
    "customer_id": ["c1", "c2", "c2", "c3", "c5"],
    "time": np.array(
        ["2026-10-19T10:00", "2026-10-30T09:00", "2026-10-30T20:00", "2026-10-01T08:00", "2026-10-15T08:00"], "M8[us]"
    ),
    "type": "visit",
    "properties": {"channel": ["mail", "search", "mail", "search", "direct"]},
}


@pytest.fixture(scope="session")
def orders():
    return {name: list(column) for name, column in ORDERS.items()}


@pytest.fixture(scope="session")
def table():
    return CustomerTable.from_columns(
        customer_id=["c1", "c2", "c3", "c4", "c5"],
        city=["Omsk", None, "Kazan", "Omsk", "Kazan"],
        age=[30, 41, None, 17, 52],
    )


@pytest.fixture(scope="session")
def items():
    return ItemTable.from_columns(
        item=["cup", "pot", "tea"],
        category=["dishes", "dishes", "food"],
        price=[8.0, 20.0, 5.0],
        launched=np.array(["2026-06-01", "2026-07-01", "2026-10-15"], "M8[D]"),
    )


@pytest.fixture(scope="session")
def log(orders):
    bought = EventLog.purchases(
        {name: column for name, column in orders.items() if name != "ts"}
        | {"ts": [datetime.fromisoformat(day) for day in orders["ts"]]},
        customer_id="user", time="ts", value="amount", order="invoice", item="sku", quantity="qty",
    )  # fmt: skip
    return bought.append(EventLog.from_columns(**VISITS))


@pytest.fixture(scope="session")
def base(log, table, items):
    return CustomerBase(customers=table, events=log, items=items, tz="Europe/Berlin")
