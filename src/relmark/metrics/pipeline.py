"""How deals pass through the stages of sales: which are won, how long it takes, and what the open ones will bring.

Deals that are still open are neither won nor lost. They count for as long as they have been observed (the
Aalen-Johansen estimate), so that a young pipeline is not judged by the deals that happened to end fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, number
from relmark.core.columns import Column
from relmark.core.frames import Frame
from relmark.core.results import ColumnarResult
from relmark.core.time import DAY, duration
from relmark.metrics._deals import Deals, Places, base_of_deals, read_deals
from relmark.metrics._survival import incidence
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares
from relmark.metrics.grouping import By, group_rows
from relmark.metrics.pipeline_forecast import PipelineForecast, forecast

__all__ = ["OpenDeals", "Pipeline", "pipeline"]

_ENTERED, _AGAIN, _SKIPPED = 0, 1, 2
_AGEING = 0.75
_KM = "Kaplan and Meier 1958"
DEFINITIONS = define(
    "deals that reached the stage by as_of, each from the moment it did",
    "Aalen and Johansen 1978, with won and lost competing and open deals censored",
    {
        "win_probability": ("probability of being won within horizon_days of reaching the stage", ""),
        "advance_probability": ("probability of moving on to a later stage or being won within horizon_days", ""),
        "closed_share": ("deals that reached the stage and were won", "deals that reached it and were won or lost",
                         "share", "what most reports show; open deals are left out, so slow outcomes count too little"),
        "fixed_probability": ("the probability that was given for the stage", "", "share", "what many CRM systems use"),
        "median_days": ("days after which half of the stays in the stage have ended", "", "days", _KM),
        "median_days_to_close": ("days after which half of the deals are won or lost", "", "days", _KM),
        "velocity": ("open deals times win probability times mean amount of won deals", "median days to close",
                     "money per day"),
        "ageing": ("open deals that have been in the stage longer than three quarters of all stays", "", "deals"),
        "skipped": ("deals that reached a later stage, or were won, without this stage", "", "deals"),
        "reopened": ("deals that reached the stage after they had already been won or lost", "", "deals"),
        "moved_back": ("stays that ended in an earlier stage", "", "stays"),
        "reowned": ("deals that had more than one owner", "", "deals"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class OpenDeals(ColumnarResult):
    """The open deals, one row each, in the order of their names.

    Parameters
    ----------
    deal, customer_id, stage : ndarray, shape (n,)
    amount : ndarray of float64, shape (n,)
        The last known amount; NaN where it is not known.
    days_in_stage, days_open : ndarray of float64, shape (n,)
        The days since the deal reached its stage, and since its spell began.
    ageing : ndarray of bool, shape (n,)
        Whether the deal has been in its stage longer than three quarters of all stays there.
    """

    deal: npt.NDArray[Any]
    customer_id: npt.NDArray[Any]
    stage: npt.NDArray[np.str_]
    amount: FloatArray
    days_in_stage: FloatArray
    days_open: FloatArray
    ageing: npt.NDArray[np.bool_]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Pipeline(MetricTable):
    """The stages of sales, one row per group and stage.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (r,)
    stage : ndarray of str, shape (r,)
    deals, open, won, lost : ndarray of int64, shape (r,)
        Spells that reached the stage; those that are in it now; those that were won and lost since.
    skipped, reopened, moved_back, reowned : ndarray of int64, shape (r,)
    win_probability, advance_probability : Estimates
        Within `horizon_days` of reaching the stage; NaN beyond the last observed age.
    closed_share : Estimates
        Won deals divided by won and lost deals, for comparison.
    fixed_probability : ndarray of float64, shape (r,)
        The probability that was given for the stage; NaN if none was given.
    horizon_days : ndarray of float64, shape (r,)
        The horizon of the probabilities: the one that was asked for, or the last observed age.
    median_days, median_days_to_close : ndarray of float64, shape (r,)
        The median days in the stage, and from reaching it until won or lost; NaN if fewer than half have ended.
    amount : ndarray of float64, shape (r,)
        The total amount of the deals open in the stage; their number if no amount was named.
    velocity : ndarray of float64, shape (r,)
    ageing : ndarray of int64, shape (r,)
    open_deals : OpenDeals
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    stage: npt.NDArray[np.str_]
    deals: IntArray
    open: IntArray
    won: IntArray
    lost: IntArray
    skipped: IntArray
    reopened: IntArray
    moved_back: IntArray
    reowned: IntArray
    win_probability: Estimates
    advance_probability: Estimates
    closed_share: Estimates
    fixed_probability: FloatArray
    horizon_days: FloatArray
    median_days: FloatArray
    median_days_to_close: FloatArray
    amount: FloatArray
    velocity: FloatArray
    ageing: IntArray
    open_deals: OpenDeals
    as_of: np.datetime64
    notes: tuple[str, ...] = ()
    _deals_of: Deals
    _fixed: FloatArray
    _keys: By
    _base: CustomerBase

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _table(self) -> dict[str, Any]:
        quiet = ("skipped", "reopened", "moved_back", "reowned")
        return {
            name: one
            for name, one in self.to_columns().items()
            if not name.endswith(("_low", "_high"))
            and (name not in quiet or one.any())
            and (name != "fixed_probability" or not np.isnan(one).all())
        }

    def forecast(
        self,
        horizon: timedelta,
        *,
        level: float = 0.95,
        resamples: int = 1_000,
        rng: np.random.Generator | int | None = 0,
    ) -> PipelineForecast:
        """Forecast the amount that the open deals will bring within a horizon, from their stage and age.

        Parameters
        ----------
        horizon : timedelta
            How far the forecast reaches from `as_of`.
        level : float
            The confidence level of the intervals, between 0 and 1.
        resamples : int
            How often the deals are reweighted and the outcome of each open deal is drawn.
        rng : Generator, int or None
            The random generator or its seed.

        Returns
        -------
        PipelineForecast

        Notes
        -----
        The estimates of how stays end use all deals, whatever the groups. What follows a stage depends on the stage and
        the time in it, not on what came before (a semi-Markov chain). A deal whose forecast would need longer
        observation than there is has the probability NaN; it is counted in `beyond` and left out of the sums. Deals
        that open later are not part of the forecast. Times within the horizon are rounded to 1/120 of it.
        """
        return forecast(
            self._deals_of, horizon, fixed=self._fixed, by=self._keys, base=self._base, level=level,
            resamples=resamples, rng=rng,
        )  # fmt: skip


