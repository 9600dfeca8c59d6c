"""Moments: the few numbers that the analysis of means needs from any number of rows, and that can be added.

They are count, mean and centered second moments of some columns, by arm and by segment. Rows are read once, in blocks,
each centered by its own mean. Blocks and whole results are added by Chan, Golub and LeVeque's update (1979), so that a
large offset costs no digits. Any SQL engine can compute the same from counts, means and covariances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frames import Frame, columns_of
from relmark.core.frozen import owned
from relmark.core.names import did_you_mean
from relmark.core.results import Result
from relmark.experiments._blocks import centered_sums, third_sums
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import Cells, arm_codes, segment_codes

__all__ = ["Moments"]


ROUNDING = 16 * np.finfo(np.float64).eps


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Moments(Result):
    """Count, means and centered second moments by arm and segment.

    Attributes
    ----------
    columns : tuple of str
        The names of the k columns.
    arms : tuple of str
        The names of the a arms.
    segments : tuple of str
        The names of the s segments; one empty name if rows were not divided.
    count : ndarray of float64, shape (a, s)
        The number of rows.
    mean : ndarray of float64, shape (a, s, k)
        Means; 0 where there are no rows.
    scatter : ndarray of float64, shape (a, s, k, k)
        Sums of products of deviations from the mean.
    excluded : int
        Rows outside any arm (code -1), which were left out.
    third : ndarray of float64, shape (a, s, k), optional
        Sums of cubed deviations from the mean, if they were asked for: the report then says where a skewed outcome and
        a small arm make a test unreliable. NaN for columns without them.

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
    count: FloatArray = attrs.field(converter=owned)
    mean: FloatArray = attrs.field(converter=owned)
    scatter: FloatArray = attrs.field(converter=owned)
    excluded: int = 0
    third: FloatArray | None = attrs.field(default=None, converter=attrs.converters.optional(owned))

    @classmethod
    def from_columns(
        cls,
        columns: Frame,
        arms: Assignment | npt.ArrayLike | str | None,
        *,
        segment: npt.ArrayLike | None = None,
        names: Sequence[str] | None = None,
        third: bool = False,
    ) -> Moments:
        """Return the moments of rows.

        Parameters
        ----------
        columns : mapping of str to array_like, or dataframe
            Finite numbers or booleans, shape (n,).
        arms : Assignment, array_like of str or int, shape (n,), or str
            The arm of each row, or the name of the column that has it. An integer -1 and an empty name mean outside the
            test: such rows are dropped and counted.
        segment : array_like, shape (n,), optional
            The segment of each row.
        names : sequence of str, optional
            The columns to use; all by default.
        third : bool
            Whether to add up cubed deviations too, which takes one more pass.

        Raises
        ------
        InputError
            A value is missing or infinite; the message names the row.
        MissingColumnError
            `columns` lacks one of the names.

        Notes
        -----
        Rows are read once, in blocks of 8,192; k (k + 3) / 2 + 1 numbers per cell are kept. Time is linear in the rows.
        """
        arm_names, codes = arm_codes(arms, columns)
        labels, groups = segment_codes(segment, len(codes))
        if names is None and isinstance(arms, str):
            names = [name for name in columns_of(columns) if name != arms]
        cells = Cells(arm_names, codes, labels, groups)
        made = cls.of_cells(columns, cells, names)
        return made.with_third(columns, cells, made.columns) if third else made

    @classmethod
    def of_cells(
        cls,
        columns: Frame,
        cells: Cells,
        names: Sequence[str] | None,
        pairs: Sequence[tuple[int, int]] | None = None,
    ) -> Moments:
        """Return the moments of rows whose arm and segment are coded; `pairs` are the products that are needed."""
        wanted = tuple(names if names is not None else columns_of(columns))
        arrays = list(columns_by_name(columns, wanted, len(cells.codes)).values())
        outside = cells.codes < 0
        excluded = int(np.count_nonzero(outside))
        count, mean, scatter = centered_sums(
            arrays, cells.cell, len(cells.arms) * len(cells.segments), excluded=bool(excluded), pairs=pairs
        )
        if not np.isfinite(mean).all():
            _refuse(wanted, arrays, outside)
        shape, k = (len(cells.arms), len(cells.segments)), len(wanted)
        return cls(
            columns=wanted,
            arms=cells.arms,
            segments=cells.segments,
            count=count.reshape(shape),
            mean=mean.reshape(*shape, k),
            scatter=scatter.reshape(*shape, k, k),
            excluded=excluded,
        )

    def with_third(self, columns: Frame, cells: Cells, names: Sequence[str]) -> Moments:
        """Return the moments with the cubed deviations of some columns, from the rows that they were made of."""
        third = np.full(self.mean.shape, np.nan)
        for name, array in columns_by_name(columns, names, len(cells.codes)).items():
            at = self.position(name)
            found = third_sums(array, cells.cell, self.mean[..., at].reshape(-1))
            third[..., at] = found.reshape(self.mean.shape[:2])
        return attrs.evolve(self, third=third)

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
        third: npt.ArrayLike | None = None,
    ) -> Moments:
        """Return the moments that another engine computed.

        Parameters
        ----------
        count : array_like, shape (a,) or (a, s)
            The number of rows of each arm.
        mean : array_like, shape (a, k) or (a, s, k)
            Means.
        cov : array_like, shape (a, k, k) or (a, s, k, k)
            Covariances, as from ``covar_samp`` (or ``covar_pop`` with ``ddof=0``). Never compute them from raw sums of
            squares, which lose all digits if the mean is large.
        columns, arms, segments : sequences of str
            The names, in the order of the arrays.
        ddof : {0, 1}
            The covariances were divided by n - ddof.
        third : array_like, shape (a, k) or (a, s, k), optional
            Third central moments, the mean of (x - mean)^3, for the note on skewed outcomes.

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
                raise InputError(
                    f"{what} are {', '.join(map(repr, given))}: a name is given twice.",
                    argument=what,
                    code="duplicate",
                )
        n = _shaped("count", count, (a, s))
        mu = _shaped("mean", mean, (a, s, k))
        c = _shaped("cov", cov, (a, s, k, k))
        checks.refuse_rows("count", (n < 0).reshape(-1), n.reshape(-1), "counts of 0 or more are needed")
        if not np.allclose(c, np.swapaxes(c, -1, -2), rtol=1e-6):
            raise InputError(
                "cov is not symmetric: cov[..., i, j] and cov[..., j, i] must agree.",
                argument="cov",
                code="wrong_value",
            )
        if (np.diagonal(c, axis1=-2, axis2=-1) < 0).any():
            raise InputError(
                "cov has a negative variance on its diagonal: variances of 0 or more are needed.",
                argument="cov",
                code="wrong_value",
            )
        scale = np.maximum(n - checks.whole("ddof", ddof, low=0, high=1), 0.0)
        return cls(
            columns=names,
            arms=arm_names,
            segments=labels,
            count=n,
            mean=np.where(n[..., None] > 0, mu, 0.0),
            scatter=c * scale[..., None, None],
            third=None if third is None else _shaped("third", third, (a, s, k)) * n[..., None],
        )

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together, with the arms and segments of either."""
        if not isinstance(other, Moments):
            return NotImplemented
        if self.columns != other.columns:
            raise InputError(
                f"moments of columns {', '.join(self.columns)} and of {', '.join(other.columns)} cannot be added: "
                "both need the same columns in the same order.",
                argument="other",
                code="not_mergeable",
            )
        arms = tuple(dict.fromkeys(self.arms + other.arms))
        segments = tuple(dict.fromkeys(self.segments + other.segments))
        (n1, m1, s1, t1), (n2, m2, s2, t2) = self._spread(arms, segments), other._spread(arms, segments)
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
            third=None if t1 is None or t2 is None else _third_of_both((n1, m1, s1, t1), (n2, m2, s2, t2)),
        )

    def _spread(self, arms: tuple[str, ...], segments: tuple[str, ...]) -> Sums:
        if arms == self.arms and segments == self.segments:
            return self.count, self.mean, self.scatter, self.third
        k = len(self.columns)
        count = np.zeros((len(arms), len(segments)))
        mean = np.zeros((*count.shape, k))
        scatter = np.zeros((*count.shape, k, k))
        at = np.ix_([arms.index(arm) for arm in self.arms], [segments.index(name) for name in self.segments])
        count[at], mean[at], scatter[at] = self.count, self.mean, self.scatter
        third = None
        if self.third is not None:
            third = np.zeros(mean.shape)
            third[at] = self.third
        return count, mean, scatter, third

    def of_segment(self, name: str) -> Moments:
        """Return the moments of one segment."""
        at = slice(self.segments.index(name), self.segments.index(name) + 1)
        third = None if self.third is None else self.third[:, at]
        return attrs.evolve(
            self,
            segments=("",),
            count=self.count[:, at],
            mean=self.mean[:, at],
            scatter=self.scatter[:, at],
            third=third,
            excluded=0,
        )

    def total(self) -> Moments:
        """Return the moments over all segments together."""
        if len(self.segments) == 1:
            return attrs.evolve(self, segments=("",))
        if not self.segments:  # no rows, and so no segment
            empty = self._spread(self.arms, ("",))
            return attrs.evolve(self, segments=("",), count=empty[0], mean=empty[1], scatter=empty[2], third=empty[3])
        count = self.count.sum(axis=1)
        weight = np.divide(self.count, count[:, None], out=np.zeros_like(self.count), where=count[:, None] > 0)
        base = self.mean[:, :1]  # deviations from one segment's mean keep the digits that sums of means would lose
        mean = base[:, 0] + np.einsum("as,ask->ak", weight, self.mean - base)
        away = np.where(self.count[..., None] > 0, self.mean - mean[:, None], 0.0)
        scatter = self.scatter.sum(axis=1) + np.einsum("as,ask,asl->akl", self.count, away, away)
        third = None
        if self.third is not None:
            square = np.diagonal(self.scatter, axis1=-2, axis2=-1)
            third = (self.third + 3 * away * square + self.count[..., None] * away**3).sum(axis=1)[:, None]
        return attrs.evolve(
            self,
            segments=("",),
            count=count[:, None],
            mean=mean[:, None],
            scatter=scatter[:, None],
            third=third,
        )

    def covariance(self) -> FloatArray:
        """Return the sample covariances, shape (a, s, k, k); NaN in cells with fewer than two rows.

        A spread that is only the rounding of the mean counts as none: a constant column has variance 0.
        """
        n = self.count[..., None, None]
        cov = np.divide(self.scatter, n - 1, out=np.full_like(self.scatter, np.nan), where=n > 1)
        still = np.diagonal(cov, axis1=-2, axis2=-1) <= (ROUNDING * self.mean) ** 2
        if still.any():
            cov[still[..., :, None] | still[..., None, :]] = 0.0
        return cov

    def position(self, column: str) -> int:
        """Return the position of a column, or raise, naming the nearest one."""
        if column not in self.columns:
            raise MissingColumnError(
                f"the moments have no column {column!r}: they have {', '.join(map(repr, self.columns))}.",
                argument="column",
                hint=did_you_mean(column, self.columns),
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
        raise InputError(
            f"{name} has shape {array.shape}: {shape}{f' or {short}' if shape[1] == 1 else ''} is needed.",
            argument=name,
            code="wrong_shape",
        )
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} has a value that is not finite: finite numbers are needed.",
            argument=name,
            code="not_finite",
            hint="Give 0 for cells without rows.",
        )
    return array


