"""The one door for dataframes: columns out of pandas, polars or pyarrow frames through narwhals, and frames back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import one_of
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.ids import Coded
from relmark.core.names import did_you_mean

__all__ = ["columns_of", "to_frame"]

_INSTALL = "Install it with pip install 'relmark[dataframes]', or give a mapping of column names to arrays."


def columns_of(frame: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return columns of a frame or mapping by name: numpy arrays, or `Coded` where a frame library codes strings.

    Parameters
    ----------
    frame : mapping, or eager frame of pandas, polars or pyarrow
    names : sequence of str, optional
        Which columns; all of them unless said.

    Raises
    ------
    MissingColumnError
        The frame lacks a column; the message lists those it has and the nearest name.
    InputError
        No frame, or a lazy one.
    """
    if isinstance(frame, Mapping):
        return {name: frame[name] for name in _present(names, list(frame))}
    try:
        import narwhals as nw
    except ImportError:
        raise InputError(f"a {type(frame).__name__} was given, and reading frames needs narwhals. {_INSTALL}") from None
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(
            f"a {type(frame).__name__} was given: a mapping of columns, or an eager frame of pandas, polars or pyarrow "
            "is needed. Collect a lazy one first."
        ) from None
    return {name: _column(nw, table[name], name) for name in _present(names, table.columns)}


def _present(names: Sequence[str] | None, has: Sequence[str]) -> Sequence[str]:
    if names is None:
        return has
    for name in names:
        if name not in has:
            listed = ", ".join(map(repr, has[:20])) + (", ..." if len(has) > 20 else "")
            raise MissingColumnError(
                f"there is no column {name!r}: the data have {listed}.{did_you_mean(str(name), has)}"
            )
    return names


def _column(nw: Any, series: Any, name: str) -> Any:
    kind = series.dtype
    if kind in {nw.String, nw.Categorical, nw.Enum}:
        return _coded(nw, series)
    if isinstance(kind, nw.Datetime):
        if kind.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return np.asarray(series.to_numpy()).astype("M8[us]")
    if kind == nw.Date:
        return np.asarray(series.to_numpy()).astype("M8[D]")
    if kind == nw.Boolean and series.is_null().any():
        return np.array(series.to_list(), dtype=object)
    if kind.is_integer() and series.is_null().any():
        # An integer column with nulls would turn into floats that are off above 2**53.
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        return values
    if kind.is_numeric() or kind == nw.Boolean:
        array = np.asarray(series.to_numpy())
        return array.astype(np.float64) if kind.is_decimal() else array
    values = np.empty(len(series), dtype=object)
    try:
        values[:] = series.to_list()
    except (TypeError, ValueError):
        raise InputError(f"column {name!r} has type {kind}: numbers, strings, booleans or times are needed.") from None
    return values


def _coded(nw: Any, series: Any) -> Coded:
    """Return a string column as codes: distinct values ascending, coded by the frame library itself."""
    text = series if series.dtype == nw.String else series.cast(nw.String)
    words = [str(word) for word in text.drop_nulls().unique().to_list()]
    categories = np.array(sorted(words), dtype=np.str_) if words else np.empty(0, dtype="<U1")
    native = text.to_native()
    missing = text.is_null().to_numpy()
    if hasattr(native, "dictionary_encode"):  # pyarrow
        chunked = native.combine_chunks() if hasattr(native, "combine_chunks") else native
        array = chunked.dictionary_encode()
        found = [str(word) for word in array.dictionary.to_pylist()]
        codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        order = np.searchsorted(categories, found) if found else np.zeros(1, dtype=np.int64)
        return Coded(categories, np.where(missing, -1, order[codes]))
    if not words:
        return Coded(categories, np.full(len(text), -1, dtype=np.int64))
    listed = text.cast(nw.Enum(categories.tolist())).to_native()
    physical = (
        listed.to_physical().fill_null(0).to_numpy() if hasattr(listed, "to_physical") else listed.cat.codes.to_numpy()
    )
    return Coded(categories, np.where(missing, -1, physical.astype(np.int64)))


def to_frame(columns: Mapping[str, npt.NDArray[Any]], backend: str = "pandas") -> Any:
    """Return columns as a frame of the named library, which must be installed."""
    one_of("backend", backend, ("pandas", "polars", "pyarrow"))
    try:
        library = import_module(backend)
    except ImportError:
        raise InputError(f"backend is {backend!r}, which is not installed: pip install {backend}.") from None
    plain = {name: _exported(column) for name, column in columns.items()}
    if backend == "pyarrow":
        return library.table({name: library.array(column, from_pandas=True) for name, column in plain.items()})
    return library.DataFrame(plain)


def _exported(column: npt.NDArray[Any]) -> Any:
    """Return a column as frame libraries take it: strings as lists, the rest as arrays of their own."""
    if column.dtype.kind == "U":
        return column.tolist()
    return column.tolist() if column.dtype == object else np.array(column)