def pipeline(
    data: CustomerBase | Frame,
    *,
    stages: Sequence[str] | Mapping[str, float],
    won: str = "won",
    lost: str = "lost",
    as_of: AsOfGiven,
    amount: str | None = None,
    horizon: timedelta | None = None,
    by: By = None,
) -> Pipeline:
    """Report how deals pass through the stages: how many are won, how fast, and what is open.

    Parameters
    ----------
    data : CustomerBase, frame or mapping of columns
        A base with events of type "deal", which have the properties deal and stage and any others, such as amount,
        owner or source; or the columns deal, stage, time and (optionally) customer_id.
    stages : sequence of str, or mapping of str to float
        The stages in order. A mapping also gives the fixed probability of each stage, for comparison.
    won, lost : str
        The stages in which a deal ends.
    as_of : date or instant
    amount : str, optional
        The property with the amount, or "value"; the last known amount of a deal counts.
    horizon : timedelta, optional
        Probabilities are those within this time of reaching a stage. By default, it is the last observed age.
    by : name of a property or field, expression, segment, period, or a list or mapping of them, optional
        How to group deals. A property has the value that was known when the deal reached the stage.

    Returns
    -------
    Pipeline

    Raises
    ------
    InputError
        If there are no deals, a stage is not among those named, a deal has two customers, or a deal was won and lost at
        one instant.

    Notes
    -----
    A deal that continues after it was won or lost begins a new spell. An event that repeats the stage or has none only
    updates what is known about the deal, such as its owner. Events of one instant are ordered by their stages.

    Examples
    --------
    >>> deals = {"deal": ["a", "a", "b", "b", "c"], "stage": ["offer", "won", "offer", "lost", "offer"],
    ...     "time": ["2026-01-05", "2026-01-15", "2026-01-05", "2026-01-25", "2026-01-10"], "amount": [9.0] * 5}
    >>> found = pipeline(deals, stages=["offer"], as_of="2026-02-01", amount="amount")
    >>> found.open.tolist(), found.closed_share[0].value, found.median_days.tolist()
    ([1], 0.5, [20.0])
    """
    base = base_of_deals(data)
    places = Places.of(stages, won, lost)
    fixed = np.array(
        [number(f"stages[{name!r}]", one, low=0.0, high=1.0) for name, one in stages.items()]
        if isinstance(stages, Mapping)
        else [np.nan] * places.k
    )
    length = None if horizon is None else duration("horizon", horizon)
    deals = read_deals(base, places, as_of, amount)
    return _table(base, deals, fixed, length, by)


