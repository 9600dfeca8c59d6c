"""Reading customers and events from JSON as typed values, with every problem reported at once.

A schema gives the kind of each field and property, so that a date may be written as plain text. Without a schema a date
is ``{"date": "2026-11-01"}``, an instant is ``{"instant": "2026-11-01T09:30:00Z"}`` and a set of tags is
``{"tags": ["vip"]}``, as `to_dict` writes them. Numbers are float64: whole numbers beyond 2**53 would change without
notice and are refused, as are NaN and infinity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from relmark.core.checks import shown
from relmark.core.documents import Limits, parse_json
from relmark.core.errors import DataError, DefinitionError, InputError
from relmark.core.names import did_you_mean
from relmark.core.time import aware, instant, parse_duration

__all__ = ["WRITTEN_BOOLEANS", "Reader", "opened", "stored_time", "stored_value", "written_number"]

EXACT = 2**53
_LONGEST = 1_000
_GIANT = 10**_LONGEST
WRITTEN_BOOLEANS = {"true": True, "false": False}
_WRITTEN_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WRITTEN = {"date": "date", "instant": "instant", "tags": "tags"}


def stored_value(value: Any) -> Any:
    """Return a value of a customer or an event in JSON-ready form, which `Reader.value` can read back."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime):
        return {"instant": aware(instant(value, name="value")).isoformat().replace("+00:00", "Z")}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, (set, frozenset, list, tuple)):
        return {"tags": sorted(value)}
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def written_number(text: str) -> float | int | None:
    """Return the number that is written in a text, or None if it is not a number; spaces around it are ignored."""
    plain = text.strip()
    if _WRITTEN_NUMBER.fullmatch(plain) is None or len(plain) > 64:
        return None
    return int(plain) if plain.lstrip("+-").isdigit() else float(plain)


def opened(body: Any, what: str, limits: Limits) -> Mapping[str, Any]:
    """Return the object in a JSON text, whose size is checked before it is parsed, or the given mapping itself."""
    body = parse_json(body, limits, numbers=False) if isinstance(body, (str, bytes)) else body
    if not isinstance(body, Mapping):
        raise DataError(f"{what} is {shown(body)}: a JSON object is needed.", path="$", code="not_object")
    return body


