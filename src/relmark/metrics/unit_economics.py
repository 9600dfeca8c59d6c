"""What a lead, an order and a new customer cost, and what the spend returned, with one row per key of the spend.

Totals are sums divided by sums, never means of ratios. Spend without any result keeps its row and stays in the total.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, number, shown
from relmark.core.errors import InputError
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import ratio

__all__ = ["Amounts", "UnitEconomics", "unit_economics"]

Amounts: TypeAlias = Mapping[Any, float] | float
"""A sum of money, or sums by key."""

DEFINITIONS = define(
    "the period that spend and results cover",
    "dashboards that average the ratios of rows, or drop spend without orders, show other numbers",
    {
        "cost_per_click": ("spend", "clicks", "money"),
        "cost_per_lead": ("spend", "leads", "money"),
        "cost_per_order": ("spend", "orders", "money"),
        "customer_acquisition_cost": ("spend", "new customers", "money; the cost per any order is cost_per_order"),
        "roas": ("revenue attributed to a row", "spend of the same row", "money per money"),
        "mer": ("all revenue", "all spend", "money per money"),
        "roi": ("margin of a row minus its spend", "its spend", "money per money"),
        "revenue_roi": ("revenue of a row minus its spend", "its spend", "money per money"),
        "click_to_lead": ("leads", "clicks"),
        "lead_to_order": ("orders", "leads"),
        "click_to_order": ("orders", "clicks"),
        "ltv_to_cac": ("lifetime value of a customer", "cost of acquiring a customer", "money per money"),
        "payback_months": ("cost of acquiring a customer", "monthly margin of a customer", "months"),
    },
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UnitEconomics(MetricTable):
    """Costs and returns, one row per key of the spend.

    Parameters
    ----------
    key : ndarray, shape (k,)
        The keys of the spend: channels, campaigns, months.
    spend, clicks, leads, orders, new_customers, revenue, margin : ndarray of float64, shape (k,)
        The given amounts, with 0 for a key that is missing; all NaN for an argument that was not given.
    cost_per_click, cost_per_lead, cost_per_order, customer_acquisition_cost : ndarray of float64, shape (k,)
        NaN where the number of clicks, leads, orders or customers is 0.
    roas, roi, revenue_roi : ndarray of float64, shape (k,)
        Revenue / spend; (margin - spend) / spend; (revenue - spend) / spend.
    click_to_lead, lead_to_order, click_to_order : ndarray of float64, shape (k,)
    ltv_to_cac, payback_months : ndarray of float64, shape (k,)
    total : mapping of str to float
        The same figures for all rows together, and `mer`: all revenue, including that of keys without spend, divided by
        all spend.
    reasons : mapping of str to str
        Why figures are undefined, by their names.
    notes : tuple of str
    """

    key: npt.NDArray[Any]
    spend: FloatArray
    clicks: FloatArray
    leads: FloatArray
    orders: FloatArray
    new_customers: FloatArray
    revenue: FloatArray
    margin: FloatArray
    cost_per_click: FloatArray
    cost_per_lead: FloatArray
    cost_per_order: FloatArray
    customer_acquisition_cost: FloatArray
    roas: FloatArray
    roi: FloatArray
    revenue_roi: FloatArray
    click_to_lead: FloatArray
    lead_to_order: FloatArray
    click_to_order: FloatArray
    ltv_to_cac: FloatArray
    payback_months: FloatArray
    total: Mapping[str, float]
    reasons: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def mer(self) -> float:
        """All revenue divided by all spend (the marketing efficiency ratio)."""
        return self.total["mer"]

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        shown_ones = {n: c for n, c in columns.items() if n == "key" or not np.isnan(c).all()}
        if len(self.key) < 2:
            return shown_ones
        total = {n: np.append(c, self.total.get(n, math.nan)) for n, c in shown_ones.items() if n != "key"}
        return {"key": np.array([*map(str, self.key.tolist()), "total"], dtype=object), **total}

    def _lines(self) -> list[str]:
        return [*(f"{name}: {reason}" for name, reason in self.reasons.items()), *self.notes]


def unit_economics(
    spend: Amounts,
    *,
    leads: Amounts | None = None,
    orders: Amounts | None = None,
    new_customers: Amounts | None = None,
    revenue: Amounts | None = None,
    margin: Amounts | None = None,
    clicks: Amounts | None = None,
    ltv: float | None = None,
    monthly_margin: float | None = None,
) -> UnitEconomics:
    """Compare spend with its results: costs per click, lead, order and new customer, ROAS, MER and ROI.

    Parameters
    ----------
    spend : mapping of key to money, or one sum
        Money spent by channel, campaign or month. Keys are strings or whole numbers.
    leads, orders, new_customers, clicks : mapping of key to count, or one count, optional
        The results of each key.
    revenue : mapping of key to money, or one sum, optional
        The revenue attributed to each key. Revenue of a key without spend counts only in `mer`.
    margin : mapping of key to money, or one sum, or a number from 0 to 1, optional
        The margin in money, or the share of revenue that is margin. A single number from 0 to 1 is a share.
    ltv : float, optional
        The lifetime margin of a new customer, for `ltv_to_cac`.
    monthly_margin : float, optional
        The monthly margin of a new customer, for `payback_months`.

    Returns
    -------
    UnitEconomics

    Raises
    ------
    InputError
        If an amount is negative, infinite or missing, if there is no spend, or if one margin above 1 is given for
        several keys.

    Examples
    --------
    >>> costs = unit_economics({"radio": 500.0, "ads": 100.0}, orders={"ads": 4}, revenue={"ads": 300.0}, margin=.5)
    >>> costs.roas.tolist(), costs.roi.tolist(), costs.cost_per_order.tolist()
    ([0.0, 3.0], [-1.0, 0.5], [nan, 25.0])
    >>> costs.total["roas"], costs.total["cost_per_order"]
    (0.5, 150.0)
    """
    alone = not isinstance(spend, Mapping)
    money = _amounts("spend", spend if isinstance(spend, Mapping) else {"all": spend})
    if not money:
        raise InputError(
            "spend is empty: pass the money spent, such as {'ads': 100.0}.", argument="spend", code="missing_argument"
        )
    keys = list(money)
    notes: list[str] = []
    given = {"clicks": clicks, "leads": leads, "orders": orders, "new_customers": new_customers, "revenue": revenue}
    columns: dict[str, FloatArray] = {"spend": np.array(list(money.values()))}
    everything: dict[str, float] = {"spend": _sum(money.values())}
    for name, amount in given.items():
        if amount is None:
            columns[name] = np.full(len(keys), np.nan)
            everything[name] = math.nan
            continue
        found = _of_keys(name, amount, alone)
        if not alone:
            extra = [key for key in found if key not in money]
            if extra:
                listed = ", ".join(map(repr, extra[:5]))
                where = "counts only in mer" if name == "revenue" else "is left out"
                notes.append(f"{name} of {listed}{' and others' if len(extra) > 5 else ''} has no spend: it {where}")
        columns[name] = np.array([found.get(key, 0.0) for key in keys])
        everything[name] = _sum(found.values())
    columns["margin"] = _margin(margin, columns["revenue"], keys, alone, notes)
    worth = None if ltv is None else number("ltv", ltv, low=0.0)
    monthly = None if monthly_margin is None else number("monthly_margin", monthly_margin, low=0.0)
    figures = _figures(columns, worth, monthly)
    sums = {name: np.array([_sum(column)]) for name, column in columns.items()}
    total = {name: float(column[0]) for name, column in {**sums, **_figures(sums, worth, monthly)}.items()}
    total["mer"] = float(ratio(everything["revenue"], everything["spend"]))
    return UnitEconomics(
        key=_keys(keys), **columns, **figures, total=total, reasons=_reasons(columns, figures, worth, monthly),
        notes=tuple(notes),
    )  # fmt: skip


def _amounts(name: str, given: Mapping[Any, Any]) -> dict[Any, float]:
    out = {}
    for key, value in given.items():
        if not isinstance(key, (str, int, np.integer, np.str_)) or isinstance(key, bool):
            raise InputError(
                f"{name} has the key {shown(key)}; keys must be strings or whole numbers.",
                argument=name,
                code="wrong_type",
            )
        out[key] = number(f"{name}[{shown(key)}]", value, low=0.0)
    return out


def _of_keys(name: str, amount: Any, alone: bool) -> dict[Any, float]:
    if isinstance(amount, Mapping):
        if alone:
            raise InputError(
                f"{name} is a mapping but spend is one sum: pass both by key, or both as one number.",
                argument=name,
                code="missing_argument",
            )
        return _amounts(name, amount)
    if not alone:
        raise InputError(
            f"{name} is {shown(amount)} but spend is by key: pass {name} as a mapping of the same keys.",
            argument=name,
            code="missing_argument",
        )
    return {"all": number(name, amount, low=0.0)}


def _margin(given: Any, revenue: FloatArray, keys: list[Any], alone: bool, notes: list[str]) -> FloatArray:
    if given is None:
        # Without revenue the margin is 0, whatever share of revenue it is.
        return np.where(revenue == 0, 0.0, np.nan)
    if isinstance(given, Mapping):
        if alone:
            raise InputError(
                "margin is a mapping but spend is one sum: pass both by key, or both as one number.",
                argument="margin",
                code="missing_argument",
            )
        found = {key: number(f"margin[{shown(key)}]", value) for key, value in given.items()}
        lost = [key for key in found if key not in keys]
        if lost:
            notes.append(f"margin of {', '.join(map(repr, lost[:5]))} has no spend: it is left out")
        return np.array([found.get(key, 0.0) for key in keys])
    share = number("margin", given)
    if 0 <= share <= 1:
        if np.isnan(revenue).all():
            raise InputError(
                f"margin is {share:g}, a share of revenue, but revenue is not given: pass revenue= too.",
                argument="margin",
                code="missing_argument",
            )
        return revenue * share
    if not alone:
        raise InputError(
            f"margin is {share:g}; it must be a share of revenue from 0 to 1, or a mapping of keys to money.",
            argument="margin",
            code="wrong_type",
        )
    return np.array([share])


def _figures(c: Mapping[str, FloatArray], ltv: float | None, monthly: float | None) -> dict[str, FloatArray]:
    spend = c["spend"]
    cac = ratio(spend, c["new_customers"])
    none = np.full(len(spend), np.nan)
    return {
        "cost_per_click": ratio(spend, c["clicks"]),
        "cost_per_lead": ratio(spend, c["leads"]),
        "cost_per_order": ratio(spend, c["orders"]),
        "customer_acquisition_cost": cac,
        "roas": ratio(c["revenue"], spend),
        "roi": ratio(c["margin"] - spend, spend),
        "revenue_roi": ratio(c["revenue"] - spend, spend),
        "click_to_lead": ratio(c["leads"], c["clicks"]),
        "lead_to_order": ratio(c["orders"], c["leads"]),
        "click_to_order": ratio(c["orders"], c["clicks"]),
        "ltv_to_cac": none if ltv is None else ratio(np.full(len(spend), ltv), cac),
        "payback_months": none if monthly is None else ratio(cac, np.full(len(spend), monthly)),
    }


_BELOW = {
    "cost_per_click": "clicks", "cost_per_lead": "leads", "cost_per_order": "orders",
    "customer_acquisition_cost": "new_customers", "roas": "spend", "roi": "spend", "revenue_roi": "spend",
    "click_to_lead": "clicks", "lead_to_order": "leads", "click_to_order": "clicks",
    "ltv_to_cac": "customer_acquisition_cost", "payback_months": "new_customers",
}  # fmt: skip
_NEEDS = {
    "cost_per_click": ("clicks",), "cost_per_lead": ("leads",), "cost_per_order": ("orders",),
    "customer_acquisition_cost": ("new_customers",), "roas": ("revenue",), "roi": ("margin",),
    "revenue_roi": ("revenue",), "click_to_lead": ("leads", "clicks"), "lead_to_order": ("orders", "leads"),
    "click_to_order": ("orders", "clicks"), "ltv_to_cac": ("new_customers",), "payback_months": ("new_customers",),
}  # fmt: skip


def _reasons(
    c: Mapping[str, FloatArray], figures: Mapping[str, FloatArray], ltv: float | None, monthly: float | None
) -> dict[str, str]:
    reasons = {}
    for name, column in figures.items():
        bad = np.isnan(column)
        if not bad.any():
            continue
        missing = [one for one in _NEEDS[name] if np.isnan(c[one]).all()]
        if name == "ltv_to_cac" and ltv is None:
            missing = ["ltv"]
        if name == "payback_months" and monthly is None:
            missing = ["monthly_margin"]
        if missing:
            continue  # not asked for: nothing to explain
        below = _BELOW[name]
        if name == "roi" and np.isnan(c["margin"]).any():
            reasons[name] = "margin is not given; revenue_roi uses revenue instead"
        elif name == "payback_months" and monthly == 0:
            reasons[name] = "monthly_margin is 0: it is never paid back"
        else:
            rows = "" if bad.all() else f" in {int(bad.sum()):,} of {len(bad):,} rows"
            reasons[name] = f"undefined{rows}: {below} is 0"
    return reasons


def _sum(values: Any) -> float:
    return math.fsum(float(value) for value in values)


def _keys(keys: list[Any]) -> npt.NDArray[Any]:
    kinds = {type(key) for key in keys}
    if kinds <= {int, np.int64}:
        return np.array(keys)
    out = np.empty(len(keys), dtype=object)
    out[:] = keys
    return out if len(kinds) > 1 else np.array(keys)
