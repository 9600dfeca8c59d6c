"""Checking and coding columns of events: the work of the functions that build an `EventLog`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import array_of, is_missing, number, one_of, refuse_rows, same_length, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.events import Event, Message, Purchase, Visit
from relmark.core.frames import columns_of
from relmark.core.ids import Coded, Codes, code_ids, code_texts, is_text
from relmark.core.partition import Partition, build_partitions
from relmark.core.time import NAIVE, Times, UtcTimes, read_times, with_zone
from relmark.core.zones import time_zone

__all__ = ["Incoming", "read_columns", "read_events", "read_purchases"]

_RESERVED = ("customer_id", "type", "time", "value")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*", re.ASCII)
_NOT_THERE = ("nan", "NaN", "None", "NaT", "<NA>", "null")  # what missing values become when they are converted to text
_NUMBERS = re.compile(r"\d+(\.0)?", re.ASCII)
_EXACT = 2**53  # whole numbers up to this are exact as floats


@attrs.frozen(eq=False)
class Incoming:
    """Columns of events after they were read: the fields of a log."""

    customer_id: npt.NDArray[Any]
    partitions: dict[str, Partition]
    dropped: dict[str, int]
    tz: str
    naive: bool
    notes: tuple[str, ...] = ()


def read_columns(
    *,
    customer_id: Any,
    time: Any,
    type: Any,
    value: Any = None,
    properties: Mapping[str, Any] | None = None,
    tz: str = "UTC",
    on_error: str = "raise",
    rows: npt.NDArray[np.int64] | None = None,
) -> Incoming:
    """Return the ids, the partitions and the counts of dropped rows; see `EventLog.from_columns`.

    `rows` are the caller's row numbers, if some rows were dropped before.
    """
    one_of("on_error", on_error, ("raise", "drop"))
    time_zone(tz)
    columns = {"customer_id": customer_id, "time": time}
    if not isinstance(type, str):
        columns["type"] = type
    if value is not None:
        columns["value"] = value
    columns = {name: _sequence(name, column) for name, column in columns.items()}
    if properties is not None and not isinstance(properties, Mapping):
        raise InputError(
            f"properties is {shown(properties)}: a mapping of names to columns is needed.",
            argument="properties",
            code="wrong_type",
        )
    given = {name: _sequence(f"properties[{name!r}]", column) for name, column in (properties or {}).items()}
    n = len(columns["customer_id"])
    for name, column in columns.items():
        same_length(name, column, n)
    for name, column in given.items():
        if text("the name of a property", name) in _RESERVED:
            raise InputError(
                f"properties has {name!r}, which is the name of another argument: rename the property.",
                argument="properties",
                code="duplicate",
            )
        same_length(f"properties[{name!r}]", column, n)
    dropped: dict[str, int] = {}
    if on_error == "drop":
        keep, dropped = _clean_rows(columns)
        if dropped:
            rows = np.flatnonzero(keep) if rows is None else rows[keep]
            columns = {name: kept(column, keep) for name, column in columns.items()}
            given = {name: kept(column, keep) for name, column in given.items()}
        columns["customer_id"] = _whole(columns["customer_id"])
    ids, codes = _coded_ids(columns["customer_id"], on_error, rows)
    types = _coded_types(type if isinstance(type, str) else columns["type"])
    times = read_times("time", columns["time"], tz=tz)
    partitions = build_partitions(
        codes,
        len(ids),
        times,
        types,
        money("value", columns["value"]) if value is not None else None,
        {name: Column.of(f"properties[{name!r}]", column, tz=tz) for name, column in given.items()},
        tz=tz,
        rows=rows,
    )
    return Incoming(
        customer_id=ids,
        partitions=partitions,
        dropped=dropped,
        tz=tz,
        naive=bool(np.any(np.asarray(times.given) == NAIVE))
        and any(part.day_zone is None for part in partitions.values()),
        notes=_notes(partitions, times),
    )


def _notes(partitions: Mapping[str, Partition], times: Times) -> tuple[str, ...]:
    """Return a note for each type whose times were read as days only because all of them are midnights."""
    if not np.any(np.asarray(times.given) == NAIVE):
        return ()
    found = [name for name in sorted(partitions) if partitions[name].day_zone is not None]
    return tuple(
        f"every time of {name!r} is a midnight without a zone: they are read as days, without a time of day"
        for name in found
    )


def read_events(events: Iterable[Event | Purchase | Message | Visit]) -> Incoming:
    """Read event objects; see `EventLog.from_events`."""
    plain = []
    given: Any = events
    if not isinstance(given, Iterable) or isinstance(given, np.ndarray):
        raise InputError(
            f"events is {shown(events)}: Events are needed, such as [Purchase(...), Visit(...)].",
            argument="events",
            code="wrong_type",
        )
    for row, event in enumerate(events):
        if not isinstance(event, (Event, Purchase, Message, Visit)):
            raise InputError(
                f"events has {shown(event)} in row {row}: Events are needed.",
                argument="events",
                row=row,
                code="wrong_type",
            )
        plain.append(event.to_event())
    names = sorted({name for event in plain for name in event.properties})
    return read_columns(
        customer_id=[event.customer_id for event in plain],
        time=[event.time for event in plain],
        type=[event.type for event in plain],
        value=np.array([np.nan if event.value is None else event.value for event in plain], dtype=np.float64),
        properties={name: [event.properties.get(name) for event in plain] for name in names},
    )


def read_purchases(
    frame: Any,
    *,
    customer_id: str,
    time: str,
    value: str | float | None,
    more: Mapping[str, str | None],
    properties: Sequence[str],
    tz: str,
    on_error: str,
) -> Incoming:
    """Read a frame of orders; see `EventLog.purchases`. `more` maps the names of properties to columns."""
    chosen = {name: column for name, column in more.items() if column is not None}
    chosen |= {name: name for name in column_names("properties", properties)}
    constant = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    price: Any = None if constant else value
    priced = [] if price is None else [price]
    columns = columns_of(frame, [customer_id, time, *priced, *chosen.values()])
    amounts = rows = None
    dropped = {}
    if constant:
        amounts = np.full(len(columns[customer_id]), number("value", value))
    elif price is not None:
        amounts = money(str(value), _sequence(str(value), columns[price]), infinite=True)
        missing = ~np.isfinite(amounts)
        if missing.any():
            if one_of("on_error", on_error, ("raise", "drop")) == "raise":
                remedy = 'Fill or drop these rows, or pass on_error="drop".'
                refuse_rows(str(value), missing, amounts, "a purchase needs a value, 0 if it was free", remedy)
            dropped = {"value": int(np.count_nonzero(missing))}
            rows = np.flatnonzero(~missing)
            columns = {name: _sequence(name, column) for name, column in columns.items()}
            for name, column in columns.items():
                same_length(name, column, len(amounts))
            columns = {name: kept(column, ~missing) for name, column in columns.items()}
            amounts = amounts[~missing]
    found = read_columns(
        customer_id=columns[customer_id],
        time=columns[time],
        type="purchase",
        value=amounts,
        properties={name: columns[column] for name, column in chosen.items()},
        tz=tz,
        on_error=on_error,
        rows=rows,
    )
    if chosen.get("quantity") is not None and amounts is not None and "purchase" in found.partitions:
        _refuse_paid_returns(str(value), chosen["quantity"], found.partitions["purchase"])
    return attrs.evolve(found, dropped={**dropped, **found.dropped})


def _refuse_paid_returns(value: str, quantity: str, part: Partition) -> None:
    """Refuse rows with a negative quantity and a positive value, in which the value must be the unit price."""
    column = part.properties.get("quantity")
    if column is None or column.kind != "number" or part.value is None:
        return
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero((column.numbers() < 0.0) & (part.value > 0.0))
    if not len(bad):
        return
    place = int(bad[np.argmin(part.row[bad])])
    row, returned, paid = int(part.row[place]), float(column.numbers()[place]), float(part.value[place])
    more = f" (and {len(bad) - 1:,} more rows)" if len(bad) > 1 else ""
    raise InputError(
        f"{quantity} is {returned:g} and {value} is {paid:g} in row {row}{more}: a return needs a negative value.",
        argument="value",
        row=row,
        code="wrong_value",
        hint="Pass the money of the row as value: quantity times unit price, negative for a return.",
    )


def column_names(argument: str, names: Sequence[str]) -> list[str]:
    """Return a list of names; a single string is refused, because it would be read as a list of letters."""
    if isinstance(names, str):
        raise InputError(
            f"{argument} is {names!r}: a list of names is needed, such as [{names!r}].",
            argument=argument,
            code="wrong_type",
        )
    if not isinstance(names, (list, tuple, set, frozenset)) or any(not isinstance(name, str) for name in names):
        raise InputError(
            f"{argument} is {shown(names)}: a list of names is needed.", argument=argument, code="wrong_type"
        )
    return list(names)


def _sequence(name: str, column: Any) -> Any:
    if isinstance(column, (str, bytes, Mapping, set, frozenset)) or not hasattr(column, "__len__"):
        raise InputError(
            f"{name} is {shown(column)}: a column is needed, one value per row.", argument=name, code="wrong_type"
        )
    column = with_zone(column)
    if hasattr(column, "__array__") and not isinstance(column, (Coded, Column, UtcTimes)):
        column = array_of(name, column)
    if isinstance(column, np.ndarray) and column.ndim != 1:
        raise InputError(
            f"{name} has shape {column.shape}: one value per row is needed.", argument=name, code="wrong_shape"
        )
    return column


def kept(column: Any, keep: npt.NDArray[np.bool_]) -> Any:
    """Return the rows of a column where a mask is true."""
    if isinstance(column, (Coded, Column, UtcTimes)):
        return column.take(keep)
    if isinstance(column, np.ndarray):
        return column[keep]
    if hasattr(column, "__array__"):
        return np.asarray(column)[keep]
    return [item for item, wanted in zip(column, keep, strict=True) if wanted]


def _clean_rows(columns: Mapping[str, Any]) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Return which rows have an id, a type, a time and no infinite value, and the number of others by first reason."""
    keep = np.ones(len(columns["customer_id"]), dtype=np.bool_)
    dropped = {}
    for name in ("customer_id", "time", "type", "value"):
        if name not in columns:
            continue
        column = columns[name]
        bad = np.isinf(money(name, column, infinite=True)) if name == "value" else _missing(column)
        count = int(np.count_nonzero(bad & keep))
        if count:
            dropped[name] = count
        keep &= ~bad
    return keep, dropped


