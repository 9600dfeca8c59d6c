"""Lifetime value against lifetimes 0.11: fits and predictions, CPU time in one process, single-threaded BLAS.

Run ``python benchmarks/ltv.py`` for everything, or ``python benchmarks/ltv.py small`` without the million customers.
"""

from __future__ import annotations

import csv
import sys
import time
import warnings
from datetime import timedelta
from importlib import metadata

import timing  # isort: skip  (sets the threads before numpy is imported)
import numpy as np
import pandas as pd

from relmark.ltv import (
    BgCnbd,
    BgNbd,
    GammaGamma,
    MbgCnbd,
    MbgNbd,
    ParetoNbd,
    PurchaseSummary,
    from_lifetimes,
    lifetime_value,
    purchase_summary,
)

SEED = 2026


def ten(call):
    """Return the call ten times over: a fit of a millisecond is shorter than what a clock and a cold cache add."""
    return lambda: [call() for _ in range(10)]


def cdnow() -> pd.DataFrame:
    found = next(f for f in metadata.files("lifetimes") if f.name == "cdnow_customers_summary_with_transactions.csv")
    with found.locate().open() as file:
        rows = list(csv.DictReader(file))
    return pd.DataFrame([{key: float(value) for key, value in row.items()} for row in rows])


def simulated(n: int) -> PurchaseSummary:
    """BG/NBD customers at CDNOW's parameters, first bought over 12 weeks, times continuous."""
    rng = np.random.default_rng(SEED)
    T = rng.uniform(27.0, 39.0, n)
    lam, p = rng.gamma(0.243, 1 / 4.414, n), rng.beta(0.793, 2.426, n)
    x, t_x, t = np.zeros(n), np.zeros(n), np.zeros(n)
    alive = np.ones(n, dtype=bool)
    while alive.any():
        t[alive] += rng.exponential(size=alive.sum()) / np.maximum(lam[alive], 1e-300)
        buys = alive & (t <= T)
        x[buys] += 1
        t_x[buys] = t[buys]
        alive = buys & (rng.random(n) >= p)
    return PurchaseSummary(frequency=x, recency=t_x, T=T, monetary_value=np.where(x > 0, rng.gamma(6.0, 6.0, n), 0.0))


def with_covariates(model: type, n: int, columns: int, k: int = 1) -> tuple[PurchaseSummary, dict[str, np.ndarray]]:
    """Return customers of a model, with k stages between purchases, whose rate and leaving depend on some columns."""
    rng = np.random.default_rng(SEED)
    Z = rng.normal(size=(n, columns))
    Z[:, 0] = Z[:, 0] > 0
    T = rng.uniform(26.0, 52.0, n)
    moved = Z @ np.linspace(-0.4, 0.4, columns)
    lam, end, p = k * rng.gamma(0.8, 0.1, n) * np.exp(moved), T, np.zeros(n)
    if model is ParetoNbd:
        end = np.minimum(T, rng.exponential(1.0 / (rng.gamma(0.7, 1.0 / 15.0, n) * np.exp(-moved))))
    else:
        mean = 1.0 / (1.0 + np.exp(moved - np.log(0.8 / 2.4)))
        p = rng.beta(3.2 * mean, 3.2 * (1.0 - mean))
    x, t_x, t, log_gaps = (np.zeros(n) for _ in range(4))
    alive = rng.random(n) >= p if model in {MbgNbd, MbgCnbd} else np.ones(n, dtype=bool)
    while alive.any():
        gap = np.zeros(n)
        gap[alive] = rng.standard_gamma(k, size=alive.sum()) / np.maximum(lam[alive], 1e-300)
        t += gap
        buys = alive & (t <= end)
        log_gaps[buys] += np.log(gap[buys])
        x[buys] += 1
        t_x[buys] = t[buys]
        alive = buys & (rng.random(n) >= p)
    summary = PurchaseSummary(frequency=x, recency=t_x, T=T, log_gaps=log_gaps)
    return summary, {f"z{i}": Z[:, i] for i in range(columns)}


