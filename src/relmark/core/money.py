"""Exact sums of money, which do not depend on the order of the rows."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError

__all__ = ["exact_sums", "whole_units"]

_MICRO = 1e6
_EXACT = 2.0**53
_BEYOND = "the sum of all values is too large for a float64: leave out the rows with values of that size."
_BLOCK = 1 << 15  # rows at a time, so that temporary arrays fit into the cache


def exact_sums(code: npt.NDArray[np.integer], value: FloatArray, n: int) -> FloatArray:
    """Return the sum of the money of each of n groups, shape (n,), which does not depend on the order of the rows.

    Floating-point sums depend on their order (.1 + .2 + .3 is not .3 + .2 + .1), so values become whole numbers of
    millionths; sums of whole numbers are exact below 2**53 in any order. If all money together exceeds that, whole
    units and millionths are added separately.
    """
    micros = np.empty(len(value))
    total = 0.0
    for low in range(0, len(value), _BLOCK):
        block = micros[low : low + _BLOCK]
        with np.errstate(over="ignore"):
            np.multiply(value[low : low + _BLOCK], _MICRO, out=block)
            np.rint(block, out=block)
            total += float(np.abs(block).sum())
    if total < _EXACT:
        return np.asarray(np.bincount(code, weights=micros, minlength=n) / _MICRO)
    if not total < 2.0**1000:  # its millionths may overflow float64
        sums = np.bincount(code, weights=value, minlength=n)
        if not np.isfinite(sums).all():
            raise InputError(_BEYOND, argument="value", code="too_large")
        return np.asarray(sums)
    large = np.abs(micros) >= _EXACT  # the millionths of such a value are not exact in float64: round it to whole units
    wholes = np.where(large, np.rint(value), np.rint(micros / _MICRO))
    parts = np.where(large, 0.0, micros - wholes * _MICRO)
    whole = np.bincount(code, weights=wholes, minlength=n)
    part = np.bincount(code, weights=parts, minlength=n)
    small = np.abs(whole) * _MICRO + np.abs(part) < _EXACT
    return np.where(small, (whole * _MICRO + part) / _MICRO, whole + part / _MICRO)


def whole_units(value: FloatArray) -> tuple[IntArray, float]:
    """Return money as whole numbers of a small unit, and how many of these make one unit of the currency.

    That is a million, unless the sum of all money exceeds about four million millions; then the small unit is larger,
    so that the sum fits an int64.
    """
    with np.errstate(over="ignore"):
        total = float(np.abs(value).sum())
    if not math.isfinite(total):
        raise InputError(_BEYOND, argument="value", code="too_large")
    scale = _MICRO
    if total >= 2.0**62 / _MICRO:
        scale = 10.0 ** math.floor(math.log10(2.0**62 / total))
    return np.rint(value * scale).astype(np.int64), scale
