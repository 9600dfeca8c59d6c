"""The arm and the segment of each row, as names and as positions among the names."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import IntArray
from relmark.core.errors import InputError
from relmark.core.frames import columns_of
from relmark.core.ids import Coded, code_texts
from relmark.core.names import did_you_mean
from relmark.experiments.assignment import Assignment

__all__ = ["Cells", "arm_codes", "control_of", "segment_codes", "two_arms"]


class Cells(NamedTuple):
    """The arm and segment of each row: the names, and positions among them; -1 is outside."""

    arms: tuple[str, ...]
    codes: IntArray
    segments: tuple[str, ...] = ("",)
    groups: IntArray | None = None

    @property
    def cell(self) -> IntArray:
        """Each row's cell, counted arm by arm; -1 is outside."""
        if self.groups is None:
            return self.codes
        return np.where(self.codes < 0, -1, self.codes * len(self.segments) + self.groups)


def arm_codes(arms: Any, data: Any = None) -> tuple[tuple[str, ...], IntArray]:
    """Return the arms' names and each row's position among them, -1 for customers outside.

    A text is the name of the column of `data` that has the arm of each row.
    """
    if arms is None:
        raise InputError("arms is None: give the arm of each row.", argument="arms", code="missing_value")
    if isinstance(arms, Assignment):
        return arms.arms, arms.code
    if isinstance(arms, str):
        if data is None:
            raise InputError(
                f"arms is {arms!r}: the arm of each row is needed, such as ['control', 'mail', ...].",
                argument="arms",
                code="wrong_type",
            )
        arms = columns_of(data, [arms])[arms]
    if isinstance(arms, Coded):  # a missing one, -1, is the last: outside
        arms = np.append(np.asarray(arms.categories).astype(np.str_), "")[arms.codes]
    array = checks.array_of("arms", arms)
    if array.ndim != 1:
        raise InputError(
            f"arms has shape {array.shape}: one arm per row is needed.", argument="arms", code="wrong_shape"
        )
    if array.dtype.kind in "iub":
        return _integer_codes(array)
    names, codes = _named_codes("arms", array)
    if names and names[0] == "":
        return names[1:], np.maximum(codes - 1, -1)
    return names, codes


def _integer_codes(array: npt.NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    if array.dtype.kind == "b":
        array = array.view(np.int8)
    low, high = (min(0, int(array.min())), int(array.max())) if len(array) else (0, -1)
    if low < -1:
        raise InputError(
            f"arms has {low}: arms are whole numbers of 0 or more, and -1 for customers outside the test.",
            argument="arms",
            code="wrong_value",
        )
    if high > 10_000:
        raise InputError(
            f"arms has {high}, which is too large for an arm: is it the number of a customer?",
            argument="arms",
            code="wrong_value",
            hint="Give the arms as names or as whole numbers up to 10,000.",
        )
    names = tuple(str(n) for n in range(high + 1))
    if len(np.unique(array[:10_000])) == high + 1 and low == 0:  # the first rows have every arm: no need to count all
        return names, array.astype(np.int64, copy=False)
    seen = np.flatnonzero(np.bincount(array.astype(np.int64) + 1, minlength=high + 2)[1:])
    if len(seen) == high + 1:
        return names, array.astype(np.int64, copy=False)
    table = np.full(high + 2, -1, dtype=np.int64)  # -1 is looked up in the last entry
    table[seen] = np.arange(len(seen))
    return tuple(str(n) for n in seen), table[array]


def segment_codes(segment: Any, length: int) -> tuple[tuple[str, ...], IntArray | None]:
    """Return the segments' names and each row's position among them."""
    if segment is None:
        return ("",), None
    array = np.asarray(segment)
    if array.ndim != 1:
        raise InputError(
            f"segment has shape {array.shape}: one segment per row is needed.", argument="segment", code="wrong_shape"
        )
    checks.same_length("segment", array, length)
    if array.dtype.kind == "b":
        return ("no", "yes"), array.astype(np.int64)
    if array.dtype.kind in "iu":
        values, codes = np.unique(array, return_inverse=True)
        return tuple(str(value) for value in values), codes.reshape(-1).astype(np.int64)
    names, codes = _named_codes("segment", array)
    if names and names[0] == "":
        names, codes = names[1:], np.maximum(codes - 1, -1)
    if (codes < 0).any():  # rows without a segment are a segment of their own
        return (*names, "unknown"), np.where(codes < 0, len(names), codes)
    return names, codes


def _named_codes(name: str, array: npt.NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    """Return the distinct texts in ascending order and each row's position among them, -1 where it is missing."""
    if array.dtype.kind not in "OUT":
        raise InputError(
            f"{name} has dtype {array.dtype}: names or whole numbers are needed.", argument=name, code="wrong_type"
        )
    names, codes = code_texts(name, array)
    return tuple(names.tolist()), codes.astype(np.int64, copy=False)


def control_of(arms: tuple[str, ...], control: str | int | None) -> int:
    """Return the position of the control arm."""
    if len(arms) < 2:
        raise InputError(
            f"arms has only {', '.join(map(checks.shown, arms[:20])) or 'no arm'}: at least two arms are needed.",
            argument="arms",
            code="not_enough_data",
        )
    name = "control" if control is None else str(int(control) if isinstance(control, bool) else control)
    if name not in arms:
        asked = "control is not given, and no arm is called 'control'" if control is None else f"control is {control!r}"
        raise InputError(
            f"{asked}: the arms are {', '.join(map(checks.shown, arms[:20]))}.",
            argument="control",
            code="unknown_name",
            hint=did_you_mean(name, arms),
        )
    return arms.index(name)


def two_arms(names: tuple[str, ...], control: str | int | None, arm: str | int | None) -> tuple[int, int]:
    """Return the positions of control and of the arm that is compared with it."""
    at0 = control_of(names, control)
    others = [name for k, name in enumerate(names) if k != at0]
    if arm is None and len(others) > 1:
        raise InputError(
            f"arm is not given: choose one of {', '.join(map(checks.shown, others[:20]))}.",
            argument="arm",
            code="missing_value",
        )
    wanted = others[0] if arm is None else str(arm)
    if wanted not in others:
        raise InputError(
            f"arm is {wanted!r}: it must be one of {', '.join(map(checks.shown, others[:20]))}.",
            argument="arm",
            code="unknown_name",
        )
    return at0, names.index(wanted)
