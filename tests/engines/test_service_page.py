"""The pages that need a server are executed against a real one: every fence, and what it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.engines]
ROOT = Path(__file__).parents[2]
PAGES = {
    "in_a_service": ("fastapi", "httpx", "psycopg"),
    "one_definition_three_scales": ("psycopg", "pyspark", "duckdb", "ibis"),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(postgres, page):
    for needed in PAGES[page]:
        pytest.importorskip(needed)
    if "pyspark" in PAGES[page] and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    server, execute = postgres
    execute(f"create database {page}")  # its own: other tests of this server make tables too
    environment = os.environ | {"RELMARK_DSN": server.replace("dbname=postgres", f"dbname={page}")}
    quiet = ["-W", "ignore"] if "pyspark" in PAGES[page] else []  # Spark has warnings of its own
    call = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *quiet, f"docs/how_to/{page}.md"]
    ran = subprocess.run(call, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3_000:]
    assert "skipped" not in ran.stdout
