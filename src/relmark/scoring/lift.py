"""Conversion by tenths of the customers and by band: the tables of lift and gains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.scoring._ranks import wilson_at
from relmark.scoring.bands import band_codes, read_bands

__all__ = ["BandTable", "LiftTable", "band_table", "lift_table"]

_TENTHS = 10


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LiftTable(ColumnarResult):
    """Conversion by tenths of the customers, best scores first.

    Equal scores are never parted, so tenths can differ in size, and one that has no customer is left out.

    Parameters
    ----------
    decile : ndarray of int64, shape (k,)
        1 is the best tenth.
    low, high : ndarray of float64, shape (k,)
        The scores of the tenth, both ends inclusive.
    customers, conversions : ndarray of int64, shape (k,)
        How many, and how many of them converted.
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        Conversion rate with Wilson's interval.
    lift : ndarray of float64, shape (k,)
        The rate by the rate of all.
    share : ndarray of float64, shape (k,)
        Customers down to this tenth, as a part of all.
    gain : ndarray of float64, shape (k,)
        Conversions down to this tenth, as a part of all.
    cumulative_lift : ndarray of float64, shape (k,)
        gain / share.
    level : float
        Of the intervals.
    """

    decile: IntArray
    low: FloatArray
    high: FloatArray
    customers: IntArray
    conversions: IntArray
    rate: FloatArray
    rate_low: FloatArray
    rate_high: FloatArray
    lift: FloatArray
    share: FloatArray
    gain: FloatArray
    cumulative_lift: FloatArray
    level: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BandTable(ColumnarResult):
    """Conversion by band, the highest first; people below the lowest band come last, named "".

    Parameters
    ----------
    band : ndarray of str, shape (k,)
    customers, conversions : ndarray of int64, shape (k,)
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        Conversion rate with Wilson's interval; NaN of an empty band.
    lift : ndarray of float64, shape (k,)
        The rate by the rate of all.
    level : float
        Of the intervals.
    """

    band: npt.NDArray[np.str_]
    customers: IntArray
    conversions: IntArray
    rate: FloatArray
    rate_low: FloatArray
    rate_high: FloatArray
    lift: FloatArray
    level: float


def lift_table(values: FloatArray, people: IntArray, hits: IntArray, level: float) -> LiftTable:
    """Return conversion by tenths, from counts of people and hits at descending scores."""
    n, conversions = int(people.sum()), int(hits.sum())
    before = np.cumsum(people) - people
    decile = (before * _TENTHS) // n + 1
    starts = np.flatnonzero(np.concatenate(([True], decile[1:] != decile[:-1])))
    ends = np.append(starts[1:], len(values)) - 1
    size, hit = np.add.reduceat(people, starts), np.add.reduceat(hits, starts)
    low, high = wilson_at(hit, size, level)
    share, gain = np.cumsum(size) / n, np.cumsum(hit) / conversions
    return LiftTable(
        decile=decile[starts],
        low=values[ends],
        high=values[starts],
        customers=size,
        conversions=hit,
        rate=hit / size,
        rate_low=low,
        rate_high=high,
        lift=hit / size / (conversions / n),
        share=share,
        gain=gain,
        cumulative_lift=gain / share,
        level=level,
    )


def band_table(bands: Any, value: FloatArray, hit: npt.NDArray[np.bool_], level: float) -> BandTable:
    """Return conversion by band: of names with their lowest scores, or of each person's band."""
    if isinstance(bands, Mapping):
        names, cuts = read_bands(bands)
        code = band_codes(value, cuts)
    else:
        given = checks.array_of("bands", bands)
        checks.same_length("bands", given, len(value))
        if given.dtype.kind == "O" and all(isinstance(one, str) for one in given):
            given = given.astype(np.str_)
        if given.dtype.kind != "U":
            raise InputError(
                f"bands has dtype {given.dtype}: names, or a mapping of name to lowest score, are needed.",
                argument="bands",
                code="wrong_type",
            )
        found, inverse = np.unique(given, return_inverse=True)
        # The highest band first, by the mean score of its people; those without a band last.
        mean = np.bincount(inverse, weights=value) / np.bincount(inverse)
        order = sorted(range(len(found)), key=lambda k: (found[k] == "", -mean[k]))
        names, code = tuple(str(found[k]) for k in order if found[k]), np.argsort(order)[inverse]
    k = len(names) + 1
    people, hits = np.bincount(code, minlength=k), np.bincount(code[hit], minlength=k)
    low, high = wilson_at(hits, people, level)
    rate = np.full(k, np.nan)
    np.divide(hits, people, out=rate, where=people > 0)
    shown = slice(None) if people[-1] else slice(-1)
    return BandTable(
        band=np.array([*names, ""])[shown],
        customers=people[shown],
        conversions=hits[shown],
        rate=rate[shown],
        rate_low=low[shown],
        rate_high=high[shown],
        lift=(rate / hit.mean())[shown],
        level=level,
    )
