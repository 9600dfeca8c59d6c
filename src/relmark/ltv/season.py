"""Seasons as another clock, on which purchases come evenly; by the calendar it runs faster in, say, December.

If customers leave only at purchases (BG/NBD, MBG/NBD and their forms for regular buyers) or never (NBD), a purchase
rate that rises and falls in the same way for everybody is the same as another clock. In operational time L(t), the
integral of the season, everything is as in the plain model: fits and predictions need no change. The density of a
purchase in calendar time is that in operational time times the pace of the clock, so the log-likelihood gains the sum
of ln(pace) over the repeat purchases. Without it, a true season would look worse than none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.core.purchases import Purchases
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.ltv import _geometric_dropout as kernel
from relmark.ltv._bought import bought_days
from relmark.ltv.fit import FitReport, fit_parameters

PERIODS = {"month": 12, "week": 52, "day_of_week": 7}
_CYCLE = 146_097  # days of 400 years, after which the calendar repeats itself, days of the week included
_FAR = 1e14  # days
_LEAST, _MOST = 1e-4, 1e4
_TWO_YEARS = 730
_ROUNDS = 200
_STILL = 1e-6
_STEPS = 4_096


def _read_weights(value: npt.ArrayLike) -> tuple[float, ...]:
    found = checks.numbers("weights", value, low=_LEAST, high=_MOST)
    return tuple(found.tolist())


@attrs.frozen
class Season(Definition):
    """How much faster or slower than average everybody buys, by month, by week of the year or by day of the week.

    Parameters
    ----------
    weights : sequence of float
        How fast the clock of purchases runs in each period, above 0: 12 from January, 52 from the first seven days of
        January (the last one has 8 or 9 days), or 7 from Monday. They are scaled to a mean of 1 over all days.
    period : {"month", "week", "day_of_week"}
        What each weight belongs to.
    notes : tuple of str
        Warnings of `fit` about the weights.

    Examples
    --------
    Twice as many purchases in December:

    >>> season = Season([1.0] * 11 + [2.0], period="month")
    >>> [round(weight, 3) for weight in season.weights[-2:]]
    [0.922, 1.844]
    >>> season.days_between("2026-11-30", "2026-12-31").round(1)
    np.float64(57.1)
    """

    weights: tuple[float, ...] = attrs.field(converter=_read_weights)
    period: str = "month"
    notes: tuple[str, ...] = attrs.field(default=(), eq=False, kw_only=True, metadata={"stored": False})

    kind: ClassVar[str] = "season"

    def __attrs_post_init__(self) -> None:
        """Check how many weights there are, and scale them to a mean of 1."""
        checks.one_of("period", self.period, PERIODS)
        if len(self.weights) != PERIODS[self.period]:
            raise InputError(
                f"weights has {len(self.weights)} numbers: a season by {self.period} has {PERIODS[self.period]}.",
                argument="weights",
                code="wrong_shape",
            )
        mean = float(_days_of(self.period) @ np.array(self.weights)) / _CYCLE
        if abs(mean - 1.0) > 1e-12:  # weights that are already scaled stay unchanged to the last digit
            object.__setattr__(self, "weights", tuple(weight / mean for weight in self.weights))

    @property
    def is_flat(self) -> bool:
        """Whether all weights are equal, so that the clock is the calendar."""
        return min(self.weights) == max(self.weights)

    @property
    def free(self) -> int:
        """How many of the weights are free: all but one, because their mean is 1."""
        return len(self.weights) - 1

    # ---- the clock, in days since 1970: a whole number is the end of its day

    def pace(self, day: npt.ArrayLike) -> FloatArray:
        """Return the weight of each day, given as days since 1970 or datetime64[D]."""
        return np.array(self.weights)[_period_of(self.period)[_numbers(day) % _CYCLE]]

    def clock(self, day: npt.ArrayLike) -> FloatArray:
        """Return the operational time at the end of each day, in days."""
        number = _numbers(day)
        result: FloatArray = number + _ahead(self)[number % _CYCLE]
        return result

    def days_between(self, start: npt.ArrayLike, end: npt.ArrayLike) -> FloatArray:
        """Return the days that pass on the clock between the ends of two days, which are dates or columns of dates."""
        first, last = (np.asarray(day, dtype="M8[D]") for day in (start, end))
        return self.clock(last) - self.clock(first)

    def elapsed(self, day: IntArray | int, t: FloatArray) -> FloatArray:
        """Return the operational days in t calendar days from the end of a day on; t may be infinite or negative."""
        near = np.abs(t) < _FAR  # beyond this the difference of the two clocks is below rounding
        days = np.where(near, t, 0.0)
        whole = np.floor(days)
        number = np.asarray(day) + whole.astype(np.int64)
        ahead = _ahead(self)
        part = (days - whole) * (self.pace(number + 1) - 1.0)
        result: FloatArray = t + np.where(near, ahead[number % _CYCLE] - ahead[np.asarray(day) % _CYCLE] + part, 0.0)
        return result

    def until(self, day: IntArray | int, operational: FloatArray) -> FloatArray:
        """Return how many calendar days from the end of a day on it takes until the operational days have passed."""
        if self.is_flat:
            return np.asarray(operational, dtype=np.float64)
        finite = np.abs(operational) < _FAR
        start = np.asarray(day)
        goal = self.clock(start) + np.where(finite, operational, 0.0)
        turns = np.floor((goal + 1.0) / _CYCLE)
        ends = np.arange(-1, _CYCLE) + np.append(0.0, _ahead(self))
        rest = goal - turns * _CYCLE
        number = np.clip(np.searchsorted(ends, rest, side="right") - 1, 0, _CYCLE - 1)
        days = number - 1.0 + (rest - ends[number]) / self.pace(number)
        result: FloatArray = np.where(finite, days + turns * _CYCLE - start, operational)
        return result

    # ---- estimation

    @classmethod
    def fit(
        cls, data: CustomerBase | Purchases, *, as_of: Instant, period: str = "month", smoothing: float = 10.0
    ) -> Self:
        """Return the season in the purchases, allowing for when customers begin, how they buy and when they leave.

        Parameters
        ----------
        data : CustomerBase or Purchases
            The purchases.
        as_of : date, datetime, datetime64 or str
            When the observation ends. With a holdout, give the end of the calibration period.
        period : {"month", "week", "day_of_week"}
            What each weight belongs to.
        smoothing : float
            The number of purchases at the average pace that are added to each period. It draws the weights of periods
            with few purchases toward 1.

        Returns
        -------
        Season
            The season, with `notes`. With data of less than two years, a season can be distinguished from a trend only
            by customers who began at different times.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice, or no day of some period was seen after the first purchase.

        Notes
        -----
        MBG/NBD is fitted in the operational time of a season. The purchases that it expects of these customers from
        their first day on are compared, period by period, with those that were made, and each weight is multiplied by
        the ratio. This is repeated until the weights no longer change.
        """
        checks.one_of("period", period, PERIODS)
        extra = checks.number("smoothing", smoothing, low=0.0)
        bought = bought_days(data, as_of)
        first, is_first = _first_days(bought.code, bought.day)
        repeats = bought.day[~is_first]
        if not len(repeats):
            raise NotEnoughDataError(
                "nobody bought twice, so no season can be estimated.",
                argument="data",
                hint="Observe for longer, or check that the purchases of each customer are on different days.",
            )
        days = np.arange(int(first.min()) + 1, bought.last + 1)
        of_day = _period_of(period)[days % _CYCLE]
        seen = np.bincount(of_day, minlength=PERIODS[period])
        if (seen == 0).any():
            missing = ", ".join(str(i + 1) for i in np.flatnonzero(seen == 0)[:6].tolist())
            raise NotEnoughDataError(
                f"no day of {period} {missing} was seen after the first purchase, so its weight cannot be estimated.",
                argument="period",
                hint="Use a shorter period or more data, or give weights that you know: Season([...], period=...).",
            )
        actual = np.bincount(_period_of(period)[repeats % _CYCLE], minlength=PERIODS[period]).astype(np.float64)
        begun, count = np.unique(first, return_counts=True)
        customers = _Customers(bought.code, bought.day, is_first, first, bought.last)
        season = cls(np.ones(PERIODS[period]), period)
        begin: FloatArray | None = None
        settled = False
        for _ in range(_ROUNDS):
            begin = _fitted(season, customers, begin)
            flow = _flow(season, begin, begun, count.astype(np.float64), days)
            expected = np.bincount(of_day, weights=flow, minlength=PERIODS[period])
            expected *= actual.sum() / expected.sum()
            # at pace w, w times as many additional purchases are expected as at the average pace
            ratio = (actual + extra) / (expected + extra * np.array(season.weights))
            following = cls(np.array(season.weights) * ratio, period)
            moved = float(np.abs(np.log(following.weights) - np.log(season.weights)).max())
            season = following
            if moved < _STILL:
                settled = True
                break
        notes = [] if settled else [f"the weights were still changing after {_ROUNDS} rounds"]
        span = bought.last - int(first.min()) + 1
        if period != "day_of_week" and span < _TWO_YEARS:
            notes.append(
                f"only {span} days were observed: in less than two years, only customers who began at different times "
                "can distinguish a season from a trend"
            )
        return attrs.evolve(season, notes=tuple(notes))

    # ---- the stored form

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:  # noqa: ARG003
        weights = shapes.array(shapes.number(low=_LEAST, high=_MOST), least=7, most=52)
        return {"weights": weights, "period": shapes.one_of(*PERIODS)}, ("weights", "period")

    def _body(self) -> dict[str, Any]:
        return {"weights": list(self.weights), "period": self.period}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("weights", "period"), what=cls.kind)
        if not isinstance(body["weights"], list):
            raise DefinitionError(
                f"{checks.shown(body['weights'])} is not a list.", path="$.weights", code="wrong_type"
            )
        return built(cls, body)


def season_of(value: Any) -> Season | None:
    """Return the argument season=, checked."""
    if value is not None and not isinstance(value, Season):
        raise InputError(
            f"season is {checks.shown(value)}: a Season is needed, such as Season.fit(base, as_of=...).",
            argument="season",
            code="wrong_type",
        )
    return value


def _numbers(day: npt.ArrayLike) -> IntArray:
    """Return days since 1970."""
    array = np.asarray(day)
    return array.astype("M8[D]").astype(np.int64) if array.dtype.kind == "M" else array.astype(np.int64)


@lru_cache(maxsize=3)
def _period_of(period: str) -> IntArray:
    """Return which period each day of 400 years is in, from 1970-01-01 on."""
    day = np.arange(_CYCLE).astype("M8[D]")
    if period == "day_of_week":
        result = (np.arange(_CYCLE) + 3) % 7  # 1970 began on a Thursday
    elif period == "month":
        result = day.astype("M8[M]").astype(np.int64) % 12
    else:
        result = np.minimum((day - day.astype("M8[Y]")).astype(np.int64) // 7, 51)
    result.flags.writeable = False
    return result


@lru_cache(maxsize=3)
def _days_of(period: str) -> FloatArray:
    """Return how many days of 400 years are in each period."""
    return np.bincount(_period_of(period), minlength=PERIODS[period]).astype(np.float64)


@lru_cache(maxsize=64)
def _ahead(season: Season) -> FloatArray:
    """Return by how much the clock is ahead of the calendar at the end of each day of 400 years."""
    result: FloatArray = np.cumsum(np.array(season.weights)[_period_of(season.period)] - 1.0)
    result -= np.arange(1, _CYCLE + 1) * (result[-1] / _CYCLE)  # rounding of the mean must not add up
    result.flags.writeable = False
    return result


def _first_days(code: IntArray, day: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the first day of each customer, and which rows are first purchases."""
    is_first = np.ones(len(code), dtype=np.bool_)
    np.not_equal(code[1:], code[:-1], out=is_first[1:])
    return day[is_first], is_first


