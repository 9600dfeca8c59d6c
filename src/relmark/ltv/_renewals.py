"""Read given cohorts of contracts: how many left after t = 1, 2, ... periods, and how many stayed that long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.ltv.contracts import RenewalCounts

__all__ = ["CohortsGiven", "losses", "periods_of", "shaped"]


CohortsGiven: TypeAlias = RenewalCounts | npt.ArrayLike | Sequence[npt.ArrayLike]
"""How many customers of a cohort are left at the start of each period; a list of such; or what events say of it."""


def shaped(result: FloatArray, like: Any) -> FloatArray | float:
    return float(result[0]) if np.ndim(like) == 0 else result


def periods_of(name: str, values: npt.ArrayLike, low: float = 0.0) -> FloatArray:
    array = checks.numbers(name, values, low=low)
    checks.refuse_rows(name, array != np.floor(array), array, "whole numbers of periods are needed")
    return array


def cohorts_of(customers: Any) -> tuple[bool, list[FloatArray]]:
    """Return whether there are several cohorts, and the numbers of customers of each.

    One column of any kind (a list, an array, a Series with any index) is one cohort. A list of columns, or a table, has
    one cohort per row; missing values at the end of a row are periods that have not passed yet.
    """
    if isinstance(customers, (str, bytes, Mapping)) or not hasattr(customers, "__len__"):
        raise InputError(
            f"customers is {checks.shown(customers)}: give how many customers of one cohort are left at the start of "
            "each period, such as [1000, 869, 743], or a list of such lists.",
            argument="customers",
            code="wrong_type",
        )
    table = checks.array_of("customers", customers) if hasattr(customers, "__array__") else customers
    nested = len(table) > 0 and np.ndim(table[0]) > 0
    cohorts = []
    for cohort in table if nested else [table]:
        counts = checks.numbers("customers", cohort, low=0.0, missing=nested)
        seen = np.flatnonzero(~np.isnan(counts))
        counts = counts[: seen[-1] + 1] if len(seen) else counts[:0]
        checks.refuse_rows("customers", np.isnan(counts), counts, "only the last periods of a cohort may be missing")
        cohorts.append(counts)
    return nested, cohorts


def losses(customers: Any) -> tuple[FloatArray, FloatArray]:
    """Return how many left after t = 1, 2, ... periods, and how many were there when last seen after t = 0, 1, ...

    Where nobody left, a model of leaving has nothing to learn from, and a NotEnoughDataError is raised.
    """
    renewals = isinstance(customers, RenewalCounts)
    lost, kept = (customers.lost, customers.kept) if renewals else _losses_of_cohorts(customers)
    if not lost.any():
        raise NotEnoughDataError(
            "nobody left, so the chance to leave cannot be estimated.",
            argument="customers",
            hint="Observe for longer.",
        )
    return lost, kept


def _losses_of_cohorts(customers: Any) -> tuple[FloatArray, FloatArray]:
    nested, cohorts = cohorts_of(customers)
    longest = max((len(cohort) for cohort in cohorts), default=0)
    if longest < 2:
        raise NotEnoughDataError(
            "at least two numbers are needed: how many began, and how many were left after one period.",
            argument="customers",
        )
    lost, kept = np.zeros(longest - 1), np.zeros(longest)
    for row, cohort in enumerate(cohorts):
        drop = -np.diff(cohort)
        if (drop < 0).any():
            place = int(np.argmax(drop < 0)) + 1
            which = f" of cohort {row}" if nested else ""
            raise InputError(
                f"customers{which} rises to {cohort[place]:g} at position {place}: give how many of one cohort are "
                "left, without new customers.",
                argument="customers",
                code="wrong_value",
            )
        lost[: len(drop)] += drop
        kept[len(cohort) - 1] += cohort[-1]
    return lost, kept
