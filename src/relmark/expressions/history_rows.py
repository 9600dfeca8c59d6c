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
from relmark.core.json_data import WRITTEN_BOOLEANS, written_number
from relmark.core.names import did_you_mean, nearest
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
    """A value that is not of its kind; the text says what is needed, and the hint what to do."""

    def __init__(self, words: str, code: str = "wrong_type", hint: str = "") -> None:
        super().__init__(words)
        self.code = code
        self.hint = hint


def _fault(path: str, value: Any, why: str, code: str = "wrong_type", hint: str = "") -> InputError:
    """Return the error of a value at one place: ``row.age`` or ``rows[3].amount``."""
    return InputError(
        f"{path} is {shown(value)}: {why}.", argument=path.partition(".")[2] or path, path=path, code=code, hint=hint
    )


def _number(value: Any) -> float | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        quoted = isinstance(value, str) and written_number(value) is not None
        raise _Refused(
            "a number is needed", hint="Give an int, a float or a Decimal, or pass convert=True." if quoted else ""
        )
    if isinstance(value, int) and abs(value) > _EXACT:
        why = "numbers are stored as float64, in which whole numbers are exact only up to 2**53: give a text"
        raise _Refused(why, "too_large_number")
    try:
        number = float(value)
    except (OverflowError, ValueError):
        raise _Refused("a number that fits float64 is needed") from None
    if math.isinf(number):
        raise _Refused("a finite number, or None, is needed", "not_finite")
    return None if math.isnan(number) else number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        whole = isinstance(value, int) and not isinstance(value, bool)
        raise _Refused("a text is needed", hint="Give str(value), or pass convert=True." if whole else "")
    if "\0" in value:
        raise _Refused("it has a NUL character: remove it", "bad_text")
    return str(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        quoted = isinstance(value, str) and value.strip().lower() in WRITTEN_BOOLEANS
        raise _Refused("True or False is needed", hint="Give a bool, or pass convert=True." if quoted else "")
    return bool(value)


def _date(value: Any) -> date:
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise _Refused("a date is needed, such as 2026-11-01") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _Refused("a date is needed", hint="Give a date, or a text such as '2026-11-01'.")
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, str) and len(value) > 10:
        value = _parsed(value)
    if not isinstance(value, datetime):
        seconds = isinstance(value, (int, float)) and not isinstance(value, bool)
        raise _Refused(
            "an instant is needed: a datetime, or an ISO text, with a time zone",
            hint="Seconds since 1970 are datetime.fromtimestamp(seconds, UTC)." if seconds else "",
        )
    if value.tzinfo is None:
        raise _Refused("a time zone is needed: attach one with .replace(tzinfo=...)", "no_time_zone")
    return value


def _parsed(value: str) -> Any:
    try:
        return aware(instant(value, name="time"))
    except InputError as error:
        if error.code == "no_time_zone":
            raise _Refused(
                "an instant is needed: a datetime, or an ISO text, with a time zone",
                error.code,
                "Write its zone: '2026-11-01T09:30:00Z' or '2026-11-01T10:30:00+01:00'.",
            ) from None
        return None


def _tags(value: Any) -> frozenset[str]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise _Refused("a list or a set of texts is needed")
    return frozenset(map(_text, value))


def _plain(value: Any) -> Any:
    """Return a value of a column that was empty when its schema was made, read as what it is."""
    for types, read in (
        ((bool, np.bool_), _boolean),
        ((int, float, Decimal, np.number), _number),
        (str, _text),
        (datetime, _instant),
        (date, _date),
        ((set, frozenset, list, tuple), _tags),
    ):
        if isinstance(value, types):
            return read(value)
    raise _Refused("a number, a text, a boolean, a date, an instant or tags are needed")