@attrs.frozen(eq=False)
class _Entries:
    """What the rows of the table count: stays (the first, or again), and stages that were skipped."""

    kind: IntArray
    stage: IntArray
    change: IntArray  # the change that made it
    stay: IntArray  # -1 where there was none

    @classmethod
    def of(cls, deals: Deals) -> _Entries:
        k = deals.places.k
        key = deals.stay_spell * k + deals.stay_rank
        first = np.zeros(len(key), dtype=np.bool_)
        first[np.unique(key, return_index=True)[1]] = True
        passed: list[tuple[IntArray, int]] = []
        spells = len(deals.spell_deal)
        entered = np.zeros((spells, k), dtype=np.bool_)
        entered[deals.stay_spell, deals.stay_rank] = True
        for stage in range(k):
            further = np.flatnonzero((deals.change_rank > stage) & (deals.change_rank <= k))
            spell, place = np.unique(deals.change_spell[further], return_index=True)
            miss = ~entered[spell, stage]
            passed.append((further[place[miss]], stage))
        skipped = np.concatenate([one for one, _ in passed])
        return cls(
            np.concatenate([np.where(first, _ENTERED, _AGAIN), np.full(len(skipped), _SKIPPED)]),
            np.concatenate([deals.stay_rank, np.repeat(np.arange(k), [len(one) for one, _ in passed])]),
            np.concatenate([deals.stay, skipped]),
            np.concatenate([np.arange(len(key)), np.full(len(skipped), -1)]),
        )


def _table(base: CustomerBase, deals: Deals, fixed: FloatArray, horizon: int | None, by: By) -> Pipeline:
    k = deals.places.k
    rows = _Entries.of(deals)
    spell = deals.change_spell[rows.change]

    def find(name: str) -> Column | None:
        return deals.property_of(name, deals.change_row[rows.change])

    groups = group_rows(
        base, deals.stretch.as_of, by, deals.owner_of[deals.spell_deal[spell]], deals.change_time[rows.change], find
    )
    chosen = groups.chosen(np.arange(len(rows.kind)))
    n_groups = groups.k if by is not None else 1
    cell = groups.code * k + rows.stage[chosen]
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(n_groups * k + 1))
    cells = [
        _one(deals, rows, chosen[order[low:high]], spell, horizon, number % k)
        for number, (low, high) in enumerate(pairwise(bounds))
    ]

    def whole(name: str) -> IntArray:
        return np.array([one[name] for one in cells], dtype=np.int64)

    def real(name: str) -> FloatArray:
        return np.array([one[name] for one in cells], dtype=np.float64)

    def curve(name: str) -> Estimates:
        ends = [one[f"{name}_interval"] for one in cells]
        return Estimates(
            value=real(name), low=np.array([low for low, _ in ends]), high=np.array([high for _, high in ends]),
            reason=tuple(one[f"{name}_reason"] for one in cells), method="Aalen-Johansen, log(-log)",
        )  # fmt: skip

    won, lost = whole("won"), whole("lost")
    return Pipeline(
        by={name: np.repeat(column, k) for name, column in groups.labels.items()},
        stage=np.tile(np.array(deals.places.stages), n_groups), deals=whole("deals"), open=whole("open"),
        won=won, lost=lost, skipped=whole("skipped"), reopened=whole("reopened"), moved_back=whole("moved_back"),
        reowned=whole("reowned"), win_probability=curve("win"), advance_probability=curve("advance"),
        closed_share=shares("won deals", won, "closed deals", won + lost), fixed_probability=np.tile(fixed, n_groups),
        horizon_days=real("horizon"), median_days=real("median"), median_days_to_close=real("to_close"),
        amount=real("amount"), velocity=real("velocity"), ageing=whole("ageing"),
        open_deals=_open_deals(base, deals), as_of=deals.stretch.as_of.given, notes=deals.notes,
        deals_of=deals, fixed=fixed, keys=by, base=base,
    )  # fmt: skip


