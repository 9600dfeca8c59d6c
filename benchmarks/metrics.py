"""Metrics over 10 M events: a funnel and figures of messages beside polars, cohorts beside pandas, times alone.

Run ``python benchmarks/metrics.py [events] [customers]``. Every rival answers the same question, and the answers are
compared before anything is timed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from timing import Timing, heading, paired, report  # isort: skip

import numpy as np
import pandas as pd
import polars as pl

from relmark import CustomerBase, EventLog, days, event
from relmark.metrics import (
    MessageMetrics,
    cohort_retention,
    funnel,
    message_metrics,
    pipeline,
    points_ledger,
    response_profile,
)

SEED = 20_262
DAY = 86_400_000_000
START = np.datetime64("2025-01-01", "us").view(np.int64)
STEPS = ("view", "cart", "purchase")
KINDS = ("message_sent", "message_opened", "message_clicked", "message_bounced", "unsubscribe")


def funnel_rows(m: int, n: int) -> tuple[CustomerBase, pl.DataFrame]:
    rng = np.random.default_rng(SEED)
    customer = rng.integers(0, n, m).astype(np.int32)
    time = np.sort(START + rng.integers(0, 365 * DAY, m))
    kind = rng.choice(np.arange(3, dtype=np.int8), m, p=[0.5, 0.3, 0.2])
    log = EventLog.from_columns(customer_id=customer, type=np.array(STEPS)[kind], time=time.view("M8[us]"))
    return CustomerBase(events=log), pl.DataFrame({"customer": customer, "time": time, "kind": kind})


def message_rows(m: int, n: int) -> tuple[CustomerBase, pl.DataFrame]:
    """Return messages of 100 campaigns: half of the rows are sent, the others answer one of these."""
    rng = np.random.default_rng(SEED)
    sent = m // 2
    who, campaign = rng.integers(0, n, sent).astype(np.int32), rng.integers(0, 100, sent)
    when = START + rng.integers(0, 300 * DAY, sent)
    answer = rng.integers(0, sent, m - sent)
    kind = rng.choice(np.arange(1, 5, dtype=np.int8), m - sent, p=[0.7, 0.2, 0.08, 0.02])
    customer = np.concatenate([who, who[answer]])
    kinds = np.concatenate([np.zeros(sent, dtype=np.int8), kind])
    time = np.concatenate([when, when[answer] + rng.integers(1, 5 * DAY, m - sent)])
    words = np.array([f"campaign {k:02}" for k in range(100)])
    campaigns = np.concatenate([campaign, campaign[answer]])
    order = np.argsort(time, kind="stable")
    customer, kinds, time, campaigns = customer[order], kinds[order], time[order], campaigns[order]
    log = EventLog.from_columns(
        customer_id=customer, type=np.array(KINDS)[kinds], time=time.view("M8[us]"),
        properties={"campaign": words[campaigns]},
    )  # fmt: skip
    frame = pl.DataFrame({"customer": customer, "time": time, "kind": kinds, "campaign": campaigns.astype(np.int8)})
    return CustomerBase(events=log), frame


def purchase_rows(m: int, n: int) -> tuple[CustomerBase, pd.DataFrame]:
    rng = np.random.default_rng(SEED)
    customer = rng.integers(0, n, m).astype(np.int32)
    time = np.sort(START + rng.integers(0, 730 * DAY, m)).view("M8[us]")
    base = CustomerBase.from_orders({"user": customer, "time": time}, customer_id="user", time="time")
    return base, pd.DataFrame({"customer": customer, "time": time})


def polars_funnel(frame: pl.DataFrame) -> list[int]:
    """Return people by depth: the latest start of a chain is carried from step to step, as-of joined."""
    lazy = frame.lazy().with_columns(pl.col("time").set_sorted())
    views = lazy.filter(pl.col("kind") == 0).select("customer", "time", begun="time")
    carts = lazy.filter(pl.col("kind") == 1).select("customer", "time")
    buys = lazy.filter(pl.col("kind") == 2).select("customer", "time")
    how = {"on": "time", "by": "customer", "allow_exact_matches": False, "check_sortedness": False}
    second = carts.join_asof(views, **how).filter(pl.col("begun").is_not_null())
    third = buys.join_asof(second.select("customer", "time", "begun"), **how).filter(pl.col("begun").is_not_null())
    within = pl.col("time") - pl.col("begun") <= 7 * DAY
    counts = [
        rows.select(pl.col("customer").n_unique()) for rows in (views, second.filter(within), third.filter(within))
    ]
    return [one.item() for one in pl.collect_all(counts)]


def polars_messages(frame: pl.DataFrame) -> pl.DataFrame:
    """Return recipients by campaign and kind, once per message; a click without an open is an open."""
    return (
        frame.lazy()
        .group_by("campaign", "customer")
        .agg(*[(pl.col("kind") == k).any().alias(name) for k, name in enumerate(KINDS)])
        .filter(pl.col("message_sent"))
        .with_columns(
            message_opened=pl.col("message_opened") | pl.col("message_clicked"),
            message_bounced=pl.col("message_bounced") & ~pl.col("message_opened") & ~pl.col("message_clicked"),
        )
        .group_by("campaign")
        .agg(*[pl.col(name).sum() for name in KINDS])
        .sort("campaign")
        .collect()
    )


def polars_unique(frame: pl.DataFrame) -> pl.DataFrame:
    """Return distinct customers by campaign and kind: less than what is asked, as most reports do it."""
    return frame.lazy().group_by("campaign", "kind").agg(pl.col("customer").n_unique()).sort("campaign").collect()


def pandas_cohorts(table: pd.DataFrame) -> np.ndarray:
    month = table["time"].to_numpy().astype("M8[M]").astype(np.int64)
    first = pd.Series(month).groupby(table["customer"].to_numpy()).transform("min")
    frame = pd.DataFrame({"cohort": first.to_numpy(), "since": month - first.to_numpy(), "who": table["customer"]})
    return frame.groupby(["cohort", "since"])["who"].nunique().unstack().to_numpy()  # noqa: PD010


def time_funnel(m: int, n: int) -> dict[str, tuple[Timing, str]]:
    base, frame = funnel_rows(m, n)
    steps = [event(name) for name in STEPS]

    def ours() -> np.ndarray:
        return funnel(base, steps, as_of="2026-02-01", within=days(7)).counts

    assert ours().tolist() == polars_funnel(frame)
    return {"three-step funnel within 7 days, beside polars": (paired(ours, lambda: polars_funnel(frame)), "2")}


def time_cohorts(m: int, n: int) -> dict[str, tuple[Timing, str]]:
    base, table = purchase_rows(m, n)

    def ours() -> np.ndarray:
        return cohort_retention(base, as_of="2027-01-01").counts

    assert np.array_equal(np.nan_to_num(ours()), np.nan_to_num(pandas_cohorts(table)))
    timing = paired(ours, lambda: pandas_cohorts(table), repeat=3)
    return {"cohort table of purchases by month, beside pandas": (timing, "3")}


def time_messages(m: int, n: int) -> dict[str, tuple[Timing, str]]:
    base, frame = message_rows(m, n)

    def ours() -> MessageMetrics:
        return message_metrics(base, as_of="2026-02-01", by="campaign")

    told, want = ours(), polars_messages(frame)
    for name, column in zip(("sent", "opened", "clicked", "bounced", "unsubscribed"), KINDS, strict=True):
        assert np.array_equal(told[name], want[column].to_numpy()), name
    return {
        "figures of messages by 100 campaigns, beside polars": (paired(ours, lambda: polars_messages(frame)), "3"),
        "the same beside polars' distinct counts alone": (paired(ours, lambda: polars_unique(frame)), ""),
    }


def profile_rows(m: int, n: int) -> CustomerBase:
    """Return messages in five channels to n customers of known rates, and the clicks that followed within an hour."""
    rng = np.random.default_rng(SEED)
    who, channel = rng.integers(0, n, m), rng.integers(0, 5, m)
    sent = np.sort(START + rng.integers(0, 60 * DAY, m))
    hit = rng.random(m) < rng.beta(2, [20, 18, 30, 25, 22], (n, 5))[who, channel]
    names = np.array(["chat", "email", "post", "push", "sms"])
    log = EventLog.from_columns(
        customer_id=np.concatenate([who, who[hit]]),
        type=np.repeat(["message_sent", "message_clicked"], [m, int(hit.sum())]),
        time=np.concatenate([sent, sent[hit] + DAY // 24]).view("M8[us]"),
        properties={"channel": names[np.concatenate([channel, channel[hit]])]},
    )
    return CustomerBase(events=log)


def points_rows(m: int, n: int) -> CustomerBase:
    """Return points earned and spent: three of four events earn, and what is spent is capped."""
    rng = np.random.default_rng(SEED)
    log = EventLog.from_columns(
        customer_id=rng.integers(0, n, m), type=np.array(["earn", "spend"])[(rng.random(m) < 0.25).astype(np.int8)],
        time=np.sort(START + rng.integers(0, 700 * DAY, m)).view("M8[us]"), value=rng.integers(1, 200, m) / 4,
    )  # fmt: skip
    return CustomerBase(events=log)


def deals_rows(n: int) -> dict[str, np.ndarray]:
    """Return n deals in one stage, half of them won slowly and half lost soon."""
    rng = np.random.default_rng(SEED)
    start, wins = rng.uniform(0, 365, n), rng.random(n) < 0.5
    end = start + np.where(wins, rng.exponential(60, n), rng.exponential(12, n))
    time = START + (np.concatenate([start, end]) * DAY).astype(np.int64)
    return {
        "deal": np.tile(np.arange(n), 2), "time": time.view("M8[us]"),
        "stage": np.concatenate([np.repeat("offer", n), np.where(wins, "won", "lost")]),
    }  # fmt: skip


def spent(call: Callable[[], object]) -> str:
    """Return the least CPU time of three calls."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return f"{min(times):.2f} s of CPU"


