"""Tables of lift and gains: conversion by tenths of the customers, and by band."""

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
    """Conversion by tenths of the customers, with the best scores first.

    Customers with equal scores stay together, so tenths can differ in size. A tenth without customers is left out.

    Parameters
    ----------
    decile : ndarray of int64, shape (k,)
        The number of the tenth; 1 is the best.
    low, high : ndarray of float64, shape (k,)
        The lowest and the highest score in the tenth.
    customers, conversions : ndarray of int64, shape (k,)
        How many customers there are, and how many of them converted.
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        The conversion rate with Wilson's interval.
    lift : ndarray of float64, shape (k,)
        The rate divided by the rate of all customers.
    share : ndarray of float64, shape (k,)
        The share of all customers who are in this tenth or a better one.
    gain : ndarray of float64, shape (k,)
        The share of all conversions that are in this tenth or a better one.
    cumulative_lift : ndarray of float64, shape (k,)
        ``gain / share``.
    level : float
        The confidence level of the intervals.
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
    """Conversion by band, the highest band first; people below the lowest band come last, with the name "".

    Parameters
    ----------
    band : ndarray of str, shape (k,)
        The names of the bands.
    customers, conversions : ndarray of int64, shape (k,)
        How many customers there are, and how many of them converted.
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        The conversion rate with Wilson's interval; NaN for an empty band.
    lift : ndarray of float64, shape (k,)
        The rate divided by the rate of all customers.
    level : float
        The confidence level of the intervals.
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
    """Return conversion by tenths from the counts of people and hits at descending scores."""
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
    """Return conversion by band, given as names with their lowest scores or as each person's band."""
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
                f"bands has dtype {given.dtype}: one name per person, or a mapping of names to scores, is needed.",
                argument="bands",
                code="wrong_type",
            )
        found, inverse = np.unique(given, return_inverse=True)
        # The band with the highest mean score comes first, people without a band come last.
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