def _one(
    deals: Deals, rows: _Entries, mine: IntArray, spell: IntArray, horizon: int | None, stage: int
) -> dict[str, Any]:
    """Return the figures of one group and stage, from its rows of entries."""
    k = deals.places.k
    kind = rows.kind[mine]
    entered = mine[kind == _ENTERED]
    stays = rows.stay[mine[kind != _SKIPPED]]
    spells = spell[entered]
    end, amount = deals.spell_end[spells], deals.spell_amount[spells]
    to_end = incidence(deals.spell_close[spells] - deals.change_time[rows.change[entered]], end, 2)
    cause, age = deals.stay_cause[stays], deals.stay_age[stays]
    onward = np.where(cause < 0, -1, np.where((cause == k + 1) | (cause < stage), 1, 0))
    moving = incidence(age, onward, 2)
    here = cause < 0
    bound = moving.quantile(_AGEING)
    until = to_end.last if horizon is None else horizon
    to_close, win = to_end.quantile(0.5) / DAY, to_end.by(until, 0)
    known = amount[(end == 0) & ~np.isnan(amount)]
    worth = float(known.mean()) if len(known) else np.nan
    n_open = int(here.sum())
    figures: dict[str, Any] = {
        "deals": len(entered), "open": n_open, "won": int((end == 0).sum()), "lost": int((end == 1).sum()),
        "skipped": int((kind == _SKIPPED).sum()), "reopened": int((deals.spell_number[spells] > 0).sum()),
        "moved_back": int(((cause >= 0) & (cause < stage)).sum()),
        "reowned": len(np.unique(deals.spell_deal[spells][deals.reowned[deals.spell_deal[spells]]])),
        "horizon": until / DAY if len(entered) else np.nan, "median": moving.quantile(0.5) / DAY, "to_close": to_close,
        "amount": float(np.nansum(deals.spell_amount[deals.stay_spell[stays[here]]])),
        "velocity": n_open * win * worth / to_close if to_close > 0 else np.nan,
        "ageing": int((age[here] > bound).sum()) if bound == bound else 0,  # noqa: PLR0124
    }  # fmt: skip
    for name, curve in (("win", to_end), ("advance", moving)):
        at = curve.last if horizon is None else horizon
        figures |= {
            name: curve.by(at, 0), f"{name}_interval": curve.interval(at, 0),
            f"{name}_reason": "" if curve.known(at) else (
                f"nothing was observed beyond {curve.last / DAY:g} days"
                if len(curve.age)
                else "no deal reached the stage"
            ),
        }  # fmt: skip
    return figures


def _open_deals(base: CustomerBase, deals: Deals) -> OpenDeals:
    here = deals.going
    spell, rank = deals.stay_spell[here], deals.stay_rank[here]
    starts = np.flatnonzero(np.append(True, deals.change_spell[1:] != deals.change_spell[:-1])) if len(
        deals.change_spell
    ) else np.zeros(0, dtype=np.int64)  # fmt: skip
    bounds = np.full(deals.places.k, np.nan)
    for stage in range(deals.places.k):
        mine = deals.stay_rank == stage
        bounds[stage] = incidence(deals.stay_age[mine], np.minimum(deals.stay_cause[mine], 0), 1).quantile(_AGEING)
    age = deals.stay_age[here]
    return OpenDeals(
        deal=deals.names[deals.stay_deal[here]], customer_id=base.customer_id[deals.owner_of[deals.stay_deal[here]]],
        stage=np.array(deals.places.stages)[rank], amount=deals.spell_amount[spell], days_in_stage=age / DAY,
        days_open=(deals.clock - deals.change_time[starts[spell]]) / DAY, ageing=age > bounds[rank],
    )  # fmt: skip
