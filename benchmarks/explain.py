"""One person at a time: `Segment.one` with five predicates and fifty events, `Segment.explain` in a large base.

python benchmarks/explain.py                 # 1 M customers, 10 M events
python benchmarks/explain.py --customers 100000 --events 1000000
"""

from __future__ import annotations

import timing  # isort: skip  (sets the threads before numpy)

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, prop
from relmark.core.events import Customer, Event
from relmark.segmentation.segments import Segment

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
RULE = Segment(
    "win back",
    field("city").is_in(["Kazan", "Omsk"])
    & (event("purchase", where=prop("category") == "shoes").count(within=days(300)) >= 2)
    & (event("purchase").days_since_last() > 1)
    & ~event("unsubscribe").exists()
    & (event("purchase").sum(within=days(365)) > 100),
)


def percentiles(call: Callable[[int], Any], n: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of the seconds that n calls take."""
    times = []
    for k in range(n):
        start = time.perf_counter()
        call(k)
        times.append(time.perf_counter() - start)
    return statistics.median(times), sorted(times)[int(n * 0.99)]


def person(rng: np.random.Generator) -> tuple[Customer, list[Event]]:
    """Return a customer and fifty events of a bit more than a year."""
    kinds = ["purchase", "visit", "message_opened", "cart"]
    events = [
        Event(
            "c1",
            kinds[int(rng.integers(4))],
            AS_OF - timedelta(days=float(rng.random() * 400)),
            float(rng.integers(5, 50)),
            {"category": ["shoes", "hats"][int(rng.integers(2))]},
        )
        for _ in range(50)
    ]
    return Customer("c1", {"city": "Kazan", "age": 41}), events


def large_base(customers: int, events: int, rng: np.random.Generator) -> CustomerBase:
    """Return a base with events of four types over a bit more than a year."""
    ids = np.arange(customers)
    times = np.sort(rng.integers(0, 400 * 86_400, events))
    log = EventLog.from_columns(
        customer_id=rng.integers(0, customers, events),
        type=np.array(["purchase", "visit", "message_opened", "cart"])[rng.integers(0, 4, events)],
        time=np.datetime64("2025-09-27", "s") + times.astype("m8[s]"),
        value=rng.integers(5, 50, events).astype(np.float64),
        properties={"category": np.array(["shoes", "hats"])[rng.integers(0, 2, events)]},
    )
    table = CustomerTable.from_columns(customer_id=ids, city=np.array(["Kazan", "Omsk", "Perm"])[ids % 3])
    return CustomerBase(customers=table, events=log)


def line(what: str, found: tuple[float, float], goal: str) -> None:
    print(f"{what:58}  {found[0] * 1e6:9.1f}  {found[1] * 1e6:9.1f}  {goal}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    print(timing.heading())
    print(f"{'what':58}  {'p50, us':>9}  {'p99, us':>9}  goal")
    people = [person(rng) for _ in range(200)]

    def pick(k: int) -> tuple[Customer, list[Event]]:
        return people[k % len(people)]

    line("one: member", percentiles(lambda k: RULE.one(*pick(k), as_of=AS_OF).member, 5_000), "200, 50 wished for")
    line("one: next_change", percentiles(lambda k: RULE.one(*pick(k), as_of=AS_OF).next_change, 5_000), "200")
    line("one: to_dict, with every reason", percentiles(lambda k: RULE.one(*pick(k), as_of=AS_OF).to_dict(), 1_000), "")

    def through_columns(k: int) -> bool:
        customer, events = pick(k)
        table = CustomerTable.from_columns(customer_id=[customer.id], city=[customer.attributes["city"]])
        base = CustomerBase(customers=table, events=EventLog.from_events(events))
        return bool(RULE.evaluate(base, as_of=AS_OF).mask[0])

    assert all(through_columns(k) == RULE.one(*pick(k), as_of=AS_OF).member for k in range(len(people)))
    line("the same person through columns", percentiles(through_columns, 300), "")
    base = large_base(options.customers, options.events, rng)
    start = time.perf_counter()
    RULE.explain(base, 0, as_of=AS_OF)
    print(f"explain in the base, the first call: {time.perf_counter() - start:.2f} s")
    ids = rng.integers(0, options.customers, 1_000).tolist()

    def explained(k: int) -> Any:
        found = RULE.explain(base, ids[k], as_of=AS_OF)
        return found.next_change, str(found)

    name = f"explain: {options.customers:,} customers, {options.events:,} events"
    line(name, percentiles(explained, 1_000), "2,000")
    mask = RULE.evaluate(base, as_of=AS_OF).mask
    assert all(RULE.explain(base, k, as_of=AS_OF).member == mask[k] for k in ids)
