"""Bands: names for ranges of scores, each given by its lowest score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.expressions.literals import plain_text

__all__ = ["band_codes", "read_bands"]


def read_bands(bands: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names and the lowest scores of bands, the highest band first."""
    pairs = []
    for name, low in bands.items():
        pairs.append(
            (
                checks.number(f"bands[{name!r}]", low),
                plain_text("a name of bands", checks.text("a name of bands", name)),
            )
        )
    pairs.sort(key=lambda pair: -pair[0])
    cuts = tuple(low for low, _ in pairs)
    if len(set(cuts)) < len(cuts):
        raise InputError(
            f"bands has two names for the same lowest score: {dict(bands)}.", argument="bands", code="duplicate"
        )
    return tuple(name for _, name in pairs), cuts


def band_codes(total: FloatArray, cuts: tuple[float, ...]) -> IntArray:
    """Return each score's band as a position among descending bands; len(cuts) for scores below the lowest."""
    return np.asarray(len(cuts) - np.searchsorted(np.array(cuts[::-1]), total, side="right"), dtype=np.int64)
