"""People rolled up to accounts, such as the companies they work for: many values become one by a named rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from relmark.core.checks import IntArray, one_of, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.money import exact_sums

__all__ = ["HOWS", "accounts_of", "aggregated", "asked_of"]

HOWS = {
    "count": "how many people have a value",
    "sum": "the sum of numbers",
    "mean": "the mean of numbers",
    "min": "the smallest number, date or instant",
    "max": "the largest number, date or instant",
    "any": "whether any known value is true",
    "all": "whether every known value is true",
    "most_common": "the value that most people have; in a tie, the first in order",
    "same": "the one value that all known values share; different values are an error",
}
"""The rules by which many values become one, in words."""
_FITS = {
    "sum": {"number", "boolean"}, "mean": {"number", "boolean"}, "min": {"number", "date", "instant"},
    "max": {"number", "date", "instant"}, "any": {"boolean"}, "all": {"boolean"},
}  # fmt: skip


def asked_of(fields: Any, known: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return the field and the rule from which each new field is made, or raise."""
    if not isinstance(fields, Mapping):
        raise InputError(
            f"fields is {shown(fields)}: a mapping is needed, such as {{'people': 'count', 'budget': 'sum'}}.",
            argument="fields",
            code="wrong_type",
        )
    asked = {}
    for name, given in fields.items():
        pair = (name, given) if isinstance(given, str) else given
        if not (isinstance(name, str) and isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(
                f"fields[{name!r}] is {shown(given)}: one of {', '.join(map(repr, HOWS))}, or a pair of a field and "
                "one of these, is needed.",
                argument="fields",
                code="wrong_type",
            )
        source, how = pair
        one_of(f"fields[{name!r}]", how, HOWS)
        if how == "count" and isinstance(given, str):
            source = ""  # everybody of the account
        else:
            one_of(f"fields[{name!r}]", source, known)
        asked[name] = (source, how)
    return asked


def accounts_of(column: Column, name: str) -> tuple[Any, IntArray]:
    """Return the ids of the accounts, ascending, and the position of each row's account among them, or -1."""
    known = ~column.missing
    if column.kind == "text":
        values = np.asarray(column.take(known).values(), dtype=np.str_)
    elif column.kind == "number" and (column.numbers()[known] % 1 == 0).all():
        values = column.numbers()[known].astype(np.int64) if column.data.dtype.kind == "f" else column.data[known]
    elif column.kind == "empty":
        values = np.empty(0, dtype=np.str_)
    else:
        raise InputError(
            f"account={name!r} is a field of kind {column.kind!r}: words or whole numbers are needed.",
            argument="account",
            code="wrong_type",
        )
    ids, place = np.unique(values, return_inverse=True)
    code = np.full(len(column), -1, dtype=np.int64)
    code[known] = place
    return ids, code


def aggregated(column: Column, code: IntArray, ids: Any, how: str, name: str) -> Column:
    """Return a column of people as one value per account; an account without any known value gets none."""
    n = len(ids)
    if how in _FITS and column.kind not in _FITS[how] | {"empty"}:
        raise InputError(
            f"fields[{name!r}] asks for {how!r} of a field of kind {column.kind!r}: this rule needs a field of kind "
            f"{' or '.join(sorted(_FITS[how]))}.",
            argument="fields",
            code="wrong_type",
        )
    rows = np.flatnonzero((code >= 0) & ~column.missing)
    own = code[rows]
    known = np.bincount(own, minlength=n)
    if how == "count":
        return Column("number", known)
    if not len(rows):
        return Column.empty(n)
    if how in ("sum", "mean"):
        total = exact_sums(own, column.take(rows).numbers(), n)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = total / np.where(known > 0, known if how == "mean" else 1, np.nan)
        return Column.of(name, total)
    if how in ("any", "all"):
        true = np.bincount(own, weights=column.data[rows], minlength=n)
        found = true > 0 if how == "any" else true == known
        return Column("boolean", np.where(known > 0, found, -1).astype(np.int8))
    picked = _picked(column, rows, own, n, how, ids, name)
    have = np.flatnonzero(picked >= 0)
    return column.take(picked[have]).spread(have, n)


def _picked(column: Column, rows: IntArray, own: IntArray, n: int, how: str, ids: Any, name: str) -> IntArray:
    """Return the row whose value an account takes, -1 where it has none."""
    if column.kind == "tags":
        sets = [tuple(sorted(column.value(int(row)))) for row in rows]
        places = {value: place for place, value in enumerate(sorted(set(sets)))}
        rank = np.array([places[value] for value in sets], dtype=np.int64)
    else:
        data = column.data[rows]
        rank = np.unique(data.view(np.int64) if data.dtype.kind == "M" else data, return_inverse=True)[1]
    size = int(rank.max()) + 1
    pair, first, count = np.unique(own * size + rank, return_index=True, return_counts=True)
    account = pair // size
    if how == "same":
        twice = np.flatnonzero(account[1:] == account[:-1])
        if len(twice):
            a, b = (column.value(int(rows[first[twice[0] + step]])) for step in (0, 1))
            raise InputError(
                f"fields[{name!r}]: account {shown(ids[account[twice[0]]].item())} has {shown(a)} and {shown(b)} "
                f"({len(np.unique(account[twice])):,} such accounts): correct the data, or choose another rule, such "
                "as 'most_common'.",
                argument="fields",
                code="conflicting_arguments",
            )
    key = {"min": -pair, "max": pair}.get(how, count * (len(pair) + 1) - np.arange(len(pair)))
    picked = np.full(n, -1, dtype=np.int64)
    order = np.lexsort((key, account))  # the last of each account is its best
    picked[account[order]] = rows[first[order]]
    return picked
