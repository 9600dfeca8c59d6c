"""The one door for dataframes: columns out of pandas, polars or pyarrow frames through narwhals, and frames back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core.checks import one_of, shown, text
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.ids import Coded, text_array
from relmark.core.names import did_you_mean
from relmark.core.time import UtcTimes

__all__ = ["Frame", "columns_in", "columns_of", "is_constant", "to_frame"]

Frame: TypeAlias = Any
"""An eager frame of pandas, polars or pyarrow, or a mapping of column names to columns.

It stands for any type, since relmark imports none of these libraries: what is not a frame is an `InputError`.
"""

_INSTALL = "Install it with pip install 'relmark[dataframes]', or give a mapping of column names to arrays."


def columns_of(frame: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return columns of a frame or mapping by name.

    Numbers, dates and times become numpy arrays, strings and categoricals `Coded`, times with a zone `UtcTimes`, lists
    and what has missing integers or booleans arrays of objects. The columns of a mapping stay as they are.

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
    nw, table = _table(frame)
    return {name: _column(nw, table[str(name)]) for name in _present(names, _names(frame, table))}


def columns_in(frame: Any) -> list[Any]:
    """Return the names of the columns of a frame or mapping."""
    return list(frame) if isinstance(frame, Mapping) else _names(frame, _table(frame)[1])


def is_constant(argument: str, name: Any, frame: Any) -> bool:
    """Tell whether a name is that of no column, nor close to one, so that it stands for every row itself."""
    has = columns_in(frame)
    text(argument, name)
    if name in has:
        return False
    hint = did_you_mean(name, [str(column) for column in has])
    if hint:
        raise MissingColumnError(
            f"{argument} is {name!r}: the data have no such column.",
            argument=argument,
            hint=f"{hint} A name that no column resembles would stand for every row.",
        )
    return True


def _numbers_of(series: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(series.to_numpy())
    except Exception as error:  # noqa: BLE001  (each library of frames raises its own)
        raise InputError(
            f"{series.name!r} has type {series.dtype}, which numpy cannot hold: {error}.",
            argument=str(series.name),
            code="wrong_type",
        ) from None


def _table(frame: Any) -> tuple[Any, Any]:
    """Return narwhals and the frame in its words, names of columns as strings."""
    try:
        import narwhals as nw
    except ImportError:
        raise InputError(
            f"a {type(frame).__name__} was given, and reading frames needs narwhals.",
            argument="frame",
            code="not_installed",
            hint=_INSTALL,
        ) from None
    names = _native_names(frame)
    if names is not None:
        if any(isinstance(name, tuple) for name in names):
            raise InputError(
                f"the frame has columns of several levels, such as {names[0]!r}: join them to one name each, as in "
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
            f"a {type(frame).__name__} was given: a mapping of columns, or an eager frame of pandas, polars or pyarrow "
            "is needed.",
            argument="frame",
            code="wrong_type",
            hint="Collect a lazy one first.",
        ) from None


def _native_names(frame: Any) -> list[Any] | None:
    """Return the names of a pandas or pyarrow frame, which may be numbers, tuples or twice the same."""
    if hasattr(frame, "set_axis") and hasattr(frame, "columns"):
        return list(frame.columns)
    return list(frame.column_names) if hasattr(frame, "column_names") else None


def _names(frame: Any, table: Any) -> list[Any]:
    """Return the names of columns as the caller has them."""
    native = _native_names(frame)
    return list(table.columns) if native is None else native


def _present(names: Sequence[str] | None, has: Sequence[str]) -> Sequence[str]:
    if names is None:
        return has
    for name in names:
        if not isinstance(name, (str, int)):
            raise InputError(
                f"the name of a column is {shown(name)}: name one of {', '.join(map(repr, has[:20])) or 'no columns'}.",
                argument="argument",
                code="wrong_type",
            )
        if name not in has:
            listed = ", ".join(map(repr, has[:20])) + (", ..." if len(has) > 20 else "")
            raise MissingColumnError(
                f"there is no column {name!r}: the data have {listed}.",
                argument="argument",
                hint=did_you_mean(str(name), has),
            )
    return names


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
    for row, value in enumerate(series.to_list()):  # an assignment of lists of one length would make a matrix
        values[row] = value
    return values


def _coded(nw: Any, series: Any) -> Coded:
    """Return a string column as codes, by the dictionary that the frame library makes itself."""
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
    """Return a categorical as the codes that it has; categories that are no strings stay what they are."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "codes"):  # pandas
        return Coded(_texts(native.cat.categories.tolist()), native.cat.codes.to_numpy())
    if hasattr(native, "combine_chunks"):  # pyarrow
        return _coded_arrow(native)
    if series.dtype == nw.Categorical:  # polars: its physical codes belong to a pool that other columns share
        return _coded(nw, series.cast(nw.String))
    words = _texts(native.dtype.categories.to_list())
    physical = native.to_physical().to_numpy()
    missing = native.is_null().to_numpy()
    return Coded(words, np.where(missing, -1, np.nan_to_num(physical).astype(np.int64)))


def _coded_arrow(native: Any) -> Coded:
    """Return a dictionary column of pyarrow, whose chunks may have a dictionary each, as codes."""
    if not len(native):  # without a chunk there is no dictionary to unify
        return Coded(np.empty(0, dtype="<U1"), np.empty(0, dtype=np.int32))
    whole = native.unify_dictionaries().combine_chunks() if hasattr(native, "unify_dictionaries") else native
    whole = whole.chunk(0) if hasattr(whole, "chunk") else whole
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Coded(_texts(whole.dictionary.to_pylist()), codes)


def _texts(words: list[Any]) -> npt.NDArray[Any]:
    """Return distinct words as an array of strings, or of objects where they are something else."""
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
    """Return a column as frame libraries take it: strings as lists, the rest as arrays of their own."""
    if column.dtype == object:
        return [sorted(item) if isinstance(item, frozenset) else item for item in column.tolist()]
    return column.tolist() if column.dtype.kind in "UT" else np.array(column)
