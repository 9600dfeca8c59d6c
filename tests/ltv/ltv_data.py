"""CDNOW, the donations and simulated customers, for the tests of this package."""

from __future__ import annotations

import csv
import warnings
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from relmark.core.base import CustomerBase
from relmark.core.newton import in_logarithms
from relmark.ltv import (
    BgBb,
    BgNbd,
    GammaGamma,
    MbgNbd,
    Nbd,
    ParetoNbd,
    PurchaseSummary,
    ShiftedBetaGeometric,
    _beta_binomial,
    _geometric_dropout,
    _pareto,
    gamma_gamma,
    nbd,
    shifted_beta_geometric,
)
from relmark.ltv._cells import distinct, unique_rows, weights_by
from relmark.ltv._renewals import losses


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


def simulated(kind, n, parameters, T, rng, k=1):
    """Return a summary of n customers drawn from a model's story, purchase by purchase, each after k stages."""
    T = np.broadcast_to(np.asarray(T, dtype=float), (n,)).copy()
    lam = rng.gamma(parameters[0], 1.0 / parameters[1], n)
    x, t_x, gaps = np.zeros(n), np.zeros(n), np.zeros(n)
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
        waited = rng.exponential(1.0 / np.maximum(lam, 1e-300))
        for _ in range(k - 1):
            waited = waited + rng.exponential(1.0 / np.maximum(lam, 1e-300))
        t = t + waited
        buys = alive & (t <= end)
        x[buys] += 1
        t_x[buys] = t[buys]
        gaps[buys] += np.log(waited[buys])
        alive = buys & (rng.random(n) >= p)
    return PurchaseSummary(frequency=x, recency=t_x, T=T, log_gaps=gaps, unit="week")


MODELS = {
    "nbd": Nbd, "bg": BgNbd, "mbg": MbgNbd, "pareto": ParetoNbd, "bg_bb": BgBb, "gamma": GammaGamma,
    "sbg": ShiftedBetaGeometric,
}  # fmt: skip


def drawn(kind, rng):
    """Return 50 to 1,000 customers drawn from a model whose parameters lie anywhere in wide ranges."""

    def between(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    n = int(between(50, 1_000 if kind != "pareto" else 200))
    if kind == "bg_bb":
        p, leave = rng.beta(between(0.2, 4), between(0.2, 4), n), rng.beta(between(0.2, 4), between(0.5, 8), n)
        periods = int(rng.integers(4, 20))
        x, t, active = np.zeros(n), np.zeros(n), np.ones(n, dtype=bool)
        for i in range(1, periods + 1):
            active &= rng.random(n) >= leave
            buys = active & (rng.random(n) < p)
            x += buys
            t[buys] = i
        return PurchaseSummary(frequency=x, recency=t, T=np.full(n, float(periods)), unit="period")
    if kind == "gamma":
        x = 1.0 + rng.poisson(rng.gamma(1.0, between(1, 100), n))
        money = rng.gamma(between(0.5, 20) * x, 1.0 / rng.gamma(between(1.2, 10), 1.0 / between(5, 100), n)) / x
        return PurchaseSummary(frequency=x, recency=x, T=x + 1, monetary_value=money)
    if kind == "sbg":
        leave, left, counts = rng.beta(between(0.1, 5), between(0.2, 10), n), np.ones(n, dtype=bool), [n]
        for _ in range(int(rng.integers(3, 12))):
            left &= rng.random(n) >= leave
            counts.append(int(left.sum()))
        return counts
    T = rng.uniform(27, 39, n) if rng.random() < 0.3 else float(rng.integers(10, 80))
    last = (between(0.2, 3), between(2, 40)) if kind == "pareto" else (between(0.2, 4), between(0.3, 6))
    return simulated(kind, n, (between(0.2, 4), between(1, 25), *last), T, rng)


def surface(kind, s):
    """Return a model's log-likelihood with its derivatives, and the start of its fit."""
    if kind == "sbg":
        lost, kept = losses(s)
        return lambda p: shifted_beta_geometric._likelihood(p, lost, kept), np.array([1.0, 2.0])
    if kind == "gamma":
        x, money = s.frequency, s.monetary_value
        w = np.ones(len(x))
        counts, place = distinct(x)
        n = weights_by(place, w, len(counts))
        sums = float(x @ np.log(x)), float(x @ np.log(money)), float(np.log(money).sum())
        return lambda p: gamma_gamma._likelihood(p, counts, n, x, money, w, sums), np.array([2.0, 3.0, money.mean()])
    age = s.T.mean()
    (x, t_x, T), w, _ = unique_rows([s.frequency, s.recency, s.T], s.weights)
    if kind == "bg_bb":
        rows = _beta_binomial.Histories.of(x, t_x, T)
        return lambda p: _beta_binomial.likelihood(p, rows, w), np.array([1.0, 1.0, 1.0, 2.0])
    if kind == "nbd":
        (x, T), w, _ = unique_rows([s.frequency, s.T], s.weights)
        return lambda p: nbd._likelihood(p, x, T, w), np.array([0.5, age / 4])
    if kind == "pareto":
        counts, place = distinct(x)
        n = weights_by(place, w, len(counts))
        start = np.array([0.5, age / 4, 0.5, age / 4])
        return lambda p: _pareto.likelihood(p, x, t_x, T, w, counts, n), start
    shift = int(kind == "mbg")
    rows = _geometric_dropout.arranged(x, t_x, T, w, shift)
    return lambda p: _geometric_dropout.likelihood(p, rows, shift), np.array([0.5, age / 4, 1.0, 2.0])


def in_logs(surface, begin):
    """Return a log-likelihood as the search sees it: of the logarithm of parameters over a start."""

    def objective(theta):
        parameters = begin * np.exp(theta)
        return in_logarithms(surface(parameters), parameters)

    return objective


def lifetimes_package():
    """Import the rival without keeping its process-wide warning filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes
    return lifetimes
