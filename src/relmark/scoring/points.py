"""The points of a rule: a number, a calculation, a table by value, or tiers by a count; and their exact sums.

Points are counted in whole thousandths, so that they add up exactly in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from relmark.core import checks
from relmark.core.documents import Limits, check_keys
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.shapes import without_quotes
from relmark.expressions import Expression
from relmark.expressions.literals import LiteralValue, literal_kind, literal_value
from relmark.expressions.stored import read, written

__all__ = ["ByValue", "Points", "RulePoints", "Tiers"]

MOST = 1_000_000.0
_EXACT = 2**53


class Points(float):
    """A number of points that adds up exactly: a float of whole thousandths.

    Sums and differences of points are computed in thousandths, so that ``sum(line.points for line in lines)`` is the
    exact total. In all other respects this is a float.

    Examples
    --------
    >>> .1 + .2 == .3, Points(.1) + Points(.2) == .3, sum([Points(.1)] * 3)
    (False, True, 0.3)
    """

    __slots__ = ()

    @classmethod
    def of(cls, thousandths: int) -> Points:
        """Return a number of thousandths as points."""
        return cls(thousandths / 1000)

    @property
    def thousandths(self) -> int:
        """The points as a whole number of thousandths."""
        return round(float(self) * 1000)

    def __add__(self, other: float, /) -> Points | float:
        if isinstance(other, (Points, int)):
            return Points.of(self.thousandths + _thousandths(other))
        return float(self) + other

    __radd__ = __add__

    def __sub__(self, other: float, /) -> Points | float:
        if isinstance(other, (Points, int)):
            return Points.of(self.thousandths - _thousandths(other))
        return float(self) - other

    def __rsub__(self, other: float, /) -> Points | float:
        return Points.of(_thousandths(other) - self.thousandths) if isinstance(other, int) else other - float(self)

    def __neg__(self) -> Points:
        return Points.of(-self.thousandths)

    def __reduce__(self) -> tuple[type[Points], tuple[float]]:
        return Points, (float(self),)


def _thousandths(value: Points | int) -> int:
    return value.thousandths if isinstance(value, Points) else value * 1000


def _read_points(name: str, value: Any) -> float:
    return checks.number(name, value, low=-MOST, high=MOST)


def _read_otherwise(value: float) -> float:
    return _read_points("otherwise", value)


def _read_table(table: Mapping[LiteralValue, float]) -> tuple[tuple[LiteralValue, float], ...]:
    if not isinstance(table, Mapping):
        raise InputError(
            f"table is {checks.shown(table)}: a mapping of values to points is needed.",
            argument="table",
            code="wrong_type",
        )
    pairs = {literal_value(key, "a value of table"): _read_points("points", points) for key, points in table.items()}
    if not pairs:
        raise InputError("table is empty: give at least one value with its points.", argument="table", code="empty")
    kinds = {literal_kind(key) for key in pairs}
    if len(kinds) > 1 or not kinds <= {"number", "text", "boolean"}:
        raise InputError(
            f"table has values of kind {' and '.join(sorted(kinds))}: only numbers, only texts or only booleans fit.",
            argument="table",
            code="mixed_types",
        )
    return tuple(sorted(pairs.items()))


@attrs.frozen(repr=False, eq=False)
class ByValue:
    """Points by the value of a property of the event (``each``), or of a field of the customer (``when``).

    Parameters
    ----------
    of : str or Expression
        The name of the property or field, or an expression over ``prop(...)`` or ``field(...)``.
    table : dict of value to float
        The points of each value. All values are texts, all are numbers, or all are booleans.
    otherwise : float
        The points of all other values, and of a missing value.

    Examples
    --------
    >>> ByValue("page", {"pricing": 10, "blog": 1})
    ByValue('page', {'blog': 1, 'pricing': 10}, otherwise=0)
    """

    of: str | Expression = attrs.field()
    table: tuple[tuple[LiteralValue, float], ...] = attrs.field(converter=_read_table)
    otherwise: float = attrs.field(default=0.0, converter=_read_otherwise)

    @of.validator
    def _check_of(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        check_source(attribute.name, value)

    def __repr__(self) -> str:
        table = {key: _short(points) for key, points in self.table}
        return f"ByValue({self.of!r}, {table!r}, otherwise={_short(self.otherwise)})"

    def scaled(self, factor: float) -> ByValue:
        """Return the table with all points multiplied by a factor."""
        return ByValue(self.of, {key: points * factor for key, points in self.table}, self.otherwise * factor)

    def to_dict(self) -> dict[str, Any]:
        """Return the points as JSON-ready values."""
        table = [[written(key), plain(points)] for key, points in self.table]
        return {"of": _written_source(self.of), "table": table, "otherwise": plain(self.otherwise)}


def _read_tiers(steps: Mapping[float, float]) -> tuple[tuple[float, float], ...]:
    given: object = steps
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            f"steps is {checks.shown(steps)}: a mapping of lowest counts to points is needed.",
            argument="steps",
            code="wrong_type",
        )
    pairs = [
        (checks.number("a lowest count of steps", low), _read_points("points", points)) for low, points in steps.items()
    ]
    return tuple(sorted(pairs))


@attrs.frozen(repr=False, eq=False)
class Tiers:
    """Points by tiers: of the number of events with ``each``, or of a number of the customer with ``when``.

    Parameters
    ----------
    steps : dict of float to float
        The lowest count of each tier, and its points. Below the lowest tier there are no points.
    of : str or Expression, optional
        With ``when``, the name of a numeric field, or a numeric expression. Leave it out with ``each``, which counts
        its events.

    Examples
    --------
    >>> Tiers({1: 5, 3: 10, 10: 20})
    Tiers({1: 5, 3: 10, 10: 20})
    """

    steps: tuple[tuple[float, float], ...] = attrs.field(converter=_read_tiers)
    of: str | Expression | None = attrs.field(default=None)

    @of.validator
    def _check_of(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            check_source(attribute.name, value)

    def __repr__(self) -> str:
        steps = {_short(low): _short(points) for low, points in self.steps}
        return f"Tiers({steps!r}{'' if self.of is None else f', of={self.of!r}'})"

    def scaled(self, factor: float) -> Tiers:
        """Return the tiers with all points multiplied by a factor."""
        return Tiers({low: points * factor for low, points in self.steps}, self.of)

    def to_dict(self) -> dict[str, Any]:
        """Return the points as JSON-ready values."""
        of = {} if self.of is None else {"of": _written_source(self.of)}
        return {"tiers": [[plain(low), plain(points)] for low, points in self.steps], **of}


RulePoints: TypeAlias = float | Expression | ByValue | Tiers
"""What a rule gives: a number, an expression, or points by value or by count."""


def check_source(name: str, value: Any) -> None:
    """Refuse a value that is neither a name nor an expression."""
    if not isinstance(value, Expression) and not (isinstance(value, str) and value):
        raise InputError(
            f"{name} is {checks.shown(value)}: the name of a property or field, or an expression, is needed.",
            argument=name,
            code="wrong_type",
        )


def read_rule_points(value: RulePoints) -> RulePoints:
    """Return the points that a caller gave, checked."""
    if isinstance(value, (Expression, ByValue, Tiers)):
        return value
    if isinstance(value, (str, bytes, Mapping)) or value is None:
        raise InputError(
            f"points is {checks.shown(value)}: a number, an expression such as prop('value') * .01, ByValue(...) or "
            "Tiers(...) is needed.",
            argument="points",
            code="wrong_type",
            hint=without_quotes(value),
        )
    return _read_points("points", value)


def written_points(points: RulePoints) -> Any:
    """Return points as JSON-ready values."""
    if isinstance(points, Expression):
        return {"expression": written(points)}
    return points.to_dict() if isinstance(points, (ByValue, Tiers)) else plain(points)


def points_of_body(body: Any, limits: Limits, path: str) -> RulePoints:
    """Return the points of a stored definition."""
    try:
        if not isinstance(body, Mapping):
            return read_rule_points(body)
        if "expression" in body:
            check_keys(body, required=["expression"], path=path, what="set of points")
            return read(body["expression"], limits, f"{path}.expression")
        if "tiers" in body:
            check_keys(body, required=["tiers"], optional=["of"], path=path, what="set of tiers")
            of = None if "of" not in body else _source_of_body(body["of"], limits, f"{path}.of")
            return Tiers(_pairs(body["tiers"], f"{path}.tiers"), of)
        check_keys(body, required=["of", "table"], optional=["otherwise"], path=path, what="table of points")
        source = _source_of_body(body["of"], limits, f"{path}.of")
        return ByValue(source, _pairs(body["table"], f"{path}.table"), body.get("otherwise", 0.0))
    except InputError as error:
        raise definition_error(error, path, body) from None


def _pairs(body: Any, path: str) -> dict[Any, Any]:
    if not isinstance(body, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in body):
        raise DefinitionError("a list of pairs is needed.", path=path, code="wrong_type")
    try:
        pairs = dict(map(tuple, body))
    except TypeError:
        raise DefinitionError(
            "the first item of each pair must be a text, a number or a boolean.", path=path, code="wrong_type"
        ) from None
    if len(pairs) < len(body):
        raise DefinitionError("a value is given twice.", path=path, code="duplicate_key")
    return pairs


def _written_source(of: str | Expression) -> Any:
    return of if isinstance(of, str) else written(of)


def _source_of_body(body: Any, limits: Limits, path: str) -> str | Expression:
    return body if isinstance(body, str) else read(body, limits, path)


def plain(value: float) -> float:
    """Return a whole number as an int, so that equal points are written in the same way."""
    return int(value) if value == math.floor(value) and abs(value) < _EXACT else value


def _short(value: float) -> float:
    return plain(value)
