"""What a table is broken down by: properties of events, fields of customers, rules, segments and calendar periods.

A string in ``by=`` is a property of the events if they have it, otherwise a field of the customers, otherwise a
calendar period ("day", "week", "month", "quarter", "year"). Missing values form a separate group, so that the groups
add up to the total. A mapping of names to rules gives segments, which may overlap: a row counts in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.names import did_you_mean
from relmark.core.ordering import dense_codes
from relmark.core.partition import Partition
from relmark.core.zones import local_days
from relmark.expressions import nodes
from relmark.expressions.calendar_tests import first_days, period_number
from relmark.expressions.evaluate import BaseScope
from relmark.expressions.kinds import check_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.periods import PERIODS, Period
from relmark.expressions.walk import check_depth

__all__ = ["By", "Groups", "Named", "column_of", "group_rows", "of_customers", "truth_of"]

_USUAL = frozenset({"campaign", "channel", "item", "message_id", "order", "page"})


@runtime_checkable
class Named(Protocol):
    """A named rule, such as a segment."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def rule(self) -> Expression:
        """The rule."""
        ...


Key: TypeAlias = str | Expression | Named | Period | Mapping[str, Any]
"""What a group is: a property or field by name, a rule, a named segment, a period, or labels by value."""
By: TypeAlias = Key | Sequence[Key] | None
"""What figures are grouped by: nothing, one key or several."""
Properties: TypeAlias = Callable[[str], Column | None]


@attrs.frozen(eq=False)
class Groups:
    """The group of each row.

    Parameters
    ----------
    labels : mapping of str to ndarray, shape (k,)
        The names of the groups, with one column per key.
    code : ndarray of int64, shape (m,)
        The group of each row.
    rows : ndarray of int64, shape (m,), or None
        Which of the given rows these are, if segments overlap or leave rows out; None if they are the given rows.
    k : int
        The number of groups.
    """

    labels: Mapping[str, npt.NDArray[Any]]
    code: IntArray
    rows: IntArray | None
    k: int

    def chosen(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a column of the given rows in the order of the grouped rows."""
        return column if self.rows is None else column[self.rows]


def of_customers(base: CustomerBase, as_of: AsOf, expression: Expression) -> Column:
    """Return the value of an expression for each customer of a base."""
    check_depth(expression)
    check_on_data(expression, base, segments=())
    return BaseScope(base, as_of).column(expression)


def truth_of(base: CustomerBase, as_of: AsOf, rule: Any, name: str) -> npt.NDArray[np.bool_]:
    """Return for which customers a rule is true; unknown is not true."""
    expression = rule.rule if isinstance(rule, Named) and not isinstance(rule, Expression) else rule
    if not isinstance(expression, Expression):
        raise InputError(
            f"{name} is {shown(rule)}; it must be a rule, such as field('age') >= 18, or a segment.",
            argument=name,
            code="wrong_type",
        )
    check_depth(expression)
    check_on_data(expression, base, rule=True, segments=())
    return np.asarray(BaseScope(base, as_of).truth(expression).true)


def column_of(column: Column, name: str) -> tuple[IntArray, npt.NDArray[Any]]:
    """Return the code of each row's value and the distinct values, with a missing value last."""
    if column.kind == "tags":
        raise InputError(
            f"by={name!r} holds sets of tags: pass segments instead, such as {{'vip': field(...).contains_any(...)}}.",
            argument="by",
            code="missing_argument",
        )
    missing = column.missing
    if column.kind == "text":
        assert column.categories is not None
        n = len(column.categories)
        code = np.where(missing, n, column.data).astype(np.int64) if missing.any() else column.data.astype(np.int64)
        used = np.zeros(n + 1, dtype=np.bool_)
        used[code] = True
        place = np.cumsum(used) - 1
        labels = Column("text", np.append(np.arange(n), -1)[used].astype(np.int32), column.categories).values()
        return (code if used[:-1].all() else place[code]), labels
    known = np.flatnonzero(~missing)
    code = np.zeros(len(column), dtype=np.int64)
    if len(known):
        data = column.take(known).data
        if data.dtype.kind in "imM":
            found, n = dense_codes(data.view(np.int64) if data.dtype.kind != "i" else data)
        else:
            values, found = np.unique(data, return_inverse=True)
            n = len(values)
        code[known] = found
        code[missing] = n
        first = np.zeros(n + 1, dtype=np.int64)
        first[code[::-1]] = np.arange(len(column))[::-1]
        return code, column.take(first[: n + bool(missing.any())]).values()
    return code, np.full(min(len(column), 1), None, dtype=object)


def group_rows(
    base: CustomerBase,
    as_of: AsOf,
    by: By,
    customer: npt.NDArray[Any],
    time: IntArray,
    property_of: Properties,
    *,
    of_events: bool = True,
) -> Groups:
    """Put rows (events, or people with the time at which they count) into groups.

    Parameters
    ----------
    base : CustomerBase
    as_of : AsOf
        The instant at which fields and rules are read.
    by : keys, or None
    customer, time : ndarray of int, shape (m,)
        The customer (as a row of the base) and the instant of each row.
    property_of : callable
        Maps the name of a property of the rows to its column, or to None if they lack it.
    of_events : bool
        Whether rows are events. A property that only other events have, or a usual one such as campaign, then counts as
        missing in all rows.
    """
    m = len(customer)
    code, rows, size = np.zeros(m, dtype=np.int64), None, 1
    labels: dict[str, npt.NDArray[Any]] = {}
    for key in _keys(by):
        name, part, values, again = _one(base, as_of, key, customer, time, property_of, of_events=of_events)
        if name in labels:
            raise InputError(f"by= has {name!r} twice: name each key once.", argument="by", code="duplicate")
        if again is not None:  # segments: one row for each segment that a customer belongs to
            rows = again
            code = code[rows]
        elif rows is not None:
            part = part[rows]
        code = code * max(len(values), 1) + part
        labels = {old: np.repeat(column, max(len(values), 1)) for old, column in labels.items()}
        labels[name] = np.concatenate([values] * size) if size != 1 else values
        size *= max(len(values), 1)
    if not labels:
        return Groups({}, code, None, 1)
    if not len(code) and (rows is None or len(labels) > 1):
        return Groups({name: column[:0] for name, column in labels.items()}, code, rows, 0)
    used = np.bincount(code, minlength=size) > 0
    if rows is not None:  # a segment without anybody keeps its row
        used |= len(labels) == 1
    if not used.all():
        code = (np.cumsum(used) - 1)[code]
        labels = {name: column[used] for name, column in labels.items()}
    return Groups(labels, code, rows, int(np.count_nonzero(used)))


def _parts(base: CustomerBase) -> list[Partition]:
    return [base.events.required(name) for name in base.events.types]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, list(names)[:20])) or "there are none"


