"""RFM with quintiles, 10 million purchases of 1 million customers: relmark beside Polars and pandas.

Run ``python benchmarks/rfm.py`` from the project's root. Both sides start from their own columns in memory (a base of
relmark, a frame) and end with three scores and a segment code a customer; the log's own cost is timed apart.
"""

import timing  # isort: skip  (sets the BLAS to one thread before numpy loads)

import numpy as np
import pandas as pd
import polars as pl

from relmark import CustomerBase, EventLog
from relmark.segmentation import Rfm

SEED, EVENTS, CUSTOMERS, BINS = 20_261_101, 10_000_000, 1_000_000, 5
AS_OF = np.datetime64("2026-11-01")
DAY = np.timedelta64(1, "D")


def columns():
    rng = np.random.default_rng(SEED)
    # A few customers buy often, most seldom; the rows come in the order of time, as logs do.
    weight = rng.gamma(0.8, size=CUSTOMERS)
    code = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(EVENTS)).clip(max=CUSTOMERS - 1)
    time = np.sort(rng.integers(0, 730 * 86_400, EVENTS)).astype("m8[s]") + np.datetime64("2024-11-01", "s")
    return code, time.astype("M8[us]"), np.round(rng.gamma(2.0, 12.0, EVENTS), 2)


CODE, TIME, VALUE = columns()
LOG = CustomerBase(events=EventLog.from_columns(customer_id=CODE, type="purchase", time=TIME, value=VALUE), tz="UTC")
PL = pl.DataFrame({"customer_id": CODE, "time": TIME, "value": VALUE})
PD = pd.DataFrame({"customer_id": CODE, "time": TIME, "value": VALUE})
RFM = Rfm(bins=BINS)


MODEL = RFM.fit(LOG, as_of=AS_OF)


def ours():
    scores = RFM.score(LOG, as_of=AS_OF)
    return scores.r, scores.f, scores.m, scores.segment_code


def frozen():
    return MODEL.score(LOG, as_of=AS_OF).segment_code


def log_and_scores():
    log = EventLog.from_columns(customer_id=CODE, type="purchase", time=TIME, value=VALUE)
    return RFM.score(CustomerBase(events=log, tz="UTC"), as_of=AS_OF).segment_code


def _polars_score(name):
    n = pl.len()
    x = pl.col(name)
    cuts = [x.sort().gather((n * q + BINS - 1) // BINS - 1) for q in range(1, BINS)]
    return 1 + pl.sum_horizontal([(x > cut).cast(pl.Int32) for cut in cuts])


def polars_rfm():
    day = pl.lit(AS_OF.astype("M8[D]").astype(int))
    return (
        PL.lazy()
        .filter(pl.col("time") <= AS_OF.astype("M8[us]").item())
        .group_by("customer_id")
        .agg(last=pl.col("time").max(), f=pl.len(), m=pl.col("value").sum())
        .with_columns(days=day - pl.col("last").dt.date().cast(pl.Int32))
        .with_columns(r=BINS + 1 - _polars_score("days"), f=_polars_score("f"), m=_polars_score("m"))
        .collect()
    )


def _pandas_score(x):
    cuts = np.partition(x, kth := [-(-len(x) * q // BINS) - 1 for q in range(1, BINS)])[kth]
    return 1 + np.searchsorted(cuts, x, side="left")


def pandas_rfm():
    found = (
        PD[PD.time <= AS_OF].groupby("customer_id").agg(last=("time", "max"), f=("value", "size"), m=("value", "sum"))
    )
    days = (AS_OF - found["last"].dt.floor("D")) // DAY
    return (
        BINS + 1 - _pandas_score(days.to_numpy()),
        _pandas_score(found.f.to_numpy()),
        _pandas_score(found.m.to_numpy()),
    )


def agree():
    """The rivals must answer the same question: compare all scores of all customers before timing."""
    r, f, m, _ = ours()
    table = polars_rfm().sort("customer_id")
    bought = r > 0
    assert np.array_equal(LOG.customer_id[bought], table["customer_id"].to_numpy())
    for mine, name in ((r, "r"), (f, "f")):
        assert np.array_equal(mine[bought], table[name].to_numpy()), name
    # Float sums in another order may fall on the other side of a threshold.
    assert np.mean(m[bought] != table["m"].to_numpy()) < 1e-4
    for mine, theirs in zip((r, f), pandas_rfm(), strict=False):
        assert np.array_equal(mine[bought], theirs)


if __name__ == "__main__":
    print(timing.heading("polars", "pandas"))
    print(f"{EVENTS:,} purchases, {CUSTOMERS:,} customers, quintiles, seed {SEED}; CPU seconds, median of 5 pairs")
    agree()
    timing.report(
        {
            "RFM of a log: fit and score, Polars": (timing.paired(ours, polars_rfm), "4 times"),
            "RFM of a log: fit and score, pandas": (timing.paired(ours, pandas_rfm, repeat=3), ""),
            "RFM of a log with frozen thresholds, Polars": (timing.paired(frozen, polars_rfm, repeat=3), ""),
            "from raw columns, the log included, Polars": (timing.paired(log_and_scores, polars_rfm, repeat=3), ""),
        }
    )