class Reader:
    """Reads the values of one object, collects all problems, and raises them at the end.

    Parameters
    ----------
    what : str
        What the object is, for messages: 'customer', 'event', ...
    limits : Limits, optional
        How long a text and a list may be.
    convert : bool
        Whether numbers and booleans written as text, and texts written as numbers, are converted or are an error.
    """

    def __init__(self, what: str, limits: Limits | None = None, *, convert: bool = False) -> None:
        self.what = what
        self.limits = limits or Limits()
        self.convert = convert
        self.problems: list[InputError] = []

    def fail(self, path: str, code: str, message: str, hint: str = "") -> None:
        """Note a problem."""
        key = path.rpartition(".")[2]
        self.problems.append(DefinitionError(message, path=path, code=code, argument=key, hint=hint))

    def note(self, error: InputError, path: str) -> None:
        """Note the error of another check as a problem."""
        self.fail(path, error.code, error.message, error.hint)

    def keys(self, body: Mapping[str, Any], required: Iterable[str], optional: Iterable[str]) -> None:
        """Note keys that are missing and keys that the object may not have."""
        required = tuple(required)
        known = (*required, *optional)
        for key in body:
            if key not in known:
                said = f"unknown key {shown(str(key)[:64])}; it may have {', '.join(known)}."
                self.fail("$", "unknown_key", said, did_you_mean(str(key), known))
        for key in required:
            if key not in body:
                self.fail("$", "missing_key", f"the {self.what} has no {key!r}.")

    def done(self, make: Callable[[], Any]) -> Any:
        """Return the result of `make`, or raise all problems; an error in `make` is a problem too."""
        if not self.problems:
            try:
                return make()
            except InputError as error:
                self.note(error, f"$.{error.path}" if error.argument else "$")
        raise DataError.of(self.problems)

    # Values

    def value(self, value: Any, path: str, kind: str = "empty") -> Any:
        """Return a value of a kind, or None if it is missing or has a problem; 'empty' accepts every plain value."""
        value = _plain(value)
        if value is None:
            return None
        kind, value = self._unwrapped(value, path, kind)
        if value is None:
            return None
        if kind == "empty":
            kind = _kind_of(value)
        reader = getattr(self, f"_{kind}", None)
        if reader is None:
            self.fail(path, "wrong_type", f"{shown(value)} is not a number, a text, true, false or null.",
                      'Write {"date": ...}, {"instant": ...} or {"tags": [...]}.')  # fmt: skip
            return None
        return reader(value, path)

    def needed(self, value: Any, path: str, kind: str) -> Any:
        """Return a required value of a kind."""
        if value is None:
            self.fail(path, "missing_value", f"null was given: {_NAMES[kind]} is needed.")
        return self.value(value, path, kind)

    def _unwrapped(self, value: Any, path: str, kind: str) -> tuple[str, Any]:
        """Return the kind and the content of an object such as {"date": ...}."""
        if not isinstance(value, Mapping):
            return kind, value
        written = next(iter(value)) if len(value) == 1 else None
        if written not in _WRITTEN or (kind not in {"empty", written}):
            self._wrong(path, value, {"empty": "a plain value"}.get(kind, _NAMES.get(kind, kind)))
            return kind, None
        return str(written), value[written]

    def _wrong(self, path: str, value: Any, needed: str, hint: str = "") -> None:
        self.fail(path, "wrong_type", f"{shown(value)} was given: {needed} is needed.", hint)

    def _number(self, value: Any, path: str) -> float | int | None:
        if isinstance(value, str):
            return self._converted_number(value, path)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong(path, value, "a number")
        elif isinstance(value, int) and abs(value) > EXACT:
            self.fail(path, "too_large_number", f"{shown(value)} is beyond 2**53, up to which float64 is exact.",
                      "Give an id as a text, an amount as a float.")  # fmt: skip
        elif not math.isfinite(value):
            self.fail(path, "not_finite", f"{value} is not a finite number.", "Leave it out if the value is missing.")
        else:
            return value
        return None

    def _converted_number(self, text: str, path: str) -> float | int | None:
        if not self.convert:
            self._wrong(path, text, "a number", "Write it without quotes, or pass convert=True.")
            return None
        number = written_number(text)
        if number is None:
            self._wrong(path, text, "a number")
            return None
        return self._number(number, path)

    def _boolean(self, value: Any, path: str) -> bool | None:
        if isinstance(value, bool):
            return value
        if self.convert and isinstance(value, str) and value.strip().lower() in WRITTEN_BOOLEANS:
            return WRITTEN_BOOLEANS[value.strip().lower()]
        hint = "" if self.convert else "Write it without quotes, or pass convert=True."
        self._wrong(path, value, "true or false", hint if isinstance(value, str) else "")
        return None

    def _text(self, value: Any, path: str) -> str | None:
        if self.convert and isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            self._wrong(path, value, "a text", "" if self.convert else "Write it in quotes, or pass convert=True.")
        elif len(value) > self.limits.string:
            self.fail(path, "too_long",
                      f"the text has {len(value):,} characters: {self.limits.string:,} are allowed.",
                      "Raise Limits.string if you trust its source.")  # fmt: skip
        elif _is_bad(value):
            self.fail(path, "bad_text", f"{shown(value)} holds a NUL character or half a surrogate pair.", "Remove it.")
        else:
            return str(value)
        return None

    def _date(self, value: Any, path: str) -> date | None:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and len(value) == 10:
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        self._wrong(path, value, "a date", 'Write the day without a time, such as "2026-11-01".')
        return None

    def _instant(self, value: Any, path: str) -> datetime | None:
        if isinstance(value, (str, datetime)) and not (isinstance(value, str) and len(value) <= 10):
            try:
                return aware(instant(value, name="the time"))
            except InputError as error:
                self.note(error, path)
                return None
        self._wrong(path, value, "an instant", 'Write a time with its zone, such as "2026-11-01T09:30:00Z".')
        return None

    def _tags(self, value: Any, path: str) -> frozenset[str] | None:
        if not isinstance(value, (list, tuple, set, frozenset)):
            self._wrong(path, value, "a list of tags")
            return None
        if len(value) > self.limits.members:
            self.fail(path, "too_many", f"there are {len(value):,} tags: {self.limits.members:,} are allowed.")
            return None
        before = len(self.problems)
        for k, tag in enumerate(value):
            if not isinstance(tag, str) or not tag or _is_bad(tag) or len(tag) > self.limits.string:
                self._wrong(f"{path}[{k}]", tag, "a tag (a text that is not empty)")
        return None if len(self.problems) > before else frozenset(value)

    # Parts of customers and events

    def id(self, value: Any, path: str) -> int | str | None:
        """Return an id: a text that is not empty, or a whole number of at most 64 bits."""
        value = _plain(value)
        if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
            self._wrong(path, value, "an id (a text or a whole number)")
        elif isinstance(value, int) and abs(value) >= 2**63:
            self.fail(path, "too_large_number", f"{shown(value)} is beyond 64 bits.", "Give it as a text.")
        elif isinstance(value, str):
            return self._text(value, path)
        else:
            return value
        return None

    def duration(self, value: Any, path: str) -> timedelta | float | None:
        """Return a number of seconds, or the duration of an ISO 8601 text such as ``"PT3M"``."""
        if not isinstance(value, str):
            return value if isinstance(value, timedelta) else self.value(value, path, "number")
        try:
            return parse_duration(value, path)
        except InputError as error:
            self.note(error, path)
            return None

    def values(self, given: Any, path: str, kinds: Mapping[str, str] | None, code: str, what: str) -> dict[str, Any]:
        """Return named values, each of its kind; a name that is not in `kinds` is a problem with the given code."""
        if not isinstance(given, Mapping):
            self._wrong(path, given, "an object of names and values")
            return {}
        if len(given) > self.limits.members:
            self.fail(path, "too_many", f"there are {len(given):,} names: {self.limits.members:,} are allowed.")
            return {}
        out = {}
        for name, value in given.items():
            if kinds is not None and name not in kinds:
                listed = ", ".join(map(repr, list(kinds)[:20])) or "none"
                hint = did_you_mean(str(name), kinds)
                self.fail(
                    f"{path}.{str(name)[:64]}", code, f"{what} {shown(str(name)[:64])}; there are {listed}.", hint
                )
                continue
            out[name] = self.value(value, f"{path}.{name}", "empty" if kinds is None else kinds[name])
        return out


_NAMES = {
    "number": "a number", "boolean": "true or false", "text": "a text", "date": "a date", "instant": "an instant",
    "tags": "a list of tags",
}  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a numpy scalar or a Decimal as a Python number; a huge whole number becomes one that is refused later."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole and value.adjusted() < _LONGEST else _GIANT if whole else float(value)
    return value


def _is_bad(text: str) -> bool:
    if "\0" in text:
        return True
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "instant"
    if isinstance(value, date):
        return "date"
    return "tags" if isinstance(value, (set, frozenset)) else "unknown"


def stored_time(value: datetime) -> str:
    """Return an instant as ISO 8601 text in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
