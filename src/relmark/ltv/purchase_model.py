"""The predictions that all models of purchases share: NBD, BG/NBD, MBG/NBD, Pareto/NBD, BG/BB and their forms.

A model holds only its parameters. It reads frequency, recency and T of a summary and returns arrays with one value per
row. Each model provides private rowwise functions of a `Past`; this class checks the arguments, turns horizons into the
unit of the summary, and combines the results. A new customer is one with frequency, recency and T 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import islice
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast, overload

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven, read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.ltv._calendar_flow import calendar_rule
from relmark.ltv.alive_history import AliveHistory, history_of
from relmark.ltv.fit import FitReport
from relmark.ltv.intervals import PredictionInterval, prediction_interval
from relmark.ltv.season import Season, season_of
from relmark.ltv.simulation import Simulation, in_order
from relmark.ltv.summary import UNITS, PurchaseSummary, TimeAhead, horizon, unit_days

_Method = TypeVar("_Method", bound=Callable[..., Any])

_MOST_CELLS = 1 << 30
_MOST_NUMBERS = 10_000_000
_LARGEST_NUMBER = 100_000
_MOST_PERIODS = 1_000_000
_MOST_NEW = 100_000_000
_SMALLEST = 1e-100  # products and ratios of a few parameters stay within what a float64 holds


def parameter() -> Any:
    """Return the field of a parameter: one number above zero, neither extremely small nor extremely large."""

    def convert(value: float, field: attrs.Attribute[float]) -> float:
        found = checks.positive(field.name, value)
        if not _SMALLEST <= found <= 1 / _SMALLEST:
            raise InputError(
                f"{field.name} is {found:g}: a parameter must lie between {_SMALLEST:g} and {1 / _SMALLEST:g}.",
                argument=field.name,
                code="wrong_value",
            )
        return found

    return attrs.field(converter=attrs.Converter(convert, takes_field=True))


def unit_field() -> Any:
    """Return the field of the unit of time that the parameters count in, or None."""

    def check(_: Any, __: Any, unit: Any) -> None:
        checks.one_of("unit", unit, UNITS)

    return attrs.field(default=None, validator=attrs.validators.optional(check), metadata={"stored": False})


def season_field() -> Any:
    """Return the field of the season by whose clock the parameters count, or None for the calendar."""

    def convert(value: Season | Mapping[str, Any] | None) -> Season | None:
        if isinstance(value, Mapping):
            return Season._from_body(dict(value), Limits())  # noqa: SLF001
        return season_of(value)

    return attrs.field(default=None, converter=convert, repr=False, metadata={"stored": False})


class ParametricModel(Definition):
    """A model that is stored as its parameters, with its unit of time if it has one."""

    __slots__ = ()

    fit_report: FitReport | None
    _settings: ClassVar[tuple[str, ...]] = ()
    """What is stored in addition to the parameters: numbers of the model that a fit does not estimate."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the parameters, in the order of the report's arrays."""
        return tuple(f.name for f in attrs.fields(cls) if f.metadata.get("stored", True))

    @property
    def parameters(self) -> FloatArray:
        """The parameters as an array, shape (k,)."""
        return np.array([getattr(self, name) for name in self.names()], dtype=np.float64)

    def with_parameters(self, parameters: npt.ArrayLike) -> Self:
        """Return the same model with other parameters, without a report."""
        values = np.asarray(parameters, dtype=np.float64).tolist()
        return attrs.evolve(self, **dict(zip(self.names(), values, strict=True)), fit_report=None)  # type: ignore[call-arg]

    def interval(
        self,
        prediction: Callable[[Self], npt.ArrayLike],
        *,
        level: float = 0.95,
        method: str = "delta",
        resamples: int = 500,
        rng: np.random.Generator | int | None = 0,
    ) -> PredictionInterval:
        """Return any prediction with an interval for the uncertainty of the parameters.

        This is the uncertainty of the expectation, not the spread of what one customer will do, which
        `purchase_probabilities` gives.

        Parameters
        ----------
        prediction : callable
            A function of the model that returns a number or an array, such as
            ``lambda m: m.expected_purchases(summary, 39.0)``.
        level : float
            The confidence level, between 0 and 1.
        method : {"delta", "draws"}
            "delta" treats the prediction as a linear function of the log parameters, and takes two predictions per
            parameter. "draws" takes quantiles over parameters drawn from their normal approximation, and stays within
            the range of the prediction.
        resamples : int
            The number of draws of the parameters.
        rng : Generator or int, optional
            The random generator of the draws, or its seed; None for a new one at each call.

        Returns
        -------
        PredictionInterval
            `value`, `low` and `high` in the shape of the prediction. The ends are NaN, with a `reason`, if the model
            was not fitted or its fit did not converge.
        """
        return prediction_interval(self, prediction, level=level, method=method, resamples=resamples, rng=rng)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            **{name: shapes.number(low=_SMALLEST, high=1.0 / _SMALLEST) for name in cls.names()},
            **({"unit": shapes.maybe(shapes.name(limits.string))} if "unit" in cls._extras() else {}),
            **({"season": shapes.maybe(shapes.obj(*Season._shape(limits)))} if "season" in cls._extras() else {}),  # noqa: SLF001
        }, cls.names()

    @classmethod
    def _extras(cls) -> tuple[str, ...]:
        """Return what may be stored in addition to the parameters."""
        return tuple(field.name for field in attrs.fields(cls) if field.name in {"unit", "season"})

    def _body(self) -> dict[str, Any]:
        unit, season = getattr(self, "unit", None), getattr(self, "season", None)
        body = {name: getattr(self, name) for name in (*self._settings, *self.names())}
        body |= {} if unit is None else {"unit": unit}
        return body | ({} if season is None else {"season": season._body()})  # noqa: SLF001

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=(*cls._settings, *cls.names()), optional=cls._extras(), what=cls.kind)
        for name in cls.names():
            value = body[name]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise DefinitionError(f"{value!r} is not a number.", path=f"$.{name}", code="wrong_type")
        return built(cls, body)


