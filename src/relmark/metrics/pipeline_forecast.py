"""What the open deals will bring within a horizon, by stage and age, with an interval for estimation and chance.

A deal that has been in a stage for a certain time is assumed to leave it like the deals that were there as long (by the
Aalen-Johansen curves of the stays, from that age on), and to continue from the next stage like the deals that reached
it. This is a semi-Markov chain, whose renewal equation is solved on a grid over the horizon. For the uncertainty of the
estimates, the interval reweights the deals in each draw by Rubin's (1981) Bayesian bootstrap; with an ordinary
bootstrap the few longest stays, and with them all information about old deals, would often be missing. For chance, it
draws the outcome of each open deal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, fraction, generator, whole
from relmark.core.columns import Column
from relmark.core.intervals import Estimate, Interval
from relmark.core.time import DAY, duration
from relmark.metrics._deals import Deals
from relmark.metrics._survival import curves
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates
from relmark.metrics.grouping import By, Groups, group_rows

__all__ = ["PipelineForecast", "forecast"]

_STEPS = 120
_LEAST = 1e-12  # survival below this is rounding
_BLOCK = 4_000_000  # numbers at a time
DEFINITIONS = define(
    "deals open at as_of, within the horizon from it",
    "Aalen and Johansen 1978; Rubin 1981 over deals, percentile interval of estimation and chance together",
    {
        "expected_amount": ("sum of amount times the probability of being won within the horizon", "", "money"),
        "expected_won": ("sum of the probabilities of being won within the horizon", "", "deals"),
        "fixed_amount": ("sum of amount times the fixed probability of the stage, whatever the horizon", "", "money",
                         "what CRM systems call the weighted pipeline"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PipelineForecast(MetricTable):
    """The forecast amount won within a horizon, one row per group and stage, and in total.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (r,)
    stage : ndarray of str, shape (r,)
    open, beyond : ndarray of int64, shape (r,)
        Open deals, and those of them that reach an age beyond what was observed, for which there is no forecast.
    amount, beyond_amount : ndarray of float64, shape (r,)
        The amounts of these; `beyond_amount` is not part of the forecast.
    expected_won : Estimates
        The expected number of deals won within the horizon.
    expected_amount : Estimates
        The expected amount of the deals won within the horizon.
    fixed_amount : ndarray of float64, shape (r,)
        Amounts times the fixed probabilities of the stages, which do not depend on the horizon; NaN without them.
    total, total_won : Estimate
        The amount and the number over all open deals.
    probability : ndarray of float64, shape (open deals,)
        The probability of each open deal of being won within the horizon, in the order of the pipeline's `open_deals`;
        NaN beyond the last observed age.
    horizon_days : float
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    stage: npt.NDArray[np.str_]
    open: IntArray
    beyond: IntArray
    amount: FloatArray
    beyond_amount: FloatArray
    expected_won: Estimates
    expected_amount: Estimates
    fixed_amount: FloatArray
    total: Estimate
    total_won: Estimate
    probability: FloatArray
    horizon_days: float
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        """Return columns with one row per group and stage; the totals stay in fields."""
        gone = ("total", "probability")
        return {name: one for name, one in MetricTable.to_columns(self).items() if not name.startswith(gone)}

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _table(self) -> dict[str, Any]:
        return {
            name: one for name, one in self.to_columns().items() if not (name == "fixed_amount" and np.isnan(one).all())
        }

    def _lines(self) -> list[str]:
        said = [
            f"won within {self.horizon_days:g} days: {self.total_won!r} deals",
            f"amount won within {self.horizon_days:g} days: {self.total!r}",
        ]
        return [*said, *self.notes]


