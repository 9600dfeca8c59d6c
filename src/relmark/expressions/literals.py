"""Plain values inside rules: values with the same meaning become the same Python value.

A literal is a finite number, a text, a boolean, a calendar date or an instant. Equal numbers are written in the same
way (2 and 2.0), instants are in UTC, and a set of values is sorted and has each value once, so that equal rules have
equal stored forms and fingerprints.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.time import aware, instant

__all__ = [
    "EXACT",
    "LARGEST",
    "LiteralValue",
    "literal_kind",
    "literal_value",
    "moment_hint",
    "moment_value",
    "plain_text",
    "sorted_values",
    "words",
]

LiteralValue: TypeAlias = bool | int | float | str | date | datetime
"""A plain value in a rule."""
EXACT = 2**53
LARGEST = 2**63 - 1


def literal_value(value: Any, name: str = "value") -> LiteralValue:
    """Return the literal for a value that a caller gave, or raise."""
    if isinstance(value, np.datetime64):
        return moment_value(value, name)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return plain_text(name, value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise InputError(
                f"{name} is {shown(value)}: whole numbers up to 2**63 - 1 are allowed.",
                argument=name,
                code="too_large_number",
                hint="Give longer ids as texts.",
            )
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(
                f"{name} is {value}: a finite number is needed.",
                argument=name,
                code="not_finite",
                hint="Use is_null() to find missing values.",
            )
        return int(value) if value == int(value) and abs(value) <= EXACT else value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InputError(
                f"{name} is {value}, which has no time zone: give an aware datetime.",
                argument=name,
                code="no_time_zone",
            )
        return aware(instant(value, name=name))
    if isinstance(value, date):
        return value
    if value is None:
        raise InputError(
            f"{name} is None: use is_null() or not_null() to test for missing values.",
            argument=name,
            code="missing_value",
        )
    if isinstance(value, timedelta):
        raise InputError(
            f"{name} is a duration: compare days_since_last() with a number of days, or pass durations to within= or "
            "older_than().",
            argument=name,
            code="wrong_type",
        )
    raise InputError(
        f"{name} is {shown(value)}: a number, a text, True or False, a date or an aware datetime is needed.",
        argument=name,
        code="wrong_type",
    )


def plain_text(name: str, value: str) -> str:
    """Return a text that can be stored everywhere: without half a surrogate pair, and without NUL characters."""
    if "\0" in value:
        raise InputError(f"{name} is {shown(value)}, with a NUL character: remove it.", argument=name, code="bad_text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{name} has half of a surrogate pair, which is not a character: remove it.",
                argument=name,
                code="bad_text",
            ) from None
    return value


def moment_hint(value: object) -> str:
    """Return how a date is written, by the example of a text that somebody gave for one."""
    day = date(2026, 11, 1)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            day = date.fromisoformat(value)
    return f'Write {{"date": "{day}"}} in JSON, datetime.date({day.year}, {day.month}, {day.day}) in Python.'


def moment_value(value: Any, name: str = "value") -> date | datetime:
    """Return a calendar date (whose midnight depends on the business's time zone) or an instant in UTC."""
    if isinstance(value, datetime):
        return aware(instant(value, name=name))
    if isinstance(value, date):
        return value
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in {"Y", "M", "W", "D"}:
        if np.isnat(value):
            raise InputError(f"{name} is NaT: a date or an instant is needed.", argument=name, code="missing_value")
        return value.astype("M8[D]").item()  # type: ignore[no-any-return]
    if isinstance(value, str) and len(value) == 10:
        instant(value, name=name)
        return date.fromisoformat(value)
    return aware(instant(value, name=name))


def literal_kind(value: LiteralValue) -> str:
    """Return the kind of a literal: number, text, boolean, date or instant."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "instant" if isinstance(value, datetime) else "date"


def sorted_values(values: Iterable[Any], name: str = "values") -> tuple[LiteralValue, ...]:
    """Return values of one kind, each once, ascending."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(
            f"{name} is {shown(values)}: a list or set of values is needed.", argument=name, code="wrong_type"
        )
    plain = [literal_value(value, name) for value in values]
    kinds = {literal_kind(value) for value in plain}
    if len(kinds) > 1:
        raise InputError(
            f"{name} mixes {' and '.join(sorted(kinds))}: give values of one kind.", argument=name, code="mixed_types"
        )
    return tuple(sorted(set(plain)))


def words(values: str | Iterable[str], name: str = "values") -> tuple[str, ...]:
    """Return one or more texts, each once, ascending; an empty text is refused, because every text contains it."""
    given = (values,) if isinstance(values, str) else values
    plain = sorted_values(given, name)
    if not plain:
        raise InputError(f"{name} is empty: give at least one text.", argument=name, code="empty")
    if not all(isinstance(value, str) and value for value in plain):
        raise InputError(
            f"{name} has {shown(plain[0])}: texts that are not empty are needed.", argument=name, code="wrong_value"
        )
    return plain  # type: ignore[return-value]