def _keys(by: By) -> list[Any]:
    if by is None:
        return []
    if isinstance(by, (str, Expression, Period, Mapping, Named)):
        return [by]
    if isinstance(by, (list, tuple)):
        return list(by)
    raise InputError(
        f"by is {shown(by)}; it must be a name, a rule, a segment, a period or a list of them.",
        argument="by",
        code="wrong_type",
    )


def _one(
    base: CustomerBase,
    as_of: AsOf,
    key: Any,
    customer: npt.NDArray[Any],
    time: IntArray,
    property_of: Properties,
    *,
    of_events: bool,
) -> tuple[str, IntArray, npt.NDArray[Any], IntArray | None]:
    if isinstance(key, str):
        found = property_of(key)
        if found is not None:
            code, values = column_of(found, key)
            return key, code, values, None
        if key in base.fields:
            key = nodes.Field(key)
        elif of_events and (key in _USUAL or any(key in part.properties for part in _parts(base))):
            return key, *column_of(Column.empty(len(customer)), key), None
        elif key in PERIODS:
            key = Period(key)
        else:
            known = sorted({name for part in _parts(base) for name in part.properties}) if of_events else []
            hint = did_you_mean(key, [*known, *base.fields, *PERIODS])
            raise MissingColumnError(
                f"by={key!r} is neither a property of the events ({_listed(known)}), nor a field of the customers "
                f"({_listed(base.fields)}), nor a period ({', '.join(PERIODS)}).{hint}",
                argument="by",
            )
    if isinstance(key, Period):
        if key.offset or key.count != 1:
            raise InputError(
                f"by={key!r}; it must be a period without count or offset, such as period({key.unit!r}).",
                argument="by",
                code="wrong_type",
            )
        number = period_number(local_days(time, base.tz), key.unit)
        values, code = np.unique(number, return_inverse=True)
        days = first_days(values, key.unit).astype("M8[D]")
        return key.unit, np.asarray(code, dtype=np.int64), days, None
    if isinstance(key, Mapping):
        return _segments(base, as_of, key, customer)
    if isinstance(key, Expression):
        name = key.name if isinstance(key, nodes.Field) else key.to_text()
        column = of_customers(base, as_of, key)
    elif isinstance(key, Named):
        name = key.name
        column = Column("boolean", truth_of(base, as_of, key, "by").astype(np.int8))
    else:
        raise InputError(
            f"by has {shown(key)}; each key must be a name, a rule, a segment or a period.",
            argument="by",
            code="wrong_type",
        )
    code, values = column_of(column.take(customer), name)
    return name, code, values, None


def _segments(
    base: CustomerBase, as_of: AsOf, key: Mapping[str, Any], customer: npt.NDArray[Any]
) -> tuple[str, IntArray, npt.NDArray[Any], IntArray]:
    if not key or any(name == "" or type(name) is not str for name in key):
        raise InputError(
            f"by is {shown(key)}; it must be a mapping of names to rules, such as {{'young': field('age') < 30}}.",
            argument="by",
            code="wrong_type",
        )
    members = [truth_of(base, as_of, rule, f"by[{name!r}]")[customer] for name, rule in key.items()]
    rows = np.concatenate([np.flatnonzero(mask) for mask in members])
    code = np.repeat(np.arange(len(key)), [int(np.count_nonzero(mask)) for mask in members])
    return "segment", code, np.array(list(key)), rows
