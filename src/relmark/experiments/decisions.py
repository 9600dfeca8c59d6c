"""What the campaign brought in people and money, and what to do now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import attrs
import numpy as np
from scipy.special import ndtr

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.formats import format_number
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.experiments import _means, proportions
from relmark.experiments._told import Told
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.effects import Effect
from relmark.experiments.metrics import Proportion

__all__ = ["Beside", "Decision", "Impact", "NonInferiority", "decide", "impact", "non_inferiority"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Impact(Told):
    """What an arm brought beyond what control would have brought, over all people in the arm.

    Attributes
    ----------
    arm : str
        The arm.
    people : int
        The number of people in it.
    customers, orders, revenue : Estimate
        How many more buyers, orders and how much more money than without the campaign; NaN if the metric is not given.
    margin : Estimate
        The part of the incremental revenue that is kept.
    cost : float
        What the campaign cost in this arm.
    profit : Estimate
        Margin minus cost.
    roi : Estimate
        Profit divided by cost.
    cost_per_order : Estimate
        Cost divided by incremental orders.
    level : float
        The confidence level of the intervals.
    """

    arm: str
    people: int
    customers: Estimate
    orders: Estimate
    revenue: Estimate
    margin: Estimate
    cost: float
    profit: Estimate
    roi: Estimate
    cost_per_order: Estimate
    level: float

    def _title(self) -> str:
        return f"{self.arm}, {self.people:,} people, cost {format_number(self.cost)}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = []
        for name in ("customers", "orders", "revenue", "margin", "profit", "roi", "cost_per_order"):
            found = getattr(self, name)
            if not (math.isnan(found.value) and found.interval is None and found.reason.startswith("no metric")):
                rows.append((name.replace("_", " "), repr(found)))
        return rows


_NONE = "no metric of {what} was given"


def impact(
    report: EffectTable,
    arm: str | None = None,
    *,
    revenue: str | None = None,
    orders: str | None = None,
    customers: str | None = None,
    margin: float | None = None,
    cost: float = 0.0,
    fixed_cost: float = 0.0,
) -> Impact:
    """Return what an arm brought in people, orders and money; see `Report.impact`."""
    worth = None if margin is None else checks.positive("margin", margin)
    if revenue is not None and worth is not None and worth > 1:
        raise InputError(
            f"margin is {worth:g}: with revenue= it is the share of it that is kept, and must be between 0 and 1.",
            argument="margin",
            code="wrong_value",
        )
    each, fixed = checks.number("cost", cost, low=0.0), checks.number("fixed_cost", fixed_cost, low=0.0)
    if report.observed:
        raise InputError(
            "the arms were not randomized: a difference between groups is not incremental revenue.",
            argument="report",
            code="wrong_value",
            hint="Run the campaign with a control group drawn by Experiment.assign.",
        )
    if revenue is None and orders is None and customers is None:
        raise InputError(
            "none of revenue=, orders= and customers= is given: give the name of at least one such metric.",
            argument="revenue",
            code="missing_argument",
        )
    # The first metric given decides which arm it is, and how many people are in it.
    any_metric = next(name for name in (revenue, orders, customers) if name is not None)
    first = report.effect(any_metric, arm)
    people, name = first.n_treatment, first.arm
    found: dict[str, Estimate] = {}
    for what, metric in (("revenue", revenue), ("orders", orders), ("customers", customers)):
        if metric is None:
            found[what] = Estimate(math.nan, None, _NONE.format(what=what))
        else:
            found[what] = _scaled(report.effect(metric, name).difference, people)
    spent = each * people + fixed
    kept = _kept(found, worth, revenue=revenue, orders=orders)
    profit = _shifted(kept, -spent)
    free = Estimate(math.nan, None, "the campaign cost nothing: give cost= per person, or fixed_cost=")
    return Impact(
        arm=name,
        people=people,
        customers=found["customers"],
        orders=found["orders"],
        revenue=found["revenue"],
        margin=kept,
        cost=spent,
        profit=profit,
        roi=_scaled(profit, 1 / spent) if spent else (kept if math.isnan(kept.value) else free),
        cost_per_order=_per(spent, found["orders"]) if spent or not orders else free,
        level=report.level,
    )


def _kept(found: Mapping[str, Estimate], worth: float | None, *, revenue: str | None, orders: str | None) -> Estimate:
    """Return what is kept of the money that the arm brought."""
    if revenue is not None:
        return _scaled(found["revenue"], 1.0 if worth is None else worth)
    if worth is None:
        return Estimate(math.nan, None, _NONE.format(what="revenue"))
    return _scaled(found["customers" if orders is None else "orders"], worth)


def _scaled(estimate: Estimate, by: float) -> Estimate:
    i = estimate.interval
    interval = None if i is None else Interval(i.low * by, i.high * by, i.level, i.method)
    return Estimate(estimate.value * by, interval, estimate.reason)


def _shifted(estimate: Estimate, by: float) -> Estimate:
    i = estimate.interval
    interval = None if i is None else Interval(i.low + by, i.high + by, i.level, i.method)
    return Estimate(estimate.value + by, interval, estimate.reason)


def _per(cost: float, orders: Estimate) -> Estimate:
    """Return cost per order, with the interval that follows from that of orders."""
    if math.isnan(orders.value):
        return orders
    if orders.value <= 0:
        return Estimate(math.nan, None, "the campaign brought no additional orders, so there is no cost per order")
    i = orders.interval
    if i is None:
        return Estimate(cost / orders.value, None, orders.reason)
    if i.low <= 0:
        unbounded = Interval(cost / i.high, math.inf, i.level, i.method)
        why = "there may be no additional orders, so the cost of one is unbounded"
        return Estimate(cost / orders.value, unbounded, why)
    return Estimate(cost / orders.value, Interval(cost / i.high, cost / i.low, i.level, i.method))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class NonInferiority(Result):
    """Whether an arm is at most a little worse than control.

    Attributes
    ----------
    metric, arm : str
        What was compared.
    margin : float
        The fall that would still be acceptable (the rise, for a metric of which less is better).
    passed : bool
        Whether the worse end of the interval is within the margin.
    p_value : float
        The one-sided p-value of a fall as large as the margin or larger.
    difference : Estimate
        Treatment minus control.
    """

    metric: str
    arm: str
    margin: float
    passed: bool
    p_value: float
    difference: Estimate


def non_inferiority(effect: Effect, margin: float, *, larger_is_better: bool = True) -> NonInferiority:
    """Return whether an arm is surely not worse than control by more than a margin; see `Report.non_inferiority`."""
    limit = checks.positive("margin", margin)
    d = effect.difference
    sign = 1.0 if larger_is_better else -1.0
    if d.interval is None:
        p = math.nan
    elif effect.of_shares:
        # Wald's standard error may be zero: the score test has its variance at the bound itself.
        x1, x0 = effect.treatment * effect.n_treatment, effect.control * effect.n_control
        k1, n1, k0, n0 = (np.array([float(k)]) for k in (round(x1), effect.n_treatment, round(x0), effect.n_control))
        with np.errstate(divide="ignore", invalid="ignore"):
            z = proportions.farrington_manning(k1, n1, k0, n0, np.array([-sign * limit]))
        p = float(ndtr(-sign * z[0]))
    elif effect.standard_error > 0:
        t = (sign * d.value + limit) / effect.standard_error
        df = effect.df if not math.isnan(effect.df) else math.inf
        both = float(_means.t_tail(np.array([t]), np.array([df]))[0])
        p = both / 2 if t > 0 else 1 - both / 2
    else:
        p = math.nan
    worse = d.low if larger_is_better else -d.high
    return NonInferiority(
        metric=effect.metric, arm=effect.arm, margin=limit, passed=bool(worse > -limit), p_value=p, difference=d
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Decision(Told):
    """What to do with an arm.

    Attributes
    ----------
    action : {"ship", "stop", "go on"}
        Ship if the interval of the profit lies above zero and all guardrails hold; stop if it lies below zero or a
        guardrail is broken; go on if neither is sure, or if a check failed.
    arm : str
        The arm.
    metric : str
        The name of the metric that the decision is based on.
    profit_per_person : Estimate
        Margin minus cost per person in the arm; the effect itself if the metric is not money.
    impact : Impact, optional
        What the arm brought; None if the metric is not money.
    guardrails : tuple of NonInferiority
        Whether each guardrail holds.
    reason : str
        The reason for the action, in words.
    """

    action: str
    arm: str
    metric: str
    profit_per_person: Estimate
    impact: Impact | None
    guardrails: tuple[NonInferiority, ...] = ()
    reason: str = ""

    def __repr__(self) -> str:
        return f"Decision({self.arm}: {self.action}, {self.reason})"

    def _title(self) -> str:
        return f"{self.arm}: {self.action}. {self.reason}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("per person", repr(self.profit_per_person))]
        if self.impact is not None:
            rows += [("in all", self.impact._title()), *self.impact._rows()]  # noqa: SLF001
        for guard in self.guardrails:
            held = "holds" if guard.passed else "is not sure to hold"
            rows.append(
                ("guardrail", f"{guard.metric} {held} within {format_number(guard.margin)}: {guard.difference!r}")
            )
        return rows


class Beside(NamedTuple):
    """Metrics, by name, that an impact shows in addition to the one that the decision is based on."""

    orders: str | None = None
    customers: str | None = None


def decide(
    report: EffectTable,
    arm: str | None = None,
    *,
    metric: str | None = None,
    margin: float = 1.0,
    cost: float = 0.0,
    fixed_cost: float = 0.0,
    beside: Beside = Beside(),  # noqa: B008
    guardrails: Mapping[str, float] | None = None,
) -> Decision:
    """Return what to do with an arm, by the money that it brought; see `Report.decide`."""
    orders, customers = beside
    metrics = report.source.metrics
    if metric is None:
        amounts = [m.name for m in metrics if not isinstance(m, Proportion)]
        metric = amounts[0] if amounts else metrics[0].name
    effect = report.effect(metric, arm)
    if report.observed:
        raise InputError(
            "the arms were not randomized: a difference between groups is no basis for a decision.",
            argument="report",
            code="wrong_value",
            hint="Run the campaign with a control group drawn by Experiment.assign.",
        )
    spec = next(m for m in metrics if m.name == metric)
    worth = checks.positive("margin", margin)
    each, fixed = checks.number("cost", cost, low=0.0), checks.number("fixed_cost", fixed_cost, low=0.0)
    share = isinstance(spec, Proportion)
    money = not share or each > 0 or fixed > 0 or worth != 1
    brought = None
    if money:
        # The money comes from revenue, of which a share is kept, or from orders or customers with a worth each.
        revenue = metric if not share and worth <= 1 else None
        brought = impact(
            report,
            effect.arm,
            revenue=revenue,
            orders=None if share else orders if revenue is not None else metric,
            customers=metric if share else customers,
            margin=worth,
            cost=each,
            fixed_cost=fixed,
        )
        if share and orders is not None:
            per_order = impact(report, effect.arm, orders=orders, margin=worth, cost=each, fixed_cost=fixed)
            brought = attrs.evolve(brought, orders=per_order.orders, cost_per_order=per_order.cost_per_order)
    spent = each + (fixed / effect.n_treatment if effect.n_treatment else 0.0)
    gain = _shifted(_scaled(effect.difference, worth), -spent)
    held, hurt = [], []
    for name, limit in (guardrails or {}).items():
        bound = checks.number(f"guardrails[{name!r}]", limit)
        if bound == 0:
            raise InputError(
                f"guardrails[{name!r}] is 0: say how much is acceptable, such as .001 for a rise or -.001 for a fall.",
                argument="guardrails",
                code="wrong_value",
            )
        guard = report.effect(name, effect.arm)
        held.append(non_inferiority(guard, abs(bound), larger_is_better=bound < 0))
        worst = guard.difference.low > bound if bound > 0 else guard.difference.high < bound
        if worst:
            hurt.append(name)
    unsure = [g.metric for g in held if not g.passed and g.metric not in hurt]
    broken = [check for check in report.checks if not check.passed]
    action, reason = _action(gain, hurt, unsure, "profit per person" if money else f"the effect on {metric}")
    if broken:
        action, reason = "go on", f"a check failed ({broken[0].name}): trust no figure until the cause is found"
    return Decision(
        action=action,
        arm=effect.arm,
        metric=metric,
        profit_per_person=gain,
        impact=brought,
        guardrails=tuple(held),
        reason=reason,
    )


def _action(gain: Estimate, hurt: list[str], unsure: list[str], what: str) -> tuple[str, str]:
    if hurt:
        return "stop", f"{hurt[0]} got worse than its guardrail allows"
    if gain.interval is None:
        return "go on", f"{what} cannot be estimated: {gain.reason}"
    shown = f"[{format_number(gain.low)}, {format_number(gain.high)}]"
    if gain.high < 0:
        return "stop", f"{what} is surely below zero: {shown}"
    if gain.low > 0 and not unsure:
        return "ship", f"{what} is surely above zero: {shown}"
    if gain.low > 0:
        return "go on", f"{what} is above zero, {shown}, but {unsure[0]} might be worse than its guardrail allows"
    return "go on", f"{what} may be above or below zero: {shown}"
