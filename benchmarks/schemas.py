"""How long stored definitions take to validate: jsonschema, fastjsonschema, and `check`, per document.

Run ``PYTHONPATH=src python benchmarks/schemas.py``. The goal is 20 ms per validation of a large rule.
"""

from __future__ import annotations

import json
import platform
import random
import runpy
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import fastjsonschema
import jsonschema

from relmark import all_of, any_of, days, event, field, prop
from relmark.segmentation import Segment

TESTS = Path(__file__).resolve().parents[1] / "tests" / "contracts"
DEFINITIONS = runpy.run_path(str(TESTS / "definitions.py"))["DEFINITIONS"]


def milliseconds(call: Callable[[], object], repeats: int = 7) -> float:
    """Return the least CPU time of a call."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return 1_000 * best


def large() -> Segment:
    """Return a rule of four levels with 120 nodes and more."""
    rng = random.Random(0)
    leaves = [
        (field(f"f{k}") >= k)
        & (event("purchase", where=prop("sku") == "a").count(within=days(30 + k)) >= rng.randint(1, 9))
        for k in range(12)
    ]
    return Segment("large", any_of(*[all_of(*leaves[k : k + 3]) for k in range(0, 12, 3)]))


def main() -> None:
    """Print the table."""
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"jsonschema {version('jsonschema')}, fastjsonschema {version('fastjsonschema')}")  # fmt: skip
    print(f"{'definition':<24}{'bytes':>8}{'jsonschema':>12}{'fast':>8}{'check':>8}  (ms)")
    for one in [large(), *DEFINITIONS]:
        kind = type(one)
        schema, body = kind.json_schema(), one.to_dict()
        strict = jsonschema.Draft202012Validator(schema)
        fast = fastjsonschema.compile(kind.json_schema(draft="07"))
        times = [
            milliseconds(lambda strict=strict, body=body: list(strict.iter_errors(body))),
            milliseconds(lambda fast=fast, body=body: fast(body)),
            milliseconds(lambda kind=kind, body=body: kind.check(body)),
        ]
        name = "Segment of 12 rules" if one.to_dict().get("name") == "large" else kind.__name__
        print(f"{name:<24}{len(json.dumps(body)):>8}{times[0]:>12.2f}{times[1]:>8.3f}{times[2]:>8.2f}")


if __name__ == "__main__":
    main()
