"""Instants, durations and calendar days.

An instant is an integer of microseconds since 1970 in UTC; a duration is a `datetime.timedelta`; a calendar day is an
integer of days since 1970 in a named time zone. relmark never reads a clock: `as_of` is always an argument.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray, array_of, is_missing, shown
from relmark.core.errors import DefinitionError, InputError
from relmark.core.ids import Coded
from relmark.core.zones import DAY, HOUR, SECOND, local_days, local_instants, local_midnights, time_zone, to_local

__all__ = [
    "AWARE",
    "DATE",
    "DAY",
    "HOUR",
    "NAIVE",
    "NO_TIME",
    "SECOND",
    "Instant",
    "Times",
    "UtcTimes",
    "aware",
    "days",
    "duration",
    "duration_text",
    "hours",
    "instant",
    "instant_text",
    "instant_texts",
    "instants",
    "local_days",
    "local_instants",
    "local_midnights",
    "minutes",
    "parse_duration",
    "read_instant",
    "read_times",
    "time_zone",
    "to_local",
    "with_zone",
]

Instant: TypeAlias = datetime | date | np.datetime64 | str
"""A point in time: an aware datetime, a datetime64 in UTC, or ISO text; a date is a day of the business."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_US = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _US
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _US
NO_TIME = int(np.iinfo(np.int64).min)
"""The number of microseconds that stands for a missing time; numpy stores NaT as the same integer."""
_NOON = DAY // 2
_FEW = 16  # for fewer values, a loop over them is faster
_CALENDAR = frozenset({"Y", "M", "W", "D"})


def days(n: float) -> timedelta:
    """Return a duration of n days.

    Examples
    --------
    >>> days(30)
    datetime.timedelta(days=30)
    """
    return _timedelta("days", n)


def hours(n: float) -> timedelta:
    """Return a duration of n hours."""
    return _timedelta("hours", n)


def minutes(n: float) -> timedelta:
    """Return a duration of n minutes."""
    return _timedelta("minutes", n)


def _timedelta(unit: str, n: float) -> timedelta:
    if isinstance(n, (bool, str)):
        raise InputError(f"{unit}({n!r}): a number is needed.", argument="n", code="wrong_type")
    try:
        return timedelta(**{unit: float(n) if not isinstance(n, int) else n})
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{unit}({shown(n)}): a finite number of at most 999,999,999 days is needed.",
            argument="n",
            code="wrong_value",
        ) from None


def duration(name: str, value: timedelta, *, positive: bool = True) -> int:
    """Return a timedelta in microseconds."""
    if not isinstance(value, timedelta):
        raise InputError(
            f"{name} is {shown(value)}: a timedelta is needed, such as days(30) or hours(2).",
            argument=name,
            code="wrong_type",
        )
    result = value // _US
    if positive and result <= 0:
        raise InputError(f"{name} is {value}: a duration above zero is needed.", argument=name, code="wrong_value")
    return result


_DURATION = re.compile(
    r"(-)?P(?:(\d{1,9})W|(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:\.(\d{1,6}))?S)?)?)",
    re.ASCII,
)


def duration_text(value: timedelta) -> str:
    """Return a duration as an ISO 8601 text; equal durations have the same text.

    Examples
    --------
    >>> duration_text(days(30)), duration_text(hours(36)), duration_text(minutes(1.5))
    ('P30D', 'P1DT12H', 'PT1M30S')
    """
    total = value // _US
    sign, total = ("-", -total) if total < 0 else ("", total)
    whole_days, rest = divmod(total, DAY)
    hour, rest = divmod(rest, 3_600 * SECOND)
    minute, rest = divmod(rest, 60 * SECOND)
    second, micro = divmod(rest, SECOND)
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    clock = (f"{hour}H" if hour else "") + (f"{minute}M" if minute else "")
    clock += f"{second}{fraction}S" if second or micro else ""
    body = (f"{whole_days}D" if whole_days else "") + (f"T{clock}" if clock else "")
    return f"{sign}P{body or '0D'}"


