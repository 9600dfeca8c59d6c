"""The data that the models of this package are fitted to: how often and when last each customer bought, and the age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.as_of import read_as_of
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.frozen import owned
from relmark.core.results import ColumnarResult
from relmark.core.time import duration
from relmark.ltv._cells import unique_rows
from relmark.ltv._covariates import CovariateColumns, read_covariates
from relmark.ltv.season import Season, season_of

# Days in each unit of time. A period has no fixed length: it is one opportunity of a discrete model.
UNIT_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "year": 365.25}
UNITS = (*UNIT_DAYS, "period")
_DAY = 86_400_000_000
# Beyond these, squares of times and sums of money leave the range of floats, and integrals need too many nodes.
_MOST_PURCHASES = 1e9
_LEAST, _MOST = 1e-50, 1e50
# Columns of which only the sum over customers is used: cells carry one number.
_TOTALS = ("log_gaps", "log_season")

TimeAhead: TypeAlias = timedelta | float | npt.ArrayLike | Sequence[timedelta]
"""A time ahead: a timedelta, a number in the unit of the model, or a column of either with one value per customer."""


def _given(values: npt.ArrayLike) -> Any:
    return values


def _given_or_none(values: npt.ArrayLike | None) -> Any:
    return values


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PurchaseSummary(ColumnarResult):
    """The purchase history of each customer in three numbers, and the mean spend.

    They are all that the models of this package need. Models of regular buyers and seasons also use `log_gaps` and
    `log_season`, which `purchase_summary` computes.

    Parameters
    ----------
    frequency : array_like, shape (n,)
        Repeat purchases x: purchases after the first. Whole numbers, 0 or more.
    recency : array_like, shape (n,)
        The customer's age at the last purchase, t_x: 0 for customers who bought once, and at most T. (The days since
        the last purchase, as in RFM, are T - recency.)
    T : array_like, shape (n,)
        The customer's age: from the first purchase to the end of the observation.
    monetary_value : array_like, shape (n,), optional
        The mean value of the repeat purchases. It is not read where frequency is 0 and may be NaN there.
    unit : {"day", "week", "month", "year", "period"}
        The unit of recency and T; a period is one opportunity to buy, for `BgBb`.
    weights : array_like, shape (n,), optional
        How many customers each row stands for; 1 by default.
    log_gaps : float, or array_like of shape (n,), optional
        The sum of the logarithms of the times between purchases, in the unit: one per customer, or one number for all
        customers together, weights included. Only fits of `MbgCnbd` and `BgCnbd` use it, and only the total.
    customer_id : array_like, shape (n,), optional
        The customers' ids, which results about them carry.
    season : Season, optional
        The season by whose clock recency, T and log_gaps count, instead of the calendar.
    log_season : float, or array_like of shape (n,), optional
        The sum of ln(pace of the season's clock) over the repeat purchases: one per customer, or one for all together.
    last_day : datetime64[D] or date, optional
        The last day of the observation; T ends at the end of it. With a season, predictions need it.
    counts : mapping of str to int
        How many purchases were merged or dropped when the log was read, by reason.
    covariates : mapping or frame of columns of shape (n,), optional
        What else is known about each customer, as numbers or booleans by name; see `with_covariates`.

    Raises
    ------
    InputError
        A column has another length, a frequency is negative or fractional, recency is above T, or recency is above 0
        where frequency is 0. The message names the first bad row.

    Examples
    --------
    >>> s = PurchaseSummary(frequency=[2, 0], recency=[30.43, 0.0], T=[38.86, 38.86], unit="week")
    >>> len(s), s.n_customers
    (2, 2.0)
    """

    customer_id: npt.NDArray[Any] | None = attrs.field(default=None, converter=_given_or_none)
    frequency: FloatArray = attrs.field(converter=_given)
    recency: FloatArray = attrs.field(converter=_given)
    T: FloatArray = attrs.field(converter=_given)
    monetary_value: FloatArray | None = attrs.field(default=None, converter=_given_or_none)
    weights: FloatArray | None = attrs.field(default=None, converter=_given_or_none)
    log_gaps: npt.ArrayLike | None = None
    season: Season | None = None
    log_season: npt.ArrayLike | None = None
    last_day: date | np.datetime64 | str | None = None
    unit: str = "week"
    counts: Mapping[str, int] = attrs.field(factory=dict)
    covariates: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Check the columns against each other and make them float64."""
        x = checks.numbers("frequency", self.frequency, low=0.0, high=_MOST_PURCHASES)
        checks.refuse_rows("frequency", x != np.floor(x), x, "whole numbers of repeat purchases are needed")
        n = len(x)
        age = checks.numbers("T", self.T, length=n, low=0.0)
        _refuse_scale("T", age, "Count time in another unit.")
        t_x = checks.numbers("recency", self.recency, length=n, low=0.0)
        checks.refuse_rows(
            "recency",
            t_x > age,
            t_x,
            "the age at the last purchase can be at most T",
            "Recency is counted from the first purchase; if yours counts from the last one, give T - recency.",
        )
        checks.refuse_rows(
            "recency", (x == 0) & (t_x > 0), t_x, "a customer who never bought again (frequency 0) has recency 0"
        )
        columns = {"frequency": x, "recency": t_x, "T": age}
        if self.monetary_value is not None:
            money = checks.numbers("monetary_value", self.monetary_value, length=n, missing=True)
            checks.refuse_rows(
                "monetary_value",
                np.isnan(money) & (x > 0),
                money,
                "a repeat buyer (frequency above 0) needs a mean spend",
            )
            _refuse_scale("monetary_value", np.abs(money), "Count money in another unit.")
            columns["monetary_value"] = money
        if self.weights is not None:
            columns["weights"] = checks.numbers("weights", self.weights, length=n, above=0.0)
        if self.customer_id is not None:
            ids = np.atleast_1d(np.asarray(self.customer_id))
            checks.same_length("customer_id", ids, n)
            columns["customer_id"] = ids
        if self.log_gaps is not None:
            self._read_log_gaps(self.log_gaps, columns)
        self._read_season(columns)
        for name, column in columns.items():
            object.__setattr__(self, name, owned(column))
        checks.one_of("unit", self.unit, UNITS)
        object.__setattr__(self, "covariates", read_covariates("covariates", self.covariates, n))
        ColumnarResult.__attrs_post_init__(self)

    def _read_log_gaps(self, given: npt.ArrayLike, columns: dict[str, FloatArray]) -> None:
        """Check the logarithms of gaps: x gaps that add up to t_x have their largest product if all are equal."""
        x, t_x = columns["frequency"], columns["recency"]
        most = np.zeros(len(x))
        again = x > 0
        with np.errstate(divide="ignore"):
            most[again] = x[again] * np.log(t_x[again] / x[again])
        said = (
            f"the x gaps of a customer add up to recency, in {self.unit}s, so that their logarithms add up to "
            "x ln(recency / x)"
        )
        if np.ndim(given) == 0:
            weights = columns.get("weights")
            total = checks.number("log_gaps", given)
            largest = float(most.sum() if weights is None else weights @ most)
            if total > largest + 1e-9 * max(1.0, abs(largest)):
                raise InputError(
                    f"log_gaps is {total:g}, and at most {largest:g} is possible: {said} at most.",
                    argument="log_gaps",
                    code="wrong_value",
                    hint="Check the unit and the weights, or let purchase_summary compute it.",
                )
            object.__setattr__(self, "log_gaps", total)
            return
        gaps = checks.numbers("log_gaps", given, length=len(x))
        checks.refuse_rows(
            "log_gaps", ~again & (gaps != 0.0), gaps, "a customer who never bought again has no gaps, and log_gaps 0"
        )
        checks.refuse_rows("log_gaps", gaps > most + 1e-9 * np.maximum(1.0, np.abs(most)), gaps, f"{said} at most")
        columns["log_gaps"] = gaps

    def _read_season(self, columns: dict[str, FloatArray]) -> None:
        season_of(self.season)
        if self.last_day is not None:
            day = read_as_of(self.last_day, tz="UTC", name="last_day").day
            object.__setattr__(self, "last_day", np.datetime64(day, "D"))
        if self.season is None:
            if self.log_season is not None:
                raise InputError(
                    "log_season is given without a season.", argument="log_season", code="conflicting_arguments"
                )
            return
        if self.unit not in UNIT_DAYS:
            raise InputError(
                f"a season counts days, and the summary counts in {self.unit}s, which have no length in days.",
                argument="season",
                code="conflicting_arguments",
            )
        if self.last_day is None:
            raise InputError(
                "the summary has a season but no last_day, and a season needs dates.",
                argument="last_day",
                code="missing_argument",
                hint="Make it with purchase_summary(base, as_of=..., season=...).",
            )
        if self.log_season is not None and np.ndim(self.log_season) == 0:
            object.__setattr__(self, "log_season", checks.number("log_season", self.log_season))
        elif self.log_season is not None:
            columns["log_season"] = checks.numbers("log_season", self.log_season, length=len(columns["T"]))

    def _total(self, name: str) -> float | None:
        value: Any = getattr(self, name)
        if value is None or isinstance(value, float):
            return value
        return float(value.sum() if self.weights is None else self.weights @ value)

    @property
    def log_gaps_total(self) -> float | None:
        """The sum of the logarithms of all customers' gaps, weights included; None if it was not given."""
        return self._total("log_gaps")

    @property
    def log_season_total(self) -> float | None:
        """The sum of ln(pace) over all repeat purchases, weights included; None if it was not given."""
        return self._total("log_season")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frequency)

    @property
    def n_customers(self) -> float:
        """How many customers the rows stand for: the sum of the weights."""
        return float(len(self)) if self.weights is None else float(self.weights.sum())

    def horizon(self, t: TimeAhead, name: str = "t") -> float | FloatArray:
        """Return a time ahead in the summary's unit, as one number or one per customer.

        Parameters
        ----------
        t : timedelta, number, or array_like of shape (n,)
            A timedelta, a number in the summary's unit, or a column of numbers or timedelta64.
        name : str
            The name of the argument, for error messages.
        """
        return horizon(t, self.unit, name=name, length=len(self))

    def with_covariates(self, covariates: CovariateColumns) -> PurchaseSummary:
        """Return the summary with columns of what else is known about each customer.

        A fit refers to them by name, ``BgNbd.fit(s, covariates={"rate": ["loyal"]})``, and predictions of such a model
        read them from the summary.

        Parameters
        ----------
        covariates : mapping or frame of columns of shape (n,)
            Numbers or booleans by name, in the order of the summary's rows, without missing values.

        Examples
        --------
        >>> s = PurchaseSummary(frequency=[2, 0], recency=[30.43, 0.0], T=[38.86, 38.86])
        >>> s.with_covariates({"loyal": [True, False]}).covariates["loyal"]
        array([1., 0.])
        """
        return attrs.evolve(self, covariates=covariates)

    def cells(self) -> PurchaseSummary:
        """Return the distinct rows of frequency, recency, T and covariates, with weights, without ids and spend.

        A fit to the cells equals the fit to the customers; `log_gaps` becomes one number for all. Add the cells of
        different customers with ``+``.
        """
        columns, total, _ = unique_rows([self.frequency, self.recency, self.T, *self.covariates.values()], self.weights)
        return PurchaseSummary(
            frequency=columns[0],
            recency=columns[1],
            T=columns[2],
            weights=total,
            log_gaps=self.log_gaps_total,
            season=self.season,
            log_season=self.log_season_total,
            last_day=self.last_day,
            unit=self.unit,
            counts=self.counts,
            covariates=dict(zip(self.covariates, columns[3:], strict=True)),
        )

    def spend_cells(self) -> SpendCells:
        """Return the distinct rows of (frequency, monetary_value) of the repeat buyers with their weights."""
        if self.monetary_value is None:
            raise InputError(
                "the summary has no monetary_value: make it from a log whose purchases have values.",
                argument="summary",
                code="missing_argument",
            )
        again = self.frequency > 0
        (x, money), total, _ = unique_rows(
            [self.frequency[again], self.monetary_value[again]],
            None if self.weights is None else self.weights[again],
        )
        return SpendCells(frequency=x, monetary_value=money, weights=total)

    def take(self, rows: npt.NDArray[Any] | slice) -> PurchaseSummary:
        """Return the summary of some rows, chosen by a mask or by positions; a single total of log_gaps is dropped."""
        chosen: dict[str, Any] = {
            name: column[rows] if isinstance(column := getattr(self, name), np.ndarray) else None
            for name in ("customer_id", "frequency", "recency", "T", "monetary_value", "weights", *_TOTALS)
        }
        held = {name: column[rows] for name, column in self.covariates.items()}
        return PurchaseSummary(**chosen, season=self.season, last_day=self.last_day, unit=self.unit, covariates=held)

    def __add__(self, other: object) -> PurchaseSummary:
        """Return both summaries as one, if no customer is in both: cells are merged, rows with ids sorted by id."""
        if not isinstance(other, PurchaseSummary):
            return NotImplemented
        if self.unit != other.unit:
            raise InputError(
                f"one summary counts in {self.unit}s, the other in {other.unit}s: both must have one unit.",
                argument="other",
                code="not_mergeable",
            )
        if self.season != other.season or (self.season is not None and self.last_day != other.last_day):
            raise InputError(
                "the summaries count by clocks of different seasons, or end on different days: both must be the same.",
                argument="other",
                code="not_mergeable",
            )
        if set(self.covariates) != set(other.covariates):
            raise InputError(
                f"one summary has the covariates {sorted(self.covariates)}, the other {sorted(other.covariates)}.",
                argument="other",
                code="not_mergeable",
                hint="Give both the same columns.",
            )
        has_ids = self.customer_id is not None and other.customer_id is not None
        names = [*(("customer_id",) if has_ids else ()), "frequency", "recency", "T", "monetary_value"]
        columns: dict[str, Any] = {
            name: None
            if getattr(self, name) is None or getattr(other, name) is None
            else np.concatenate([getattr(self, name), getattr(other, name)])
            for name in names
        }
        for name in _TOTALS:
            values = getattr(self, name), getattr(other, name)
            if all(isinstance(value, np.ndarray) for value in values):
                columns[name] = np.concatenate(values)
            elif values[0] is not None and values[1] is not None:
                columns[name] = (self._total(name) or 0.0) + (other._total(name) or 0.0)
        columns |= {"season": self.season, "last_day": self.last_day if self.last_day == other.last_day else None}
        if self.weights is not None or other.weights is not None:
            columns["weights"] = np.concatenate(
                [np.ones(len(s)) if s.weights is None else s.weights for s in (self, other)]
            )
        counts = {k: self.counts.get(k, 0) + other.counts.get(k, 0) for k in {**self.counts, **other.counts}}
        known = {name: np.concatenate([c, other.covariates[name]]) for name, c in self.covariates.items()}
        both = PurchaseSummary(**columns, unit=self.unit, counts=counts, covariates=known)
        if not has_ids:
            return both.cells() if both.monetary_value is None else both
        owners: npt.NDArray[Any] = np.asarray(both.customer_id)
        order = np.argsort(owners, kind="stable")
        ids = owners[order]
        twice = ids[1:] == ids[:-1]
        checks.refuse_rows("customer_id", twice, ids[1:], "the two summaries must have different customers")
        whole = {name: getattr(both, name) for name in _TOTALS if isinstance(getattr(both, name), float)}
        return attrs.evolve(both.take(order), counts=counts, **whole)

    def _facts(self) -> dict[str, Any]:
        again = self.frequency > 0
        weight = np.ones(len(self)) if self.weights is None else self.weights
        total = weight.sum()
        share = float(weight[again].sum() / total) if total else float("nan")
        facts: dict[str, Any] = {
            "rows": len(self),
            "customers": float(total),
            "unit": self.unit,
            "bought_again": round(share, 4),
        }
        changed = {k: v for k, v in self.counts.items() if v and k != "events"}
        facts |= {"covariates": ", ".join(self.covariates)} if self.covariates else {}
        return facts | ({"counts": changed} if changed else {})


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpendCells(ColumnarResult):
    """Distinct pairs of frequency and mean spend of repeat buyers, with weights: all that Gamma-Gamma needs.

    Parameters
    ----------
    frequency : array_like, shape (n,)
        Repeat purchases, 1 or more.
    monetary_value : array_like, shape (n,)
        The mean value of the repeat purchases.
    weights : array_like, shape (n,), optional
        How many customers each row stands for; 1 by default.
    """

    frequency: FloatArray = attrs.field(converter=_given)
    monetary_value: FloatArray = attrs.field(converter=_given)
    weights: FloatArray = attrs.field(default=None, converter=_given_or_none)

    def __attrs_post_init__(self) -> None:
        """Check the columns against each other and make them float64."""
        x = checks.numbers("frequency", self.frequency, low=1.0, high=_MOST_PURCHASES)
        checks.refuse_rows("frequency", x != np.floor(x), x, "whole numbers of repeat purchases are needed")
        money = checks.numbers("monetary_value", self.monetary_value, length=len(x))
        _refuse_scale("monetary_value", np.abs(money), "Count money in another unit.")
        given: FloatArray | None = self.weights
        weights = np.ones(len(x)) if given is None else given
        weights = checks.numbers("weights", weights, length=len(x), above=0.0)
        for name, column in (("frequency", x), ("monetary_value", money), ("weights", weights)):
            object.__setattr__(self, name, owned(column))
        ColumnarResult.__attrs_post_init__(self)

    def __add__(self, other: object) -> SpendCells:
        """Return the cells of both together, if no customer is in both."""
        if not isinstance(other, SpendCells):
            return NotImplemented
        (x, money), total, _ = unique_rows(
            [
                np.concatenate([self.frequency, other.frequency]),
                np.concatenate([self.monetary_value, other.monetary_value]),
            ],
            np.concatenate([self.weights, other.weights]),
        )
        return SpendCells(frequency=x, monetary_value=money, weights=total)


