"""The operators that fit a field or a property of each kind: the choices that a segment builder can offer."""

from __future__ import annotations

from typing import Any, Self

import attrs

from relmark.core.columns import Kind

__all__ = ["OF_EVENTS", "OPERATORS", "Argument", "Operator"]


@attrs.frozen
class Argument:
    """One argument of an operator.

    Parameters
    ----------
    name : str
        Its key in the stored form.
    type : str
        The kind of the field ("number", "text", "date", "instant", "boolean"), "duration" (ISO 8601 text), "unit" (day,
        week, month, quarter or year), "whole" or "flag".
    many : bool
        Whether it is a list of such values.
    optional : bool
        Whether it may be left out.
    """

    name: str
    type: str
    many: bool = False
    optional: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the argument as JSON-ready values."""
        return {"name": self.name, "type": self.type, "many": self.many, "optional": self.optional}


class Operator(str):
    """An operator that fits a field or a property; as a string it is its Python spelling.

    Attributes
    ----------
    stored : str
        Its word in the stored form, the ``op``.
    label : str
        Its English name.
    arguments : tuple of Argument
        Its arguments in addition to the field.
    subject : str
        The key of the field in the stored form.
    gives : str
        The kind of the result: "rule" for a condition, "number" for "age", and the kind of the field for "fill". The
        results of the latter two have to be compared in a condition.

    Examples
    --------
    >>> from relmark import Schema
    >>> between = Schema(fields={"age": float}).operators("age")[6]
    >>> between, between.stored, between.label, between.arity, [one.name for one in between.arguments]
    ('between', 'between', 'is between', 2, ['low', 'high'])
    """

    __slots__ = ("arguments", "gives", "label", "stored", "subject")

    stored: str
    label: str
    arguments: tuple[Argument, ...]
    subject: str
    gives: str

    def __new__(
        cls,
        python: str,
        stored: str = "",
        label: str = "",
        arguments: tuple[Argument, ...] = (),
        subject: str = "arg",
        gives: str = "rule",
    ) -> Self:
        """Return the operator of this Python spelling."""
        made = super().__new__(cls, python)
        made.stored, made.label, made.arguments, made.subject = stored or python, label, arguments, subject
        made.gives = gives
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return the arguments from which a pickle makes it again."""
        return str(self), self.stored, self.label, self.arguments, self.subject, self.gives

    @property
    def python(self) -> str:
        """Its Python spelling, a sign or the name of a method."""
        return str(self)

    @property
    def arity(self) -> int:
        """How many arguments it needs in addition to the field."""
        return sum(not argument.optional for argument in self.arguments)

    def to_dict(self) -> dict[str, Any]:
        """Return the operator as JSON-ready values."""
        return {
            "stored": self.stored,
            "python": self.python,
            "label": self.label,
            "subject": self.subject,
            "gives": self.gives,
            "arguments": [argument.to_dict() for argument in self.arguments],
            "arity": self.arity,
        }


_CASEFOLD = Argument("casefold", "flag", optional=True)
_TIME_LABELS = {"<": "is before", "<=": "is not after", ">": "is after", ">=": "is not before"}
_LABELS = {
    "==": "is", "!=": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
    "between": "is between", "is_in": "is one of", "not_in": "is none of",
    "is_null": "is unknown", "not_null": "is known", "fill": "where unknown, counts as", "is_empty": "is empty",
    "contains": "contains", "contains_any": "contains any of", "contains_all": "contains all of",
    "contains_none": "contains none of", "startswith": "starts with", "endswith": "ends with",
    "has_word": "has the word", "like": "matches the pattern", "within": "is within the last",
    "older_than": "is longer ago than", "upcoming": "comes within", "anniversary": "has an anniversary within",
    "in_period": "is in the calendar period", "age": "age in full years",
}  # fmt: skip
_STORED = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "is_in": "in"}
_COMPARED = {"==", "!=", "<", "<=", ">", ">="}
_TEXTS = {"contains", "startswith", "endswith", "like", "has_word", "contains_any", "contains_all", "contains_none"}
_SPANS = {"within", "older_than", "upcoming", "anniversary"}


def _operator(python: str, kind: Kind) -> Operator:
    """Return an operator for a kind of field."""
    timed = kind in {"date", "instant"}
    label = _TIME_LABELS.get(python, _LABELS[python]) if timed else _LABELS[python]
    arguments: tuple[Argument, ...] = ()
    if python in _COMPARED:
        arguments = (Argument("right", kind),)
    elif python == "between":
        arguments = (Argument("low", kind), Argument("high", kind))
    elif python in {"is_in", "not_in"}:
        arguments = (Argument("values", kind, many=True),)
    elif python == "fill":
        arguments = (Argument("value", kind),)
    elif python in _TEXTS:
        arguments = (Argument("values", "text", many=True), _CASEFOLD)
    elif python in _SPANS:
        arguments = (Argument("duration", "duration"),)
    elif python == "in_period":
        arguments = (
            Argument("unit", "unit"),
            Argument("offset", "whole", optional=True),
            Argument("yearly", "flag", optional=True),
        )
    subject = "left" if python in _COMPARED else "arg"
    gives = {"age": "number", "fill": kind}.get(python, "rule")
    return Operator(python, _STORED.get(python, python), label, arguments, subject, gives)


_NULLS = ("is_null", "not_null", "fill")
_SETS = ("is_in", "not_in")
_ORDER = ("<", "<=", ">", ">=")
_OF_TIME = (*_ORDER, "between", "within", "older_than", "upcoming", "anniversary", "in_period", "age")
_PARTS = ("contains", "contains_any", "contains_all", "contains_none", "is_empty")
_NAMES: dict[Kind, tuple[str, ...]] = {
    "number": ("==", "!=", *_ORDER, "between", *_SETS, *_NULLS),
    "boolean": ("==", "!=", *_SETS, *_NULLS),
    "text": ("==", "!=", *_ORDER, *_SETS, *_PARTS, "startswith", "endswith", "has_word", "like", *_NULLS),
    "date": ("==", "!=", *_OF_TIME, *_SETS, *_NULLS),
    "instant": ("==", "!=", *_OF_TIME, *_SETS, *_NULLS),
    "tags": (*_PARTS, "is_null", "not_null"),
    "empty": ("is_null", "not_null"),
}
OPERATORS: dict[Kind, tuple[Operator, ...]] = {
    kind: tuple(_operator(name, kind) for name in names) for kind, names in _NAMES.items()
}
"""The operators that fit each kind."""

OF_EVENTS: dict[Kind, tuple[Operator, ...]] = {
    kind: tuple(one for one in operators if one not in {*_SPANS, "in_period", "age"})
    for kind, operators in OPERATORS.items()
}
"""The operators that fit a property of events: those that depend on `as_of` are for customers only."""
