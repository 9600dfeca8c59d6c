"""What all tests share: how hard hypothesis tries, and where the real data are that no package ships."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

DATA = Path(os.environ.get("RELMARK_DATA") or Path(__file__).parent.parent.parent / "shared" / "data")


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Return a function from the name of a data file to its path; it skips the test where the file is absent."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {DATA}: set RELMARK_DATA to the folder that holds it")
        return path

    return find