def _missing(column: Any) -> npt.NDArray[np.bool_]:
    """Return which ids, types or times are missing; an empty string counts as missing."""
    if isinstance(column, Coded):
        blank = np.array([is_missing(word) or word == "" for word in column.categories.tolist()] + [True])
        return np.asarray(blank[column.codes])
    array = array_of("column", column) if hasattr(column, "__array__") else column
    if isinstance(array, np.ndarray) and array.dtype.kind not in "OT":
        if array.dtype.kind == "U":
            return np.asarray(array == "")
        return np.isnat(array) if array.dtype.kind == "M" else np.asarray(array != array)  # noqa: PLR0124  (NaN)
    return np.array([is_missing(item) or (isinstance(item, str) and item == "") for item in array], dtype=np.bool_)


def _whole(ids: Any) -> Any:
    """Return float ids as integers if all of them are whole, after rows with missing ids were dropped."""
    array = ids if isinstance(ids, Coded) else array_of("customer_id", ids)
    if isinstance(array, np.ndarray) and array.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            if ((np.abs(array) <= _EXACT) & (array == np.floor(array))).all():
                return array.astype(np.int64)
    return ids


def money(name: str, values: Any, *, infinite: bool = False) -> npt.NDArray[np.float64]:
    """Return values as float64, NaN where one is missing; infinite values are an error unless `infinite` is true."""
    array = array_of(name, values) if hasattr(values, "__array__") else values
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.ndim == 1:
        if not infinite:
            refuse_rows(name, np.isinf(array), array, "finite numbers are needed, or NaN for a missing value")
        return array.astype(np.float64, copy=False)  # no copy: the log takes its rows from it and does not keep it
    beyond = np.zeros(0, dtype=np.intp)
    if infinite and not isinstance(values, (Coded, Column, UtcTimes)):
        items = list(values)
        beyond = np.flatnonzero([isinstance(item, (float, np.floating)) and np.isinf(item) for item in items])
        for row in beyond.tolist():
            items[row] = None
        values = items if len(beyond) else values
    column = Column.of(name, values)
    if column.kind not in {"number", "empty"}:
        first = np.flatnonzero(~column.missing)[:1].tolist()
        remedy = "convert the column to numbers first"
        if column.kind == "text" and first:
            comma = _DECIMAL_COMMA.fullmatch(str(column.value(first[0])))
            replaced = ".str.replace(',', '.')" if comma else ""
            remedy += f", as in pandas.to_numeric(column{replaced}) or, in polars, column{replaced}.cast(float)"
        raise InputError(
            f"{name} is a column of kind {column.kind!r}: numbers are needed.",
            argument=name,
            code="wrong_type",
            row=first[0] if first else None,
            hint="".join(f"Row {row} has {shown(column.value(row))}: {remedy}." for row in first),
        )
    numbers = column.numbers()
    if len(beyond):
        numbers = np.array(numbers)
        numbers[beyond] = np.inf
    return numbers