def parse_duration(text: Any, path: str = "$") -> timedelta:
    """Return the timedelta of an ISO 8601 duration of weeks, days, hours, minutes and seconds."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and len(text) <= 64 else None
    if match is None or text.endswith(("P", "T")):
        raise DefinitionError(
            f"{shown(text)} is not a duration.",
            path=path,
            code="not_duration",
            hint="Write ISO 8601, such as P30D or PT2H.",
        )
    sign, weeks, day, hour, minute, second, fraction = match.groups()
    try:
        value = timedelta(
            weeks=int(weeks or 0),
            days=int(day or 0),
            hours=int(hour or 0),
            minutes=int(minute or 0),
            seconds=int(second or 0),
            microseconds=int((fraction or "0").ljust(6, "0")),
        )
    except OverflowError:
        raise DefinitionError(f"{text} is too long.", path=path, code="too_long") from None
    return -value if sign else value


def instant(value: Instant, *, tz: str = "UTC", name: str = "as_of") -> int:
    """Return a single time, such as an event's time or a value in a rule, in microseconds UTC.

    Parameters
    ----------
    value : datetime, date, datetime64 or str
        An aware datetime, an ISO text with a zone, or a datetime64, which is UTC. A date, a datetime64 of days, or an
        ISO text of a date is the first instant of that day in `tz`.
    tz : str
        The time zone of dates.
    name : str
        The argument, for messages.

    Examples
    --------
    >>> instant("2026-11-01"), instant("2026-11-01T03:00+03:00")
    (1793491200000000, 1793491200000000)
    """
    if isinstance(value, np.datetime64) and not np.isnat(value) and not _is_calendar(value.dtype):
        return int(_microseconds(name, np.array([value]))[0])
    if _has_no_zone(value):
        raise InputError(
            f"{name} is {shown(value) if isinstance(value, str) else value}, which has no time zone: give a time with "
            "one, such as '2026-11-01T09:30Z' or datetime(2026, 11, 1, 9, 30, tzinfo=UTC).",
            argument=name,
            code="no_time_zone",
        )
    return read_instant(value, tz=tz, name=name)[0]


def read_instant(value: Instant, *, tz: str = "UTC", name: str = "as_of") -> tuple[int, bool]:
    """Return an instant in microseconds UTC, and whether a date was given, which means the first instant of that day.

    A time without a zone is local time of `tz`, whatever its type.
    """
    if isinstance(value, datetime):
        if is_missing(value):
            raise InputError(f"{name} is {value}: an instant is needed.", argument=name, code="wrong_type")
        if value.utcoffset() is None:
            wall = (value.replace(tzinfo=UTC) - _EPOCH) // _US
            return int(local_instants(np.array([wall]), tz, name=name)[0]), False
        result = (value - _EPOCH) // _US
        if not _FIRST <= result <= _LAST:
            raise InputError(
                f"{name} is {value}, which lies outside the years 1 to 9999 in UTC.",
                argument=name,
                code="wrong_value",
            )
        return result, False
    if isinstance(value, date):
        return int(local_midnights(np.array([value.toordinal() - _EPOCH_DAY]), tz)[0]), True
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            raise InputError(f"{name} is NaT: an instant is needed.", argument=name, code="missing_value")
        wall_time = _microseconds(name, np.array([value]))
        if _is_calendar(value.dtype):
            return int(local_midnights(wall_time // DAY, tz)[0]), True
        return int(local_instants(wall_time, tz, name=name)[0]), False
    if isinstance(value, str):
        return read_instant(_parsed(value, name), tz=tz, name=name)
    raise InputError(
        f"{name} is {shown(value)}: a datetime, a datetime64, an ISO text or a date is needed.",
        argument=name,
        code="wrong_type",
    )


_REMEDY = "write an ISO date ('2026-11-01') or an ISO time ('2026-11-01T09:30Z')"
_OTHER_FORMATS = (
    "Read texts in another format as times first, as in pandas.to_datetime(column, format='%d.%m.%Y') or, in polars, "
    "column.str.to_datetime('%d.%m.%Y')."
)
_DATE_NUMBERS = 19000101, 21991231  # whole numbers between these are dates written as numbers


def _parsed(text: str, name: str) -> date | datetime:
    try:
        if len(text) <= 64:
            return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError:
        pass
    raise InputError(f"{name} is {shown(text)}: {_REMEDY}.", argument=name, code="wrong_value")


def _has_no_zone(value: Any) -> bool:
    """Tell whether a value is a time without a zone; dates are not, and unreadable texts are refused elsewhere."""
    if isinstance(value, str):
        try:
            value = _parsed(value, "time")
        except InputError:
            return False
    if isinstance(value, np.datetime64):
        return not np.isnat(value) and not _is_calendar(value.dtype)
    return isinstance(value, datetime) and not is_missing(value) and value.utcoffset() is None


def instant_text(value: int) -> str:
    """Return an instant as ISO 8601 in UTC: '2026-11-01T00:00:00Z'."""
    try:
        return (_EPOCH + timedelta(microseconds=int(value))).isoformat().replace("+00:00", "Z")
    except OverflowError:  # before the year 1 or after 9999: numpy's calendar has these years
        return f"{np.datetime64(int(value), 'us')}Z"


def instant_texts(values: Sequence[int]) -> list[str]:
    """Return many instants as `instant_text` does, in one pass.

    Examples
    --------
    >>> instant_texts([0, 1_500_000])
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z']
    """
    if len(values) < _FEW:
        return [instant_text(value) for value in values]
    texts = np.datetime_as_string(np.array(values, dtype=np.int64).view("M8[us]"), unit="us", timezone="UTC")
    return [text.replace(".000000Z", "Z") for text in texts.tolist()]


def aware(value: int, tz: str = "UTC") -> datetime:
    """Return an instant in microseconds as an aware datetime in a zone."""
    moment = _EPOCH + timedelta(microseconds=int(value))
    try:
        return moment.astimezone(time_zone(tz))
    except OverflowError:  # the local time lies beyond the calendar
        return moment


def instants(name: str, values: Any, *, tz: str = "UTC", missing: bool = False) -> IntArray:
    """Return a column of instants in microseconds UTC, shape (n,).

    Accepts datetime64 of any unit, datetimes, dates (their first instant), ISO texts (plain or coded), and `UtcTimes`.
    Times without a zone are local times of `tz`. A missing time is an error that names its row, or the smallest int64
    where `missing` is true. The result may share memory with the input where that was datetime64[us] already: do not
    write to it.
    """
    return read_times(name, values, tz=tz, missing=missing).instants


AWARE, NAIVE, DATE = 0, 1, 2  # how a time came in: with a zone, without one, or as a date


@attrs.frozen(eq=False)
class Times:
    """A column of times that were read: instants in microseconds UTC, and the form in which each was given."""

    instants: IntArray
    given: int | npt.NDArray[np.int8]  # AWARE, NAIVE or DATE: one for all rows, or one per row


def read_times(name: str, values: Any, *, tz: str = "UTC", missing: bool = False) -> Times:
    """Return a column of instants, and whether each came with a zone, without one, or as a date; see `instants`."""
    values = with_zone(values)
    if isinstance(values, UtcTimes):
        return Times(_microseconds(name, values.times, missing=missing), AWARE)
    if isinstance(values, Coded):
        return _times_of_words(name, values, tz, missing=missing)
    array = array_of(name, values)
    if array.ndim != 1:
        raise InputError(
            f"{name} has shape {array.shape}: one column of times is needed.", argument=name, code="wrong_shape"
        )
    if array.dtype.kind == "M":
        given = DATE if _is_calendar(array.dtype) else NAIVE
        result = _microseconds(name, array, missing=missing)
        if tz == "UTC":
            return Times(result, given)
        known = result != NO_TIME
        place = local_midnights if given == DATE else partial(local_instants, name=name)
        if known.all():
            return Times(place(result // DAY if given == DATE else result, tz), given)
        # A missing row is filled with a time that exists in every zone, so that messages name the right rows.
        filled = np.where(known, result, _NOON)
        return Times(np.where(known, place(filled // DAY if given == DATE else filled, tz), NO_TIME), given)
    if array.dtype.kind in "OUT":
        return _times_of_objects(name, array, tz, missing=missing)
    if len(array) == 0:
        return Times(np.empty(0, dtype=np.int64), AWARE)
    hint = "Convert numbers to times, as in times.astype('M8[s]') for seconds since 1970."
    if array.dtype.kind in "iu" and _DATE_NUMBERS[0] <= array.min() and array.max() <= _DATE_NUMBERS[1]:
        hint = f"Dates that are written as numbers are read as texts, such as '{array[0]}': convert the column to text."
    raise InputError(f"{name} has dtype {array.dtype}: times are needed.", argument=name, code="wrong_type", hint=hint)


def _is_calendar(dtype: np.dtype[Any]) -> bool:
    """Tell whether a datetime64 type counts days or longer: dates, not instants."""
    return np.datetime_data(dtype)[0] in _CALENDAR


def _microseconds(name: str, array: npt.NDArray[np.datetime64], *, missing: bool = False) -> IntArray:
    """Return datetime64 as int64 microseconds, after a check of the years: numpy overflows without a warning."""
    raw = array.astype(array.dtype.newbyteorder("="), copy=False).view(np.int64)
    low = int(raw.min(initial=0))
    if low == NO_TIME:
        gone = raw == NO_TIME
        if not missing:
            row = int(np.argmax(gone))
            raise InputError(
                f"{name} has NaT in row {row}: every event needs a time.",
                argument=name,
                row=row,
                code="missing_value",
                hint="Drop these rows.",
            )
        low = int(np.where(gone, 0, raw).min())
    for end in (low, int(raw.max(initial=0))):
        year = int(np.array([end]).view(array.dtype.newbyteorder("=")).astype("M8[Y]").astype(np.int64)[0]) + 1970
        if not 1 <= year <= 9_999:
            row = int(np.argmax(raw == end))
            raise InputError(
                f"{name} has a time of the year {year:,} in row {row}: only the years 1 to 9999 are supported.",
                argument=name,
                row=row,
                code="wrong_value",
            )
    return array.astype("M8[us]", copy=False).view(np.int64)


def _times_of_objects(name: str, array: npt.NDArray[Any], tz: str, *, missing: bool) -> Times:
    values = array.tolist()
    if all(type(value) is datetime and value.tzinfo is UTC for value in values):
        epoch, unit = _EPOCH, _US
        found = np.fromiter(((value - epoch) // unit for value in values), dtype=np.int64, count=len(values))
        return Times(found, AWARE)
    out = np.empty(len(values), dtype=np.int64)
    given = np.zeros(len(values), dtype=np.int8)
    for row, value in enumerate(values):
        if is_missing(value):
            if not missing:
                raise InputError(
                    f"{name} has {value!r} in row {row}: every event needs a time.",
                    argument=name,
                    row=row,
                    code="missing_value",
                    hint="Drop these rows.",
                )
            out[row] = NO_TIME
            given[row] = DATE  # a missing time does not keep a column from being a column of days
            continue
        try:
            out[row], given[row] = _time_of_object(value, tz, name)
        except InputError as error:
            raise _in_row(error, name, row, value) from None
    return Times(out, given)


def _in_row(error: InputError, name: str, row: int, value: Any) -> InputError:
    """Return the error about a time with the row of its column."""
    hint = _OTHER_FORMATS if isinstance(value, str) and _REMEDY in error.message else ""
    return InputError(f"{error} (row {row})", argument=name, row=row, code="wrong_value", hint=hint)


def _failure(name: str, row: int, value: Any, tz: str) -> InputError | None:
    """Return the error about the time of a row, or None if it can be read."""
    try:
        _time_of_object(value, tz, name)
    except InputError as error:
        return _in_row(error, name, row, value)
    return None


def _time_of_object(value: Any, tz: str, name: str) -> tuple[int, int]:
    found, dated = read_instant(value, tz=tz, name=name)
    if dated:
        return found, DATE
    return found, NAIVE if _has_no_zone(value) else AWARE


def _times_of_words(name: str, values: Coded, tz: str, *, missing: bool) -> Times:
    """Return coded times: each distinct word is read once."""
    codes = values.codes
    gone = codes < 0
    if gone.any() and not missing:
        raise InputError(
            f"{name} is missing in row {int(np.argmax(gone))}: every event needs a time.",
            argument=name,
            row=int(np.argmax(gone)),
            code="missing_value",
            hint="Drop these rows.",
        )
    used = np.zeros(len(values.categories) + 1, dtype=np.bool_)
    used[codes] = True  # -1 marks the spare last place
    found = np.full(len(values.categories) + 1, NO_TIME, dtype=np.int64)
    given = np.full(len(values.categories) + 1, DATE, dtype=np.int8)
    words = values.categories.tolist()
    for word, value in enumerate(words):
        if not used[word]:
            continue
        try:
            found[word], given[word] = _time_of_object(value, tz, name)
        except InputError:  # words come in any order: the error is about the first row that fails
            rows = ((row, words[code]) for row, code in enumerate(codes.tolist()) if code >= 0)
            raise next(error for row, text in rows if (error := _failure(name, row, text, tz))) from None
    return Times(found[codes], given[codes])


@attrs.frozen(eq=False)
class UtcTimes:
    """A column of times in UTC, to which no `tz` applies; columns of frames with a time zone become this."""

    times: npt.NDArray[np.datetime64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.times)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the times as datetime64 in UTC."""
        return np.array(self.times, dtype=dtype, copy=copy)

    def take(self, rows: npt.NDArray[Any]) -> UtcTimes:
        """Return some rows."""
        return UtcTimes(self.times[rows])


def with_zone(values: Any) -> Any:
    """Return a polars or pyarrow column of times with a zone as `UtcTimes`, and everything else as it is.

    As a plain array, such a column would hold UTC without its zone and be read as local time. pandas keeps the zone in
    each value.
    """
    library = type(values).__module__.partition(".")[0]
    if library not in {"polars", "pyarrow"} or not hasattr(values, "__array__"):
        return values
    kind = getattr(values, "dtype" if library == "polars" else "type", None)
    kind = getattr(kind, "value_type", kind) if hasattr(kind, "index_type") else kind  # of a dictionary
    if getattr(kind, "time_zone", None) is None and getattr(kind, "tz", None) is None:
        return values
    return UtcTimes(np.asarray(values).astype("M8[us]", copy=False))
