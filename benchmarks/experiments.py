"""Speed of experiments: moments and adjusted effects beside tea-tasting, many segments, and assignment.

Run ``python benchmarks/experiments.py``. CPU seconds of one process, in turn with the rival.
"""

from __future__ import annotations

import timing  # isort: skip  (it sets the BLAS to one thread, so it comes before numpy)

import hashlib

import numpy as np
import pandas as pd
import polars as pl
import tea_tasting as tt

from relmark.experiments import Mean, Moments, Proportion, Ratio, analyze, hash_fraction

SEED = 20261122
ROWS, SEGMENTS = 1_000_000, 1_000


def people() -> dict[str, np.ndarray]:
    """Return a million rows: an arm, two columns from before and four outcomes that go with them."""
    rng = np.random.default_rng(SEED)
    before = [rng.gamma(2.0, 5.0, ROWS) for _ in range(2)]
    columns = {"arm": rng.integers(0, 2, ROWS), "b0": before[0], "b1": before[1]}
    for k in range(4):
        columns[f"y{k}"] = before[k % 2] + rng.normal(0, 3, ROWS) + 0.01 * columns["arm"]
    return columns


def slow_hash(ids: list[int], salt: str) -> list[float]:
    """Return sha256 fractions, a row at a time."""
    return [int(hashlib.sha256(f"{salt}{i}".encode()).hexdigest()[:8], 16) / 2**32 for i in ids]


def main() -> None:
    """Print the table."""
    data = people()
    arm = data["arm"]
    columns = {name: values for name, values in data.items() if name != "arm"}
    metrics = [Mean(f"y{k}", covariates=[f"b{k % 2}"]) for k in range(4)]
    rival = tt.Experiment(
        {f"y{k}": tt.Mean(f"y{k}", f"b{k % 2}") for k in range(4)},
        variant="arm",
    )
    pandas, polars = pd.DataFrame(data), pl.DataFrame(data)
    mine = analyze(columns, arm, metrics=metrics, control=0).effect("y0")
    theirs = rival.analyze(polars)["y0"]
    assert abs(mine.difference.value - theirs.effect_size) < 1e-3

    rows: dict[str, tuple[timing.Timing, str]] = {}
    name = f"6 columns, {ROWS:,} rows, 4 adjusted means"
    ours = lambda: analyze(columns, arm, metrics=metrics, control=0)  # noqa: E731
    rows[f"{name}; tea-tasting on polars"] = timing.paired(ours, lambda: rival.analyze(polars)), "4"
    rows[f"{name}; tea-tasting on pandas"] = timing.paired(ours, lambda: rival.analyze(pandas)), "8"
    own = lambda: analyze(polars, arm, metrics=metrics, control=0)  # noqa: E731
    rows["the same, ours on a polars frame too"] = timing.paired(own, lambda: rival.analyze(polars)), "4"

    ids = np.arange(ROWS)
    listed = ids.tolist()
    rows[f"{ROWS:,} ids hashed; sha256 a row"] = (
        timing.paired(lambda: hash_fraction(ids, "s"), lambda: slow_hash(listed, "s"), repeat=3),
        "10",
    )
    print(timing.heading("tea-tasting", "polars", "pandas"), f"seed {SEED}")
    timing.report(rows)

    segment = np.random.default_rng(SEED + 1).integers(0, SEGMENTS, ROWS)
    columns["bought"] = columns["y3"] > 15
    moments = Moments.from_columns(columns, arm, segment=segment)
    mixed = [Proportion("bought"), Mean("y0"), Ratio("y1", "b0"), Mean("y2", covariates=["b0", "b1"])]
    for label, call in (
        (f"moments of 7 columns by {SEGMENTS:,} segments", lambda: Moments.from_columns(columns, arm, segment=segment)),
        (f"{SEGMENTS:,} segments by 4 metrics, after the moments", lambda: analyze(moments, metrics=mixed, control=0)),
    ):
        call()
        print(f"{label}: {1000 * min(timing.cpu_seconds(call) for _ in range(5)):.1f} ms of CPU")


if __name__ == "__main__":
    main()
