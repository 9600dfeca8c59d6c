"""What every room returns: frozen objects that print in a line, show as a table and become JSON, columns or a frame.

A result is an attrs class, keyword-only, ``eq=False`` and ``repr=False``, that inherits `Result`, or `ColumnarResult`
where its array fields are aligned columns. Arrays become read-only views; what came in is never written to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.errors import InputError
from relmark.core.formats import format_value, html_table, text_table

__all__ = ["ColumnarResult", "Result", "json_ready", "read_only"]

_PRINTED_FIELDS = 8


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of an array through which nothing can be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def json_ready(value: Any) -> Any:
    """Return a value that the json module writes: arrays become lists, NaN null, instants ISO 8601 with a zone."""
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
        from relmark.core.time import duration_text

        return duration_text(value)
    raise InputError(f"a {type(value).__name__} has no JSON form")


def _restored(kind: type[Result], fields: Mapping[str, Any]) -> Result:
    """Return a result of its fields, as its constructor left them."""
    result = kind.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(result, name, value)
    result.__attrs_post_init__()
    return result


class Result:
    """The shape that all results share."""

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

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Travel as the fields, whose arrays are read-only again where they arrive: copies and pickles are not."""
        names = self._field_names(private=True)
        return _restored, (type(self), {name: getattr(self, name) for name in names})

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
        """Return what the one-line repr says: by default the first fields."""
        return {name: getattr(self, name) for name in self._field_names()[:_PRINTED_FIELDS]}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={_brief(value)}" for name, value in self._facts().items())
        return f"{type(self).__name__}({facts})"

    def _table(self) -> dict[str, Any]:
        """Return the columns that print and notebooks show: by default the facts, one a row."""
        facts = self._facts()
        return {"": list(facts), type(self).__name__: [_brief(value) for value in facts.values()]}

    def __str__(self) -> str:
        return text_table(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table(), caption=repr(self))


class ColumnarResult(Result):
    """A result whose array fields of equal length are columns, customer_id among them where it is about customers."""

    __slots__ = ()

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

    def to_frame(self, backend: str = "pandas") -> Any:
        """Return the columns as a frame of ``"pandas"``, ``"polars"`` or ``"pyarrow"`` (extra `dataframes`)."""
        from relmark.core.frames import to_frame

        return to_frame(self.to_columns(), backend)

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

    def _table(self) -> dict[str, Any]:
        return dict(self.to_columns())


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {format_value(item)}" for key, item in list(value.items())[:_PRINTED_FIELDS])
        return "{" + text + (", ..." if len(value) > _PRINTED_FIELDS else "") + "}"
    if isinstance(value, Result):
        return repr(value)
    text = format_value(value)
    return text if len(text) <= 120 else text[:117] + "..."
