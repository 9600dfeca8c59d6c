"""One person in a service: a history read once, several questions, and what needs keep of the events.

python benchmarks/service.py
python benchmarks/service.py --events 50 5000

CPU time of one call, the best of several rounds. Events of two years at random times; the score has two rules with
half-lives, each over half of the events.
"""

from __future__ import annotations

import timing  # isort: skip  (sets the threads before numpy)

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from relmark import Customer, CustomerHistory, Event, Schema, days, event, field, prop
from relmark.scoring import Group, LeadScore, Rule, half_life
from relmark.segmentation import Segment, SegmentSet

AS_OF = datetime(2026, 11, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    fields={"age": float, "city": str},
    events={name: {"sku": str, "page": str} for name in ("purchase", "visit", "message_opened", "cart")},
)
SEGMENTS = SegmentSet(
    [
        Segment("adult buyers", (field("age") >= 18) & (event("purchase").count(within=days(30)) >= 2)),
        Segment("browsers", event("visit").exists(within=days(7)) & ~event("purchase").exists(within=days(30))),
        Segment("spenders", event("purchase").sum(within=days(90)) > 100),
        Segment("silent", event("visit").days_since_last(within=days(60)) > 3),
        Segment("fans of a", event("purchase", where=prop("sku") == "a").exists(within=days(90))),
    ]
)
SCORE = LeadScore(
    name="score",
    groups=[Group("engagement", cap=10_000)],
    bands={"hot": 60, "warm": 20, "cool": 5},
    rules=[
        Rule("visit", each=event("visit", "cart"), points=3, decay=half_life(days(30)), group="engagement"),
        Rule("bought", each=event("purchase", "message_opened"), points=5, decay=half_life(days(60))),
        Rule("adult", when=field("age") >= 18, points=8),
    ],
)


def rows_of(n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return rows of a database, the oldest first."""
    minutes = np.sort(rng.integers(0, 2 * 365 * 24 * 60, n))[::-1]
    kinds = np.array(sorted(SCHEMA.events))[rng.integers(0, 4, n)]
    return [
        {"customer_id": "c1", "type": str(kind), "time": AS_OF - timedelta(minutes=int(ago)),
         "value": float(rng.integers(5, 50)), "sku": "abc"[int(rng.integers(3))], "page": "p"}
        for kind, ago in zip(kinds, minutes, strict=True)
    ]  # fmt: skip


def microseconds(call: Callable[[], Any], seconds: float = 0.1, rounds: int = 5) -> float:
    """Return the CPU time of one call, the best of several rounds."""
    call()
    start = time.process_time()
    call()
    n = max(1, int(seconds / max(time.process_time() - start, 1e-6)))
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(n):
            call()
        best = min(best, (time.process_time() - start) / n)
    return best * 1e6


def measured(n: int) -> dict[str, float]:
    """Return the microseconds of each call for a customer with n events."""
    rows = rows_of(n, np.random.default_rng(n))
    row = {"customer_id": "c1", "age": 30, "city": "Omsk"}
    customer = Customer("c1", {"age": 30, "city": "Omsk"})

    def objects() -> list[Event]:
        return [
            Event("c1", one["type"], one["time"], one["value"], {"sku": one["sku"], "page": one["page"]})
            for one in rows
        ]

    history = CustomerHistory.from_rows(SCHEMA, row, rows)
    late = Event("c1", "visit", AS_OF - timedelta(minutes=1))
    early = Event("c1", "visit", AS_OF - timedelta(days=365))

    def fresh() -> CustomerHistory:
        return CustomerHistory.from_rows(SCHEMA, row, rows)

    built = microseconds(fresh)
    needs = SEGMENTS.needs()
    times = iter(range(10**9))

    def another() -> datetime:  # a time that nobody has asked about: nothing is found already
        return AS_OF + timedelta(microseconds=next(times))

    def parts() -> list[Any]:
        return [segment.one(history, as_of=another()) for segment in SEGMENTS]

    def next_band() -> Any:
        return SCORE.one(history, as_of=AS_OF).next_band_change

    one_score = microseconds(lambda: SCORE.one(history, as_of=AS_OF))
    return {
        "history from Events (made too)": microseconds(lambda: CustomerHistory(customer, objects())),
        "history from rows": built,
        "segment.one(history)": microseconds(lambda: SEGMENTS.segments[0].one(history, as_of=another())),
        "the five segments one by one": microseconds(parts),
        "SegmentSet.one(history)": microseconds(lambda: SEGMENTS.one(history, as_of=another())),
        "LeadScore.one(history)": one_score,
        "next_band_change": microseconds(next_band) - one_score,
        "to_dict(changes=False)": microseconds(lambda: SCORE.one(history, as_of=AS_OF).to_dict(changes=False))
        - one_score,
        "to_dict()": microseconds(lambda: SCORE.one(history, as_of=AS_OF).to_dict()) - one_score,
        "history.add, the latest event": microseconds(lambda: history.add(late)),
        "history.add, one of a year ago": microseconds(lambda: history.add(early)),
        "share of events that needs keep, %": 100 * len(needs.keep(history, AS_OF)) / n,
    }


def main() -> None:
    """Print a table: a line for each call, a column for each number of events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[5, 50, 500, 5_000])
    sizes = parser.parse_args().events
    found = {n: measured(n) for n in sizes}
    print(timing.heading())
    print("microseconds of CPU time")
    print(f"{'':36}" + "".join(f"{n:>12,}" for n in sizes))
    for name in found[sizes[0]]:
        print(f"{name:36}" + "".join(f"{found[n][name]:>12,.1f}" for n in sizes))


if __name__ == "__main__":
    main()
