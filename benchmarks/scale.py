"""Events as Parquet files, more than memory holds: what each verb of `engines` costs, one process under 2 GB.

    python benchmarks/scale.py 1 10 100      # millions of events; files are made once, in $RELMARK_SCALE or /tmp

Each task runs in a process of its own, whose memory is limited to 2 GB, DuckDB's to 600 MB of that and the pieces of
`apply` and `reduce` to 512 MB, as by default. Printed are seconds, seconds of the processor (two threads), the peak of
resident memory, and rows a second.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

AS_OF = "2026-11-01"
PIECE = 5_000_000
MOST = 2_000_000_000  # bytes of the process, DuckDB's among them
MEMORY = 1 << 29
TASKS = ("segment by evaluate", "sequence by apply", "score with decay by apply", "cells and BG/NBD", "RFM thresholds")
FOLDER = Path(os.environ.get("RELMARK_SCALE") or Path(tempfile.gettempdir()) / "relmark-scale")


def made(millions):
    """Return the folder of so many events, one customer in fifty of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = FOLDER / f"{millions}m"
    if (folder / "done").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    total, people = millions * 1_000_000, millions * 20_000
    types = np.array(["visit", "purchase", "message_opened"])
    end = np.datetime64("2026-11-01", "us").astype(np.int64)
    for number, low in enumerate(range(0, total, PIECE)):
        rng = np.random.default_rng(number)
        n = min(PIECE, total - low)
        kind = rng.choice(3, size=n, p=[0.7, 0.2, 0.1])
        who = (rng.random(n) ** 1.5 * people).astype(np.int64)
        table = pa.table({
            "customer_id": who,
            "type": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int32()), pa.array(types)).cast(pa.string()),
            "time": pa.array(end - rng.integers(0, 730 * 86_400_000_000, n), pa.timestamp("us")),
            "value": pa.array(np.where(kind == 1, np.round(rng.gamma(2.0, 20.0, n), 2), np.nan), from_pandas=True),
        })  # fmt: skip
        pq.write_table(table, folder / f"events_{number:03}.parquet")
    (folder / "done").touch()
    return folder


def watch():
    """End the process where its resident memory, DuckDB's with it, is over the limit.

    The limits of the system count what allocators reserve and never use, a gigabyte of pyarrow's among it.
    """
    page = resource.getpagesize()
    while True:
        if int(Path("/proc/self/statm").read_text().split()[1]) * page > MOST:
            print("MemoryError: over 2 GB", file=sys.stderr, flush=True)
            os._exit(1)
        time.sleep(0.01)


def run(task, folder):
    """Run one task, and print its seconds, its peak of memory and what it found."""
    threading.Thread(target=watch, daemon=True).start()
    import duckdb

    from relmark import days, engines, event, sequence
    from relmark.ltv import BgNbd
    from relmark.scoring import LeadScore, Rule, half_life

    connection = duckdb.connect(config={"memory_limit": "600MB", "threads": 2, "temp_directory": str(FOLDER / "spill")})
    connection.execute("set timezone = 'UTC'")
    events = connection.read_parquet(str(folder / "*.parquet"))
    given = {"events": events, "as_of": AS_OF}
    began, busy = time.perf_counter(), time.process_time()
    if task == TASKS[0]:
        rule = (event("purchase").count(within=days(90)) >= 2) & (event("visit").days_since_last() <= 30)
        found = engines.evaluate(rule, **given).filter("member").count("*").fetchall()[0][0]
    elif task == TASKS[1]:
        rule = sequence([event("message_opened"), event("visit"), event("purchase")], within=days(30))
        found = engines.apply(rule, memory=MEMORY, **given).filter("member").count("*").fetchall()[0][0]
    elif task == TASKS[2]:
        score = LeadScore(name="warm", bands={"hot": 30}, rules=[
            Rule("visits", each=event("visit"), points=3, decay=half_life(days(14)), expires=days(365)),
            Rule("buys", each=event("purchase"), points=10, decay=half_life(days(30)), expires=days(365)),
        ])  # fmt: skip
        found = engines.apply(score, memory=MEMORY, **given).filter("band = 'hot'").count("*").fetchall()[0][0]
    elif task == TASKS[3]:
        cells = engines.purchase_cells(events, as_of=AS_OF, memory=MEMORY)
        found = round(BgNbd.fit(cells).r, 4)
    else:
        found = engines.rfm(events, as_of=AS_OF, memory=MEMORY).cuts["frequency"]
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.2f};{busy:.2f};{peak:.0f};{found}")


def said(errors):
    """Return the line of a traceback that says what was wrong."""
    lines = [line for line in errors.splitlines() if line[:1].isalpha() and "Error" in line.split(":")[0]]
    return lines[-1][:120] if lines else errors[-120:]


def main(sizes):
    print(f"{'task':28}{'events':>14}{'seconds':>10}{'CPU':>8}{'peak MB':>10}{'events/s':>13}  found")
    for task in TASKS:
        for millions in sizes:
            call = [sys.executable, __file__, "run", task, str(made(millions))]
            ran = subprocess.run(call, capture_output=True, text=True, check=False)
            if ran.returncode:
                print(f"{task:28}{millions * 1_000_000:>14,}  failed: {said(ran.stderr)}")
                continue
            seconds, busy, peak, found = ran.stdout.strip().splitlines()[-1].split(";")
            rate = millions * 1e6 / float(seconds)
            print(f"{task:28}{millions * 1_000_000:>14,}{float(seconds):>10.1f}{float(busy):>8.1f}{peak:>10}"
                  f"{rate:>13,.0f}  {found}", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2], Path(sys.argv[3]))
    else:
        main([int(size) for size in sys.argv[1:]] or [1])
