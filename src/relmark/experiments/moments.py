"""Moments: all that the analysis of means needs from any number of rows, in a few numbers that merge.

Count, mean and centered second moments of some columns, by arm and by segment. Rows are read once, in blocks, each
centered by its own mean; blocks and whole results merge by Chan, Golub and LeVeque's update (1979), so that a large
offset costs no digits. Any SQL engine can deliver the same through counts, means and covariances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frames import columns_of
from relmark.core.ids import code_texts
from relmark.core.names import did_you_mean
from relmark.core.results import Result
from relmark.experiments._blocks import centered_sums
from relmark.experiments.assignment import Assignment

__all__ = ["Moments"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROUNDING = 16 * np.finfo(np.float64).eps


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Moments(Result):
    """Count, means and centered second moments by arm and segment.

    Attributes
    ----------
    columns : tuple of str
        The k columns' names.
    arms : tuple of str
        The a arms' names.
    segments : tuple of str
        The s segments' names; one empty name where rows were not divided.
    count : ndarray of float64, shape (a, s)
        Rows.
    mean : ndarray of float64, shape (a, s, k)
        Means; 0 where there are no rows.
    scatter : ndarray of float64, shape (a, s, k, k)
        Sums of products of deviations from the mean.
    excluded : int
        Rows outside any arm (code -1), which were left out.

    Examples
    --------
    >>> one = Moments.from_columns({"spend": [1.0, 2.0, 3.0]}, ["a", "a", "b"])
    >>> two = Moments.from_columns({"spend": [5.0]}, ["b"])
    >>> (one + two).mean[:, 0, 0].tolist()
    [1.5, 4.0]
    """

    columns: tuple[str, ...]
    arms: tuple[str, ...]
    segments: tuple[str, ...] = ("",)
    count: FloatArray
    mean: FloatArray
    scatter: FloatArray
    excluded: int = 0

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, Any],
        arm: Assignment | npt.ArrayLike,
        *,
        segment: npt.ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> Moments:
        """Return the moments of rows.

        Parameters
        ----------
        columns : mapping of str to array_like, or dataframe
            Finite numbers or booleans, shape (n,).
        arm : Assignment, or array_like of str or int, shape (n,)
            The arm of each row. An integer -1 and an empty name mean outside: such rows are dropped and counted.
        segment : array_like, shape (n,), optional
            The segment of each row.
        names : sequence of str, optional
            Which columns; all of a mapping without it.

        Raises
        ------
        InputError
            A value that is missing or infinite, with its row.
        MissingColumnError
            A name that `columns` lacks.

        Notes
        -----
        Time and memory are linear: one read in blocks of 8,192 rows, and k (k + 3) / 2 + 1 numbers a cell kept.
        """
        arms, codes = arm_codes(arm)
        labels, groups = segment_codes(segment, len(codes))
        return cls._of_codes(columns, arms, codes, labels, groups, names)

    @classmethod
    def _of_codes(
        cls,
        columns: Any,
        arms: tuple[str, ...],
        codes: IntArray,
        labels: tuple[str, ...],
        groups: IntArray | None,
        names: Sequence[str] | None,
        pairs: Sequence[tuple[int, int]] | None = None,
    ) -> Moments:
        wanted = tuple(names if names is not None else columns_of(columns))
        arrays = list(columns_by_name(columns, wanted, len(codes)).values())
        cells = len(arms) * len(labels)
        outside = codes < 0
        excluded = int(np.count_nonzero(outside))
        cell = codes if groups is None else codes * len(labels) + groups
        if groups is not None and excluded:
            cell = np.where(outside, -1, cell)
        count, mean, scatter = centered_sums(arrays, cell, cells, excluded=bool(excluded), pairs=pairs)
        if not np.isfinite(mean).all():
            _refuse(wanted, arrays, outside)
        shape, k = (len(arms), len(labels)), len(wanted)
        return cls(
            columns=wanted,
            arms=arms,
            segments=labels,
            count=count.reshape(shape),
            mean=mean.reshape(*shape, k),
            scatter=scatter.reshape(*shape, k, k),
            excluded=excluded,
        )

    @classmethod
    def from_aggregates(
        cls,
        count: npt.ArrayLike,
        mean: npt.ArrayLike,
        cov: npt.ArrayLike,
        *,
        columns: Sequence[str],
        arms: Sequence[str],
        segments: Sequence[str] = ("",),
        ddof: int = 1,
    ) -> Moments:
        """Return the moments that another engine counted.

        Parameters
        ----------
        count : array_like, shape (a,) or (a, s)
            Rows of each arm.
        mean : array_like, shape (a, k) or (a, s, k)
            Means.
        cov : array_like, shape (a, k, k) or (a, s, k, k)
            Covariances, as of ``covar_samp`` (or ``covar_pop`` with ``ddof=0``). Never compute them from raw sums of
            squares: with a large mean these lose all digits.
        columns, arms, segments : sequences of str
            The names, in the order of the arrays.
        ddof : {0, 1}
            What the covariances were divided by: n - ddof.

        Examples
        --------
        >>> m = Moments.from_aggregates([500, 9500], [[1.0], [1.1]], [[[4.0]], [[4.2]]],
        ...                             columns=["spend"], arms=["control", "mail"])
        >>> m.count[:, 0].tolist()
        [500.0, 9500.0]
        """
        names, arm_names, labels = tuple(columns), tuple(arms), tuple(segments)
        a, s, k = len(arm_names), len(labels), len(names)
        for what, given in (("columns", names), ("arms", arm_names), ("segments", labels)):
            if len(set(given)) < len(given):
                raise InputError(f"{what} are {', '.join(map(repr, given))}: a name stands twice.")
        n = _shaped("count", count, (a, s))
        mu = _shaped("mean", mean, (a, s, k))
        c = _shaped("cov", cov, (a, s, k, k))
        checks.refuse_rows("count", (n < 0).reshape(-1), n.reshape(-1), "counts of 0 or more are needed")
        if not np.allclose(c, np.swapaxes(c, -1, -2), rtol=1e-6):
            raise InputError("cov is not symmetric: cov[..., i, j] and cov[..., j, i] must agree.")
        if (np.diagonal(c, axis1=-2, axis2=-1) < 0).any():
            raise InputError("cov has a negative variance on its diagonal.")
        scale = np.maximum(n - checks.whole("ddof", ddof, low=0, high=1), 0.0)
        return cls(
            columns=names,
            arms=arm_names,
            segments=labels,
            count=n,
            mean=np.where(n[..., None] > 0, mu, 0.0),
            scatter=c * scale[..., None, None],
        )

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows; arms and segments of either are kept."""
        if not isinstance(other, Moments):
            return NotImplemented
        if self.columns != other.columns:
            raise InputError(
                f"moments of columns {', '.join(self.columns)} and of {', '.join(other.columns)} cannot be added: "
                "both need the same columns in the same order."
            )
        arms = tuple(dict.fromkeys(self.arms + other.arms))
        segments = tuple(dict.fromkeys(self.segments + other.segments))
        (n1, m1, s1), (n2, m2, s2) = self._spread(arms, segments), other._spread(arms, segments)
        count = n1 + n2
        share = np.divide(n2, count, out=np.zeros_like(count), where=count > 0)
        delta = m2 - m1
        # Chan, Golub and LeVeque (1979), eq. 1.5.
        scatter = s1 + s2 + (n1 * share)[..., None, None] * (delta[..., :, None] * delta[..., None, :])
        return Moments(
            columns=self.columns,
            arms=arms,
            segments=segments,
            count=count,
            mean=m1 + share[..., None] * delta,
            scatter=scatter,
            excluded=self.excluded + other.excluded,
        )

    def _spread(self, arms: tuple[str, ...], segments: tuple[str, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
        if arms == self.arms and segments == self.segments:
            return self.count, self.mean, self.scatter
        k = len(self.columns)
        count = np.zeros((len(arms), len(segments)))
        mean = np.zeros((*count.shape, k))
        scatter = np.zeros((*count.shape, k, k))
        at = np.ix_([arms.index(arm) for arm in self.arms], [segments.index(name) for name in self.segments])
        count[at], mean[at], scatter[at] = self.count, self.mean, self.scatter
        return count, mean, scatter

    def total(self) -> Moments:
        """Return the moments over all segments together."""
        if len(self.segments) == 1:
            return attrs.evolve(self, segments=("",))
        count = self.count.sum(axis=1)
        weight = np.divide(self.count, count[:, None], out=np.zeros_like(self.count), where=count[:, None] > 0)
        base = self.mean[:, :1]  # deviations from one segment's mean keep the digits that sums of means would lose
        mean = base[:, 0] + np.einsum("as,ask->ak", weight, self.mean - base)
        away = np.where(self.count[..., None] > 0, self.mean - mean[:, None], 0.0)
        scatter = self.scatter.sum(axis=1) + np.einsum("as,ask,asl->akl", self.count, away, away)
        return attrs.evolve(
            self,
            segments=("",),
            count=count[:, None],
            mean=mean[:, None],
            scatter=scatter[:, None],
        )

    def covariance(self) -> FloatArray:
        """Return the sample covariances, shape (a, s, k, k): NaN in cells of fewer than two rows.

        A spread that is no more than the rounding of the mean is none: a constant column has variance 0.
        """
        n = self.count[..., None, None]
        cov = np.divide(self.scatter, n - 1, out=np.full_like(self.scatter, np.nan), where=n > 1)
        still = np.diagonal(cov, axis1=-2, axis2=-1) <= (ROUNDING * self.mean) ** 2
        if still.any():
            cov[still[..., :, None] | still[..., None, :]] = 0.0
        return cov

    def position(self, column: str) -> int:
        """Return where a column stands, or raise with the nearest name."""
        if column not in self.columns:
            raise MissingColumnError(
                f"the moments have no column {column!r}: they have {', '.join(map(repr, self.columns))}."
                + did_you_mean(column, self.columns)
            )
        return self.columns.index(column)

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"rows": int(self.count.sum()), "arms": ", ".join(self.arms)}
        if len(self.segments) > 1:
            facts["segments"] = len(self.segments)
        return facts | {"columns": ", ".join(self.columns)}

    def _table(self) -> dict[str, Any]:
        total = self.total()
        variance = np.diagonal(total.covariance()[:, 0], axis1=-2, axis2=-1)
        a, k = len(self.arms), len(self.columns)
        return {
            "arm": [arm for arm in self.arms for _ in range(k)],
            "column": [name for _ in range(a) for name in self.columns],
            "rows": np.repeat(total.count[:, 0].astype(np.int64), k).tolist(),
            "mean": total.mean[:, 0].reshape(-1).tolist(),
            "sd": np.sqrt(variance).reshape(-1).tolist(),
        }


def _shaped(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    short = (shape[0], *shape[2:])
    if shape[1] == 1 and array.shape == short:
        array = array.reshape(shape)
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}: {shape}{f' or {short}' if shape[1] == 1 else ''} is needed.")
    if not np.isfinite(array).all():
        raise InputError(f"{name} has a value that is not finite. Give 0 for cells without rows.")
    return array


def columns_by_name(data: Any, names: Sequence[str], length: int) -> dict[str, npt.NDArray[Any]]:
    """Return columns of a mapping or a dataframe as arrays of numbers of the given length."""
    found = columns_of(data, names)
    return {name: _number_column(name, found[name], length) for name in names}


def _number_column(name: str, values: Any, length: int) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype == object:
        array = checks.numbers(name, array, missing=True)
    if array.dtype.kind not in "iufb" or array.ndim != 1:
        raise InputError(f"{name} has dtype {array.dtype} and shape {array.shape}: one column of numbers is needed.")
    checks.same_length(name, array, length)
    return array


def _refuse(names: Sequence[str], arrays: Sequence[npt.NDArray[Any]], outside: npt.NDArray[np.bool_]) -> None:
    """Raise about the first value that is not finite; where all are, about sums that overflow."""
    for name, array in zip(names, arrays, strict=True):
        bad = ~np.isfinite(array) & ~outside
        checks.refuse_rows(
            name,
            bad,
            array,
            "finite numbers are needed",
            "Fill these rows (0 for who bought nothing), or drop them first.",
        )
    raise InputError(f"{', '.join(names)}: the values are so large that their sums are not finite. Change the unit.")


def arm_codes(arm: Any) -> tuple[tuple[str, ...], IntArray]:
    """Return the arms' names and each row's position among them, -1 for who is outside."""
    if isinstance(arm, Assignment):
        return arm.arms, arm.code
    array = np.asarray(arm)
    if array.ndim != 1:
        raise InputError(f"arm has shape {array.shape}: one arm a row is needed.")
    if array.dtype.kind in "iub":
        return _integer_codes(array)
    names, codes = _named_codes("arm", array)
    if names and names[0] == "":
        return names[1:], np.maximum(codes - 1, -1)
    return names, codes


def _integer_codes(array: npt.NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    if array.dtype.kind == "b":
        array = array.view(np.int8)
    low, high = int(array.min(initial=0)), int(array.max(initial=-1))
    if low < -1:
        raise InputError(f"arm has {low}: arms are whole numbers of 0 or more, and -1 for who is outside.")
    if high > 10_000:
        raise InputError(f"arm has {high}: is this a customer's number? Arms are names or small whole numbers.")
    names = tuple(str(n) for n in range(high + 1))
    if len(np.unique(array[:10_000])) == high + 1 and low == 0:  # every arm is met at once: no need to count them all
        return names, array.astype(np.int64, copy=False)
    seen = np.flatnonzero(np.bincount(array.astype(np.int64) + 1, minlength=high + 2)[1:])
    if len(seen) == high + 1:
        return names, array.astype(np.int64, copy=False)
    table = np.full(high + 2, -1, dtype=np.int64)  # the last entry is where -1 looks
    table[seen] = np.arange(len(seen))
    return tuple(str(n) for n in seen), table[array]


def segment_codes(segment: Any, length: int) -> tuple[tuple[str, ...], IntArray | None]:
    """Return the segments' names and each row's position among them."""
    if segment is None:
        return ("",), None
    array = np.asarray(segment)
    if array.ndim != 1:
        raise InputError(f"segment has shape {array.shape}: one segment a row is needed.")
    checks.same_length("segment", array, length)
    if array.dtype.kind == "b":
        return ("no", "yes"), array.astype(np.int64)
    if array.dtype.kind in "iu":
        values, codes = np.unique(array, return_inverse=True)
        return tuple(str(value) for value in values), codes.reshape(-1).astype(np.int64)
    names, codes = _named_codes("segment", array)
    if names and names[0] == "":
        names, codes = names[1:], np.maximum(codes - 1, -1)
    if (codes < 0).any():  # a segment that is not known is one of its own
        return (*names, "unknown"), np.where(codes < 0, len(names), codes)
    return names, codes


def _named_codes(name: str, array: npt.NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    """Return the distinct texts in ascending order and each row's position among them, -1 where it is missing."""
    if array.dtype.kind not in "OUT":
        raise InputError(f"{name} has dtype {array.dtype}: names or whole numbers are needed.")
    names, codes = code_texts(name, array)
    return tuple(names.tolist()), codes.astype(np.int64, copy=False)
