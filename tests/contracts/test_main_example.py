"""The main example prints what the README says, on the real data that its package ships."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_main_example_prints_what_the_readme_says_and_saves_two_pictures():
    example = ROOT / "docs" / "examples" / "campaign.py"
    run = subprocess.run(
        [sys.executable, str(example)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in (ROOT / "README.md").read_text()
    for picture in ("rfm.png", "value.png"):
        assert (example.parent / picture).read_bytes().startswith(b"\x89PNG")
