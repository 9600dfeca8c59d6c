"""The log against polars: building from unsorted columns, the customer order, a window count, memory.

Run as ``python benchmarks/core.py``; with ``--memory`` the peak memory of building alone, in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import subprocess

import timing  # before numpy: it sets the threads

# isort: split
import numpy as np

N, K, SEED = 10_000_000, 1_000_000, 7
YEAR = 365 * 86_400 * 1_000_000


def columns() -> dict[str, np.ndarray]:
    """Return N unsorted events of K customers within a year: an integer id, a time, a value."""
    rng = np.random.default_rng(SEED)
    start = int(np.datetime64("2025-01-01", "us").astype(np.int64))
    return {
        "customer_id": rng.integers(0, K, N) * 7_919 + 1_000_003,  # ids with gaps: no table of the range is small
        "time": (start + rng.integers(0, YEAR, N)).view("M8[us]"),
        "value": rng.gamma(2.0, 20.0, N),
    }


def resident(which: str) -> int:
    """Return bytes of this process by the kernel's word: VmRSS now, VmHWM at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return 1024 * int(line.split()[1])


def memory() -> None:
    """Print the bytes of the input and of the peak while a log is built, the input included."""
    from relmark import EventLog

    EventLog.from_columns(customer_id=[1, 2], time=np.array(["2025-01-02", "2025-01-01"], "M8[us]"), type="a")
    before = resident("VmRSS")
    data = columns()
    size = sum(column.nbytes for column in data.values())
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the data
    log = EventLog.from_columns(**data, type="purchase")
    peak = resident("VmHWM") - before
    part = log.partition("purchase")
    kept = sum(array.nbytes for array in (part.code, part.time, part.value, part.row))
    print(
        f"memory: input {size / 1e6:,.0f} MB, log {kept / 1e6:,.0f} MB, peak {peak / 1e6:,.0f} MB with the input:",
        end=" ",
    )
    print(f"{peak / size:.2f} times the input (goal: under 4)")


def main() -> None:
    """Print the table."""
    import polars as pl

    from relmark import EventLog
    from relmark.core.ordering import group_order

    print(timing.heading("polars"))
    print(f"{N:,} events, {K:,} customers, seed {SEED}; polars threads: {pl.thread_pool_size()}")
    data = columns()
    frame = pl.DataFrame(data)
    log = EventLog.from_columns(**data, type="purchase")
    part = log.partition("purchase")
    ordered = {name: column[np.argsort(data["time"], kind="stable")] for name, column in data.items()}
    ordered_frame = pl.DataFrame(ordered)
    end = int(part.time[-1])
    low = end - 30 * 86_400 * 1_000_000
    low_time = np.datetime64(low, "us")

    def count() -> np.ndarray:
        return np.bincount(part.code[part.window(low, end)], minlength=log.n_customers)

    def rival_count() -> object:
        return frame.lazy().filter(pl.col("time") > low_time).group_by("customer_id").len().collect()

    rows = {
        "log from unsorted columns": (
            timing.paired(
                lambda: EventLog.from_columns(**data, type="purchase"), lambda: frame.sort("customer_id", "time")
            ),
            ">= 1",
        ),
        "log from columns in time order": (
            timing.paired(
                lambda: EventLog.from_columns(**ordered, type="purchase"),
                lambda: ordered_frame.sort("customer_id", "time"),
            ),
            ">= 1",
        ),
        "log and its customer order": (
            timing.paired(
                lambda: EventLog.from_columns(**data, type="purchase").partition("purchase").by_customer,
                lambda: frame.sort("customer_id", "time"),
            ),
            "",
        ),
        "customer order of a log": (
            timing.paired(
                lambda: group_order(part.code, log.n_customers),
                lambda: ordered_frame.sort("customer_id", maintain_order=True),
            ),
            "",
        ),
        "purchases of 30 days, per customer": (timing.paired(count, rival_count), ">= 4"),
    }
    timing.report(rows)
    print(
        subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True).stdout,
        end="",
    )


if __name__ == "__main__":
    memory() if "--memory" in sys.argv else main()
