"""Checks of arguments: turn what a caller gave into an array or a number that kernels can trust.

Each error names the argument, the first bad row and its value, what is allowed and what to do. No check changes its
input: arrays are copied only if their type has to change.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from relmark.core.errors import InputError
from relmark.core.names import did_you_mean

FloatArray = npt.NDArray[np.float64]
"""An array of float64."""
IntArray = npt.NDArray[np.int64]
"""An array of int64."""
BoolArray = npt.NDArray[np.bool_]
"""An array of booleans."""
_Kind = TypeVar("_Kind")


def array_of(name: str, values: Any) -> npt.NDArray[Any]:
    """Return a column as a numpy array of any shape and type, or raise an error that names the argument.

    Without this check, lists of lists of different lengths or numbers wider than numpy's would raise errors of other
    libraries, and masked values would be read as the numbers behind the mask.
    """
    if isinstance(values, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(values)
        if masked.any():
            row = int(np.argwhere(masked)[0][0])
            raise InputError(
                f"{name} has a masked value in row {row}: fill masked values first, such as with filled(numpy.nan).",
                argument=name,
                row=row,
                code="missing_value",
            )
    try:
        return np.asarray(values)
    except Exception as error:  # noqa: BLE001  (each library of frames raises its own)
        said = str(error).partition("\n")[0][:120]
        raise InputError(
            f"{name} is not a column that numpy can hold ({said}): give one plain value per row.",
            argument=name,
            code="wrong_type",
        ) from None


def refuse_rows(name: str, bad: npt.NDArray[np.bool_], values: Any, allowed: str, remedy: str = "") -> None:
    """Raise an InputError about the first row where `bad` is true; do nothing if no row is bad."""
    if not bad.any():
        return
    row = int(np.argmax(bad))
    value = values[row] if np.ndim(values) else values
    more = int(np.count_nonzero(bad)) - 1
    others = f" (and {more:,} more rows)" if more else ""
    where = f" in row {row}{others}" if np.ndim(bad) and bad.size > 1 else ""
    code = "not_finite" if isinstance(value, (float, np.floating)) and not np.isfinite(value) else "wrong_value"
    raise InputError(
        f"{name} has {shown(value)}{where}: {allowed}.",
        argument=name,
        row=row if where else None,
        code=code,
        hint=remedy,
    )


def is_missing(value: Any) -> bool:
    """Tell whether a value is missing: None, NaN, NaT or the NA of a frame library."""
    if value is None:
        return True
    if isinstance(value, np.ndarray):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124  (NaN and NaT differ from themselves)
    except (TypeError, ValueError, ArithmeticError):  # raised by NA, by arrays and by a signaling NaN
        return type(value).__name__ == "NAType" or (isinstance(value, Decimal) and value.is_nan())


def shown(value: Any) -> str:
    """Return a value as a short text for a message."""
    if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) > 20:
        return f"a {type(value).__name__} of {len(value):,}"
    if hasattr(value, "__array__") and hasattr(value, "__len__") and not isinstance(value, (np.ndarray, np.generic)):
        return f"a {type(value).__name__} of {len(value):,}"  # printing a series may warn, and takes many lines
    if isinstance(value, (str, bytes)):
        value = value[:100]
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__} too long to print"
    except Exception:  # noqa: BLE001  (a date, say, that its own library cannot print)
        return f"a {type(value).__name__} that cannot be printed"
    return text if len(text) <= 80 else text[:77] + "..."


def numbers(
    name: str,
    values: npt.ArrayLike,
    *,
    length: int | None = None,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    missing: bool = False,
) -> FloatArray:
    """Return float64 values of shape (n,), each finite and within the bounds.

    Parameters
    ----------
    name : str
        The name of the argument.
    values : array_like
        Numbers, one per row; a scalar becomes one row.
    length : int, optional
        The number of rows of the other columns.
    low, high, above : float
        Inclusive bounds, and an exclusive lower one.
    missing : bool
        Whether NaN is allowed, as a missing value.
    """
    array = array_of(name, values)
    if array.dtype == object:
        array = _numbers_of_objects(name, array, missing=missing)
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"{name} has dtype {array.dtype}: numbers are needed.",
            argument=name,
            code="wrong_type",
            hint="Convert it first.",
        )
    array = np.atleast_1d(array).astype(np.float64, copy=False)
    if array.ndim != 1:
        raise InputError(
            f"{name} has shape {array.shape}: one column of numbers is needed.", argument=name, code="wrong_shape"
        )
    if length is not None:
        same_length(name, array, length)
    bad = np.isinf(array) if missing else ~np.isfinite(array)
    if bad.any():
        refuse_rows(name, bad, array, "finite numbers are needed", "Drop or fill these rows first.")
    if low > -math.inf:
        refuse_rows(name, array < low, array, f"values of {low:g} or more are needed")
    if above > -math.inf:
        refuse_rows(name, array <= above, array, f"values above {above:g} are needed")
    if high < math.inf:
        refuse_rows(name, array > high, array, f"values of {high:g} or less are needed")
    return array


def _numbers_of_objects(name: str, array: npt.NDArray[np.object_], *, missing: bool) -> FloatArray:
    out = np.empty(array.shape, dtype=np.float64)
    flat = out.reshape(-1)
    for row, value in enumerate(array.reshape(-1)):
        if missing and is_missing(value):
            flat[row] = math.nan
        elif value is None or isinstance(value, (str, bytes, bool, complex, np.complexfloating)):
            raise InputError(
                f"{name} has {shown(value)} in row {row}: numbers are needed.",
                argument=name,
                row=row,
                code="wrong_type",
            )
        else:
            try:
                flat[row] = float(value)
            except (TypeError, ValueError, OverflowError):
                raise InputError(
                    f"{name} has {shown(value)} in row {row}: numbers are needed.",
                    argument=name,
                    row=row,
                    code="wrong_type",
                ) from None
    return out


def same_length(name: str, array: Sequence[Any] | npt.NDArray[Any], length: int) -> None:
    """Raise if a column does not have as many rows as the others."""
    if not hasattr(array, "__len__") or getattr(array, "shape", None) == ():
        raise InputError(
            f"{name} is {shown(array)}: a column is needed, one value per row.", argument=name, code="wrong_type"
        )
    if len(array) != length:
        raise InputError(
            f"{name} has {len(array):,} rows and the other columns have {length:,}: give one value per row.",
            argument=name,
            code="wrong_length",
        )


def number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return one finite number within the bounds (`low` and `high` inclusive, `above` and `below` exclusive)."""
    unfit = isinstance(value, (bool, str, bytes, np.bool_, complex, np.complexfloating)) or value is np.ma.masked
    if unfit or value is None or (isinstance(value, np.ndarray) and value.ndim > 0):
        raise InputError(f"{name} is {shown(value)}: a number is needed.", argument=name, code="wrong_type")
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is {shown(value)}: a number is needed.", argument=name, code="wrong_type") from None
    if not (math.isfinite(result) and low <= result <= high and above < result < below):
        raise InputError(
            f"{name} is {shown(value)}: {_bounds(low, high, above, below)}.", argument=name, code="wrong_value"
        )
    return result


