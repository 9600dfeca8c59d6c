"""CDNOW, the donations and simulated customers, for the tests of this room."""

from __future__ import annotations

import csv
import warnings
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from relmark.core.base import CustomerBase
from relmark.ltv import PurchaseSummary


def lifetimes_file(name: str) -> Path:
    """Return a data file of the lifetimes wheel without importing the package."""
    found = next(f for f in metadata.files("lifetimes") if f.name == name)
    return Path(found.locate())


def table(name: str) -> dict[str, np.ndarray]:
    with lifetimes_file(name).open() as file:
        rows = list(csv.DictReader(file))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


@cache
def cdnow() -> PurchaseSummary:
    t = table("cdnow_customers_summary_with_transactions.csv")
    return PurchaseSummary(
        customer_id=t["ID"].astype(int),
        frequency=t["x"],
        recency=t["t_x"],
        T=t["T"],
        monetary_value=t["zbar"],
        unit="week",
    )


@cache
def cdnow_base() -> CustomerBase:
    rows = np.loadtxt(lifetimes_file("CDNOW_sample.txt"), dtype=str)
    day = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in rows[:, 2]], dtype="M8[D]")
    columns = {"customer": rows[:, 1].astype(int), "day": day, "dollars": rows[:, 4].astype(float)}
    return CustomerBase.from_orders(columns, customer_id="customer", time="day", value="dollars")


@cache
def donations() -> PurchaseSummary:
    t = table("donations.csv")
    return PurchaseSummary(
        frequency=t["frequency"], recency=t["recency"], T=t["periods"], weights=t["weights"], unit="period"
    )


def simulated(kind, n, parameters, T, rng):
    """Return a summary of n customers drawn from a model's story, purchase by purchase."""
    T = np.broadcast_to(np.asarray(T, dtype=float), (n,)).copy()
    lam = rng.gamma(parameters[0], 1.0 / parameters[1], n)
    x, t_x = np.zeros(n), np.zeros(n)
    alive = np.ones(n, dtype=bool)
    end = T.copy()
    if kind == "nbd":
        p = np.zeros(n)
    elif kind == "pareto":
        p = np.zeros(n)
        end = np.minimum(T, rng.exponential(1.0 / rng.gamma(parameters[2], 1.0 / parameters[3], n)))
    else:
        p = rng.beta(parameters[2], parameters[3], n)
        if kind == "mbg":
            alive = rng.random(n) >= p
    t = np.zeros(n)
    while alive.any():
        t = t + rng.exponential(1.0 / np.maximum(lam, 1e-300))
        buys = alive & (t <= end)
        x[buys] += 1
        t_x[buys] = t[buys]
        alive = buys & (rng.random(n) >= p)
    return PurchaseSummary(frequency=x, recency=t_x, T=T, unit="week")


def lifetimes_package():
    """Import the rival without keeping its process-wide warning filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes
    return lifetimes
