"""The base classes of results: immutable objects that print as a table and convert to JSON, columns or a frame.

A result is an attrs class, keyword-only, with ``eq=False`` and ``repr=False``, that inherits from `Result`, or from
`ColumnarResult` if its array fields are aligned columns. Its arrays are read-only views.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import same_length, shown, whole
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.formats import SHOWN_ROWS, format_value, html_table, text_table
from relmark.core.frames import Frame, to_frame
from relmark.core.frozen import Frozen, read_only
from relmark.core.names import did_you_mean
from relmark.core.time import duration_text

__all__ = ["ColumnarResult", "Result", "Rows", "json_ready"]

_PRINTED_FIELDS = 8


def json_ready(value: Any) -> Any:
    """Return a value that the json module can write: arrays become lists, NaN null, instants ISO 8601 with a zone."""
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        return json_ready(value.item())
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, np.ndarray) and (
        value.dtype.kind in "iubU" or (value.dtype.kind == "f" and np.isfinite(value).all())
    ):
        return value.tolist()
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        is_calendar = np.datetime_data(value.dtype)[0] in {"Y", "M", "W", "D"}
        return str(value) if is_calendar else str(value.astype("M8[us]")).removesuffix(".000000") + "Z"
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if attrs.has(type(value)):
        return {name: json_ready(item) for name, item in attrs.asdict(value, recurse=False).items()}
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(json_ready(item) for item in value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [json_ready(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "total_seconds"):
        return duration_text(value)
    raise InputError(f"a {type(value).__name__} cannot be written as JSON.", argument="value", code="not_storable")


class Result(Frozen):
    """The base class of all results."""

    __slots__ = ()

    def __attrs_post_init__(self) -> None:
        """Make every array field a read-only view."""
        for name in self._field_names(private=True):
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, read_only(value))
            elif type(value) is dict and any(isinstance(item, np.ndarray) for item in value.values()):
                held = {key: read_only(item) if isinstance(item, np.ndarray) else item for key, item in value.items()}
                object.__setattr__(self, name, held)

    @classmethod
    def _field_names(cls, *, private: bool = False) -> list[str]:
        names = [attribute.name for attribute in attrs.fields(cls)]  # type: ignore[arg-type]
        return [name for name in names if private or not name.startswith("_")]

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values."""
        return {name: json_ready(getattr(self, name)) for name in self._field_names()}

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def _facts(self) -> dict[str, Any]:
        """Return the names and values in the one-line repr: by default the first fields."""
        return {name: getattr(self, name) for name in self._field_names()[:_PRINTED_FIELDS]}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={_brief(value)}" for name, value in self._facts().items())
        return f"{type(self).__name__}({facts})"

    def _table(self) -> dict[str, Any]:
        """Return the columns of the printed table: by default the facts, one per row."""
        facts = self._facts()
        return {"": list(facts), type(self).__name__: [_brief(value) for value in facts.values()]}

    def _lines(self) -> list[str]:
        """Return the lines of text below the printed table: checks, notes, reasons, units."""
        return []

    def _caption(self) -> str:
        """Return the caption above the table in a notebook."""
        return repr(self)

    def __str__(self) -> str:
        return "\n".join([text_table(self._table()), *self._lines()])

    def _repr_html_(self) -> str:
        return html_table(self._table(), caption=self._caption(), lines=self._lines())