def by_customer(method: _Method) -> _Method:
    """Make a prediction use each customer's own parameters, if the model has effects of covariates."""

    @wraps(method)
    def of_each(self: PurchaseModel, summary: PurchaseSummary, *args: Any, **settings: Any) -> Any:
        return method(self._of(summary), summary, *args, **settings)

    return cast("_Method", of_each)


class Past(NamedTuple):
    """What a model knows about customers: repeat purchases, age at the last one, and age; arrays of one length."""

    x: FloatArray
    t_x: FloatArray
    T: FloatArray

    def at(self, rows: npt.NDArray[Any]) -> Past:
        """Return the past of some rows."""
        return Past(self.x[rows], self.t_x[rows], self.T[rows])


def _new(n: int) -> Past:
    """Return n customers on the day of their first purchase."""
    return Past(np.zeros(n), np.zeros(n), np.zeros(n))


class PurchaseModel(ParametricModel, ABC):
    """The predictions that all models of purchases give."""

    __slots__ = ()

    unit: str | None
    discrete: ClassVar[bool] = False
    silence_tells: ClassVar[bool] = False
    """Whether the time since the last purchase says not only whether a customer is alive, but when the next is due."""

    # ---- what a model gives: rowwise functions on arrays of one length

    @abstractmethod
    def _alive(self, past: Past) -> FloatArray:
        """Return P(alive at T)."""

    @abstractmethod
    def _survival(self, past: Past, s: FloatArray) -> FloatArray:
        """Return P(alive at T + s | alive at T)."""

    @abstractmethod
    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        """Return the purchases expected in (T, T + t] given alive at T."""

    @abstractmethod
    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        """Return the discounted purchases expected in (T, T + t] given alive at T; t may be infinite if delta > 0."""

    def _until(self, past: Past, ends: list[float], delta: float) -> FloatArray:
        """Return the discounted purchases expected until each of some ascending ends, shape (len(ends), rows)."""
        many, t = Past(*(np.tile(column, len(ends)) for column in past)), np.repeat(ends, len(past.x))
        result = self._discounted(many, t, delta) if delta else self._expected(many, t)
        # rounding must not make purchases of a late step negative
        return np.maximum.accumulate(result.reshape(len(ends), len(past.x)), axis=0)

    @abstractmethod
    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        """Return P(n purchases in (T, T + t] | alive at T), shape (rows, len(n))."""

    @abstractmethod
    def _total(self, past: Past) -> FloatArray:
        """Return all purchases ever expected given alive at T, undiscounted; inf where there is no finite mean."""

    @abstractmethod
    def _rate(self, past: Past) -> FloatArray:
        """Return the posterior mean of the purchase rate."""

    @abstractmethod
    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        """Return when a purchase has come with the given chance, below 1, given alive at T; inf where it never does."""

    @abstractmethod
    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Return drawn purchases in (T, T + until]: rows and times after T, in the order of rows and time."""

    # ---- the public predictions

    @by_customer
    def probability_alive(self, summary: PurchaseSummary, at: TimeAhead = 0.0) -> FloatArray:
        """Return the probability that each customer is still a customer at a time ahead, shape (n,).

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        at : timedelta, number or array_like, shape (n,)
            The time after the end of the observation. 0 gives P(alive) in its usual sense. For a later time the result
            is P(alive at T) times the chance of staying a customer until then.
        """
        past = self._columns(summary)
        ahead = self._ahead(summary, at, "at")
        now = self._alive(past)
        return now if not ahead.any() else now * self._survival(past, ahead)

    @by_customer
    def expected_purchases(self, summary: PurchaseSummary, t: TimeAhead) -> FloatArray:
        """Return the purchases that each customer is expected to make in the time t after T, shape (n,).

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        t : timedelta, number or array_like, shape (n,)
            The horizon: a timedelta or a number in the summary's unit, one for all or one per customer.
        """
        past = self._columns(summary)
        return self._alive(past) * self._expected(past, self._ahead(summary, t, "t"))

    @by_customer
    def expected_purchases_until(
        self, summary: PurchaseSummary, ends: Iterable[float], discount_rate: float = 0.0
    ) -> FloatArray:
        """Return the discounted purchases expected of each customer until each of several times, if alive at T.

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        ends : iterable of float
            Ascending times after T, in the summary's unit.
        discount_rate : float
            The continuous discount rate per unit of the summary.

        Returns
        -------
        ndarray, shape (len(ends), n)
        """
        past = self._columns(summary)
        times = checks.numbers("ends", list(ends), low=0.0)
        checks.refuse_rows("ends", np.diff(times, prepend=0.0) < 0, times, "ascending times are needed")
        self._whole(times, "ends")
        delta = checks.number("discount_rate", discount_rate, low=0.0)
        if self._clock is None:
            return self._until(past, times.tolist(), delta)
        if delta:
            return self._by_calendar(past, summary, times, delta)
        return self._until(past, self._on_clock(summary, times).tolist(), 0.0)

    @by_customer
    def expected_purchases_if_alive(
        self, summary: PurchaseSummary, t: TimeAhead, discount_rate: float = 0.0
    ) -> FloatArray:
        """Return the discounted purchases expected of each customer in the time t after T, if alive at T, shape (n,).

        Given that a customer is alive, only frequency and T matter, and recency does not. `MbgCnbd` and `BgCnbd` are
        exceptions: there the next purchase of a regular buyer is due sooner the longer ago the last one was.

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        t : timedelta, number or array_like, shape (n,)
            The horizon.
        discount_rate : float
            The continuous discount rate per unit of the summary.
        """
        past = self._columns(summary)
        delta = checks.number("discount_rate", discount_rate, low=0.0)
        if delta == 0.0:
            return self._expected(past, self._ahead(summary, t, "t"))
        if self._clock is None:
            return self._discounted(past, self._ahead(summary, t, "t"), delta)
        ends = np.broadcast_to(np.float64(summary.horizon(t)), (len(summary),))
        out = np.empty(len(summary), dtype=np.float64)
        for end in np.unique(ends):
            rows = np.flatnonzero(ends == end)
            some = self._at(rows)
            out[rows] = some._by_calendar(past.at(rows), summary, np.array([end]), delta)[0]  # noqa: SLF001
        return out

    @overload
    def expected_purchases_new(self, t: float, *, start: AsOfGiven | None = None) -> float: ...
    @overload
    def expected_purchases_new(self, t: TimeAhead, *, start: AsOfGiven | None = None) -> FloatArray | float: ...
    def expected_purchases_new(self, t: TimeAhead, *, start: AsOfGiven | None = None) -> FloatArray | float:
        """Return the repeat purchases that a new customer is expected to make in the time t after the first purchase.

        Parameters
        ----------
        t : timedelta, number or array_like, shape (n,)
            The horizon; a number is in the unit of the model. An array gives an array.
        start : date, datetime, datetime64 or str, optional
            The day of the first purchase. Required if the model has a season.
        """
        result = self._expected_of_new(self._new_ahead(t, start))
        return float(result[0]) if not (_is_column(t) or _is_column(start)) else result

    def _expected_of_new(self, ahead: FloatArray) -> FloatArray:
        """Return the purchases expected of a new customer, for times of the model's own clock."""
        self._refuse_new()
        result: FloatArray = self._alive(_new(1)) * self._expected(_new(len(ahead)), ahead)
        return result

    @by_customer
    def purchase_probabilities(self, summary: PurchaseSummary, t: TimeAhead, n: int | Iterable[int]) -> FloatArray:
        """Return the probability that each customer makes exactly n purchases in the time t after T.

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        t : timedelta, number or array_like, shape (n,)
            The horizon.
        n : int or iterable of int
            Numbers of purchases, 0 or more, such as ``range(5)``.

        Returns
        -------
        ndarray, shape (customers, len(n))
            Or (customers,) if n is a single number. A customer who has left makes 0 purchases.
        """
        past = self._columns(summary)
        counts = _counts(n)
        _refuse_table(len(summary), len(counts))
        now = self._alive(past)[:, None]
        later = self._probabilities(past, self._ahead(summary, t, "t"), counts)
        result: FloatArray = now * later + (1.0 - now) * (counts == 0)
        return result if isinstance(n, Iterable) else result[:, 0]

    def purchase_probabilities_new(
        self, t: TimeAhead, n: int | Iterable[int], *, start: AsOfGiven | None = None
    ) -> FloatArray:
        """Return the probability of exactly n repeat purchases in the time t after the first purchase.

        Parameters
        ----------
        t : timedelta, number or array_like, shape (m,)
            The horizon; a number is in the unit of the model.
        n : int or iterable of int
            Numbers of purchases, 0 or more.
        start : date, datetime, datetime64 or str, optional
            The day of the first purchase. Required if the model has a season.

        Returns
        -------
        ndarray, shape (m, len(n))
            Without the first axis if t is a single number, and without the second if n is.
        """
        counts = _counts(n)
        result = self._probabilities_of_new(self._new_ahead(t, start), counts)
        shaped: FloatArray = result if isinstance(n, Iterable) else result[:, 0]
        return shaped[0] if not (_is_column(t) or _is_column(start)) else shaped

    def _probabilities_of_new(self, ahead: FloatArray, counts: npt.NDArray[np.int64]) -> FloatArray:
        """Return the chances of numbers of purchases of a new customer, for times of the model's own clock."""
        self._refuse_new()
        _refuse_table(len(ahead), len(counts))
        now = self._alive(_new(1))
        later = self._probabilities(_new(len(ahead)), ahead, counts)
        result: FloatArray = now * later + (1.0 - now) * (counts == 0)
        return result

    @by_customer
    def residual_transactions(self, summary: PurchaseSummary, discount_rate: float) -> FloatArray:
        """Return the discounted number of all purchases that each customer still has ahead, shape (n,).

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        discount_rate : float
            The continuous discount rate per unit of the summary: 15 % per year is ln(1.15) / 52.18 = .0027 per week. At
            0 nothing is discounted, and the result is infinite where the model has no finite mean.

        Notes
        -----
        These are the discounted expected residual transactions, DERT (Fader, Hardie and Lee 2005, "RFM and CLV"):
        P(alive) times the integral of e^(-delta s) times the rate of purchases.
        """
        past = self._columns(summary)
        delta = checks.number("discount_rate", discount_rate, low=0.0)
        now = self._alive(past)
        if delta == 0.0:
            return now * self._total(past)
        return now * self._ever(past, summary, delta)

    @by_customer
    def posterior_rate(self, summary: PurchaseSummary) -> FloatArray:
        """Return the mean rate, per unit of the summary, at which each customer buys as long as alive, shape (n,).

        It is E[lambda | frequency, recency, T], averaged over whether the customer is alive or has left. With a season
        it is per unit of its clock: the rate at a time of average pace.
        """
        return self._rate(self._columns(summary))

    @by_customer
    def next_purchase_quantile(
        self, summary: PurchaseSummary, q: float = 0.5, *, given_alive: bool = False
    ) -> FloatArray:
        """Return the time after T by which each customer has bought again with probability q, shape (n,).

        Parameters
        ----------
        summary : PurchaseSummary
            The customers.
        q : float
            The probability, between 0 and 1.
        given_alive : bool
            Whether to assume that the customer is alive at T. If not, the time is infinite for customers who buy again
            with a probability below q.
        """
        past = self._columns(summary)
        chance = np.full(len(summary), checks.fraction("q", q))
        if not given_alive:
            now = self._alive(past)
            with np.errstate(divide="ignore", over="ignore"):
                chance = chance / now
        out = np.full(len(summary), np.inf)
        possible = chance < 1.0
        if possible.any():
            # A chance just below 1 may take longer than a float can hold.
            with np.errstate(over="ignore"):
                out[possible] = self._at(possible)._quantile(past.at(possible), chance[possible])  # noqa: SLF001
        return self._off_clock(summary, out)

    def simulate(
        self,
        customers: PurchaseSummary | int,
        until: TimeAhead,
        rng: np.random.Generator | int | None = 0,
        *,
        start: AsOfGiven | None = None,
    ) -> Simulation:
        """Return purchases drawn from the model: of the given customers after T, or of new ones from the first on.

        For each customer a rate, a chance to leave and whether they are still a customer are drawn from what is known
        about them, and then purchases one after another. The result is one possible future: run it again with another
        `rng` for the spread of possible futures. The uncertainty of the parameters is not included.

        Parameters
        ----------
        customers : PurchaseSummary or int
            The customers, one row each; or the number of new customers, who each make a first purchase at time 0.
        until : timedelta, number or array_like, shape (n,)
            How far to simulate: a timedelta or a number in the unit of the summary or model, one for all or one per
            customer.
        rng : Generator or int, optional
            The random generator, or its seed; None for a new one at each call.
        start : date, datetime, datetime64 or str, or a column of n of them, optional
            The day from which time counts: that of the first purchases, or the last day of the observation. With it the
            result has dates and can be turned into a base (`Simulation.to_base`). Required for new customers if the
            model has a season.

        Returns
        -------
        Simulation

        Examples
        --------
        >>> from relmark.ltv import BgNbd
        >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week")
        >>> future = m.simulate(1_000, 52.0, rng=1, start="2026-01-01")
        >>> future.customers, bool(future.date.min() == np.datetime64("2026-01-01"))
        (1000, True)
        >>> again = len(future) / 1_000 - 1  # the first purchases are among them
        >>> abs(again - m.expected_purchases_new(52.0)) < .3
        True
        """
        generator = checks.generator(rng)
        unit = self.unit or "week"
        if isinstance(customers, PurchaseSummary):
            past, ahead, unit = self._columns(customers), self._ahead(customers, until, "until"), customers.unit
            if customers.weights is not None and (customers.weights != 1.0).any():
                raise InputError(
                    "the summary has rows that stand for several customers: give one row per customer.",
                    argument="customers",
                    code="wrong_value",
                )
            ids = np.arange(len(customers)) if customers.customer_id is None else customers.customer_id
            row, time = self._of(customers)._drawn(past, ahead, generator)  # noqa: SLF001
            time = self._off_clock(customers, time)
        else:
            self._refuse_new()
            count = checks.whole("customers", customers, low=0, high=_MOST_NEW)
            if _is_column(until):
                checks.same_length("until", np.asarray(until), count)
            ahead = np.broadcast_to(self._new_ahead(until, start, "until"), (count,))
            ids = np.arange(count)
            row, time = in_order([(ids, np.zeros(count)), self._drawn(_new(count), ahead, generator)])
            if self._clock is not None and start is not None:
                length = unit_days(unit, "the model")
                time = self._clock.until(_first_day(start, count)[row], time * length) / length
        date = None
        if start is not None:
            first = _first_day(start, len(ids))[row]
            date = (first + np.ceil(time * unit_days(unit, "the model")).astype(np.int64)).astype("M8[D]")
        return Simulation(customer_id=ids[row], time=time, date=date, customers=len(ids), unit=unit)

    def alive_history(
        self, base: CustomerBase, customer_id: int | str, times: Sequence[Instant] | Instant
    ) -> AliveHistory:
        """Return P(alive) of one customer at several times, each from what was known at that time.

        Parameters
        ----------
        base : CustomerBase
            A base with the customer's purchases.
        customer_id : int or str
            The customer.
        times : sequence of dates, datetimes, datetime64 or str
            The times. With a date, purchases before that day are seen, as in `purchase_summary`.

        Returns
        -------
        AliveHistory
        """
        return history_of(self, base, customer_id, times)

    # ---- checks and clocks

    def _of(self, summary: PurchaseSummary) -> PurchaseModel:  # noqa: ARG002
        """Return the model for the customers of a summary: with their own parameters, if it has effects."""
        return self

    def _at(self, rows: npt.NDArray[Any]) -> PurchaseModel:  # noqa: ARG002
        """Return the model for some of its rows."""
        return self

    def _columns(self, summary: PurchaseSummary) -> Past:
        """Return frequency, recency and T of each customer, in the model's unit."""
        if not isinstance(summary, PurchaseSummary):
            raise InputError(
                f"a PurchaseSummary is needed, not {checks.shown(summary)}.", argument="summary", code="wrong_type"
            )
        if self.unit is not None and summary.unit != self.unit:
            raise InputError(
                f"the model counts in {self.unit}s and the summary in {summary.unit}s: "
                f"make the summary with unit={self.unit!r}, or fit the model to this summary.",
                argument="summary",
                code="conflicting_arguments",
            )
        if summary.season != self._clock:
            wrong = (
                "the summary counts by the clock of a season, and the model by another or none"
                if summary.season is not None
                else "the model counts by the clock of a season, and the summary by the calendar"
            )
            raise InputError(
                f"{wrong}: make the summary with purchase_summary(..., season=model.season), or fit the model to this "
                "summary.",
                argument="summary",
                code="conflicting_arguments",
            )
        return Past(summary.frequency, summary.recency, summary.T)

    @property
    def _clock(self) -> Season | None:
        """The season by whose clock the model counts; None for the calendar."""
        season: Season | None = getattr(self, "season", None)
        return season

    def _ahead(self, summary: PurchaseSummary, t: TimeAhead, name: str) -> FloatArray:
        given = self._whole(np.broadcast_to(np.float64(summary.horizon(t, name)), (len(summary),)), name)
        return given if self._clock is None else self._on_clock(summary, given)

    def _on_clock(self, summary: PurchaseSummary, ahead: FloatArray) -> FloatArray:
        """Return calendar times after the last day as times of the season's clock."""
        assert self._clock is not None
        length = unit_days(summary.unit, "the summary")
        return self._clock.elapsed(_number(summary), ahead * length) / length

    def _off_clock(self, summary: PurchaseSummary, ahead: FloatArray) -> FloatArray:
        """Return times of the season's clock after the last day as calendar times; without a season, unchanged."""
        if self._clock is None:
            return ahead
        length = unit_days(summary.unit, "the summary")
        return self._clock.until(_number(summary), ahead * length) / length

    def _ever(self, past: Past, summary: PurchaseSummary, delta: float) -> FloatArray:
        """Return all purchases ahead if alive, discounted by the calendar at a rate above 0."""
        if self._clock is None:
            return self._discounted(past, np.full(len(past.x), np.inf), delta)
        ever: FloatArray = self._by_calendar(past, summary, np.array([np.inf]), delta)[0]
        return ever

    def _by_calendar(self, past: Past, summary: PurchaseSummary, ends: FloatArray, delta: float) -> FloatArray:
        """Return the purchases until each of some calendar ends if alive, discounted by the calendar; (ends, rows)."""
        assert self._clock is not None
        length = unit_days(summary.unit, "the summary")
        day, per_day = _number(summary), delta / length
        stop = np.minimum(ends * length, 45.0 / per_day)  # beyond e^-45 everything is negligible
        out = np.zeros((len(ends), len(past.x)))
        some = stop > 0.0
        if not some.any() or not len(past.x):
            return out
        fastest = float(self._rate(past).max())
        nodes, weights = calendar_rule(self._clock, day, stop[some], per_day, 0.25 * length / fastest)
        last = self._clock.elapsed(day, stop[some])
        times = np.concatenate([nodes, last]) / length
        left = np.exp(-per_day * stop[some])
        size = max(65_536 // len(times), 1)
        for low in range(0, len(past.x), size):
            rows = np.arange(low, min(low + size, len(past.x)))
            many, each = np.repeat(rows, len(times)), np.tile(times, len(rows))
            until = self._at(many)._expected(past.at(many), each)  # noqa: SLF001
            until = until.reshape(len(rows), len(times))
            faded = until[:, : len(nodes)] @ weights.T + until[:, len(nodes) :] * left
            out[np.ix_(some, rows)] = np.maximum.accumulate(faded, axis=1).T
        return out

    def _refuse_new(self) -> None:
        """Raise if predictions for a new customer need covariates."""

    def _new_ahead(self, t: TimeAhead, start: AsOfGiven | None = None, name: str = "t") -> FloatArray:
        self._refuse_new()
        given = np.atleast_1d(np.asarray(horizon(t, self.unit, name=name), dtype=np.float64))
        if self._clock is None:
            return self._whole(given, name)
        if start is None:
            raise InputError(
                "the model has a season: give start=, the day of the first purchase.",
                argument="start",
                code="missing_argument",
            )
        length = unit_days(self.unit, "the model")
        rows = len(given) if len(given) > 1 else np.size(np.asarray(start))
        day = _first_day(start, rows)
        return self._clock.elapsed(day, given * length) / length

    def _whole(self, ahead: FloatArray, name: str) -> FloatArray:
        if self.discrete:
            checks.refuse_rows(name, ahead != np.floor(ahead), ahead, "a whole number of periods is needed")
            checks.refuse_rows(name, ahead > _MOST_PERIODS, ahead, f"at most {_MOST_PERIODS:,} periods are summed")
        return ahead


def _number(summary: PurchaseSummary) -> int:
    """Return the last day of a summary with a season, as days since 1970."""
    day: Any = summary.last_day
    return int(day.astype(np.int64))


def _is_column(value: Any) -> bool:
    """Return whether the caller gave a column of values and not a single one."""
    return np.ndim(value) > 0


def _first_day(start: AsOfGiven, n: int) -> IntArray:
    """Return the day of one start for all, or of one for each, as days since 1970, shape (n,)."""
    day = np.asarray(read_as_of(start, tz="UTC", name="start", n=n).day)
    return np.broadcast_to(day, (n,)).astype(np.int64)


def _refuse_table(rows: int, columns: int) -> None:
    """Raise if a table would not fit into any memory."""
    if rows * columns > _MOST_CELLS:
        raise InputError(
            f"n gives a table of {rows:,} rows and {columns:,} numbers, {rows * columns / (1 << 27):,.0f} GiB: give "
            "fewer numbers, or fewer customers at a time. Customers with the same frequency, recency and T share one "
            "row in summary.cells().",
            argument="n",
            code="too_large",
        )


def _counts(n: int | Iterable[int]) -> npt.NDArray[np.int64]:
    given = list(islice(n, _MOST_NUMBERS + 1)) if isinstance(n, Iterable) else [n]
    if not given:
        raise InputError("n is empty: give one number of purchases or more.", argument="n", code="empty")
    if len(given) > _MOST_NUMBERS:
        raise InputError(
            f"n has more than {_MOST_NUMBERS:,} numbers of purchases: give those of interest, such as range(20).",
            argument="n",
            code="too_large",
        )
    return np.array([checks.whole("n", value, low=0, high=_LARGEST_NUMBER) for value in given], dtype=np.int64)
