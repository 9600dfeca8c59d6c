"""Merging records into customers: records that share an e-mail, a phone, a card or a device are joined.

Key values are normalized, and records with an equal value are connected; connected components are customers. A value
that would join too many different people, such as the shop's own phone, is a hub: it joins nobody and is reported.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import is_missing, same_length, shown, whole
from relmark.core.errors import InputError
from relmark.core.formats import text_table
from relmark.core.frames import Frame, columns_of
from relmark.core.ids import Coded, id_array, is_text
from relmark.core.names import did_you_mean
from relmark.core.ordering import group_order
from relmark.core.results import ColumnarResult
from relmark.core.time import UtcTimes

__all__ = ["Identities", "Join", "resolve_identities"]


@attrs.frozen
class Join:
    """The reason why two records are one customer: they share a value of a key."""

    record: int
    other: int
    key: str
    value: str

    def __str__(self) -> str:
        return f"record {self.other} joins record {self.record} by {self.key} {self.value!r}"


@attrs.frozen
class Hub:
    """A key value that was not used, because it would join too many different people."""

    key: str
    value: str
    records: int
    people: int


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Identities(ColumnarResult):
    """The customer to whom each record belongs.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        The merged customer of each record: the smallest id of its group or, if records have no ids, the row number of
        the group's first record.
    group : ndarray of int64, shape (n,)
        The number of each record's group, in the order of first records.
    refused : tuple of Hub
        Key values that joined nobody, because too many different people share them.
    """

    customer_id: npt.NDArray[Any]
    group: npt.NDArray[np.int64]
    refused: tuple[Hub, ...]
    _values: Mapping[str, tuple[npt.NDArray[np.int64], tuple[str, ...]]]

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The records of each customer, by row number."""
        order, offsets = group_order(self.group, int(self.group.max(initial=-1)) + 1)
        return tuple(tuple(order[a:b].tolist()) for a, b in pairwise(offsets))

    def explain(self, customer_id: int | str) -> tuple[Join, ...]:
        """Return the joins that made a customer; each one connects a further record by a value that it shares."""
        same_kind = isinstance(customer_id, str) == is_text(self.customer_id)
        rows = np.flatnonzero(self.customer_id == customer_id) if same_kind else np.empty(0, dtype=np.intp)
        if len(rows) == 0:
            raise InputError(
                f"there is no merged customer {shown(customer_id)}.",
                argument="customer_id",
                code="unknown_name",
            )
        holders: dict[tuple[str, int], list[int]] = {}
        for key, (codes, _) in self._values.items():
            for row in rows.tolist():
                if codes[row] >= 0:
                    holders.setdefault((key, int(codes[row])), []).append(row)
        joins: list[Join] = []
        reached, queue = {int(rows[0])}, deque([int(rows[0])])
        while queue:
            record = queue.popleft()
            for key, (codes, words) in self._values.items():
                code = int(codes[record])
                for other in holders.get((key, code), []) if code >= 0 else []:
                    if other not in reached:
                        reached.add(other)
                        queue.append(other)
                        joins.append(Join(record, other, key, words[code]))
                holders.pop((key, code), None)
        return tuple(joins)

    def _facts(self) -> dict[str, Any]:
        n = int(self.group.max(initial=-1)) + 1
        return {"records": len(self.group), "customers": n, "refused": len(self.refused)}

    def __str__(self) -> str:
        return text_table(self._table(), title=repr(self))