def columns_by_name(data: Any, names: Sequence[str], length: int) -> dict[str, npt.NDArray[Any]]:
    """Return columns of a mapping or a dataframe as arrays of numbers of the given length."""
    found = columns_of(data, names)
    return {name: _number_column(name, found[name], length) for name in names}


def _number_column(name: str, values: Any, length: int) -> npt.NDArray[Any]:
    array = checks.array_of(name, values)
    if array.dtype == object:
        array = checks.numbers(name, array, missing=True)
    if array.dtype.kind not in "iufb" or array.ndim != 1:
        raise InputError(
            f"{name} has dtype {array.dtype} and shape {array.shape}: one column of numbers is needed.",
            argument=name,
            code="wrong_shape",
        )
    checks.same_length(name, array, length)
    return array


def _refuse(names: Sequence[str], arrays: Sequence[npt.NDArray[Any]], outside: npt.NDArray[np.bool_]) -> None:
    """Raise for the first value that is not finite, or, if all are finite, because sums overflow."""
    for name, array in zip(names, arrays, strict=True):
        bad = ~np.isfinite(array) & ~outside
        checks.refuse_rows(
            name,
            bad,
            array,
            "finite numbers are needed",
            "Fill these rows (with 0 for people who bought nothing), or drop them first.",
        )
    raise InputError(
        f"{', '.join(names)}: the values are so large that their sums are not finite.",
        argument=names[0],
        code="not_finite",
        hint="Use a larger unit.",
    )


Sums = tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]


def _third_of_both(one: Sums, two: Sums) -> FloatArray:
    """Return the cubed deviations of both sets of rows: Pebay (2008), eq. 2.1 for p = 3."""
    (n1, m1, s1, t1), (n2, m2, s2, t2) = one, two
    assert t1 is not None
    assert t2 is not None
    n1, n2 = n1[..., None], n2[..., None]
    n = np.maximum(n1 + n2, 1.0)
    q1, q2 = (np.diagonal(s, axis1=-2, axis2=-1) for s in (s1, s2))
    delta = m2 - m1
    return np.asarray(
        t1 + t2 + delta**3 * n1 * n2 * (n1 - n2) / n**2 + 3 * delta * (n1 * q2 - n2 * q1) / n, dtype=np.float64
    )