@attrs.frozen(eq=False)
class _Customers:
    """Days of purchases, customer by customer, from which summaries under different seasons are made."""

    code: IntArray
    day: IntArray
    is_first: npt.NDArray[np.bool_]
    first: IntArray
    last: int


def _fitted(season: Season, customers: _Customers, begin: FloatArray | None) -> FloatArray:
    """Return MBG/NBD's parameters in the operational days of a season."""
    start = np.flatnonzero(customers.is_first)
    count = np.diff(start, append=len(customers.code))
    moment = season.clock(customers.first)
    t_x = season.clock(customers.day[start + count - 1]) - moment
    T = np.maximum(season.clock(np.array([customers.last])) - moment, t_x)
    data = kernel.arranged((count - 1).astype(np.float64), t_x, T, None, 1)
    age = max(float(T.mean()), 1.0)
    fitted = fit_parameters(
        "MBG/NBD",
        ("r", "alpha", "a", "b"),
        lambda parameters: kernel.likelihood(parameters, data, 1),
        start=(0.5, age / 4.0, 1.0, 2.0) if begin is None else begin.tolist(),
        scale=(1.0, age, 1.0, 1.0),
        n=float(len(start)),
        prior=None,
        boundaries={},
    )
    return fitted.parameters


def _flow(season: Season, parameters: FloatArray, begun: IntArray, count: FloatArray, days: IntArray) -> FloatArray:
    """Return the repeat purchases expected on each day, from customers by the day on which they began."""
    r, alpha, a, b = parameters.tolist()
    m = kernel.Parameters(r, alpha, a, b, 1)
    moment = season.clock(days)
    longest = float(moment[-1] - season.clock(begun[:1])[0])
    age = np.linspace(0.0, longest, _STEPS)
    none = np.zeros(len(age))
    alive = m.b / (m.a + m.b)
    total = alive * kernel.expected(m, none, none, age)
    flow = np.zeros(len(days))
    for first, customers in zip(begun.tolist(), count.tolist(), strict=True):
        since = np.interp(moment - season.clock(np.array([first]))[0], age, total, left=0.0)
        flow += customers * np.diff(since, prepend=0.0)
    return flow


def seasonal(report: FitReport, season: Season | None, log_season: float | None) -> FitReport:
    """Return the report of a fit in operational time as one in calendar time, with the weights counted in `chosen`."""
    if season is None:
        return report
    if log_season is None:
        raise InputError(
            "the summary has a season but no log_season: the likelihood needs the pace of the clock at each purchase.",
            argument="summary",
            code="missing_argument",
            hint="Make it with purchase_summary(base, as_of=..., season=...).",
        )
    return attrs.evolve(report, log_likelihood=report.log_likelihood + log_season, chosen=report.chosen + season.free)
