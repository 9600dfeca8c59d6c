"""Reading and writing dataframes: columns from pandas, polars or pyarrow frames through narwhals, and frames back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core.checks import one_of, shown, text
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.ids import Coded, text_array
from relmark.core.names import a_type, did_you_mean
from relmark.core.time import UtcTimes

__all__ = ["Frame", "columns_in", "columns_of", "is_constant", "to_frame"]

Frame: TypeAlias = Any
"""An eager frame of pandas, polars or pyarrow, or a mapping of column names to columns.

It stands for any type, since relmark imports none of these libraries: what is not a frame is an `InputError`.
"""

_INSTALL = "Install it with pip install 'relmark[dataframes]', or give a mapping of column names to arrays."


def columns_of(frame: Any, names: Sequence[str] | Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return columns of a frame or mapping by name.

    Numbers, dates and times become numpy arrays, strings and categoricals become `Coded`, times with a zone become
    `UtcTimes`. Lists, and integers or booleans with missing values, become arrays of objects. The columns of a mapping
    are returned unchanged.

    Parameters
    ----------
    frame : mapping, or eager frame of pandas, polars or pyarrow
        The data.
    names : sequence of str, or mapping of str to str, optional
        The columns to return; all by default. A mapping has the columns by the arguments that name them, so that an
        error can say which argument is wrong.

    Raises
    ------
    MissingColumnError
        The frame lacks a column; the message lists the columns it has and the nearest name.
    InputError
        The argument is not a frame, or is a lazy one.
    """
    if isinstance(frame, Mapping):
        return {name: frame[name] for name in _present(names, list(frame))}
    nw, table = _table(frame)
    return {name: _column(nw, table[str(name)]) for name in _present(names, _names(frame, table))}


def columns_in(frame: Any) -> list[Any]:
    """Return the names of the columns of a frame or mapping."""
    return list(frame) if isinstance(frame, Mapping) else _names(frame, _table(frame)[1])


def is_constant(argument: str, name: Any, frame: Any) -> bool:
    """Tell whether no column has a name or a similar one, so that the name is itself the value of every row."""
    has = columns_in(frame)
    text(argument, name)
    if name in has:
        return False
    hint = did_you_mean(name, [str(column) for column in has])
    if hint:
        raise MissingColumnError(
            f"{argument} is {name!r}: the data have no such column.",
            argument=argument,
            hint=f"{hint} A name that is not similar to any column would be used as the value of every row.",
        )
    return True