def unit_days(unit: str | None, what: str) -> float:
    """Return the days in a unit of time, or raise if the unit has no length."""
    if unit is None or unit not in UNIT_DAYS:
        said = "has no unit of time" if unit is None else f"counts in {unit}s, which have no length in days"
        raise InputError(
            f"{what} {said}: give a number instead of a timedelta, or set unit= to day, week or month.",
            argument="unit",
            code="missing_argument",
        )
    return UNIT_DAYS[unit]


def horizon(t: TimeAhead, unit: str | None, *, name: str = "t", length: int | None = None) -> float | FloatArray:
    """Return a time ahead in a unit: a number, or an array if an array was given."""
    if isinstance(t, timedelta):
        ahead = duration(name, t, positive=False) / _DAY / unit_days(unit, "the summary or model")
        return checks.number(name, ahead, low=0.0)
    array = np.asarray(t)
    if array.dtype.kind == "m":
        whole = array.astype("m8[us]").astype(np.int64) / _DAY / unit_days(unit, "the summary or model")
        return horizon(float(whole) if whole.ndim == 0 else whole, unit, name=name, length=length)
    if array.dtype == object and array.ndim == 1 and all(isinstance(value, timedelta) for value in array):
        return horizon(array.astype("m8[us]"), unit, name=name, length=length)
    if array.ndim == 0:
        return checks.number(name, t, low=0.0)
    return checks.numbers(name, array, length=length, low=0.0)