def _coded_ids(column: Any, on_error: str, rows: npt.NDArray[np.int64] | None) -> tuple[npt.NDArray[Any], Codes]:
    """Return distinct ids and a code per row; an error about missing ids says how many there are and what to do."""
    try:
        ids, codes = code_ids("customer_id", column)
    except InputError as error:
        floats = isinstance(column, np.ndarray) and column.dtype.kind == "f"
        gone = int(np.count_nonzero(_missing(column))) if floats or error.code == "missing_value" else 0
        if on_error == "drop" or not gone:
            raise
        has = "has" if gone == 1 else "have"
        raise InputError(
            error.message,
            argument=error.argument,
            row=error.row,
            code=error.code,
            hint=f'{gone:,} of {len(column):,} rows {has} no id: on_error="drop" leaves out such rows and counts them.',
        ) from None
    if is_text(ids):
        _refuse_word_for_missing(ids, codes, rows)
    return ids, codes


def _refuse_word_for_missing(ids: npt.NDArray[Any], codes: Codes, rows: npt.NDArray[np.int64] | None) -> None:
    """Refuse texts such as 'nan' if all other ids are numbers: all rows without an id would become one customer."""
    words = [word for word in _NOT_THERE if word in ids[np.searchsorted(ids, word) :][:1].tolist()]
    if not words or not all(word in words or _NUMBERS.fullmatch(word) for word in ids.tolist()):
        return
    bad = np.isin(codes, np.flatnonzero(np.isin(ids, words)))
    place = int(np.argmax(bad))
    row, word = place if rows is None else int(rows[place]), str(ids[codes[place]])
    raise InputError(
        f"customer_id is {word!r} in row {row}, where every other id is a number: it is the text of a missing value, "
        f"and {np.count_nonzero(bad):,} rows would be one customer.",
        argument="customer_id",
        row=row,
        code="missing_value",
        hint="Drop these rows before ids are made texts.",
    )


def _coded_types(types: Any) -> tuple[list[str], Codes | None]:
    if isinstance(types, str):
        if not types:
            raise InputError("type is '': a name is needed.", argument="type", code="empty")
        return [types], None
    if isinstance(types, Coded) and types.of_texts:
        if (types.codes < 0).any():
            raise InputError(
                f"type is missing in row {int(np.argmax(types.codes < 0))}: drop these rows.",
                argument="type",
                row=int(np.argmax(types.codes < 0)),
                code="missing_value",
            )
        names, back = code_texts("type", types.categories, missing=False)
        codes: Codes = back[types.codes]
    else:
        array = types.decoded() if isinstance(types, Coded) else types
        array = np.asarray(array) if hasattr(array, "__array__") else list(array)
        if isinstance(array, np.ndarray) and array.ndim != 1:
            raise InputError(
                f"type has shape {array.shape}: one name, or one column of names, is needed.",
                argument="type",
                code="wrong_shape",
            )
        names, codes = code_texts("type", array, missing=False)
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    if len(used) == 1:
        return [str(names[used[0]])], None
    return [str(name) for name in names], codes
