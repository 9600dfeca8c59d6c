"""Run the benchmarks, all or some, and write what they print to docs/benchmarks.md; README's table is a part of it.

Run ``python benchmarks/run.py`` for all of them (an hour on two cores), ``python benchmarks/run.py scoring rfm`` for
some: their sections are replaced and the others stay. Nothing on the page is written by hand, and no ratio in README.
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
OPTIONS = {"campaigns": ["--highs"], "scale": ["1", "10", "100"]}
HEAD = """# Benchmarks

Every timing is CPU time of all threads. relmark and the rival run in turn in one process, with the BLAS and Polars on
one thread. The ratio is the rival's time divided by relmark's: above 1 relmark is faster, below 1 it is slower. The
range is that of the pairs; a wide range means that other work kept the machine busy. Goals were set beforehand.

`python benchmarks/run.py` runs everything again and writes this page; nothing on it is written by hand. Each section
below names the machine and the versions, and has all that its command printed.
"""
README = HERE.parent / "README.md"
README_HEAD = "| what | compared with | times as fast |\n|---|---|---|\n"
CLAIMS = {  # what README says, of which lines of the page
    ("BG/NBD fit, CDNOW; 1 million customers", "lifetimes"): [
        ("ltv", "BG/NBD fit, CDNOW"), ("ltv", "BG/NBD fit, 1 M customers"),
    ],
    ("Pareto/NBD fit, CDNOW, from several starts", "lifetimes"): [("ltv", "Pareto/NBD fit, CDNOW")],
    ("12-month value; by month", "lifetimes"): [("ltv", "12-month value, CDNOW"), ("ltv", "12-month value by month")],
    ("exact Markov, order 1; from a million path strings", "channelattribution, which simulates"): [
        ("attribution", "PathData, Markov 1, from journeys"), ("attribution", "1 M paths, Markov 1, from strings"),
    ],
    ("Shapley values of channel sets", "mta"): [("attribution", "PathData, Shapley of sets")],
    ("3 purchases in 30 days, 10 million events", "Polars; DuckDB; pandas"): [
        ("segmentation", f"3 purchases in 30 days, beside {rival}") for rival in ("polars", "DuckDB", "pandas")
    ],
    ("cart, then purchase within 7 days, 10 million events", "Polars; DuckDB; pandas"): [
        ("segmentation", f"cart then purchase in 7 days, beside {rival}") for rival in ("polars", "DuckDB", "pandas")
    ],
    ("RFM of 10 million purchases", "Polars"): [("rfm", "RFM of a log: fit and score, Polars")],
    ("12 rules of a lead score, 1 million leads", "Polars"): [("scoring", "12 rules, Polars")],
    ("a log of 10 million unsorted events", "Polars, which sorts them"): [("core", "log from unsorted columns")],
    ("pairs of UCI invoices", "mlxtend"): [("recommend", "pairs of UCI invoices, 50 and more together")],
    ("top 20 of 1,000 items, bought items left out", "implicit"): [
        ("recommend", "top 20 from 64 factors, bought left out, 1,000 items"),
    ],
    ("3-step funnel; messages of 100 campaigns, 10 million events", "Polars"): [
        ("metrics", "three-step funnel within 7 days, beside polars"),
        ("metrics", "figures of messages by 100 campaigns, beside polars"),
    ],
    ("cohort table by month, 10 million events", "pandas"): [
        ("metrics", "cohort table of purchases by month, beside pandas"),
    ],
    ("4 adjusted means, 1 million rows", "tea-tasting on Polars; on pandas"): [
        ("experiments", f"6 columns, 1,000,000 rows, 4 adjusted means; tea-tasting on {rival}")
        for rival in ("polars", "pandas")
    ],
    ("10 offers for 20,000 people under 11 limits", "the linear program by HiGHS"): [
        ("campaigns", "10 offers for 20,000 people, linear program by HiGHS"),
    ],
    ("a million ids hashed to arms", "sha256, one id at a time"): [
        ("experiments", "1,000,000 ids hashed; sha256 a row"),
    ],
}  # fmt: skip
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


def rows(found: dict[str, str]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return every ratio that was printed, by benchmark and line."""
    matches = ((name, _ROW.match(line)) for name, text in found.items() for line in text.splitlines())
    return {(name, row["what"]): row.groups() for name, row in matches if row}


def table(found: dict[str, str]) -> str:
    """Return every ratio in one table."""
    lines = ["| benchmark | what | ours, s | rival, s | ratio | range | goal |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(row)} |" for (name, _), row in rows(found).items())])


def claims(found: dict[str, str]) -> str:
    """Return README's table: some of the lines, to two digits."""
    printed = rows(found)
    lines = []
    for (what, beside), named in CLAIMS.items():
        ratios = [float(printed[line][3]) for line in named]
        said = "; ".join(f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}" for ratio in ratios)
        lines.append(f"| {what} | {beside} | {said} |")
    return README_HEAD + "\n".join(lines) + "\n"


def with_claims(readme: str, found: dict[str, str]) -> str:
    """Return README with its table taken from the page."""
    before, _, rest = readme.partition(README_HEAD)
    return before + claims(found) + rest[rest.index("\n\n") + 1 :]


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
    README.write_text(with_claims(README.read_text(), known))
    if failed:
        sys.exit(f"failed, and left out of the page: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
