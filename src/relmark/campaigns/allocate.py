"""Which customer gets which offer under capacities, minimums and a budget, with a proven bound.

Maximize the sum of ``v_ij x_ij`` with x in {0, 1}, at most m offers per customer, and linear limits on counts, costs
and other weights. Prices of the limits make the customers independent of each other (`_prices`), and give a bound that
no allocation exceeds. The few customers without a clear choice at these prices are decided by an integer program
(`_whole`). A million customers take seconds.

References
----------
Fisher (1981), "The Lagrangian relaxation method for solving integer programming problems", Management Science 27.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.campaigns._limits import Allotment, Limits
from relmark.campaigns._prices import find_prices
from relmark.campaigns._whole import decide, feasible_part, solve_whole
from relmark.campaigns.allocation import Allocation
from relmark.campaigns.constraint import Constraint
from relmark.core import checks
from relmark.core.checks import BoolArray, FloatArray, shown
from relmark.core.errors import InputError
from relmark.core.frames import columns_of
from relmark.core.hashing import hash_buckets
from relmark.core.ids import id_array
from relmark.core.names import did_you_mean
from relmark.core.results import Result

__all__ = ["allocate"]

_WHOLE_CELLS = 3_000
_LINEAR_CELLS = 60_000
Per = float | Mapping[str, Any]


def allocate(
    values: npt.ArrayLike | Mapping[str, npt.ArrayLike] | Result,
    *,
    customer_id: npt.ArrayLike | None = None,
    offers: Sequence[str] | None = None,
    capacity: Mapping[str, float] | float | None = None,
    minimum: Mapping[str, float] | float | None = None,
    cost: Mapping[str, float | npt.ArrayLike] | npt.ArrayLike | float | None = None,
    budget: float | None = None,
    at_most: int = 1,
    allowed: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    constraints: Sequence[Constraint] = (),
) -> Allocation:
    """Find the most valuable allocation of offers to customers that respects every limit.

    Parameters
    ----------
    values : array_like, shape (n, k), mapping of offer to array_like, shape (n,), frame, or result with customer_id
        What each offer to each customer is worth, such as its expected margin or, better, the increment of an uplift
        model. An offer with the value NaN is never given.
    customer_id : array_like, shape (n,), optional
        The ids of the customers, by which ties are decided; by default, by row number.
    offers : sequence of str, optional
        The names of the columns of an array; by default, "0", "1", ...
    capacity, minimum : mapping of offer to number, or one number for every offer, optional
        How many customers can get an offer at most, and must get it at least.
    cost : mapping of offer to number or array_like, shape (n,), array_like, shape (n, k), or a number, optional
        What an offer costs; by default, 0.
    budget : float, optional
        What all offers may cost together.
    at_most : int
        The largest number of offers for one customer.
    allowed : array_like of bool, shape (n, k), or mapping of offer to array_like, shape (n,), optional
        Which customers may get which offers; by default, everybody may get every offer.
    constraints : sequence of Constraint
        Further linear limits.

    Returns
    -------
    Allocation
        `.offer` (n,), `.value`, `.bound`, `.gap`, `.counts`, `.price`.

    Raises
    ------
    InputError
        If no allocation within the limits was found. The message names the limits that conflict, or says that they
        could be met only by dividing customers.

    Notes
    -----
    A limit is never broken. An offer of negative value is given only if a minimum requires it. Cost: a few passes over
    the values; memory is about twice that of the values and costs.

    Examples
    --------
    >>> found = allocate({"coupon": [5.0, 4.0, 3.0], "gift": [4.0, 1.0, 3.5]}, capacity={"coupon": 1, "gift": 1})
    >>> found.offer.tolist(), found.value, found.bound
    (['coupon', '', 'gift'], 8.5, 8.5)
    """
    table, names, ids = _read_values(values, offers, customer_id)
    n, k = table.shape
    m = checks.whole("at_most", at_most, low=1)
    if allowed is not None:
        table = np.where(_read_table("allowed", allowed, names, n, flags=True) != 0, table, np.nan)
    order = _order(ids, n)
    columns = np.empty((k, n))
    unit = 0.0
    for column, given in zip(columns, table.T, strict=True):
        np.take(given, order, out=column)
        missing = np.isnan(column)
        unit = max(unit, float(np.abs(column).max(initial=0.0, where=~missing)))
        column[missing] = -np.inf
    unit = unit or 1.0
    prices_of = None if cost is None else _read_table("cost", cost, names, n)
    if budget is not None and prices_of is None:
        raise InputError(
            "budget is given without cost: pass the costs of the offers in cost=.",
            argument="cost",
            code="missing_argument",
        )
    bounds = (_read_bounds("minimum", minimum, names), _read_bounds("capacity", capacity, names))
    limits = _limits(names, bounds, prices_of, budget, constraints, order)
    problem = Allotment(columns, limits, min(m, k))
    _check_possible(problem, names, bounds)
    method, chosen, bound, price = _solved(problem, unit)
    back = np.empty(n, dtype=np.int64)
    back[order] = np.arange(n)
    return _allocation(table, names, ids, chosen[:, back], (bound, method), price, limits, prices_of, bounds)


def _solved(problem: Allotment, unit: float) -> tuple[str, BoolArray, float, FloatArray]:
    """Return how it was solved, the allocation, the bound, and the prices."""
    priced = find_prices(problem, unit)
    if problem.values.size <= _WHOLE_CELLS:
        whole, bound = solve_whole(problem)
        if whole is not None:
            worth = math.fsum(problem.values[whole].tolist())
            return "whole", whole, max(min(bound, priced.bound), worth), priced.price
    chosen = decide(problem, priced.chosen, priced.price, priced.bound, unit)
    if chosen is None:
        raise _none_found(problem)
    return "prices", chosen, max(priced.bound, math.fsum(problem.values[chosen].tolist())), priced.price


def _none_found(problem: Allotment) -> InputError:
    named = problem.limits.names
    if problem.values.size > _LINEAR_CELLS:
        return InputError(
            f"no allocation was found that meets all of {', '.join(named)}.", argument="minimum",
            code="conflicting_arguments", hint="Lower minimums, or raise the budget or capacities.",
        )  # fmt: skip
    possible, missed = feasible_part(problem)
    if possible:
        return InputError(
            f"no allocation was found that meets all of {', '.join(named)}: it would have to divide customers.",
            argument="minimum",
            code="conflicting_arguments",
            hint="Relax one of these limits a little.",
        )
    worst = [f"{name} (missed by {gap:g})" for name, gap in zip(named, missed.tolist(), strict=True) if gap > 0]
    return InputError(
        f"no allocation meets all limits: {', '.join(worst)} cannot be met together with the others.",
        argument="minimum",
        code="conflicting_arguments",
        hint="Lower minimums, or raise the budget or capacities.",
    )


# What came in


def _read_values(
    values: Any, offers: Sequence[str] | None, customer_id: Any
) -> tuple[FloatArray, tuple[str, ...], npt.NDArray[Any] | None]:
    if hasattr(values, "to_columns") and not isinstance(values, Mapping):
        values = dict(values.to_columns())
    elif hasattr(values, "columns") and not isinstance(values, Mapping):
        values = columns_of(values)
    if isinstance(values, Mapping):
        columns = dict(values)
        if "customer_id" in columns:
            own = columns.pop("customer_id")
            customer_id = own if customer_id is None else customer_id
        if offers is not None:
            missing = [name for name in offers if name not in columns]
            if missing:
                raise InputError(
                    f"values has no column {missing[0]!r}: it has {', '.join(map(repr, columns))}.",
                    argument="offers",
                    code="unknown_name",
                    hint=did_you_mean(missing[0], columns).strip(),
                )
            columns = {name: columns[name] for name in offers}
        if not columns:
            raise InputError("values has no offer: pass one column per offer.", argument="values", code="empty")
        read = [checks.numbers(f"values[{name!r}]", column, missing=True) for name, column in columns.items()]
        for name, column in zip(columns, read, strict=True):
            checks.same_length(f"values[{name!r}]", column, len(read[0]))
        table, names = np.column_stack(read), tuple(map(str, columns))
    else:
        array = np.asarray(values)
        if array.ndim != 2 or not array.shape[1]:
            raise InputError(
                f"values has shape {array.shape}; it must have one row per customer and one column per offer.",
                argument="values",
                code="wrong_shape",
            )
        table = checks.numbers("values", array.reshape(-1), missing=True).reshape(array.shape)
        names = tuple(map(str, range(array.shape[1]))) if offers is None else _offer_names(offers, array.shape[1])
    ids = None if customer_id is None else id_array("customer_id", customer_id)
    if ids is not None:
        checks.same_length("customer_id", ids, len(table))
    return table, names, ids


def _offer_names(offers: Sequence[str], k: int) -> tuple[str, ...]:
    if isinstance(offers, str) or not isinstance(offers, Sequence):
        raise InputError(
            f"offers is {shown(offers)}; it must be a list of names.", argument="offers", code="wrong_type"
        )
    names = tuple(checks.text("offers", name) for name in offers)
    if len(names) != k or len(set(names)) < k:
        raise InputError(
            f"offers has {len(names)} names; it must have {k} different names, one per column of values.",
            argument="offers",
            code="wrong_length",
        )
    return names


def _order(ids: npt.NDArray[Any] | None, n: int) -> npt.NDArray[np.int64]:
    """Return the order of the customers in which ties are decided, which is that of a hash of their ids."""
    if ids is None:
        return np.arange(n)
    order = np.lexsort((ids, hash_buckets(ids, "sample:allocate")))
    twice = ids[order[1:]] == ids[order[:-1]]
    if twice.any():
        raise InputError(
            f"customer_id has {shown(ids[order[int(np.argmax(twice))]])} twice: each customer must have one row.",
            argument="customer_id",
            code="duplicate",
        )
    return order


def _read_table(name: str, given: Any, names: tuple[str, ...], n: int, *, flags: bool = False) -> FloatArray:
    """Return numbers by customer and offer, shape (n, k) or (1, k); a mapping may leave offers out."""
    if isinstance(given, Mapping):
        _known(name, given, names)
        columns = [np.asarray(given.get(offer, 1.0 if flags else 0.0)) for offer in names]
        read = [
            checks.numbers(f"{name}[{offer!r}]", np.atleast_1d(column).astype(np.float64))
            for offer, column in zip(names, columns, strict=True)
        ]
        for offer, column, numbers in zip(names, columns, read, strict=True):
            if column.ndim:
                checks.same_length(f"{name}[{offer!r}]", numbers, n)
        if all(column.ndim == 0 for column in columns):
            return np.array(read).T
        return np.column_stack([np.broadcast_to(column, n) for column in read])
    array = np.asarray(given)
    if array.ndim == 0:
        array = np.broadcast_to(array, (1, len(names)))
    if array.ndim != 2 or array.shape[1] != len(names) or array.shape[0] not in {1, n}:
        raise InputError(
            f"{name} has shape {array.shape}; it must be a mapping of offers, or have shape ({n}, {len(names)}).",
            argument=name,
            code="wrong_shape",
        )
    return checks.numbers(name, array.reshape(-1)).reshape(array.shape)


def _known(name: str, given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for offer in given:
        if offer not in names:
            raise InputError(
                f"{name} names the offer {shown(offer)}, but the offers are {', '.join(map(repr, names))}.",
                argument=name,
                code="unknown_name",
                hint=did_you_mean(str(offer), names).strip(),
            )


def _read_bounds(name: str, given: Any, names: tuple[str, ...]) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        given = dict.fromkeys(names, given)
    _known(name, given, names)
    found = {str(offer): checks.number(f"{name}[{offer!r}]", bound, low=0.0) for offer, bound in given.items()}
    whole = math.ceil if name == "minimum" else math.floor
    return {offer: float(whole(bound)) for offer, bound in found.items()}


def _limits(
    names: tuple[str, ...],
    bounds: tuple[dict[str, float], dict[str, float]],
    costs: FloatArray | None,
    budget: float | None,
    constraints: Sequence[Constraint],
    order: npt.NDArray[np.int64],
) -> Limits:
    """Return all limits as upper bounds, with weights in the order of the customers."""
    k = len(names)
    labels, kinds, plain, bound = [], [], [], []
    dense: dict[tuple[int, int], FloatArray] = {}
    for kind, sign, given in (("minimum", -1.0, bounds[0]), ("capacity", 1.0, bounds[1])):
        for offer, most in given.items():
            labels.append(f"the {kind} of {offer!r} ({most:,.0f})")
            kinds.append(f"{kind}:{offer}")
            plain.append(np.where(np.array(names) == offer, sign, 0.0))
            bound.append(sign * most)

    def add(label: str, kind: str, weights: FloatArray, most: float, sign: float) -> None:
        if len(weights) == 1:
            plain.append(sign * weights[0])
        else:
            plain.append(np.zeros(k))
            for offer in range(k):
                column = weights[:, offer]
                if (column == column[0]).all():
                    plain[-1][offer] = sign * column[0]
                else:
                    dense[len(labels), offer] = sign * column[order]
        labels.append(label)
        kinds.append(kind)
        bound.append(sign * most)

    if budget is not None and costs is not None:
        add(f"the budget ({checks.number('budget', budget):,.2f})", "budget", costs, float(budget), 1.0)
    if isinstance(constraints, Constraint) or not all(isinstance(one, Constraint) for one in constraints):
        raise InputError(
            f"constraints is {shown(constraints)}; it must be a list of Constraints.",
            argument="constraints",
            code="wrong_type",
        )
    for one in constraints:
        weights = _read_table(f"the weight of {one.name!r}", one.weight, names, len(order))
        if one.at_most is not None:
            add(f"{one.name!r} (at most {one.at_most:g})", f"at_most:{one.name}", weights, one.at_most, 1.0)
        if one.at_least is not None:
            add(f"{one.name!r} (at least {one.at_least:g})", f"at_least:{one.name}", weights, one.at_least, -1.0)
    return Limits(tuple(labels), tuple(kinds), np.array(plain).reshape(len(labels), k), dense, np.array(bound))


def _check_possible(
    problem: Allotment, names: tuple[str, ...], bounds: tuple[dict[str, float], dict[str, float]]
) -> None:
    """Raise an error if a minimum is larger than the number of possible customers, or than its capacity."""
    minimum, capacity = bounds
    reachable = np.isfinite(problem.values).sum(axis=1)
    for offer, least in minimum.items():
        most = float(reachable[names.index(offer)])
        if least > min(most, capacity.get(offer, math.inf)):
            raise InputError(
                f"the minimum of {offer!r} is {least:,.0f}, but at most "
                f"{min(most, capacity.get(offer, math.inf)):,.0f} customers can get it.",
                argument="minimum",
                code="conflicting_arguments",
                hint="Lower it, or allow the offer to more customers.",
            )
    total = sum(minimum.values())
    room = float(np.minimum(np.isfinite(problem.values).sum(axis=0), problem.most).sum())
    if total > room:
        raise InputError(
            f"the minimums add up to {total:,.0f}, but at most {room:,.0f} offers can be given.",
            argument="minimum",
            code="conflicting_arguments",
            hint="Lower them, or raise at_most.",
        )


# What comes out


def _allocation(
    table: FloatArray,
    names: tuple[str, ...],
    ids: npt.NDArray[Any] | None,
    chosen: BoolArray,
    solved: tuple[float, str],
    price: FloatArray,
    limits: Limits,
    costs: FloatArray | None,
    bounds: tuple[dict[str, float], dict[str, float]],
) -> Allocation:
    bound, method = solved
    n = len(table)
    gain, best = np.zeros(n), np.full(n, -np.inf)
    place = np.full(n, len(names))
    below = 0
    for position, (mine, column) in enumerate(zip(chosen, table.T, strict=True)):
        gain[mine] += column[mine]
        better = mine & (column > best)
        best[better], place[better] = column[better], position
        below += int(np.count_nonzero(column[mine] < 0))
    value = math.fsum(table.T[chosen].tolist())
    offer = np.array([*names, ""])[place]
    spent = 0.0 if costs is None else math.fsum(np.broadcast_to(costs, table.shape)[chosen.T].tolist())
    of_limit = dict(zip(limits.kinds, price.tolist(), strict=True))
    by_offer = {name: of_limit.get(f"capacity:{name}", 0.0) - of_limit.get(f"minimum:{name}", 0.0) for name in names}
    others: dict[str, float] = {}
    for kind, one in of_limit.items():
        side, _, name = kind.partition(":")
        if side in {"at_most", "at_least"}:
            others[name] = others.get(name, 0.0) + (one if side == "at_most" else -one)
    notes = () if ids is not None else ("without customer_id, ties are decided by row number",)
    return Allocation(
        customer_id=np.arange(n) if ids is None else ids,
        offer=offer,
        gain=gain,
        value=value,
        bound=bound,
        gap=_gap(value, bound),
        counts=dict(zip(names, chosen.sum(axis=1).tolist(), strict=True)),
        spent=spent,
        price=by_offer,
        budget_price=of_limit.get("budget", math.nan),
        prices=others,
        below_zero=below,
        method=method,
        offers=names,
        notes=notes,
        pairs=chosen,
        limits={name: (bounds[0].get(name), bounds[1].get(name)) for name in names},
    )


def _gap(value: float, bound: float) -> float:
    if value > 0:
        return bound / value - 1
    if value == 0:
        return 0.0 if bound <= 0 else math.inf
    return math.nan
