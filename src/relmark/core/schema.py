"""What fields customers have and what properties events have, with their types: to check a definition before data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar, Self

import attrs

from relmark.core.checks import shown
from relmark.core.columns import KINDS, Kind
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.names import did_you_mean

__all__ = ["Schema"]

_KIND_OF_TYPE: dict[Any, Kind] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    date: "date",
    datetime: "instant",
    set: "tags",
    frozenset: "tags",
}

_NULLS = ("is_null", "not_null", "fill")
_SETS = ("is_in", "not_in")
_ORDER = ("<", "<=", ">", ">=")
_OF_TIME = (
    *_ORDER,
    "before",
    "after",
    "between",
    "within",
    "older_than",
    "upcoming",
    "anniversary",
    "in_period",
    "age",
)
_PARTS = ("contains", "contains_any", "contains_all", "contains_none", "is_empty")

_OPERATORS: dict[Kind, tuple[str, ...]] = {
    "number": ("==", "!=", *_ORDER, "between", *_SETS, *_NULLS),
    "boolean": ("==", "!=", *_SETS, *_NULLS),
    "text": ("==", "!=", *_ORDER, *_SETS, *_PARTS, "startswith", "endswith", "has_word", "like", *_NULLS),
    "date": ("==", "!=", *_OF_TIME, *_SETS, *_NULLS),
    "instant": ("==", "!=", *_OF_TIME, *_SETS, *_NULLS),
    "tags": (*_PARTS, "is_null", "not_null"),
    "empty": ("is_null", "not_null"),
}


def _kind(name: str, given: Any) -> Kind:
    if isinstance(given, str) and given in KINDS:
        return given
    try:
        if given in _KIND_OF_TYPE:
            return _KIND_OF_TYPE[given]
    except TypeError:
        pass
    kinds = ", ".join(KINDS)
    raise InputError(
        f"{name} is {shown(given)}: bool, int, float, str, date, datetime, frozenset, or one of {kinds}.",
        argument=name,
        code="unknown_name",
    )


def _fields(given: Mapping[str, Any]) -> dict[str, Kind]:
    return {str(name): _kind(f"fields[{name!r}]", kind) for name, kind in given.items()}


def _events(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Kind]]:
    return {
        str(event): {str(name): _kind(f"events[{event!r}][{name!r}]", kind) for name, kind in properties.items()}
        for event, properties in given.items()
    }


@attrs.frozen
class Schema(Definition):
    """The fields of customers and the event types with their properties, each with its kind.

    Parameters
    ----------
    fields : mapping of str to type
        ``float`` or ``int``, ``str``, ``bool``, ``date``, ``datetime``, ``frozenset`` (tags), or the kind's name.
    events : mapping of str to mapping of str to type
        Event types and their properties.

    Examples
    --------
    >>> schema = Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}})
    >>> schema.fields["city"], schema.operators("city")[:4]
    ('text', ('==', '!=', '<', '<='))
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    kind: ClassVar[str] = "schema"

    fields: Mapping[str, Kind] = attrs.field(factory=dict, converter=_fields)
    events: Mapping[str, Mapping[str, Kind]] = attrs.field(factory=dict, converter=_events)

    def operators(self, field: str) -> tuple[str, ...]:
        """Return the operators that fit a field, for a user interface."""
        if field not in self.fields:
            raise InputError(
                f"there is no field {field!r}.",
                argument="field",
                code="unknown_name",
                hint=did_you_mean(str(field), self.fields),
            )
        return _OPERATORS[self.fields[field]]

    def _body(self) -> dict[str, Any]:
        return {"fields": dict(self.fields), "events": {name: dict(kinds) for name, kinds in self.events.items()}}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("fields", "events"), what="schema")
        _check_kinds(body["fields"], "$.fields")
        check_keys(body["events"], required=(), optional=body["events"], path="$.events", what="mapping of event types")
        for name, kinds in body["events"].items():
            _check_kinds(kinds, f"$.events.{name}")
        return cls(fields=body["fields"], events=body["events"])


def _check_kinds(kinds: Any, path: str) -> None:
    if not isinstance(kinds, Mapping):
        raise DefinitionError("names and their kinds are needed.", path=path, code="not_object")
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise DefinitionError(
                f"{shown(kind)} is no kind; the kinds are {', '.join(KINDS)}.",
                path=f"{path}.{name}",
                code="unknown_name",
                hint=did_you_mean(str(kind), KINDS).strip(),
            )
