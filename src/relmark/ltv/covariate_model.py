"""Models of purchases in which known differences between customers change their rate and their chance to leave.

A model with `effects` has the parameters of a customer whose covariates are all 0, and a coefficient for each column.
Each customer's own parameters follow from the columns of the summary; everything else is as in the plain model.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self, overload

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven
from relmark.core.checks import FloatArray
from relmark.core.documents import Limits, built, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.shapes import Shape
from relmark.ltv._covariate_fit import Both, Rowwise, Search, fit_effects, read_designs
from relmark.ltv._covariates import CovariateColumns, read_covariates
from relmark.ltv._row_terms import Family
from relmark.ltv.effects import CovariateEffects
from relmark.ltv.fit import FitReport, LogNormalPrior
from relmark.ltv.purchase_model import ParametricModel, Past, PurchaseModel
from relmark.ltv.summary import PurchaseSummary, TimeAhead

_PARTS = ("rate", "dropout")


def effects_field() -> Any:
    """Return the field of the effects of covariates."""

    def check(_: Any, __: Any, effects: Any) -> None:
        if effects is not None and not isinstance(effects, CovariateEffects):
            raise InputError(
                f"effects is {checks.shown(effects)}: CovariateEffects or None is needed.",
                argument="effects",
                code="wrong_type",
            )

    return attrs.field(default=None, validator=check, metadata={"stored": False})


class CovariateModel(PurchaseModel):
    """A model of purchases that may have effects of covariates."""

    __slots__ = ()

    effects: CovariateEffects | None
    fit_report: FitReport | None
    family: ClassVar[Family]

    # ---- what a model gives

    @abstractmethod
    def _rowwise(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Rowwise:
        """Return the likelihood of each row as a function of xi, up to a part that no parameter changes."""

    @abstractmethod
    def _each(self, parameters: list[FloatArray]) -> PurchaseModel:
        """Return the model whose rows have these parameters."""

    def __repr__(self) -> str:
        """Return the parameters and the unit, and the season and effects if the model has them."""
        shown = [f"{name}={getattr(self, name)!r}" for name in (*self._settings, *self.names(), "unit")]
        for name in ("season", "effects"):
            held = getattr(self, name, None)
            shown += [] if held is None else [f"{name}={held!r}"]
        return f"{type(self).__name__}({', '.join(shown)})"

    # ---- a fit

    @classmethod
    def _with_effects(
        cls,
        plain: Self,
        summary: PurchaseSummary,
        covariates: Any,
        *,
        penalty: float | str,
        prior: tuple[LogNormalPrior | None, tuple[float, ...], tuple[float, ...]],
        boundaries: dict[str, str],
        constant: float = 0.0,
    ) -> Self:
        """Return the model with the covariates that a fit was given, from the fit without them.

        `constant` is the part of the plain fit's log-likelihood that does not come from its rows.
        """
        designs: Both = read_designs(covariates, summary)
        report = plain.fit_report
        assert report is not None
        notes = (*report.notes, *designs.rate.notes, *designs.dropout.notes)
        if not designs.rate.names and not designs.dropout.names:
            return attrs.evolve(plain, fit_report=attrs.evolve(report, notes=notes))  # type: ignore[call-arg]
        known, start, scale = prior
        begin = np.asarray(start, dtype=np.float64)
        none = np.zeros(len(begin))
        mean, precision = (
            (none, none) if known is None else known.for_model(cls.names(), begin, np.asarray(scale, dtype=np.float64))
        )
        search = Search(
            family=cls.family,
            likelihood_of=plain._rowwise,
            columns=(summary.frequency, summary.recency, summary.T),
            weights=summary.weights,
            designs=designs,
            begin=begin,
            mean=mean,
            precision=precision,
        )
        if summary.season is not None:
            constant += summary.log_season_total or 0.0
        effects, fitted = fit_effects(
            search, report, penalty=penalty, boundaries=boundaries, notes=notes, constant=constant
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist()[: len(begin)], strict=True))
        return attrs.evolve(plain, **values, effects=effects, fit_report=fitted)  # type: ignore[call-arg]

    # ---- its numbers

    @property
    def parameters(self) -> FloatArray:
        """The parameters at covariates 0, and the coefficients after them, shape (k,)."""
        base = ParametricModel.parameters.fget(self)  # type: ignore[attr-defined]
        return base if self.effects is None else np.concatenate([base, self.effects.values])

    def with_parameters(self, parameters: npt.ArrayLike) -> Self:
        """Return the same model with other parameters and coefficients, without a report."""
        values = np.asarray(parameters, dtype=np.float64)
        count = len(self.names())
        base = super().with_parameters(values[:count] if self.effects is not None else values)
        if self.effects is None:
            return base
        return attrs.evolve(base, effects=self.effects.with_values(values[count:]))  # type: ignore[call-arg]

    def at(self, covariates: CovariateColumns) -> Self:
        """Return the plain model of customers who all have these covariates.

        Parameters
        ----------
        covariates : mapping of str to float
            The value of each covariate.

        Examples
        --------
        >>> from relmark.ltv import BgNbd
        >>> m = BgNbd(r=.5, alpha=10, a=1, b=3, effects=CovariateEffects(rate={"loyal": 1.0}, dropout={"loyal": -1.0}))
        >>> m.at({"loyal": 1}).parameters.round(3)
        array([0.5  , 3.679, 0.437, 3.563])
        """
        columns = read_covariates("covariates", covariates, 1)
        if self.effects is None:
            return self
        own = [float(np.ravel(part)[0]) for part in self._own(*self.effects.moved(columns))]
        return attrs.evolve(super().with_parameters(own), effects=None)  # type: ignore[call-arg]

    @abstractmethod
    def _own(self, rate: FloatArray | float, dropout: FloatArray | float) -> list[FloatArray | float]:
        """Return the four parameters of customers; one that covariates do not change is a single number."""

    # ---- predictions

    def _of(self, summary: PurchaseSummary) -> PurchaseModel:
        if self.effects is None or not self.effects.names:
            return self
        self._columns(summary)
        return self._each(self._own(*self.effects.moved(summary.covariates)))  # type: ignore[arg-type]

    def _refuse_new(self) -> None:
        if self.effects is not None and self.effects.names:
            raise InputError(
                "the model has effects of covariates, and no covariates are given.",
                argument="covariates",
                code="missing_argument",
                hint="Give covariates= to expected_purchases_new, or use model.at({...}), the plain model of customers "
                "who all have these covariates.",
            )

    @overload
    def expected_purchases_new(self, t: float, covariates: None = None, *, start: AsOfGiven | None = None) -> float: ...
    @overload
    def expected_purchases_new(
        self, t: TimeAhead, covariates: CovariateColumns | None = None, *, start: AsOfGiven | None = None
    ) -> FloatArray | float: ...
    def expected_purchases_new(
        self, t: TimeAhead, covariates: CovariateColumns | None = None, *, start: AsOfGiven | None = None
    ) -> FloatArray | float:
        """Return the repeat purchases that a new customer is expected to make in the time t after the first purchase.

        Parameters
        ----------
        t : timedelta, number or array_like, shape (n,)
            The horizon; a number is in the unit of the model. An array gives an array.
        covariates : mapping or frame of columns, optional
            The covariates of the new customers by name, each a value or a column of shape (n,). Required if the model
            has effects.
        start : date, datetime, datetime64 or str, optional
            The day of the first purchase. Required if the model has a season.
        """
        if self.effects is None or not self.effects.names or covariates is None:
            plain: FloatArray | float = super().expected_purchases_new(t, start=start)
            return plain
        columns = read_covariates("covariates", covariates)
        needed = {name: columns[name] for part in _PARTS for name in getattr(self.effects, part) if name in columns}
        self.effects.moved(needed or columns)
        length = max(len(column) for column in needed.values())
        ahead = attrs.evolve(self, effects=None)._new_ahead(t, start)  # type: ignore[call-arg]  # noqa: SLF001
        n = max(length, len(ahead))
        for name, column in (*needed.items(), ("t", ahead)):
            if len(column) != 1:
                checks.same_length(name, column, n)
        spread = {name: np.broadcast_to(column, n) for name, column in needed.items()}
        each = self._each(self._own(*self.effects.moved(spread)))  # type: ignore[arg-type]
        none = np.zeros(n)
        new = Past(none, none, none)
        result = each._alive(new) * each._expected(new, np.broadcast_to(ahead, n))  # noqa: SLF001
        told: list[Any] = [t, start, *(covariates[name] for name in needed)]
        alone = all(np.ndim(one) == 0 for one in told)
        return float(result[0]) if alone else result

    # ---- its stored form

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        properties, required = super()._shape(limits)
        part = shapes.mapping(shapes.number())
        return {**properties, "effects": shapes.obj({"rate": part, "dropout": part})}, required

    def _body(self) -> dict[str, Any]:
        body = super()._body()
        if self.effects is not None:
            body["effects"] = {part: dict(getattr(self.effects, part)) for part in _PARTS}
        return body

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        rest = dict(body)
        stored = rest.pop("effects", None)
        plain = super()._from_body(rest, limits)
        if stored is None:
            return plain
        if not isinstance(stored, dict):
            raise DefinitionError(
                f"{checks.shown(stored)}: an object with rate and dropout is needed.",
                path="$.effects",
                code="not_object",
            )
        check_keys(stored, required=(), optional=_PARTS, what="effects", path="$.effects")
        return attrs.evolve(plain, effects=built(CovariateEffects, stored))  # type: ignore[call-arg]