def _bounds(low: float, high: float, above: float, below: float) -> str:
    parts = [
        text
        for text, bound in (
            (f"at least {low:g}", low),
            (f"above {above:g}", above),
            (f"at most {high:g}", high),
            (f"below {below:g}", below),
        )
        if math.isfinite(bound)
    ]
    return f"it must be a finite number, {' and '.join(parts)}" if parts else "a finite number is needed"


def whole(name: str, value: Any, *, low: int | None = None, high: int | None = None) -> int:
    """Return one integer within inclusive bounds; True and 3.0 are refused."""
    if isinstance(value, (bool, np.bool_, np.ndarray)):
        raise InputError(f"{name} is {shown(value)}: a whole number is needed.", argument=name, code="wrong_type")
    try:
        result = operator.index(value)
    except TypeError:
        raise InputError(
            f"{name} is {shown(value)}: a whole number is needed.", argument=name, code="wrong_type"
        ) from None
    if (low is not None and result < low) or (high is not None and result > high):
        limits = " and ".join(
            text for text, bound in ((f"at least {low}", low), (f"at most {high}", high)) if bound is not None
        )
        raise InputError(
            f"{name} is {shown(result)}: a whole number of {limits} is needed.", argument=name, code="wrong_value"
        )
    return result


def positive(name: str, value: Any) -> float:
    """Return one finite number above zero."""
    return number(name, value, above=0.0)


def fraction(name: str, value: Any, *, open_ends: bool = True) -> float:
    """Return one number between 0 and 1, by default excluding these two."""
    return number(name, value, above=0.0, below=1.0) if open_ends else number(name, value, low=0.0, high=1.0)


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of the allowed words, else raise an error with the nearest of them."""
    words = tuple(allowed)
    if isinstance(value, str) and value in words:
        return value
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    listed = ", ".join(repr(word) for word in words)
    raise InputError(
        f"{name} is {shown(value)}: it must be one of {listed}.", argument=name, code="unknown_name", hint=hint
    )


def text(name: str, value: Any, *, empty: bool = False) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str) or (not value and not empty):
        raise InputError(
            f"{name} is {shown(value)}: a string{'' if empty else ' that is not empty'} is needed.",
            argument=name,
            code="wrong_type",
        )
    return value


def flag(name: str, value: Any) -> bool:
    """Return True or False; refuse values that only convert to them, such as 1."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}: True or False is needed.", argument=name, code="wrong_type")
    return value


def listed(name: str, values: Any, kind: type[_Kind]) -> tuple[_Kind, ...]:
    """Return objects of one class as a tuple, or raise."""
    said = f"a list of {kind.__name__} objects is needed."
    if isinstance(values, (str, bytes, kind)) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}: {said}", argument=name, code="wrong_type")
    given = tuple(values)
    for value in given:
        if not isinstance(value, kind):
            raise InputError(f"{name} has {shown(value)}: {said}", argument=name, code="wrong_type")
    return given


def generator(rng: np.random.Generator | int | None) -> np.random.Generator:
    """Return a numpy Generator: the one given, one made from a seed, or one with fresh entropy for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(None if rng is None else whole("rng", rng, low=0))
