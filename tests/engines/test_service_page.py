"""The page on a service is executed against a real server: every fence, and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.engines]
ROOT = Path(__file__).parents[2]


def test_the_page_on_a_service_does_what_it_says(postgres):
    for needed in ("fastapi", "httpx", "psycopg"):
        pytest.importorskip(needed)
    environment = os.environ | {"RELMARK_DSN": postgres[0]}
    call = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "docs/how_to/in_a_service.md"]
    ran = subprocess.run(call, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3_000:]
    assert "skipped" not in ran.stdout
