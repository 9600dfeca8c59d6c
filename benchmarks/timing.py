"""Timings as paired ratios of CPU time in one process: ours, the rival, ours, the rival, ...

CPU time of all threads is counted, so a rival that uses two threads is charged for both. Set the BLAS to one thread
before numpy is imported: every benchmark imports this module first.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")

import gc  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402


class Timing(NamedTuple):
    """Median CPU seconds of ours and of the rival, and the median of the paired ratios rival / ours."""

    ours: float
    rival: float
    ratio: float
    lowest: float
    highest: float


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return the CPU seconds that one call takes, all threads of the process together."""
    gc.collect()
    start = time.process_time()
    call()
    return time.process_time() - start


def paired(ours: Callable[[], Any], rival: Callable[[], Any], *, repeat: int = 5, warm_up: bool = True) -> Timing:
    """Time the two in turn, after one run of each that isn't counted."""
    if warm_up:
        ours()
        rival()
    runs = [(cpu_seconds(ours), cpu_seconds(rival)) for _ in range(repeat)]
    ratios = [b / max(a, 1e-9) for a, b in runs]
    return Timing(
        statistics.median(a for a, _ in runs),
        statistics.median(b for _, b in runs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def heading(*packages: str) -> str:
    """Return a line that names the machine and the versions."""
    named = " ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", *packages))
    return (
        f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}, {named}"
    )


def report(rows: dict[str, tuple[Timing, str]]) -> None:
    """Print a table: what was timed, ours and the rival in CPU seconds, the ratio and its range, the goal."""
    width = max(len(name) for name in rows)
    print(f"{'what':{width}}  {'ours, s':>9}  {'rival, s':>9}  {'ratio':>7}  {'range':>15}  goal")
    for name, (t, goal) in rows.items():
        print(
            f"{name:{width}}  {t.ours:9.4f}  {t.rival:9.4f}  {t.ratio:7.2f}  "
            f"{t.lowest:6.2f} to {t.highest:5.2f}  {goal}"
        )