@attrs.frozen(eq=False)
class _Stays:
    """The stays of one stage by age, prepared for adding up the weights of a draw."""

    age: IntArray  # distinct ages
    deal: IntArray
    place: IntArray  # of each stay among the ages
    cause: IntArray
    last: int

    def curves(self, weight: FloatArray, causes: int) -> tuple[FloatArray, FloatArray]:
        """Return survival (b, m) and the steps of the incidence (b, m, causes) of draws of weights (b, deals)."""
        b, m = len(weight), len(self.age)
        mine = weight[:, self.deal]
        ended = self.cause >= 0
        rows = np.arange(b)[:, None]
        gone = np.bincount((rows * m + self.place).ravel(), weights=mine.ravel(), minlength=b * m).reshape(b, m)
        at = (rows * m + self.place[ended]) * causes + self.cause[ended]
        ends = np.bincount(at.ravel(), weights=mine[:, ended].ravel(), minlength=b * m * causes).reshape(b, m, causes)
        at_risk = np.cumsum(gone[:, ::-1], axis=1)[:, ::-1]
        survival, of = curves(at_risk.astype(np.float64), ends.astype(np.float64))
        return survival, np.diff(of, axis=1, prepend=0.0)


@attrs.frozen(eq=False)
class _Chain:
    """What is the same in all draws."""

    k: int
    step: float
    horizon: int
    stays: tuple[_Stays, ...]
    cell: tuple[IntArray, ...]  # of each stage's ages that lie within the horizon: how many steps
    where: tuple[IntArray, ...]  # of each stage: which open deals are there
    ages: tuple[IntArray, ...]

    @classmethod
    def of(cls, deals: Deals, horizon: int) -> _Chain:
        k, step = deals.places.k, horizon / _STEPS
        stays, cells, where, ages = [], [], [], []
        here = deals.going
        for stage in range(k):
            mine = np.flatnonzero(deals.stay_rank == stage)
            age, place = np.unique(deals.stay_age[mine], return_inverse=True)
            last = int(age[-1]) if len(age) else -1
            stays.append(_Stays(age, deals.stay_deal[mine], place, deals.stay_cause[mine], last))
            cells.append(np.rint(age[age <= horizon] / step).astype(np.int64))
            at = np.flatnonzero(deals.stay_rank[here] == stage)
            where.append(at)
            ages.append(deals.stay_age[here[at]])
        return cls(k, step, horizon, tuple(stays), tuple(cells), tuple(where), tuple(ages))

    def probabilities(self) -> FloatArray:
        """Return P(won within the horizon) of each open deal; NaN if it depends on more than was observed."""
        one = np.ones((1, max((int(stays.deal.max(initial=-1)) for stays in self.stays), default=-1) + 1))
        survival, steps = zip(*(stays.curves(one, self.k + 2) for stays in self.stays), strict=True)
        value = self._renewal(steps, survival, strict=True)[0]
        out = np.full(sum(len(here) for here in self.where), np.nan)
        for stage, (here, age) in enumerate(zip(self.where, self.ages, strict=True)):
            mine, alive, flow = self.stays[stage], survival[stage][0], steps[stage][0]
            for old in np.unique(age).tolist():
                low, high = np.searchsorted(mine.age, [old, old + self.horizon], side="right")
                left = alive[low - 1] if low else 1.0
                if left <= _LEAST or (old + self.horizon > mine.last and alive[-1] > _LEAST):
                    continue
                rest = np.rint((self.horizon - (mine.age[low:high] - old)) / self.step).astype(np.int64)
                part = flow[low:high]
                came = np.where(part > 0, part * value[:, rest].T, 0.0).sum()
                out[here[age == old]] = came / left
        return out

    def drawn(self, weight: FloatArray) -> FloatArray:
        """Return P(won within the horizon) of each open deal under draws of weights (b, deals), shape (b, open).

        What depends on more than was observed counts as not won. Deals won directly from their stage are computed
        exactly, and deals that go through other stages on the grid, by one convolution over all ages.
        """
        b, k = len(weight), self.k
        survival, steps = zip(*(one.curves(weight, k + 2) for one in self.stays), strict=True)
        value = self._renewal(steps, survival, strict=False)
        out = np.zeros((b, sum(len(one) for one in self.where)))
        for stage, (here, age) in enumerate(zip(self.where, self.ages, strict=True)):
            if not len(here):
                continue
            mine = self.stays[stage]
            distinct, back = np.unique(age, return_inverse=True)
            low, high = (np.searchsorted(mine.age, distinct + move, side="right") for move in (0, self.horizon))
            padded = np.concatenate([np.ones((b, 1)), survival[stage]], axis=1)
            won = np.concatenate([np.zeros((b, 1)), np.cumsum(steps[stage][:, :, k], axis=1)], axis=1)
            came = won[:, high] - won[:, low]
            onward = [place for place in range(k) if (mine.cause == place).any()]
            if onward:
                cell = np.rint(mine.age / self.step).astype(np.int64)
                at = np.rint(distinct / self.step).astype(np.int64)
                size = int(max(cell[-1], at[-1])) + 2 * _STEPS + 2
                flow = np.zeros((b, len(onward), size))
                np.add.at(flow.transpose(2, 0, 1), cell, steps[stage][:, :, onward].transpose(1, 0, 2))
                then = np.zeros_like(flow)  # a stay that ends d steps from now leaves _STEPS - d
                then[:, :, :_STEPS] = value[:, onward, :_STEPS]
                sums = np.fft.irfft(np.fft.rfft(flow) * np.fft.rfft(then), n=size).sum(axis=1)
                came = came + sums[:, at + _STEPS]
            left = padded[:, low]
            chance = np.divide(came, left, out=np.zeros_like(came), where=left > _LEAST)
            out[:, here] = np.clip(chance, 0.0, 1.0)[:, back]
        return out

    def _renewal(self, steps: tuple[FloatArray, ...], survival: tuple[FloatArray, ...], *, strict: bool) -> FloatArray:
        """Return P(won within t | just reached a place) for each place and grid step, shape (b, k + 2, steps + 1).

        W_j(t) = sum over causes c and ages u <= t of dQ_jc(u) W_c(t - u). If stays take no time, W(t) is on both sides
        of the equation, and a small linear system is solved.
        """
        b, k = len(steps[0]), self.k
        flow = np.zeros((b, k, k + 2, _STEPS + 1))
        seen = np.full((b, k), _STEPS, dtype=np.int64)
        for stage, cell in enumerate(self.cell):
            np.add.at(flow[:, stage].transpose(2, 0, 1), cell, steps[stage][:, : len(cell)].transpose(1, 0, 2))
            mine = self.stays[stage]
            if strict and (not len(mine.age) or survival[stage][0, -1] > _LEAST):
                seen[:, stage] = min(_STEPS, int(mine.last / self.step)) if mine.last >= 0 else -1
        value = np.zeros((b, k + 2, _STEPS + 1))
        value[:, k] = 1.0
        at_once = np.linalg.inv(np.eye(k) - np.minimum(flow[:, :, :k, 0], 1 - 1e-9 / k) * (1 - 1e-12))
        for t in range(_STEPS + 1):
            known = flow[:, :, k, : t + 1].sum(axis=2)
            if t:
                before = value[:, :k, t - 1 :: -1] if t > 1 else value[:, :k, :1]
                part = flow[:, :, :k, 1 : t + 1]
                with np.errstate(invalid="ignore"):
                    known = known + np.where(part > 0, part * before[:, None], 0.0).sum(axis=(2, 3))
            if np.isnan(known).any():  # keep NaN where it is: the linear system would spread it
                spread = (
                    np.where(flow[:, :, :k, 0] > 0, flow[:, :, :k, 0] * np.isnan(known)[:, None], 0).sum(axis=2) > 0
                )
                solved = np.einsum("bij,bj->bi", at_once, np.nan_to_num(known))
                value[:, :k, t] = np.where(np.isnan(known) | spread, np.nan, solved)
            else:
                value[:, :k, t] = np.einsum("bij,bj->bi", at_once, known)
            value[:, :k, t] = np.where(t > seen, np.nan, value[:, :k, t])
        return value


