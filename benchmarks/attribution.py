"""Attribution against channelattribution and mta, on PathData and on a million made paths.

Run as ``python benchmarks/attribution.py``; PathData (``path_data.csv.gz``, shipped in the MIT package mta) is looked
for in ``$RELMARK_DATA`` or ``../shared/data``. The rivals are in the dependency group ``bench-attribution``: one of
them compiles for minutes. What is absent is left out and named.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import contextlib
import csv
import gzip
import importlib
import io
import os
import warnings

import timing  # before numpy: it sets the threads

# isort: split
import numpy as np

from relmark.attribution import (
    FirstTouch,
    Journeys,
    LastNonDirect,
    LastTouch,
    Linear,
    Markov,
    PositionBased,
    Shapley,
)

SEED = 20
DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")
RULES = (FirstTouch(), LastTouch(), LastNonDirect("c0"), Linear(), PositionBased())


def rival(name: str):
    """Return a package that may be absent, imported without its banner."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            return None


def quiet(call):
    """Return the call without what it prints and warns."""

    def run():
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return call()

    return run


def path_data() -> dict[str, list]:
    with gzip.open(DATA / "path_data.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    names = ("total_conversions", "total_conversion_value", "total_null")
    return {"path": [row["path"] for row in rows]} | {name: [float(row[name]) for row in rows] for name in names}


def journeys_of(data: dict[str, list]) -> Journeys:
    return Journeys.from_paths(
        data["path"], data["total_conversions"], data["total_conversion_value"], data["total_null"]
    )


def million() -> tuple[Journeys, dict[str, list]]:
    """Return a million paths of 20 channels, six touches each on average, half of which convert."""
    rng = np.random.default_rng(SEED)
    n, channels = 1_000_000, 20
    lengths = rng.geometric(1 / 6, n)
    converts = rng.integers(0, 2, n).astype(float)
    j = Journeys(
        codes=rng.choice(channels, lengths.sum(), p=(w := 1 / np.arange(3, channels + 3)) / w.sum()),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        channels=[f"c{k}" for k in range(channels)],
        conversions=converts,
        nulls=1 - converts,
    )
    data = {"path": j.paths, "total_conversions": j.conversions.tolist(), "total_null": j.nulls.tolist()}
    return j, data


def markov_of(package, frame, order: int):
    columns = {"var_path": "path", "var_conv": "total_conversions", "var_null": "total_null"}
    if "total_conversion_value" in frame:
        columns["var_value"] = "total_conversion_value"
    return quiet(lambda: package.markov_model(frame, **columns, order=order, sep=">", verbose=False, flg_pro=False))


def main() -> None:
    channelattribution, mta, pandas = rival("ChannelAttribution"), rival("mta"), rival("pandas")
    print(
        timing.heading(*(name for name, found in (("channelattribution", channelattribution), ("mta", mta)) if found))
    )
    print(f"seed {SEED}; the ratio is the rival's CPU time over ours")
    rows: dict[str, tuple[timing.Timing, str]] = {}
    if (DATA / "path_data.csv.gz").exists():
        data = path_data()
        j = journeys_of(data)
        if channelattribution:
            frame = pandas.DataFrame(data)
            for order, goal in ((1, "25 or more"), (2, ""), (3, "8 or more")):
                theirs = markov_of(channelattribution, frame, order)
                pair = timing.paired(lambda o=order: Markov(order=o).attribute(j), theirs)
                rows[f"PathData, Markov {order}, from journeys"] = pair, goal
            theirs = markov_of(channelattribution, frame, 1)
            pair = timing.paired(lambda: Markov().attribute(journeys_of(data)), theirs)
            rows["PathData, Markov 1, from strings"] = pair, "6 or more"
        if mta:
            theirs = mta.MTA(pandas.DataFrame(data), allow_loops=True)
            pair = timing.paired(lambda: Shapley().attribute(j), quiet(theirs.shapley), repeat=3)
            rows["PathData, Shapley of sets"] = pair, "1,000 or more"
            found = theirs.attribution["shapley"]
            ours = dict(zip(j.channels.tolist(), Shapley().attribute(j).shares.tolist(), strict=True))
            print(f"largest difference of shares from mta's: {max(abs(found[c] - ours[c]) for c in found):.1e}")
    else:
        print(f"{DATA / 'path_data.csv.gz'} is absent: PathData is left out")
    j, data = million()
    weights = np.random.default_rng(SEED).random(len(j.codes))
    print(f"a million paths: {len(j.codes):,} touches")
    pair = timing.paired(
        lambda: [model.attribute(j) for model in RULES],
        lambda: np.bincount(j.codes, weights=weights, minlength=len(j.channels)),
    )
    rows["1 M paths, five rules (rival: one weighted bincount)"] = pair, "0.17 or more"
    if channelattribution:
        frame = pandas.DataFrame(data)
        theirs = markov_of(channelattribution, frame, 1)
        rows["1 M paths, Markov 1, from journeys"] = (
            timing.paired(lambda: Markov().attribute(j), theirs, repeat=3),
            "10 or more",
        )

        def from_strings():
            return Markov().attribute(
                Journeys.from_paths(data["path"], data["total_conversions"], nulls=data["total_null"])
            )

        rows["1 M paths, Markov 1, from strings"] = timing.paired(from_strings, theirs, repeat=3), "3 or more"
    timing.report(rows)


if __name__ == "__main__":
    main()