def resolve_identities(
    records: Frame,
    *,
    keys: Sequence[str],
    customer_id: str | None = None,
    hub: int = 10,
    normalize: Mapping[str, Callable[[str], str | None]] | None = None,
) -> Identities:
    """Join the records that share an e-mail, a phone, a card or a device into one customer.

    Parameters
    ----------
    records : frame or mapping of str to array_like, shape (n,)
        One row per record.
    keys : sequence of str
        The columns in which equal values mean the same person. None, NaN and values that normalize to None or to an
        empty string join nobody.
    customer_id : str, optional
        The column of ids that records already have. Records with equal ids are joined, and the smallest id names the
        group.
    hub : int
        The largest number of different people whom one value may join. People are counted as distinct values of any
        other key (or of `customer_id`); without another key, records are counted.
    normalize : mapping of str to callable, optional
        Functions that normalize the values of a key. By default, keys with 'phone' in their name keep only digits (of
        any script, as 0 to 9), without the leading 00 of an international prefix, and need seven of them. Values of all
        other keys are converted to Unicode NFKC, trimmed and case-folded, so that capitals, full-width letters and
        accents typed as separate characters make no difference.

    Returns
    -------
    Identities
        The customer of each record.

    Notes
    -----
    Some spellings of one phone number differ by rules of a country; they are not joined unless you give a function that
    knows these rules. In ``+44 (0) 20 ...`` the zero is not dialed from abroad, ``+52 1 ...`` has a mobile prefix that
    Mexico gave up, and ``8 900 ...`` is ``+7 900 ...`` in Russia. A mailbox that several people share (info@...) joins
    them unless it has more than `hub` different names, phones or cards: let `normalize` return None for it.

    Examples
    --------
    >>> people = resolve_identities(
    ...     {"email": ["Ann@x.org", None, "ann@x.org "], "phone": [None, "+7 900 1234567", "7(900)1234567"]},
    ...     keys=["email", "phone"])
    >>> people.customer_id.tolist()
    [0, 0, 0]
    >>> print(people.explain(0)[1])
    record 1 joins record 2 by phone '79001234567'

    The rules of two countries, and shared mailboxes:

    >>> def phone(text):
    ...     digits = "".join(filter(str.isdecimal, text.replace("+44 (0)", "+44")))
    ...     return "52" + digits[3:] if digits.startswith("521") else digits
    >>> def mail(text):
    ...     address = text.strip().casefold()
    ...     return None if address.startswith(("info@", "office@", "shop@")) else address
    >>> people = resolve_identities(
    ...     {"email": ["info@x.org", "info@x.org", "a@x.org", None],
    ...      "phone": ["+44 (0)20 7946 0000", "+521 55 1234 5678", "+52 55 1234 5678", "+44 20 7946 0000"]},
    ...     keys=["email", "phone"], normalize={"email": mail, "phone": phone})
    >>> people.customer_id.tolist()
    [0, 1, 1, 0]
    """
    whole("hub", hub, low=1)
    named = isinstance(keys, (list, tuple)) and all(isinstance(key, str) for key in keys)
    if not named or not keys or len(set(keys)) < len(keys) or customer_id in keys:
        raise InputError(
            f"keys is {shown(keys)}: a list of different column names, without customer_id, is needed.",
            argument="keys",
            code="wrong_type",
        )
    for key in normalize or {}:
        if key not in keys:
            raise InputError(
                f"normalize has {shown(key)}, which is not one of the keys.",
                argument="normalize",
                code="unknown_name",
                hint=did_you_mean(str(key), keys),
            )
    columns = columns_of(records, [*keys, *([customer_id] if customer_id else [])])
    for key, column in columns.items():
        if not hasattr(column, "__len__"):
            raise InputError(
                f"{key} is {shown(column)}: a column is needed, one value per row.", argument=key, code="wrong_type"
            )
    n = len(columns[keys[0]])
    ways = dict(normalize or {})
    values: dict[str, tuple[npt.NDArray[np.int64], tuple[str, ...]]] = {}
    for key in keys:
        same_length(key, columns[key], n)
        values[key] = _normalized(key, columns[key], ways.get(key) or _usual(key))
    ids = None
    if customer_id is not None:
        same_length(customer_id, columns[customer_id], n)
        ids = id_array(customer_id, columns[customer_id])
        names, codes = np.unique(ids, return_inverse=True)
        values[customer_id] = (codes.astype(np.int64), tuple(str(name) for name in names))
    refused = []
    kept = dict(values)
    for key in keys:  # hubs are found in the given values, so that the order of keys makes no difference
        codes, words = values[key]
        hubs = _hubs(codes, len(words), [values[other][0] for other in values if other != key], hub)
        records = np.bincount(codes[codes >= 0], minlength=len(words))
        refused += [Hub(key, words[code], int(records[code]), people) for code, people in sorted(hubs.items())]
        if hubs:
            kept[key] = (np.where(np.isin(codes, list(hubs)), -1, codes), words)
    values = kept
    group = _components(n, [codes for codes, _ in values.values()])
    first = np.unique(group, return_index=True)[1]
    if ids is None:
        merged: npt.NDArray[Any] = first[group]
    else:
        order = np.lexsort((np.unique(ids, return_inverse=True)[1], group))
        starts = np.searchsorted(group[order], np.arange(len(first)))
        merged = ids[order[starts]][group]
    return Identities(customer_id=merged, group=group, refused=tuple(refused), values=values)