def time_alone(n: int) -> None:
    """Print the times of what has no rival."""
    profile, points, deals = profile_rows(6 * n, n), points_rows(5 * n, n), deals_rows(20_000)
    told = pipeline(deals, stages=["offer"], as_of="2025-12-31")
    calls = {
        f"response profile of {n:,} customers by 5 channels, {6 * n:,} messages": lambda: response_profile(
            profile, as_of="2025-04-01"
        ),
        f"points of {n:,} customers, {5 * n:,} events": lambda: points_ledger(
            points, as_of="2027-01-01", earn=event("earn"), spend=event("spend"), expires=days(365), overdrawn="cap"
        ),
        "pipeline of 20,000 deals": lambda: pipeline(deals, stages=["offer"], as_of="2025-12-31"),
        "its forecast, 1,000 draws": lambda: told.forecast(days(30)),
    }
    for what, call in calls.items():
        print(f"{what}: {spent(call)}")


def main(m: int, n: int) -> None:
    print(heading("polars", "pandas"))
    print(f"{m:,} events, {n:,} customers, seed {SEED}\n")
    report({**time_funnel(m, n), **time_cohorts(m, n), **time_messages(m, n)})
    print()
    time_alone(n)


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]] or [10_000_000, 1_000_000]
    main(*sizes)