_READERS: dict[str, Callable[[Any], Any]] = {
    "number": _number, "text": _text, "boolean": _boolean, "date": _date, "instant": _instant, "tags": _tags,
    "empty": _plain,
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


def _read(
    kind: str, values: list[Any], place: Callable[[int], str], faults: list[InputError], *, convert: bool = False
) -> list[Any]:
    """Return the values of a column in the form that rules use; a value of a wrong kind becomes None and a fault."""
    if _fits(kind, values):
        return values
    read = _READERS.get(kind)
    if convert:
        values = [_converted(kind, value) for value in values]
    found: list[Any] = []
    for k, value in enumerate(values):
        given = None
        if value is not None and read is not None:
            try:
                given = read(value)
            except _Refused as why:
                faults.append(_fault(place(k), value, str(why), why.code, why.hint))
        found.append(given)
    return found


def _converted(kind: str, value: Any) -> Any:
    """Return a number or a boolean for one written as text, and a text for a whole number if a text is needed."""
    if kind == "text":
        return str(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else value
    if not isinstance(value, str):
        return value
    if kind == "number":
        number = written_number(value)
        return value if number is None else number
    return WRITTEN_BOOLEANS.get(value.strip().lower(), value) if kind == "boolean" else value


def _mapping(what: str, row: Any, faults: list[InputError]) -> Mapping[str, Any]:
    """Return a row as a mapping; if it is not one, add a fault and return an empty mapping."""
    if row.__class__ is dict or isinstance(row, Mapping):
        return row
    if hasattr(row, "keys"):  # rows of database drivers
        return dict(row)
    faults.append(_fault(what, row, "a mapping of names to values is needed"))
    return {}


def read_customer(
    schema: Schema,
    row: Mapping[str, Any] | None,
    names: Mapping[str, str],
    faults: list[InputError],
    *,
    convert: bool = False,
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
    hint = "" if column in given else _call_it("customer_id", column, given, names)
    who = _id(f"row.{column}", given.get(column), faults, hint)
    attributes = {}
    for name, kind in schema.fields.items():
        if name in given:
            (attributes[name],) = _read(kind, [given[name]], partial(_named, "row", name), faults, convert=convert)
    return who, attributes


def _named(what: str, name: str, _: int) -> str:
    return f"{what}.{name}"


def _of_row(places: Any, name: str, k: int) -> str:
    return f"rows[{places[k]}].{name}"


def _id(what: str, value: Any, faults: list[InputError], hint: str = "") -> int | str | None:
    if isinstance(value, np.integer):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        code = "wrong_type" if value is not None else "missing_value"
        faults.append(_fault(what, value, "an int or a text that is not empty is needed", code, hint))
        return None
    if isinstance(value, int) and not -_BEYOND < value < _BEYOND:
        why = "a whole number of at most 64 bits, or a text, is needed"
        faults.append(_fault(what, value, why, "too_large_number"))
        return None
    return value


def read_rows(
    schema: Schema,
    rows: Iterable[Mapping[str, Any]],
    names: Mapping[str, str],
    who: int | str | None,
    faults: list[InputError],
    *,
    convert: bool = False,
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
    absent = _not_there(given, names)
    if absent:
        faults += absent
        return who, {}
    who = _owner([row.get(names["customer_id"], who) for row in given], names["customer_id"], who, faults)
    read = _Rows(given, names, faults, convert=convert)
    places: dict[str, list[int]] = {}
    for k, name in enumerate(read.types(schema)):
        if name is not None:
            places.setdefault(name, []).append(k)
    return who, {name: read.events(name, schema.events[name], own) for name, own in places.items()}


def _not_there(rows: list[Mapping[str, Any]], names: Mapping[str, str]) -> list[InputError]:
    """Return one fault for the type or the time if no row has such a column, instead of one fault per row."""
    return [
        InputError(
            f"the {name} of an event is read from the column {names[name]!r}, and no row has it; the first row has "
            f"{_listed(rows[0])}.",
            argument="columns",
            code="missing_column",
            hint=_call_it(name, names[name], rows[0], names),
        )
        for name in ("type", "time")
        if rows and not any(names[name] in row for row in rows)
    ]


def _listed(row: Mapping[str, Any]) -> str:
    return ", ".join(repr(str(key)[:64]) for key, _ in zip(row, range(12), strict=False)) or "none"


def _call_it(name: str, column: str, row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the hint how to name a column, with the nearest name that the row has."""
    meant = nearest(column, [str(key) for key in row if key not in names.values()])
    return f"Name the column: columns={{{name!r}: {'...' if meant is None else repr(meant)}}}."


def _owner(ids: list[Any], column: str, who: int | str | None, faults: list[InputError]) -> int | str | None:
    """Return the one customer of all rows; rows may leave it out."""
    if ids.count(who) == len(ids) and set(map(type, ids)) <= {type(who)}:
        return who
    for k, one in enumerate(ids):
        if one != who or one.__class__ is not who.__class__:
            if who is None:
                who = _id(f"rows[{k}].{column}", one, faults)
            elif not (isinstance(one, np.integer) and int(one) == who):
                faults.append(_of_another(f"rows[{k}].{column}", one, who))
    return who


def _of_another(path: str, one: Any, who: int | str) -> InputError:
    said = f"{path} is {shown(one)} among events of {shown(who)}: give the events of one customer."
    key = path.partition(".")[2]
    if isinstance(one, (int, str)) and str(one) == str(who):
        hint = "An id is an int everywhere or a text everywhere."
        return InputError(said, argument=key, path=path, code="mixed_types", hint=hint)
    return InputError(said, argument=key, path=path, code="conflicting_arguments")


class _Rows:
    """Rows of events, with times, values and nested properties read as whole columns."""

    def __init__(
        self, rows: list[Mapping[str, Any]], names: Mapping[str, str], faults: list[InputError], *, convert: bool
    ) -> None:
        self._rows, self._names, self._faults, self._convert = rows, names, faults, convert
        every = range(len(rows))
        time, value = names["time"], names["value"]
        self._times = _times([row.get(time) for row in rows], partial(_of_row, every, time), faults)
        values = _read(
            "number", [row.get(value) for row in rows], partial(_of_row, every, value), faults, convert=convert
        )
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
                why = "the schema has no such event type"
                self._faults.append(_fault(place, name, why, "unknown_event", hint))
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
            _read(kind, self._column(name, places), partial(_of_row, places, name), self._faults, convert=self._convert)
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


def _nested(rows: list[Mapping[str, Any]], column: str, faults: list[InputError]) -> list[Mapping[str, Any]] | None:
    """Return the mappings of properties that rows have in one column, or None if no row has one."""
    given = [row.get(column) for row in rows]
    if given.count(None) == len(given):
        return None
    found: list[Mapping[str, Any]] = []
    for k, one in enumerate(given):
        if one is not None and not isinstance(one, Mapping):
            hint = "Read it with json.loads first." if isinstance(one, (str, bytes)) else ""
            faults.append(_fault(f"rows[{k}].{column}", one, "a mapping of properties is needed", hint=hint))
        found.append(one if isinstance(one, Mapping) else {})
    return found


def _times(values: list[Any], place: Callable[[int], str], faults: list[InputError]) -> list[int]:
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
            faults.append(_fault(place(k), value, str(why), why.code, why.hint))
            found.append(0)
    return found


def _time(value: Any) -> int:
    if value is None or (isinstance(value, str) and len(value) <= 10):
        code = "missing_value" if value is None else "wrong_type"
        raise _Refused("an event needs an instant: give a time with a zone", code)
    if isinstance(value, np.datetime64) and not np.isnat(value):
        value = aware(instant(value, name="time"))
    at = (_instant(value) - _EPOCH) // _US
    if not _LOW < at < _HIGH:
        raise _Refused("a time in the years 2 to 9998 is needed", "wrong_value")
    return at