def _refuse_scale(name: str, values: FloatArray, remedy: str) -> None:
    """Raise if a value is outside what any sensible unit of time or money gives."""
    with np.errstate(invalid="ignore"):
        bad = (values > _MOST) | ((values < _LEAST) & (values > 0))
    checks.refuse_rows(name, bad, values, f"0, or values between {_LEAST:g} and {_MOST:g}, are needed", remedy)


def need_repeat_buyers(summary: PurchaseSummary, model: str) -> None:
    """Raise if nobody bought twice, since no model can then tell how often people buy."""
    if not isinstance(summary, PurchaseSummary):
        raise InputError(
            f"a PurchaseSummary is needed to fit {model}, not {checks.shown(summary)}.",
            argument="summary",
            code="wrong_type",
        )
    if not (summary.frequency > 0).any():
        raise NotEnoughDataError(
            f"none of these {summary.n_customers:,.0f} customers bought twice: {model} cannot be fitted.",
            argument="summary",
            hint="Observe for longer, or check that the purchases of each customer are on different days.",
        )


def mean_age(summary: PurchaseSummary) -> float:
    """Return the weighted mean of T, or 1 if all are 0."""
    mean = float(np.average(summary.T, weights=summary.weights))
    return mean if mean > 0 else 1.0


def refuse_season(summary: PurchaseSummary, model: str) -> None:
    """Raise if a summary counts by a season, for a model in which people leave by the calendar, not at purchases."""
    if summary.season is not None:
        raise InputError(
            f"the summary has a season, and {model} cannot follow its clock: its people leave by the calendar, not "
            "at purchases.",
            argument="summary",
            code="not_supported",
            hint="Use MbgNbd, BgNbd, MbgCnbd, BgCnbd or Nbd.",
        )
