"""The scores of a whole base: totals, points by rule and group, bands and grades; and moves between bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.results import ColumnarResult, Result
from relmark.core.stored_arrays import StoredArrays, stored_moment

__all__ = ["BandMoves", "LeadScores", "ScoreHistory"]

TextArray = npt.NDArray[np.str_]
_NAMED = ("rules", "groups", "caps", "bands")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LeadScores(StoredArrays, ColumnarResult):
    """The scores of a base, aligned with its customers.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers of the base, in its order.
    total : ndarray of float64, shape (n,)
        The total points, as multiples of a thousandth.
    by_rule : ndarray of float64, shape (n, rules)
        The points of each rule after its own cap and floor, in the order of `rules`.
    by_group : ndarray of float64, shape (n, groups)
        The points of each group after its cap and floor, in the order of `groups`.
    by_cap : ndarray of float64, shape (n, caps)
        What each cap or floor of a group or of the total changed, in the order of `caps`: 0 or less for a cap, 0 or
        more for a floor. The points of the rules and these add up to the total.
    band : ndarray of str, shape (n,)
        The highest band whose lowest score is reached; "" below all bands.
    grade : ndarray of str, shape (n,)
        The grade, such as "A1"; "" if there is none.
    rules, groups, caps, bands : tuple of str
        The names of the rules, groups, caps and floors, and bands; bands from the highest to the lowest.
    name : str
        The name of the score.
    as_of : datetime64, or ndarray of datetime64, shape (n,)
        The date or instant of the scores, or one per customer.
    """

    _shown_by: ClassVar[str] = "total"
    stored_kind: ClassVar[str] = "lead_scores"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "customer_id": ("id", "n"), "total": ("number", "n"), "by_rule": ("number", "n", "rules"),
        "by_group": ("number", "n", "groups"), "by_cap": ("number", "n", "caps"), "band": ("text", "n"),
        "grade": ("text", "n"), "as_of": ("moment?", "n"),
    }  # fmt: skip

    customer_id: npt.NDArray[Any]
    total: FloatArray
    by_rule: FloatArray
    by_group: FloatArray
    by_cap: FloatArray
    band: TextArray
    grade: TextArray
    rules: tuple[str, ...]
    groups: tuple[str, ...]
    caps: tuple[str, ...]
    bands: tuple[str, ...]
    name: str
    as_of: np.datetime64 | npt.NDArray[np.datetime64]

    def _packed(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        when, one = stored_moment(self.as_of)
        arrays = {name: getattr(self, name) for name in self.axes if name != "as_of"}
        names = {name: list(getattr(self, name)) for name in _NAMED}
        return {**arrays, **when}, {"name": self.name, **names, **one}

    @classmethod
    def _unpacked(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:
        as_of = arrays.pop("as_of") if "as_of" in arrays else np.datetime64(values["as_of"])
        names: dict[str, Any] = {name: tuple(values[name]) for name in _NAMED}
        columns: dict[str, Any] = dict(arrays)
        for name, column in (("rules", "by_rule"), ("groups", "by_group"), ("caps", "by_cap")):
            if len(names[name]) != arrays[column].shape[1]:
                raise ValueError(f"{column} and {name} have different lengths")
        return cls(**columns, **names, name=values["name"], as_of=as_of)

    def counts(self) -> dict[str, int]:
        """Return the number of people by band, the highest band first; "" stands for people below the lowest band."""
        return {name: int(np.count_nonzero(self.band == name)) for name in (*self.bands, "")}

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns customer_id, total, band, grade, ``group.<name>``, ``rule.<name>`` and ``cap.<name>``."""
        columns: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in _COLUMNS}
        for kind, names, table in (
            ("group", self.groups, self.by_group),
            ("rule", self.rules, self.by_rule),
            ("cap", self.caps, self.by_cap),
        ):
            columns |= {f"{kind}.{name}": table[:, position] for position, name in enumerate(names)}
        return columns

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.customer_id)

    def _facts(self) -> dict[str, Any]:
        mean = float(self.total.mean()) if len(self) else float("nan")
        facts = {"name": self.name, "people": len(self), "mean": mean, "counts": self.counts()}
        return facts if np.ndim(self.as_of) else {"as_of": self.as_of, **facts}

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return {name: columns[name] for name in (*_COLUMNS, *(f"group.{name}" for name in self.groups))}