def forecast(
    deals: Deals, horizon: timedelta, *, fixed: FloatArray, by: By, base: Any, level: float, resamples: int, rng: Any
) -> PipelineForecast:
    """Return the forecast of the open deals."""
    length = duration("horizon", horizon)
    fraction("level", level)
    draws = whole("resamples", resamples, low=1, high=100_000)
    random = generator(rng)
    chain = _Chain.of(deals, length)
    n = len(deals.names)
    here = deals.going
    amount = deals.spell_amount[deals.stay_spell[here]]
    chance = chain.probabilities()
    known = ~np.isnan(chance)
    groups, code, r = _rows(deals, here, by, base)
    chosen = groups.chosen(np.arange(len(here)))
    worth = np.where(np.isnan(amount), 0.0, amount)

    def sums(column: FloatArray) -> FloatArray:
        return np.bincount(code, weights=column[chosen], minlength=r).astype(np.float64)

    sure = np.where(known, chance, 0.0)
    won, money = np.empty((draws, r)), np.empty((draws, r))
    totals = np.empty((draws, 2))
    cells = max(sum(len(one.age) for one in chain.stays) * (chain.k + 2) + len(here), (_STEPS + 1) * (chain.k + 2) ** 2)
    block = max(min(draws, _BLOCK // max(cells, 1)), 1)
    for low in range(0, draws, block):
        size = min(block, draws - low)
        weight = random.standard_exponential((size, n))
        drawn = chain.drawn(weight)
        ended = (random.random(drawn.shape) < drawn) & known
        for place in range(size):
            hit = ended[place].astype(np.float64)
            won[low + place], money[low + place] = sums(hit), sums(hit * worth)
            totals[low + place] = hit.sum(), (hit * worth).sum()
    tail = (1 - level) / 2

    def estimated(expected: FloatArray, drawn: FloatArray) -> Estimates:
        ends = np.quantile(drawn, [tail, 1 - tail], axis=0) if r else np.empty((2, 0))
        return Estimates(
            value=expected, low=ends[0], high=ends[1], reason=("",) * r, level=level, method="Bayesian bootstrap"
        )

    def one(expected: float, drawn: FloatArray) -> Estimate:
        ends = np.quantile(drawn, [tail, 1 - tail])
        return Estimate(expected, Interval(float(ends[0]), float(ends[1]), level, "Bayesian bootstrap"))

    beyond = (~known).astype(np.float64)
    notes = list(deals.notes)
    if beyond.any():
        notes.append(
            f"{int(beyond.sum()):,} of {len(here):,} open deals reach beyond the last observed age within "
            f"{length / DAY:g} days: they are not part of the forecast"
        )
    if np.isnan(amount).any():
        notes.append(f"{int(np.isnan(amount).sum()):,} open deals have no amount: they count as deals, not as money")
    labels = {name: np.repeat(column, deals.places.k) for name, column in groups.labels.items()}
    return PipelineForecast(
        by=labels, stage=np.tile(np.array(deals.places.stages), groups.k if groups.labels else 1),
        open=np.bincount(code, minlength=r), beyond=sums(beyond).astype(np.int64), amount=sums(worth),
        beyond_amount=sums(worth * beyond), expected_won=estimated(sums(sure), won),
        expected_amount=estimated(sums(sure * worth), money),
        fixed_amount=sums(worth * fixed[deals.stay_rank[here]]) if not np.isnan(fixed).any() else np.full(r, np.nan),
        total=one(float((sure * worth).sum()), totals[:, 1]), total_won=one(float(sure.sum()), totals[:, 0]),
        probability=chance, horizon_days=length / DAY, as_of=deals.stretch.as_of.given, notes=tuple(notes),
    )  # fmt: skip


def _rows(deals: Deals, here: IntArray, by: By, base: Any) -> tuple[Groups, IntArray, int]:
    """Return the groups of the open deals by what is known now, and the table row of each deal."""
    rows = deals.change_row[deals.stay[here]]

    def find(name: str) -> Column | None:
        return deals.property_of(name, rows)

    groups = group_rows(
        base, deals.stretch.as_of, by, deals.owner_of[deals.stay_deal[here]], deals.change_time[deals.stay[here]], find
    )
    code = groups.code * deals.places.k + groups.chosen(deals.stay_rank[here])
    return groups, code, groups.k * deals.places.k
