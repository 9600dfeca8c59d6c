"""Maximum likelihood with covariates: a damped Newton search from the fit without them, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import attrs
import numpy as np

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, LimitError
from relmark.core.names import did_you_mean
from relmark.core.newton import BOX, Maximum, Terms, maximize
from relmark.ltv._covariates import Design, chosen, design
from relmark.ltv._row_terms import Family, RowTerms, in_coefficients, of_each
from relmark.ltv.effects import CovariateEffects, at_zero
from relmark.ltv.fit import FitReport, likelihood_ratio_test, problems_at
from relmark.ltv.summary import PurchaseSummary

_MANY = 20_000
_ENOUGH = 10_000  # customers with whom a search begins; with all of them it then needs a step or two
_FOLDS = 5
_STEPS = 30  # of a fold, from the end for the penalty before: along a ridge, more would change nothing
_PENALTIES = (0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)

Rowwise = Callable[[list[FloatArray]], RowTerms]


class Both(NamedTuple):
    """The covariates of the rate, and those of leaving."""

    rate: Design
    dropout: Design


@attrs.frozen(kw_only=True, eq=False)
class Search:
    """Some customers, and their likelihood as a function of theta = (log parameters over `begin`, coefficients).

    Parameters
    ----------
    family : Family
        How the model is differentiated row by row.
    likelihood_of : callable
        Takes frequency, recency and T to the likelihood of each row.
    columns : tuple of ndarray
        frequency, recency, T.
    weights : ndarray, optional
    designs : Both
    begin : ndarray, shape (4,)
        The parameters at theta 0.
    mean, precision : ndarray, shape (4,)
        Those of the prior of theta; precision 0 without a prior.
    """

    family: Family
    likelihood_of: Callable[..., Rowwise]
    columns: tuple[FloatArray, FloatArray, FloatArray]
    weights: FloatArray | None
    designs: Both
    begin: FloatArray
    mean: FloatArray
    precision: FloatArray
    rowwise: Rowwise = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Arrange the rows once."""
        object.__setattr__(self, "rowwise", self.likelihood_of(*self.columns))

    def take(self, rows: Any) -> Self:
        """Return the search among some of the customers."""
        x, t_x, T = (column[rows] for column in self.columns)
        return attrs.evolve(
            self,
            columns=(x, t_x, T),
            weights=None if self.weights is None else self.weights[rows],
            designs=Both(*(one.take(rows) for one in self.designs)),
        )

    def rows(self, theta: FloatArray) -> RowTerms:
        """Return the likelihood of each row at theta."""
        rate, dropout = self.designs
        split = 4 + len(rate.names)
        xi, _ = self.family.xi(np.log(self.begin) + theta[:4])
        moved = [
            one.matrix @ part if len(part) else 0.0 for one, part in ((rate, theta[4:split]), (dropout, theta[split:]))
        ]
        with np.errstate(all="ignore"):  # a step may overflow, and is then taken back
            return self.rowwise(of_each(self.family, xi, *moved))

    def objective(self, penalty: float) -> Callable[[FloatArray], Terms]:
        """Return the penalized log-likelihood as a function of theta."""
        rate, dropout = self.designs

        def objective(theta: FloatArray) -> Terms:
            logs = np.log(self.begin) + theta[:4]
            _, inner = self.family.xi(logs)
            try:
                rows = self.rows(theta)
            except LimitError:  # so far out that an integral has no bounded number of nodes
                return -np.inf, np.zeros(len(theta)), -np.eye(len(theta))
            value, gradient, hessian = in_coefficients(rows, self.family, self.weights, rate.matrix, dropout.matrix)
            bend = self.family.bend(logs, gradient[:4])
            jacobian = np.eye(len(theta))
            jacobian[:4, :4] = inner
            gradient, hessian = jacobian.T @ gradient, jacobian.T @ hessian @ jacobian
            hessian[:4, :4] += bend
            away = np.concatenate([theta[:4] - self.mean, theta[4:]])
            pull = np.concatenate([self.precision, np.full(len(theta) - 4, penalty)])
            return (
                value - 0.5 * float(pull @ (away * away)),
                gradient - pull * away,
                hessian - np.diag(pull),
            )

        return objective

    def solved(self, starts: list[FloatArray], penalty: float, limit: int = 100) -> Maximum:
        """Return the highest maximum reached from some starts; for many customers, a part of them searches first."""
        n = len(self.columns[0])
        if n > _MANY:
            part = self.take(slice(None, None, n // _ENOUGH)).solved(starts, penalty * _ENOUGH / n, limit)
            starts = [part.theta]
        objective = self.objective(penalty)
        ends = [maximize(objective, start, limit=limit) for start in starts]
        best = max(ends, key=lambda end: end.value)
        return best._replace(evaluations=sum(end.evaluations for end in ends))

    def folds(self) -> IntArray:
        """Return the fold of each row, chosen by its content so that the order of the rows does not matter."""
        rate, dropout = self.designs
        order = np.lexsort([*dropout.matrix.T, *rate.matrix.T, *self.columns])
        fold = np.empty(len(order), dtype=np.int64)
        fold[order] = np.arange(len(order)) % _FOLDS
        return fold


def read_designs(given: Any, summary: PurchaseSummary) -> Both:
    """Return the covariates of a fit from what the caller gave for each part of the model."""
    parts = ("rate", "dropout")
    if not isinstance(given, Mapping):
        raise InputError(
            f"covariates is {checks.shown(given)}: a mapping is needed, such as "
            '{"rate": {"loyal": column}, "dropout": ["loyal"]}.',
            argument="covariates",
            code="wrong_type",
        )
    for name in given:
        if name not in parts:
            raise InputError(
                f"covariates has the key {checks.shown(name)}: give columns by the part of the model that they act on, "
                "rate or dropout.",
                argument="covariates",
                code="unknown_name",
                hint=did_you_mean(name, parts) or 'Write {"rate": columns, "dropout": columns}.',
            )
    found = [
        design(
            part,
            chosen(f"covariates[{part!r}]", given.get(part), summary.covariates, len(summary)),
            summary.weights,
            len(summary),
        )
        for part in parts
    ]
    return Both(*found)


def fit_effects(
    search: Search,
    plain: FitReport,
    *,
    penalty: float | str,
    boundaries: Mapping[str, str],
    notes: tuple[str, ...] = (),
    constant: float = 0.0,
) -> tuple[CovariateEffects, FitReport]:
    """Return the coefficients and the report of a fit with covariates; the parameters are those at covariates 0.

    `constant` is the part of the log-likelihood that is the same for all parameters.
    """
    start = np.concatenate(
        [np.log(plain.parameters / search.begin), np.zeros(sum(len(d.names) for d in search.designs))]
    )
    start[:4] = np.clip(start[:4], -BOX, BOX)
    starts = [start] if plain.converged else [start, np.zeros(len(start))]
    if isinstance(penalty, str):
        checks.one_of("penalty", penalty, ("auto",))
        ridge, said = _held_out(search, starts, constant)
        notes = (*notes, said)
    else:
        ridge = checks.number("penalty", penalty, low=0.0)
    best = search.solved(starts, ridge)
    effects, parameters, covariance = _in_units(search, best, plain.names)
    names = (*plain.names, *effects.names)
    away = np.concatenate([best.theta[:4] - search.mean, best.theta[4:]])
    pull = np.concatenate([search.precision, np.full(len(away) - 4, ridge)])
    log_likelihood = best.value + 0.5 * float(pull @ (away * away)) + constant
    near = BOX if plain.with_prior else BOX - 1.0
    problems = problems_at(names, best, boundaries, near=near)
    test = None
    if ridge == 0.0 and not plain.with_prior and not isinstance(penalty, str):
        test = likelihood_ratio_test(log_likelihood - plain.log_likelihood, len(effects.names))
    report = attrs.evolve(
        plain,
        names=names,
        parameters=parameters,
        log_likelihood=log_likelihood,
        evaluations=plain.evaluations + best.evaluations,
        converged=not problems,
        covariance=np.full_like(covariance, np.nan) if problems else covariance,
        problems=problems,
        notes=notes,
        coefficients=effects.names,
        penalty=ridge,
        likelihood_ratio=test,
    )
    return effects, report


def _in_units(search: Search, best: Maximum, names: tuple[str, ...]) -> tuple[CovariateEffects, FloatArray, FloatArray]:
    """Return coefficients per unit of the columns, all parameters at covariates 0, and their covariance."""
    rate, dropout = search.designs
    split = 4 + len(rate.names)
    theta = best.theta
    xi, inner = search.family.xi(np.log(search.begin) + theta[:4])
    to_xi = np.eye(len(theta))
    to_xi[:4, :4] = inner
    at = np.eye(len(theta))  # from (xi, standardized coefficients) to (xi at covariates 0, coefficients per unit)
    for one, (place, sign), part in (
        (rate, search.family.rate, slice(4, split)),
        (dropout, search.family.dropout, slice(split, len(theta))),
    ):
        at[place, part] = -sign * one.mean / one.sd
        at[part, part] = np.diag(1.0 / one.sd)
    whole = at @ np.concatenate([xi, theta[4:]])
    with np.errstate(over="ignore"):
        parameters, outer = search.family.parameters(whole[:4])
    at_zero(parameters, names)
    to_parameters = np.eye(len(theta))
    to_parameters[:4, :4] = outer
    jacobian = to_parameters @ at @ to_xi
    try:
        covariance = jacobian @ np.linalg.inv(-best.hessian) @ jacobian.T
    except np.linalg.LinAlgError:
        covariance = np.full((len(theta), len(theta)), np.nan)
    effects = CovariateEffects(
        rate=dict(zip(rate.names, whole[4:split].tolist(), strict=True)),
        dropout=dict(zip(dropout.names, whole[split:].tolist(), strict=True)),
    )
    return effects, np.concatenate([parameters, whole[4:]]), 0.5 * (covariance + covariance.T)


def _held_out(search: Search, starts: list[FloatArray], constant: float) -> tuple[float, str]:
    """Return the penalty with the highest likelihood of customers left out of the fit, and a note that says so."""
    fold = search.folds()
    weights = np.ones(len(fold)) if search.weights is None else search.weights
    found = np.full(len(_PENALTIES), constant)
    for one in range(_FOLDS):
        inside, outside = search.take(fold != one), search.take(fold == one)
        at = starts
        for place, penalty in enumerate(_PENALTIES):
            end = inside.solved(at, penalty * (_FOLDS - 1) / _FOLDS, _STEPS)
            at = [end.theta]
            found[place] += float(weights[fold == one] @ outside.rows(end.theta).value)
    best = len(found) - 1 - int(np.argmax(found[::-1]))
    said = (
        f"penalty {_PENALTIES[best]:g} was chosen from {_PENALTIES[0]:g} to {_PENALTIES[-1]:g}: the held-out "
        f"log-likelihood over {_FOLDS} parts is {found[best]:,.2f}, and {found[0]:,.2f} without a penalty"
    )
    return _PENALTIES[best], said
