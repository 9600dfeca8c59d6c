"""Run the benchmarks, all or some, and write what they print to docs/benchmarks.md: a table of ratios, and all of it.

Run ``python benchmarks/run.py`` for all of them (an hour on two cores), ``python benchmarks/run.py scoring rfm`` for
some: their sections are replaced and the others stay. Nothing on the page is written by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
NAMES = (
    "core", "purchases", "segmentation", "explain", "rfm", "scoring", "service", "schemas", "ltv", "ltv_holdout",
    "ltv_seasons", "recommend", "recommend_quality", "attribution", "metrics", "campaigns", "experiments", "uplift",
    "coverage", "scale",
)  # fmt: skip
OPTIONS = {"campaigns": ["--highs"]}
HEAD = """# Benchmarks

Every timing is CPU time of all threads, ours and the rival's in turn in one process, with the BLAS and Polars on one
thread; a ratio above 1 says how many times as fast relmark is. Every line was printed by the command above it;
`python benchmarks/run.py` runs all of them again and writes this page.
"""
_ROW = re.compile(
    r"^(?P<what>\S.*?)  +(?P<ours>[\d.]+)  +(?P<rival>[\d.]+)  +(?P<ratio>[\d.]+)  +(?P<range>[\d.]+ to +[\d.]+)"
    r" *(?P<goal>.*)$"
)


def ran(name: str) -> str:
    """Return the section of one benchmark: its command and what it printed."""
    begin = time.monotonic()
    command = [f"benchmarks/{name}.py", *OPTIONS.get(name, [])]
    done = subprocess.run([sys.executable, *command], cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{name}: {time.monotonic() - begin:,.0f} s", "failed" if done.returncode else "", flush=True)
    if done.returncode:
        return ""
    return f"```text shell\npython {' '.join(command)}\n\n{done.stdout.rstrip()}\n```\n"


def sections(page: str) -> dict[str, str]:
    """Return the sections of a page by name."""
    found = re.split(r"^## (\w+)\n\n", page, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def table(found: dict[str, str]) -> str:
    """Return every ratio that was printed, in one table."""
    lines = ["| benchmark | what | ours, s | rival, s | ratio | range | goal |", "|---|---|---|---|---|---|---|"]
    for name, text in found.items():
        for line in text.splitlines():
            row = _ROW.match(line)
            if row:
                lines.append(f"| {name} | " + " | ".join(row.groups()) + " |")
    return "\n".join(lines)


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]!r}: there are {', '.join(NAMES)}")
    known = sections(PAGE.read_text()) if PAGE.exists() else {}
    failed = []
    for name in names or NAMES:
        known[name] = ran(name)
        if not known[name]:
            failed.append(name)
            del known[name]
        found = {one: known[one] for one in NAMES if one in known}
        body = "\n".join(f"## {one}\n\n{text.rstrip()}\n" for one, text in found.items())
        PAGE.write_text(f"{HEAD}\n{table(found)}\n\n{body}")
    if failed:
        sys.exit(f"failed, and left out of the page: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
