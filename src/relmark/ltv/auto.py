"""Choose a model for these customers: fit all models, compare what each of them foresaw, and explain the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError, RelmarkError
from relmark.core.names import did_you_mean
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant, duration
from relmark.ltv._bought import bought_days
from relmark.ltv.bg_nbd import BgNbd
from relmark.ltv.holdout import HoldoutReport, holdout_report
from relmark.ltv.mbg_cnbd import MbgCnbd
from relmark.ltv.mbg_nbd import MbgNbd
from relmark.ltv.nbd import Nbd
from relmark.ltv.pareto_nbd import ParetoNbd
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import PurchaseSummary
from relmark.ltv.transactions import HoldoutSplit, purchase_summary, split

__all__ = ["ModelChoice", "auto"]

ModelKind: TypeAlias = type[PurchaseModel]
"""The class of a model, such as `BgNbd`."""
Fit: TypeAlias = Callable[[PurchaseSummary], PurchaseModel]

# The models that `auto` tries: each is a class with `fit(summary)` and the predictions of `PurchaseModel`.
_FAMILY: dict[str, ModelKind] = {
    "NBD": Nbd,
    "BG/NBD": BgNbd,
    "MBG/NBD": MbgNbd,
    "MBG/CNBD": MbgCnbd,
    "Pareto/NBD": ParetoNbd,
}
_DAY = 86_400_000_000
_ALIKE = 1e-5  # of a customer's log-likelihood: below this one model equals another at its boundary, as with k = 1
_CLOSER = 0.98  # of the error: a smaller one is worth a sentence
_LEAST = 1e-300  # of a probability whose logarithm is taken


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ModelChoice(ColumnarResult):
    """What `auto` chose, and why: one row per model.

    Parameters
    ----------
    candidate : ndarray of str, shape (k,)
        The models, in the order in which they were tried.
    log_likelihood, aic, bic : ndarray, shape (k,)
        The log-likelihood and the two information criteria of the fit to all purchases.
    held_out : ndarray, shape (k,)
        The log-likelihood of the purchases in the holdout, under the model fitted to the time before it; NaN without a
        holdout.
    relative_error : ndarray, shape (k,)
        Purchases expected in the holdout divided by those that were made, minus 1.
    mean_absolute_error : ndarray, shape (k,)
        The mean absolute error per customer, in purchases.
    converged : ndarray of bool, shape (k,)
        Whether the fit to all purchases converged.
    name : str
        The model that was chosen.
    why : str
        The reason, in sentences with figures.
    models : mapping of str to model
        All the models, fitted to all purchases.
    holdout : float
        The length of the holdout, in `unit`; 0 without one.
    unit : str
        The unit of time.
    notes : tuple of str
        Models that could not be fitted, and what is wrong with other fits.
    """

    candidate: npt.NDArray[np.str_]
    log_likelihood: FloatArray
    aic: FloatArray
    bic: FloatArray
    held_out: FloatArray
    relative_error: FloatArray
    mean_absolute_error: FloatArray
    converged: npt.NDArray[np.bool_]
    name: str
    why: str
    models: Mapping[str, PurchaseModel]
    holdout: float
    unit: str
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> PurchaseModel:
        """The model that was chosen, fitted to all purchases."""
        return self.models[self.name]

    def _facts(self) -> dict[str, Any]:
        return {"name": self.name, "why": self.why, "holdout": f"{self.holdout:.4g} {self.unit}s"}

    def _table(self) -> dict[str, Any]:
        columns = {name: column for name, column in self.to_columns().items() if name != "converged"}
        return (
            columns if self.holdout else {name: columns[name] for name in ("candidate", "log_likelihood", "aic", "bic")}
        )

    def _lines(self) -> list[str]:
        return [self.why, *(f"note: {text}" for text in self.notes)]


class _Tried(NamedTuple):
    """One model fitted to all purchases, and what the same model fitted before the holdout foresaw."""

    model: PurchaseModel
    by_customer: FloatArray | None
    report: HoldoutReport | None


def auto(
    data: CustomerBase | Purchases | PurchaseSummary | HoldoutSplit,
    *,
    as_of: Instant | None = None,
    unit: str = "week",
    models: str | Iterable[str | ModelKind] | Mapping[str, ModelKind] = "all",
    holdout: timedelta | None = None,
) -> ModelChoice:
    """Fit the models of the family, and choose the one that best predicts what customers did afterwards.

    Parameters
    ----------
    data : CustomerBase, Purchases, PurchaseSummary or HoldoutSplit
        Purchases, of which the last part is held out, or a split of them that you have made. A summary contains no
        later purchases; with one, the information criterion BIC decides.
    as_of : date, datetime, datetime64 or str
        When the observation ends; required with a base or Purchases.
    unit : {"week", "day", "month", "year"}
        The unit of time, as for `purchase_summary`.
    models : "all", or names or classes of models
        "all" is NBD, BG/NBD, MBG/NBD, MBG/CNBD-k and Pareto/NBD. A mapping gives a name to each class; any subclass of
        `PurchaseModel` with ``fit(summary)`` will do.
    holdout : timedelta, optional
        How much time at the end is held out, rounded up to whole days. The default is a third of the time observed.

    Returns
    -------
    ModelChoice
        The table, the choice in words, and `model`, the chosen one fitted to all purchases.

    Notes
    -----
    The held-out log-likelihood is the sum over customers of the logarithm of the probability that the model gave to the
    number of purchases they made in the holdout. It judges how well a model foresees each customer; a small error of
    the total may be luck. The figure of the winner is a little too good, since it is the best of several on the same
    customers.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> x = rng.poisson(rng.gamma(.8, 2.0, 300)).astype(float)
    >>> s = PurchaseSummary(frequency=x, recency=np.where(x > 0, 40 * .5 ** (1 / (x + 1)), 0), T=np.full(300, 40.0))
    >>> auto(s, models=["NBD", "BG/NBD"]).name
    'NBD'
    """
    kinds = _kinds(models)
    whole, held = _read(data, as_of, unit, holdout)
    tried: dict[str, _Tried] = {}
    notes: list[str] = []
    for name, kind in kinds.items():
        try:
            tried[name] = _one(kind, whole, held)
        except NotEnoughDataError:
            raise
        except RelmarkError as error:
            notes.append(f"{name} was left out: {error}")
    if not tried:
        raise InputError(
            f"none of {', '.join(kinds)} could be fitted: {notes[0]}.", argument="models", code="not_enough_data"
        )
    name, why = _chosen(tried, held)
    notes += [
        f"the fit of {one} did not converge: {'; '.join(report.problems)}"
        for one, each in tried.items()
        if (report := each.model.fit_report) is not None and not report.converged
    ]
    reports = [each.model.fit_report for each in tried.values()]
    foreseen = [each.report for each in tried.values()]

    def of_holdout(field: str) -> FloatArray:
        return np.array([np.nan if report is None else getattr(report, field) for report in foreseen])

    return ModelChoice(
        candidate=np.array(list(tried)),
        **{
            field: np.array([getattr(report, field) for report in reports])
            for field in ("log_likelihood", "aic", "bic")
        },
        held_out=np.array([np.nan if one.by_customer is None else one.by_customer.sum() for one in tried.values()]),
        relative_error=of_holdout("relative_error"),
        mean_absolute_error=of_holdout("mean_absolute_error"),
        converged=np.array([report is not None and report.converged for report in reports]),
        name=name,
        why=why,
        models={one: each.model for one, each in tried.items()},
        holdout=0.0 if held is None else held.duration,
        unit=whole.unit,
        notes=tuple(notes),
    )


def _one(kind: ModelKind, whole: PurchaseSummary, held: HoldoutSplit | None) -> _Tried:
    fit: Fit = kind.fit  # type: ignore[attr-defined]
    if held is None:
        return _Tried(fit(whole), None, None)
    before = fit(held.calibration)
    model = before if whole is held.calibration else fit(whole)
    return _Tried(model, held_out_log_likelihood(before, held), holdout_report(before, held))


def held_out_log_likelihood(model: PurchaseModel, held: HoldoutSplit) -> FloatArray:
    """Return the log probability of the number of purchases that each customer made in the holdout, shape (n,)."""
    out = np.empty(len(held.frequency))
    for count in np.unique(held.frequency).tolist():
        rows = held.frequency == count
        chance = model.purchase_probabilities(held.calibration.take(rows), held.duration, int(count))
        out[rows] = np.log(np.maximum(chance, _LEAST))
    return out


def _chosen(tried: Mapping[str, _Tried], held: HoldoutSplit | None) -> tuple[str, str]:
    """Return the name of the best model, and why."""
    names = list(tried)
    if held is None:
        order = sorted(names, key=lambda name: (tried[name].model.fit_report.bic, names.index(name)))  # type: ignore[union-attr]
        best = order[0]
        figure = tried[best].model.fit_report.bic  # type: ignore[union-attr]
        why = f"{best} has the lowest BIC, {figure:,.1f}"
        if len(order) > 1:
            other = tried[order[1]].model.fit_report.bic  # type: ignore[union-attr]
            why += f" against {other:,.1f} of {order[1]}"
            why += ", a difference that is little more than luck." if other - figure < 2.0 else "."
        else:
            why += "; it was the only candidate."
        return best, f"{why} A summary holds no later purchases: give a base to see what each model foresees."
    sums = {name: float(np.sum(np.asarray(each.by_customer))) for name, each in tried.items()}
    order = sorted(names, key=lambda name: (-round(sums[name], 6), names.index(name)))
    best = order[0]
    report = tried[best].report
    assert report is not None
    n = len(held.frequency)
    why = (
        f"{best} gave the highest probability to what {n:,} customers did in the {held.duration:.4g} {held.unit}s held "
        f"out: log-likelihood {sums[best]:,.1f}"
    )
    others = [one for one in order[1:] if _differ(tried[one], tried[best])]
    if others:
        second = others[0]
        gaps = np.asarray(tried[best].by_customer) - np.asarray(tried[second].by_customer)
        error = float(gaps.std(ddof=1) * np.sqrt(n)) if n > 1 else np.inf
        sure = "clearly" if sums[best] - sums[second] > 1.96 * error else "not clearly"
        why += (
            f", {sure} higher than that of {second}, {sums[second]:,.1f} (difference {sums[best] - sums[second]:,.1f}, "
            f"standard error {error:,.1f})"
        )
    why += (
        f". It expected {report.expected_total:,.0f} purchases, and {report.actual_total:,.0f} were made "
        f"({report.relative_error:+.1%}); its mean absolute error is {report.mean_absolute_error:.3f} per customer"
    )
    plain = report.as_before_mean_absolute_error
    if report.mean_absolute_error < plain:
        why += f", against {plain:.3f} if everybody went on at their own rate so far."
    else:
        why += (
            f". That is no better than {plain:.3f}, the error if everybody went on at their own rate so far: these "
            "models help little to predict how much each customer will buy."
        )
    errors = {name: each.report.mean_absolute_error for name, each in tried.items() if each.report is not None}
    closest = min(errors, key=lambda name: (round(errors[name], 6), names.index(name)))
    if errors[closest] < _CLOSER * errors[best]:
        why += (
            f" {closest} has a smaller error, {errors[closest]:.3f}, but gave a lower probability to what happened "
            f"(log-likelihood {sums[closest]:,.1f}): use it for expected purchases, such as in values, and {best} for "
            "probabilities."
        )
    return best, why


def _differ(one: _Tried, other: _Tried) -> bool:
    gaps = np.abs(np.asarray(one.by_customer) - np.asarray(other.by_customer))
    return bool(gaps.max(initial=0.0) > _ALIKE)


def _read(
    data: Any, as_of: Instant | None, unit: str, holdout: timedelta | None
) -> tuple[PurchaseSummary, HoldoutSplit | None]:
    if isinstance(data, (PurchaseSummary, HoldoutSplit)):
        for name, given in (("as_of", as_of), ("holdout", holdout)):
            if given is not None:
                raise InputError(
                    f"{name} is given with a {type(data).__name__}, whose times are already fixed: give a base, or "
                    f"leave {name} out.",
                    argument=name,
                    code="conflicting_arguments",
                )
        return (data, None) if isinstance(data, PurchaseSummary) else (data.calibration, data)
    if not isinstance(data, (CustomerBase, Purchases)):
        raise InputError(
            f"data is {checks.shown(data)}: a CustomerBase, Purchases, a PurchaseSummary or a HoldoutSplit is needed.",
            argument="data",
            code="wrong_type",
        )
    if as_of is None:
        raise InputError(
            "as_of is missing: give the time when the observation ends.", argument="as_of", code="missing_argument"
        )
    bought = bought_days(data, as_of)
    whole = purchase_summary(data, as_of=as_of, unit=unit)
    observed = int(bought.last - bought.day.min()) + 1
    out = observed // 3 if holdout is None else -(-duration("holdout", holdout) // _DAY)
    if not 0 < out < observed:
        raise NotEnoughDataError(
            f"holdout is {out:,} of the {observed:,} days observed: it must be a part of them, and not all.",
            argument="holdout",
            hint="Observe for longer, or give a summary to choose without a holdout.",
        )
    at = np.datetime64(int(bought.last) + 1 - out, "D")
    return whole, split(data, at=at, as_of=as_of, unit=unit)


def _kinds(models: Any) -> dict[str, ModelKind]:
    """Return the models to try by name."""
    found: dict[str, Any]
    if isinstance(models, str) and models == "all":
        return dict(_FAMILY)
    by_word = {**_FAMILY, **{kind.kind: kind for kind in _FAMILY.values()}}
    if isinstance(models, Mapping):
        found = dict(models)
    else:
        listed = [models] if isinstance(models, (str, type)) else models
        if not isinstance(listed, Iterable):
            raise InputError(
                f'models is {checks.shown(models)}: "all", or names or classes of models are needed.',
                argument="models",
                code="wrong_type",
            )
        found = {}
        for one in listed:
            if isinstance(one, str):
                if one not in by_word:
                    raise InputError(
                        f"models names {one!r}: the models are {', '.join(_FAMILY)}.",
                        argument="models",
                        code="unknown_name",
                        hint=did_you_mean(one, by_word),
                    )
                kind = by_word[one]
            else:
                kind = one
            known = [name for name, one_of_all in _FAMILY.items() if one_of_all is kind]
            found[known[0] if known else getattr(kind, "__name__", "")] = kind
    if not found:
        raise InputError("models is empty: give one or more, or leave it out.", argument="models", code="empty")
    for name, member in found.items():
        if not (
            isinstance(member, type) and issubclass(member, PurchaseModel) and callable(getattr(member, "fit", None))
        ):
            raise InputError(
                f"models has {checks.shown(member)} as {name!r}: a class such as BgNbd is needed.",
                argument="models",
                code="wrong_type",
            )
        if member.discrete:
            raise InputError(
                f"models has {member.__name__}, which counts opportunities and not time: it cannot be compared here.",
                argument="models",
                code="not_supported",
                hint="Fit it to opportunity_summary(base, as_of=...).",
            )
    return found
