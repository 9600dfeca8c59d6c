"""What covariates do in a model of purchases: a coefficient for each, on the rate and on leaving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.names import did_you_mean

_FARTHEST = 230.0  # e^230 is 1e100, the largest parameter


def _coefficients(value: Mapping[str, float], field: attrs.Attribute[Mapping[str, float]]) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"{field.name} is {checks.shown(value)}: coefficients by name are needed, such as {{'loyal': .3}}.",
            argument=field.name,
            code="wrong_type",
        )
    return {
        checks.text(f"a name of {field.name}", name): checks.number(f"{field.name}[{name!r}]", number)
        for name, number in value.items()
    }


def _part() -> Any:
    """Return the field of the coefficients of one part of a model."""
    return attrs.field(factory=dict, converter=attrs.Converter(_coefficients, takes_field=True))


@attrs.frozen(kw_only=True)
class CovariateEffects:
    """The coefficients of a model with covariates, in the units of its columns.

    Parameters
    ----------
    rate : mapping of str to float
        How the purchase rate differs: one unit more multiplies a customer's mean rate by exp(coefficient).
    dropout : mapping of str to float
        How leaving differs: one unit more multiplies by exp(coefficient), in Pareto/NBD, the rate at which customers
        leave; in BG/NBD, MBG/NBD and their forms for regular buyers, the odds of their mean chance to leave.

    Examples
    --------
    >>> CovariateEffects(rate={"loyal": .4}, dropout={"loyal": -.6})
    CovariateEffects(rate={'loyal': 0.4}, dropout={'loyal': -0.6})
    """

    rate: Mapping[str, float] = _part()
    dropout: Mapping[str, float] = _part()

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients' names, ``"rate.loyal"`` and so on, those of the rate first."""
        return (*(f"rate.{name}" for name in self.rate), *(f"dropout.{name}" for name in self.dropout))

    @property
    def values(self) -> FloatArray:
        """The coefficients in the order of their names, shape (k,)."""
        return np.array([*self.rate.values(), *self.dropout.values()], dtype=np.float64)

    def with_values(self, values: npt.ArrayLike) -> CovariateEffects:
        """Return other coefficients of the same covariates, in the order of their names."""
        given = np.asarray(values, dtype=np.float64).tolist()
        first = len(self.rate)
        return CovariateEffects(
            rate=dict(zip(self.rate, given[:first], strict=True)),
            dropout=dict(zip(self.dropout, given[first:], strict=True)),
        )

    def moved(self, columns: Mapping[str, FloatArray]) -> tuple[FloatArray | float, FloatArray | float]:
        """Return what the columns of some customers add to the logarithm of the rate and to leaving; 0.0 for none."""
        return _sum(self.rate, columns), _sum(self.dropout, columns)


def _sum(coefficients: Mapping[str, float], columns: Mapping[str, FloatArray]) -> FloatArray | float:
    total: FloatArray | float = 0.0
    for name, coefficient in coefficients.items():
        if name not in columns:
            there = f"the columns given are {', '.join(map(repr, columns))}" if columns else "no columns are given"
            raise MissingColumnError(
                f"the model has an effect of the covariate {name!r}: {there}.{did_you_mean(name, columns)}",
                argument="covariates",
                hint="Give the columns of these customers: summary.with_covariates({...}), or covariates={...}.",
            )
        total = total + coefficient * columns[name]
    if np.ndim(total):
        checks.refuse_rows(
            "covariates",
            np.abs(total) > _FARTHEST,
            total,
            f"coefficients may change a customer's parameters by a factor of at most e^{_FARTHEST:g}",
            "Check the units of the columns.",
        )
    return total


def at_zero(parameters: FloatArray, names: tuple[str, ...]) -> list[float]:
    """Return the parameters at covariates 0, or raise where one is far outside any plausible range."""
    values: list[float] = parameters.tolist()
    for name, value in zip(names, values, strict=True):
        if not (math.isfinite(value) and math.exp(-_FARTHEST) < value < math.exp(_FARTHEST)):
            raise InputError(
                f"{name} is {value:g} at covariates 0, which is far from any customer.",
                argument="covariates",
                code="wrong_value",
                hint="Count from a typical value, such as years since 2020 instead of years.",
            )
    return values