def _usual(key: str) -> Callable[[str], str | None]:
    return _phone if "phone" in key.casefold() else _trimmed


def _trimmed(text: str) -> str | None:
    if text.isascii():
        return text.strip().casefold() or None
    # Case folding can undo NFKC, so it is applied again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip() or None


def _phone(text: str) -> str | None:
    digits = "".join(filter(str.isdecimal, text))
    if not digits.isascii():
        digits = "".join(str(unicodedata.decimal(digit)) for digit in digits)
    digits = digits.removeprefix("00")
    return digits if len(digits) >= 7 else None


def _normalized(
    key: str, column: Any, normalize: Callable[[str], str | None]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    if isinstance(column, Coded):
        given = [str(word) for word in column.categories.tolist()]
        raw = column.codes.astype(np.int64)
    else:
        seen: dict[Any, int] = {}
        column = column.times if isinstance(column, UtcTimes) else column
        items = column.tolist() if isinstance(column, np.ndarray) else list(column)
        raw = np.empty(len(items), dtype=np.int64)
        for row, item in enumerate(items):
            if is_missing(item):
                raw[row] = -1
            elif isinstance(item, (str, int, np.integer)) and not isinstance(item, bool):
                raw[row] = seen.setdefault(str(item), len(seen))
            else:
                raise InputError(
                    f"{key} has {shown(item)} in row {row}: strings or whole numbers are needed.",
                    argument=key,
                    row=row,
                    code="wrong_type",
                )
        given = list(seen)
    distinct: dict[str, int] = {}
    table = np.full(len(given) + 1, -1, dtype=np.int64)
    for code, word in enumerate(given):
        clean = normalize(word)
        if clean:
            table[code] = distinct.setdefault(clean, len(distinct))
    return table[raw], tuple(distinct)


def _hubs(codes: npt.NDArray[np.int64], n: int, others: list[npt.NDArray[np.int64]], most: int) -> dict[int, int]:
    """Return the values that would join more than `most` different people, and how many people each would join."""
    counts = np.zeros(n, dtype=np.int64)
    for other in others:
        both = (codes >= 0) & (other >= 0)
        if both.any():
            pairs = np.unique(codes[both] * (int(other.max()) + 1) + other[both]) // (int(other.max()) + 1)
            counts = np.maximum(counts, np.bincount(pairs, minlength=n))
    if not others:
        counts = np.bincount(codes[codes >= 0], minlength=n)
    return {int(code): int(counts[code]) for code in np.flatnonzero(counts > most)}


def _components(n: int, columns: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return the number of each record's connected component, in the order of first records."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, nodes, start = [], [], n
    for codes in columns:
        held = np.flatnonzero(codes >= 0)
        rows.append(held)
        nodes.append(codes[held] + start)
        start += int(codes.max(initial=-1)) + 1
    ends = (np.concatenate(rows), np.concatenate(nodes))
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(start, start))
    labels = connected_components(graph, directed=False)[1][:n]
    _, first, back = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[back]