def _numbers_of(series: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(series.to_numpy())
    except Exception as error:  # noqa: BLE001  (each library of frames raises its own)
        raise InputError(
            f"column {series.name!r} has type {series.dtype}, which numpy cannot hold: {error}.",
            argument=str(series.name),
            code="wrong_type",
        ) from None


def _table(frame: Any) -> tuple[Any, Any]:
    """Return narwhals, and the frame as a narwhals frame with strings as column names."""
    try:
        import narwhals as nw
    except ImportError:
        raise InputError(
            f"{a_type(frame)} was given, but narwhals, which reads frames, is not installed.",
            argument="frame",
            code="not_installed",
            hint=_INSTALL,
        ) from None
    names = _native_names(frame)
    if names is not None:
        if any(isinstance(name, tuple) for name in names):
            raise InputError(
                f"the frame has columns of several levels, such as {names[0]!r}: join the levels to one name, as in "
                "df.columns = ['_'.join(map(str, c)) for c in df.columns].",
                argument="frame",
                code="wrong_shape",
            )
        words = list(map(str, names))
        again = next((word for k, word in enumerate(words) if word in words[:k]), None)
        if again is not None:
            raise InputError(
                f"the frame has two columns {again!r}: rename or drop one of them.", argument="frame", code="duplicate"
            )
        if any(not isinstance(name, str) for name in names):
            frame = frame.set_axis(words, axis=1)
    try:
        return nw, nw.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(
            f"{a_type(frame)} was given: a mapping of columns, or an eager frame of pandas, polars or pyarrow "
            "is needed.",
            argument="frame",
            code="wrong_type",
            hint="Collect a lazy frame first.",
        ) from None


def _native_names(frame: Any) -> list[Any] | None:
    """Return the column names of a pandas or pyarrow frame, which may be numbers or tuples, or may repeat."""
    if hasattr(frame, "set_axis") and hasattr(frame, "columns"):
        return list(frame.columns)
    return list(frame.column_names) if hasattr(frame, "column_names") else None


def _names(frame: Any, table: Any) -> list[Any]:
    """Return the names of columns as they are in the caller's frame."""
    native = _native_names(frame)
    return list(table.columns) if native is None else native


def _present(names: Sequence[str] | Mapping[str, str] | None, has: Sequence[str]) -> Sequence[str]:
    if names is None:
        return has
    asked = list(names.items()) if isinstance(names, Mapping) else [("columns", name) for name in names]
    for argument, name in asked:
        if not isinstance(name, (str, int)):
            raise InputError(
                f"the name of a column is {shown(name)}: name one of {', '.join(map(repr, has[:20])) or 'no columns'}.",
                argument=argument,
                code="wrong_type",
            )
        if name not in has:
            listed = ", ".join(map(repr, has[:20])) + (", ..." if len(has) > 20 else "")
            raise MissingColumnError(
                f"there is no column {name!r}: the data have {listed}.",
                argument=argument,
                hint=did_you_mean(str(name), has),
            )
    return [name for _, name in asked]


def _column(nw: Any, series: Any) -> Any:
    kind = series.dtype
    if kind == nw.String:
        return _coded(nw, series)
    if kind in {nw.Categorical, nw.Enum}:
        return _coded_categorical(nw, series)
    if isinstance(kind, nw.Datetime):
        if kind.time_zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        times = np.asarray(series.to_numpy()).astype("M8[us]", copy=False)
        return times if kind.time_zone is None else UtcTimes(times)
    if kind == nw.Date:
        days = np.asarray(series.to_numpy())
        return days.astype("M8[D]") if days.dtype.kind == "M" else days
    if kind == nw.Boolean and series.is_null().any():
        return np.array(series.to_list(), dtype=object)
    if kind.is_integer() and series.is_null().any():
        # An integer column with nulls would turn into floats that are off above 2**53.
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        return values
    if kind.is_numeric() or kind == nw.Boolean:
        array = _numbers_of(series)
        return array.astype(np.float64) if kind.is_decimal() else array
    values = np.empty(len(series), dtype=object)
    for row, value in enumerate(series.to_list()):  # assigning lists of equal length at once would make a matrix
        values[row] = value
    return values


def _coded(nw: Any, series: Any) -> Coded:
    """Return a string column as codes, with a dictionary that the frame library builds."""
    native = series.to_native()
    if hasattr(native, "dictionary_encode"):  # pyarrow
        return _coded_arrow(native.dictionary_encode())
    if hasattr(native, "factorize"):  # pandas
        codes, words = native.factorize()
        return Coded(_texts(words.tolist()), codes)
    words = _texts(series.drop_nulls().unique().to_list())  # polars
    if not len(words):
        return Coded(words, np.full(len(series), -1, dtype=np.int64))
    return _coded_categorical(nw, series.cast(nw.Enum(words.tolist())))


def _coded_categorical(nw: Any, series: Any) -> Coded:
    """Return a categorical as its codes; categories that are not strings are kept as they are."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "codes"):  # pandas
        return Coded(_texts(native.cat.categories.tolist()), native.cat.codes.to_numpy())
    if hasattr(native, "combine_chunks"):  # pyarrow
        return _coded_arrow(native)
    if series.dtype == nw.Categorical:  # polars: its physical codes refer to a dictionary shared with other columns
        return _coded(nw, series.cast(nw.String))
    words = _texts(native.dtype.categories.to_list())
    physical = native.to_physical().to_numpy()
    missing = native.is_null().to_numpy()
    return Coded(words, np.where(missing, -1, np.nan_to_num(physical).astype(np.int64)))


def _coded_arrow(native: Any) -> Coded:
    """Return a dictionary column of pyarrow as codes; each of its chunks may have its own dictionary."""
    if not len(native):  # without a chunk there is no dictionary to unify
        return Coded(np.empty(0, dtype="<U1"), np.empty(0, dtype=np.int32))
    whole = native.unify_dictionaries().combine_chunks() if hasattr(native, "unify_dictionaries") else native
    whole = whole.chunk(0) if hasattr(whole, "chunk") else whole
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Coded(_texts(whole.dictionary.to_pylist()), codes)


def _texts(words: list[Any]) -> npt.NDArray[Any]:
    """Return distinct values as an array of strings, or of objects if they are not strings."""
    if all(isinstance(word, str) for word in words):
        return text_array("a column", words)
    array = np.empty(len(words), dtype=object)
    array[:] = words
    return array


def to_frame(columns: Mapping[str, npt.NDArray[Any]], backend: str = "pandas") -> Frame:
    """Return columns as a frame of the named library, which must be installed."""
    one_of("backend", backend, ("pandas", "polars", "pyarrow"))
    try:
        library = import_module(backend)
    except ImportError:
        raise InputError(
            f"backend is {backend!r}, which is not installed: pip install {backend}.",
            argument="backend",
            code="not_installed",
        ) from None
    plain = {name: _exported(column) for name, column in columns.items()}
    if backend == "pyarrow":
        return library.table({name: library.array(column, from_pandas=True) for name, column in plain.items()})
    return library.DataFrame(plain)


def _exported(column: npt.NDArray[Any]) -> Any:
    """Return a column in the form that frame libraries accept: strings as lists, other values as copied arrays."""
    if column.dtype == object:
        return [sorted(item) if isinstance(item, frozenset) else item for item in column.tolist()]
    return column.tolist() if column.dtype.kind in "UT" else np.array(column)