_COLUMNS = ("customer_id", "total", "band", "grade")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ScoreHistory(Result):
    """The scores of customers at several instants.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers of the base, in its order.
    times : ndarray of datetime64[us], shape (t,)
        The instants, in UTC.
    total : ndarray of float64, shape (n, t)
        The total points of each customer at each instant.
    band : ndarray of str, shape (n, t)
        The band of each customer at each instant; "" below all bands.
    bands : tuple of str
        The names of the bands, from the highest to the lowest.
    """

    customer_id: npt.NDArray[Any]
    times: npt.NDArray[np.datetime64]
    total: FloatArray
    band: TextArray
    bands: tuple[str, ...]

    def counts(self) -> dict[str, IntArray]:
        """Return the number of people in each band at each instant."""
        return {name: np.count_nonzero(self.band == name, axis=0) for name in (*self.bands, "")}

    def _facts(self) -> dict[str, Any]:
        return {"people": len(self.customer_id), "times": len(self.times), "bands": " ".join(self.bands)}

    def _table(self) -> dict[str, Any]:
        mean = self.total.mean(axis=0) if len(self.customer_id) else np.full(len(self.times), np.nan)
        named = {name or "(none)": counts for name, counts in self.counts().items()}
        return {"time": self.times, "mean total": mean, **named}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BandMoves(Result):
    """How people move between bands from one version of a score to another, or from one instant to a later one.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers of the base, in its order.
    before, after : ndarray of str, shape (n,)
        Each customer's band before and after; "" below all bands.
    change : ndarray of float64, shape (n,)
        The total after minus the total before.
    bands : tuple of str
        The names of the rows and columns of `counts`: the bands from high to low, "" last.
    counts : ndarray of int64, shape (k, k)
        The number of people by band before (row) and after (column).
    """

    customer_id: npt.NDArray[Any]
    before: TextArray
    after: TextArray
    change: FloatArray
    bands: tuple[str, ...]
    counts: IntArray

    @classmethod
    def of(cls, before: LeadScores, after: LeadScores) -> BandMoves:
        """Return the moves between two sets of scores of the same people."""
        bands = (*dict.fromkeys((*after.bands, *before.bands)), "")
        place = {name: position for position, name in enumerate(bands)}
        k = len(bands)
        codes = [_codes(side.band, place) for side in (before, after)]
        return cls(
            customer_id=before.customer_id,
            before=before.band,
            after=after.band,
            change=after.total - before.total,
            bands=bands,
            counts=np.bincount(codes[0] * k + codes[1], minlength=k * k).reshape(k, k),
        )

    @property
    def moved(self) -> int:
        """The number of people whose band changed."""
        return int(self.counts.sum() - np.trace(self.counts))

    def entered(self, band: str) -> npt.NDArray[Any]:
        """Return the ids of the people who are in a band after but were not before."""
        return np.asarray(self.customer_id[(self.after == band) & (self.before != band)])

    def left(self, band: str) -> npt.NDArray[Any]:
        """Return the ids of the people who were in a band before but are not after."""
        return np.asarray(self.customer_id[(self.before == band) & (self.after != band)])

    def _facts(self) -> dict[str, Any]:
        mean = float(self.change.mean()) if len(self.change) else float("nan")
        return {"people": len(self.customer_id), "moved": self.moved, "mean_change": mean}

    def _table(self) -> dict[str, Any]:
        named = [name or "(none)" for name in self.bands]
        return {"before \\ after": named, **{name: self.counts[:, j] for j, name in enumerate(named)}}


def _codes(names: TextArray, place: dict[str, int]) -> IntArray:
    found, inverse = np.unique(names, return_inverse=True)
    table = np.array([place[str(name)] for name in found], dtype=np.int64)
    return np.asarray(table[inverse]) if len(table) else np.empty(0, dtype=np.int64)
