"""The registry of recommenders by the name in stored forms; each class registers itself when it is defined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relmark.core.documents import Limits, open_envelope

__all__ = ["FITTED", "SPECS", "read_spec"]

# Filled while the package is imported and never changed afterwards.
SPECS: dict[str, Any] = {}
FITTED: dict[str, Any] = {}


def read_spec(document: Any, limits: Limits | None = None) -> Any:
    """Return the settings of a stored form of any kind."""
    found = document.get("relmark") if isinstance(document, Mapping) else None
    if not isinstance(found, str) or found not in SPECS:
        open_envelope(document, " or ".join(sorted(SPECS)), 1)  # raises, since the kind is unknown
    return SPECS[str(found)].from_dict(document, limits)