class ColumnarResult(Result):
    """A result whose array fields of equal length are columns; results about customers have a column customer_id.

    ``result["value"]`` is a column. ``result[:10]``, ``result[mask]`` and ``result[["customer_id", "value"]]`` choose
    rows or columns and return them as `Rows`; so do `head`, `top` and `sort_by`.
    """

    __slots__ = ()
    _shown_by: ClassVar[str] = ""
    """The column whose largest values are printed first, for tables with one row per customer."""

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the aligned columns by name; a field of shape (n, k) becomes k columns, name_0 to name_{k-1}."""
        columns: dict[str, npt.NDArray[Any]] = {}
        length: int | None = None
        for name in self._field_names():
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) or value.ndim == 0:
                continue
            length = len(value) if length is None else length
            if len(value) != length:
                continue
            if value.ndim == 1:
                columns[name] = value
            else:
                columns |= {f"{name}_{k}": value[:, k] for k in range(value.shape[1])}
        return columns

    def to_frame(self, backend: str = "pandas") -> Frame:
        """Return the columns as a frame of ``"pandas"``, ``"polars"`` or ``"pyarrow"`` (extra `dataframes`)."""
        return to_frame(self.to_columns(), backend)

    def __getitem__(self, key: Any) -> Any:
        """Return a column by its name, or some rows or columns as `Rows`."""
        columns = self.to_columns()
        if isinstance(key, str):
            return columns[self._named(key, columns)]
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return Rows(columns={self._named(name, columns): columns[name] for name in key}, name=type(self).__name__)
        if isinstance(key, slice):
            return self._chosen(columns, key)
        rows = np.asarray(key)
        if rows.ndim == 1 and (rows.dtype == np.bool_ or rows.dtype.kind in "iu" or not len(rows)):
            if rows.dtype == np.bool_:
                same_length("the mask", rows, len(self))
            elif len(rows) and not (-len(self) <= int(rows.min()) and int(rows.max()) < len(self)):
                wrong = int(rows.max()) if int(rows.max()) >= len(self) else int(rows.min())
                raise InputError(
                    f"key has the row number {wrong}: the result has {len(self):,} rows, counted from 0.",
                    argument="key",
                    code="wrong_value",
                )
            return self._chosen(columns, rows.astype(np.intp) if not len(rows) else rows)
        raise InputError(
            f"result[{shown(key)}]: the name of a column, a list of names, a slice, a boolean mask or row numbers are "
            "needed.",
            argument="key",
            code="wrong_type",
        )

    def _named(self, name: str, columns: Mapping[str, Any]) -> str:
        if name not in columns:
            raise MissingColumnError(
                f"the result has no column {name!r}: it has {', '.join(map(repr, columns))}."
                f"{did_you_mean(name, columns)}",
                argument="name",
            )
        return name

    def _chosen(self, columns: Mapping[str, npt.NDArray[Any]], rows: Any) -> Rows:
        return Rows(columns={name: column[rows] for name, column in columns.items()}, name=type(self).__name__)

    def head(self, n: int = 10) -> Rows:
        """Return the first n rows."""
        return self[: whole("n", n, low=0)]  # type: ignore[no-any-return]

    def top(self, n: int = 10, *, by: str | None = None) -> Rows:
        """Return the n rows with the largest values of a column, largest first; equal values stay in their order.

        Without `by`, it is the column by which the result is printed.
        """
        whole("n", n, low=0)
        if by is None and not self._shown_by:
            raise InputError(
                f"by is missing: name a column, as in top(by=...); there are "
                f"{', '.join(map(repr, self.to_columns()))}.",
                argument="by",
                code="missing_argument",
            )
        return self[self._ranked(self._shown_by if by is None else by, "by", descending=True, n=n)]  # type: ignore[no-any-return]

    def sort_by(self, column: str, *, descending: bool = False) -> Rows:
        """Return the rows sorted by a column; equal values stay in their order, missing values come last."""
        return self[self._ranked(column, "column", descending=descending)]  # type: ignore[no-any-return]

    def _ranked(self, name: str, argument: str, *, descending: bool, n: int | None = None) -> npt.NDArray[np.intp]:
        if not isinstance(name, str):
            raise InputError(
                f"{argument} is {shown(name)}: the name of a column is needed, one of "
                f"{', '.join(map(repr, self.to_columns()))}.",
                argument=argument,
                code="wrong_type",
            )
        column = self[name]
        if column.dtype == object:
            missing = np.array([value is None for value in column])
            words = np.array(["" if value is None else str(value) for value in column])
            keys = np.unique(words, return_inverse=True)[1]
        else:
            missing = np.isnat(column) if column.dtype.kind in "mM" else np.asarray(column != column)  # noqa: PLR0124
            keys = np.unique(column, return_inverse=True)[1] if column.dtype.kind in "Ub" else column
            keys = keys.view(np.int64) if keys.dtype.kind in "mM" else keys
        place = np.flatnonzero(~missing)
        keys = keys[place]
        if n is not None and descending and n < len(keys) // 8:  # for few of many rows, sort only the n largest
            bound = np.partition(keys, len(keys) - n - 1)[len(keys) - n - 1] if n else keys.max(initial=0)
            near = keys >= bound
            place, keys = place[near], keys[near]
        order = (
            len(keys) - 1 - np.argsort(keys[::-1], kind="stable")[::-1]
            if descending
            else np.argsort(keys, kind="stable")
        )
        found = np.concatenate([place[order], np.flatnonzero(missing)])
        return found if n is None else found[:n]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.to_columns().values()), ()))

    def _facts(self) -> dict[str, Any]:
        columns = self.to_columns()
        scalars = {
            name: value
            for name in self._field_names()
            if not isinstance(value := getattr(self, name), (np.ndarray, Mapping, Result)) and value is not None
        }
        return {"rows": len(self), **scalars, "columns": " ".join(columns)}

    def _caption(self) -> str:
        facts = {name: value for name, value in self._facts().items() if name != "columns"}
        return f"{type(self).__name__}({', '.join(f'{name}={_brief(value)}' for name, value in facts.items())})"

    def _table(self) -> dict[str, Any]:
        return dict(self.to_columns())

    def _printed(self) -> dict[str, Any]:
        """Return the rows to print: a long table of customers shows the largest values, not the first ids."""
        table = self._table()
        by = self._shown_by
        if not by or by not in table or len(self) <= SHOWN_ROWS:
            return table
        rows = self._ranked(by, "by", descending=True, n=SHOWN_ROWS)
        return {name: column[rows] for name, column in table.items()}

    def __str__(self) -> str:
        table = self._printed()
        total = len(self) if self._shown_by else None
        return "\n".join([text_table(table, total=total), *self._lines()])

    def _repr_html_(self) -> str:
        table = self._printed()
        total = len(self) if self._shown_by else None
        return html_table(table, total=total, caption=self._caption(), lines=self._lines())


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Rows(ColumnarResult):
    """Columns by name: some rows or columns of a result, or the result of `CustomerBase.measure`.

    Examples
    --------
    >>> rows = Rows(columns={"customer_id": np.array([1, 2, 3]), "value": np.array([5.0, 9.0, 7.0])})
    >>> rows.top(2, by="value")["customer_id"].tolist()
    [2, 3]
    """

    columns: Mapping[str, npt.NDArray[Any]]
    name: str = "Rows"

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name."""
        return dict(self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as JSON-ready lists."""
        return {name: json_ready(column) for name, column in self.columns.items()}

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.columns)

    def items(self) -> list[tuple[str, npt.NDArray[Any]]]:
        """Return names and columns."""
        return list(self.columns.items())

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a column of a name."""
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(self.columns)

    def _facts(self) -> dict[str, Any]:
        return {"rows": len(self), "columns": " ".join(self.columns)}

    def __repr__(self) -> str:
        return f"{self.name}({len(self):,} rows: {', '.join(self.columns)})"


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {format_value(item)}" for key, item in list(value.items())[:_PRINTED_FIELDS])
        return "{" + text + (", ..." if len(value) > _PRINTED_FIELDS else "") + "}"
    if isinstance(value, Result):
        return repr(value)
    text = format_value(value)
    return text if len(text) <= 120 else text[:117] + "..."