def covariate_fits() -> None:
    """Print the seconds of fits with covariates: there is no rival in Python."""
    print("\n5 covariates of rate and of leaving, 100,000 customers of each model, CPU seconds; goal: under 1 s")
    for model, *k in ((BgNbd,), (MbgNbd,), (ParetoNbd,), (MbgCnbd, 2), (BgCnbd, 2)):
        s, columns = with_covariates(model, 100_000, 5, *k)
        begin = time.process_time()
        report = model.fit(s, *k, covariates={"rate": columns, "dropout": columns}).fit_report
        spent = time.process_time() - begin
        print(f"{report.model:12}{spent:6.2f}   {report.evaluations} evaluations, stands: {report.converged}")


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        d = cdnow()
        s = PurchaseSummary(frequency=d["x"], recency=d["t_x"], T=d["T"], monetary_value=d["zbar"], unit="week")
        again = d["x"] > 0
        columns = d["x"], d["t_x"], d["T"]
        bg = lifetimes.BetaGeoFitter().fit(*columns)
        pareto = lifetimes.ParetoNBDFitter().fit(*columns)
        gg = lifetimes.GammaGammaFitter().fit(d["x"][again], d["zbar"][again])
        ours_bg, ours_pareto, ours_gg = (
            from_lifetimes(m, *u) for m, u in ((bg, ("week",)), (pareto, ("week",)), (gg, ()))
        )
        pairs = {
            "BG/NBD fit, CDNOW": (
                lambda: BgNbd.fit(s), lambda: lifetimes.BetaGeoFitter().fit(*columns), "40"),
            "MBG/NBD fit, CDNOW": (
                lambda: MbgNbd.fit(s), lambda: lifetimes.ModifiedBetaGeoFitter().fit(*columns), ""),
            "Pareto/NBD fit, CDNOW": (
                lambda: ParetoNbd.fit(s), lambda: lifetimes.ParetoNBDFitter().fit(*columns), "15, better 30"),
            "Gamma-Gamma fit, CDNOW": (
                lambda: GammaGamma.fit(s),
                lambda: lifetimes.GammaGammaFitter().fit(d["x"][again], d["zbar"][again]), "30"),
            "expected purchases, CDNOW": (
                lambda: ours_bg.expected_purchases(s, 39.0),
                lambda: bg.conditional_expected_number_of_purchases_up_to_time(39.0, *columns), "1.5"),
            "Pareto/NBD expected, CDNOW": (
                lambda: ours_pareto.expected_purchases(s, 39.0),
                lambda: pareto.conditional_expected_number_of_purchases_up_to_time(39.0, *columns), ""),
            "12-month value, CDNOW": (
                lambda: lifetime_value(ours_bg, ours_gg, s, annual_rate=0.1268),
                lambda: gg.customer_lifetime_value(bg, *columns, d["zbar"], time=12, discount_rate=0.01, freq="W"),
                "10"),
            "12-month value by month": (
                lambda: lifetime_value(ours_bg, ours_gg, s, annual_rate=0.1268, step=52.18 / 12),
                lambda: gg.customer_lifetime_value(bg, *columns, d["zbar"], time=12, discount_rate=0.01, freq="W"),
                "10"),
        }  # fmt: skip
        rows = {name: (timing.paired(ten(ours), ten(rival)), goal) for name, (ours, rival, goal) in pairs.items()}
        if "small" not in sys.argv:
            big = simulated(1_000_000)
            many = big.frequency, big.recency, big.T
            rows["BG/NBD fit, 1 M customers"] = (
                timing.paired(
                    lambda: BgNbd.fit(big), lambda: lifetimes.BetaGeoFitter().fit(*many), repeat=1, warm_up=False
                ),
                "40, under 1 s",
            )
            rows["expected purchases, 1 M"] = (
                timing.paired(
                    lambda: ours_bg.expected_purchases(big, 39.0),
                    lambda: bg.conditional_expected_number_of_purchases_up_to_time(39.0, *many),
                    repeat=3,
                ),
                "1.5",
            )
        regular = MbgCnbd(k=2, r=1.3, alpha=2.8, a=0.42, b=0.79, unit="week").simulate(
            100_000, timedelta(days=364), SEED, start="2026-01-01"
        )
        bought = purchase_summary(regular.to_base(), as_of="2026-12-31")
        two, one = MbgCnbd.fit(bought, 2), MbgNbd.fit(bought)
        rows |= {
            "MBG/CNBD-2 fit, 100,000": (
                timing.paired(lambda: MbgCnbd.fit(bought, 2), lambda: MbgNbd.fit(bought)), "over 0.1"),
            "MBG/CNBD-2 expected, 100,000": (
                timing.paired(
                    lambda: two.expected_purchases(bought, 52.0), lambda: one.expected_purchases(bought, 52.0)), ""),
        }  # fmt: skip
    print("the rival of MBG/CNBD-2 is MBG/NBD here")
    print("CDNOW rows: ten calls in a row on either side")
    print(timing.heading("lifetimes", "pandas"), f"seed {SEED}", sep="; ")
    timing.report(rows)
    covariate_fits()


if __name__ == "__main__":
    main()
