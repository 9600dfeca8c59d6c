"""Reading rows of a database as a customer and their events by a schema, with all faults reported at once.

Whole columns are checked first: if all values of a column have the Python type of its kind, nothing is converted.
Otherwise it is read value by value, and each fault is reported with its row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.schema import Schema
from relmark.core.time import aware, instant
from relmark.expressions.scalar_person import Events, Row

__all__ = ["read_customer", "read_rows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_EXACT = 2**53
_BEYOND = 2**63
_LOW, _HIGH = ((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _US for year in (2, 9_999))
_NOTHING = type(None)
_ENDLESS = (math.inf, -math.inf)


class _Refused(Exception):  # noqa: N818  (not an error yet: faults are collected)
    """A value that is not of its kind; the text says what is needed."""


def _number(value: Any) -> float | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _Refused("a number is needed")
    if isinstance(value, int) and abs(value) > _EXACT:
        raise _Refused("numbers are stored as float64, in which whole numbers are exact only up to 2**53: give a text")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        raise _Refused("a number that fits float64 is needed") from None
    if math.isinf(number):
        raise _Refused("a finite number, or None, is needed")
    return None if math.isnan(number) else number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("a text is needed")
    if "\0" in value:
        raise _Refused("it has a NUL character: remove it")
    return str(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise _Refused("True or False is needed")
    return bool(value)


def _date(value: Any) -> date:
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _Refused("a date is needed, such as 2026-11-01") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _Refused("a date is needed")
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, str) and len(value) > 10:
        value = _parsed(value)
    if not isinstance(value, datetime):
        raise _Refused("an instant is needed: a datetime, or an ISO text, with a time zone")
    if value.tzinfo is None:
        raise _Refused("a time zone is needed: attach one with .replace(tzinfo=...)")
    return value


def _parsed(value: str) -> Any:
    try:
        return aware(instant(value, name="time"))
    except InputError:
        return None


def _tags(value: Any) -> frozenset[str]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise _Refused("a set of texts is needed")
    return frozenset(map(_text, value))


_READERS: dict[str, Callable[[Any], Any]] = {
    "number": _number, "text": _text, "boolean": _boolean, "date": _date, "instant": _instant, "tags": _tags,
}  # fmt: skip
_AS_THEY_ARE: dict[str, frozenset[type]] = {
    "number": frozenset({float, int, _NOTHING}),
    "text": frozenset({str, _NOTHING}),
    "boolean": frozenset({bool, _NOTHING}),
    "date": frozenset({date, _NOTHING}),
}


def _fits(kind: str, values: list[Any]) -> bool:
    """Return whether a column can be used without conversion."""
    types = set(map(type, values))
    if not types <= _AS_THEY_ARE.get(kind, frozenset()):
        return types == {_NOTHING}
    if kind == "number":
        if int in types and any(one.__class__ is int and not -_EXACT <= one <= _EXACT for one in values):
            return False
        return not any(end in values for end in _ENDLESS)
    return kind != "text" or "\0" not in "".join(filter(None, values))


def _read(kind: str, values: list[Any], place: Callable[[int], str], faults: list[str]) -> list[Any]:
    """Return the values of a column in the form that rules use; a value of a wrong kind becomes None and a fault."""
    if _fits(kind, values):
        return values
    read = _READERS.get(kind)
    found: list[Any] = []
    for k, value in enumerate(values):
        given = None
        if value is not None and read is not None:
            try:
                given = read(value)
            except _Refused as why:
                faults.append(f"{place(k)} is {shown(value)}: {why}.")
        found.append(given)
    return found


def _mapping(what: str, row: Any, faults: list[str]) -> Mapping[str, Any]:
    """Return a row as a mapping; if it is not one, add a fault and return an empty mapping."""
    if row.__class__ is dict or isinstance(row, Mapping):
        return row
    if hasattr(row, "keys"):  # rows of database drivers
        return dict(row)
    faults.append(f"{what} is {shown(row)}: a mapping of names to values is needed.")
    return {}


def read_customer(
    schema: Schema, row: Mapping[str, Any] | None, names: Mapping[str, str], faults: list[str]
) -> tuple[int | str | None, dict[str, Any]]:
    """Return the id and the attributes of the row of a customer; add problems to `faults`."""
    if not isinstance(schema, Schema):
        raise InputError(
            f"schema is {shown(schema)}: a Schema is needed, such as base.schema().",
            argument="schema",
            code="wrong_type",
        )
    if row is None:
        return None, {}
    given = _mapping("row", row, faults)
    column = names["customer_id"]
    who = _id(f"row.{column}", given.get(column), faults)
    attributes = {}
    for name, kind in schema.fields.items():
        if name in given:
            (attributes[name],) = _read(kind, [given[name]], partial(_named, "row", name), faults)
    return who, attributes


def _named(what: str, name: str, _: int) -> str:
    return f"{what}.{name}"


def _of_row(places: Any, name: str, k: int) -> str:
    return f"rows[{places[k]}].{name}"


def _id(what: str, value: Any, faults: list[str]) -> int | str | None:
    if isinstance(value, np.integer):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        faults.append(f"{what} is {shown(value)}: an int or a text that is not empty is needed.")
        return None
    if isinstance(value, int) and not -_BEYOND < value < _BEYOND:
        faults.append(f"{what} is {shown(value)}: a whole number of at most 64 bits, or a text, is needed.")
        return None
    return value


def read_rows(
    schema: Schema,
    rows: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
    who: int | str | None,
    faults: list[str],
) -> tuple[int | str | None, dict[str, Events]]:
    """Return the customer of rows, and the events by type in the order of time; add problems to `faults`."""
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise InputError(
            f"rows is {shown(rows)}: a list of mappings, one per event, is needed.",
            argument="rows",
            code="wrong_type",
        )
    given: list[Mapping[str, Any]] = list(rows)
    if set(map(type, given)) - {dict}:
        given = [_mapping(f"rows[{k}]", row, faults) for k, row in enumerate(given)]
        if faults and not all(given):
            return who, {}
    who = _owner([row.get(names["customer_id"], who) for row in given], names["customer_id"], who, faults)
    read = _Rows(given, names, faults)
    places: dict[str, list[int]] = {}
    for k, name in enumerate(read.types(schema)):
        if name is not None:
            places.setdefault(name, []).append(k)
    return who, {name: read.events(name, schema.events[name], own) for name, own in places.items()}


def _owner(ids: list[Any], column: str, who: int | str | None, faults: list[str]) -> int | str | None:
    """Return the one customer of all rows; rows may leave it out."""
    if ids.count(who) == len(ids) and set(map(type, ids)) <= {type(who)}:
        return who
    for k, one in enumerate(ids):
        if one != who or one.__class__ is not who.__class__:
            if who is None:
                who = _id(f"rows[{k}].{column}", one, faults)
            elif not (isinstance(one, np.integer) and int(one) == who):
                fault = f"rows[{k}].{column} is {shown(one)} among events of {shown(who)}"
                faults.append(f"{fault}: give the events of one customer.")
    return who


class _Rows:
    """Rows of events, with times, values and nested properties read as whole columns."""

    def __init__(self, rows: list[Mapping[str, Any]], names: Mapping[str, str], faults: list[str]) -> None:
        self._rows, self._names, self._faults = rows, names, faults
        every = range(len(rows))
        time, value = names["time"], names["value"]
        self._times = _times([row.get(time) for row in rows], partial(_of_row, every, time), faults)
        values = _read("number", [row.get(value) for row in rows], partial(_of_row, every, value), faults)
        self._values = [None if one != one else one for one in values]  # noqa: PLR0124  (NaN)
        self._nested = _nested(rows, names["properties"], faults)

    def types(self, schema: Schema) -> list[str | None]:
        """Return the type of each row, or None if the schema does not have it."""
        column = self._names["type"]
        found = [row.get(column) for row in self._rows]
        try:
            known = set(found) <= schema.events.keys()
        except TypeError:  # something that cannot be a name
            known = False
        if known:
            return found
        for k, name in enumerate(found):
            if not isinstance(name, str) or name not in schema.events:
                hint = did_you_mean(name, schema.events) if isinstance(name, str) else ""
                place = f"rows[{k}].{column}"
                self._faults.append(f"{place} is {shown(name)}: the schema has no such event type.{hint}")
                found[k] = None
        return found

    def events(self, type: str, kinds: Mapping[str, str], places: list[int]) -> Events:
        """Return the events of one type, whose rows are at `places`, in the order of time."""
        times = [self._times[k] for k in places]
        if times != sorted(times):
            places = sorted(places, key=self._times.__getitem__)
            times = [self._times[k] for k in places]
        keys = tuple(kinds)
        columns = [
            _read(kind, self._column(name, places), partial(_of_row, places, name), self._faults)
            for name, kind in kinds.items()
        ]
        each = zip(*columns, strict=True) if columns else [()] * len(places)
        values = self._values
        return times, [Row(type, values[k], dict(zip(keys, one))) for k, one in zip(places, each, strict=True)]  # noqa: B905

    def _column(self, name: str, places: list[int]) -> list[Any]:
        rows, nested = self._rows, self._nested
        if nested is None:
            return [rows[k].get(name) for k in places]
        return [rows[k][name] if name in rows[k] else nested[k].get(name) for k in places]


def _nested(rows: list[Mapping[str, Any]], column: str, faults: list[str]) -> list[Mapping[str, Any]] | None:
    """Return the mappings of properties that rows have in one column, or None if no row has one."""
    given = [row.get(column) for row in rows]
    if given.count(None) == len(given):
        return None
    found: list[Mapping[str, Any]] = []
    for k, one in enumerate(given):
        if one is not None and not isinstance(one, Mapping):
            faults.append(f"rows[{k}].{column} is {shown(one)}: a mapping of properties is needed.")
        found.append(one if isinstance(one, Mapping) else {})
    return found


def _times(values: list[Any], place: Callable[[int], str], faults: list[str]) -> list[int]:
    """Return times in microseconds; a missing time, a day without a time, or a time without a zone is a fault."""
    if set(map(type, values)) == {datetime}:
        try:
            found = [(value - _EPOCH) // _US for value in values]
        except TypeError:  # without a zone
            pass
        else:
            if min(found) > _LOW and max(found) < _HIGH:
                return found
    found = []
    for k, value in enumerate(values):
        try:
            found.append(_time(value))
        except _Refused as why:
            faults.append(f"{place(k)} is {shown(value)}: {why}.")
            found.append(0)
    return found


def _time(value: Any) -> int:
    if value is None or (isinstance(value, str) and len(value) <= 10):
        raise _Refused("an event needs an instant: give a time with a zone")
    if isinstance(value, np.datetime64) and not np.isnat(value):
        value = aware(instant(value, name="time"))
    at = (_instant(value) - _EPOCH) // _US
    if not _LOW < at < _HIGH:
        raise _Refused("a time in the years 2 to 9998 is needed")
    return at
