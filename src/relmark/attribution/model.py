"""The base of attribution models: credit that balances, bootstrap intervals, and a stored form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

import attrs
import numpy as np

from relmark.attribution._touches import divided, journey_of_touch, normalized, position_of_touch, times_met
from relmark.attribution.credit import NO_VALUE, Credit, TouchCredit
from relmark.attribution.journeys import Journeys
from relmark.core import shapes
from relmark.core.checks import FloatArray, fraction, generator, shown, whole
from relmark.core.documents import Definition, Limits, check_keys, envelope, settings
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.names import did_you_mean
from relmark.core.shapes import Shape, obj
from relmark.core.time import duration_text, parse_duration

__all__ = ["AttributionModel"]


@attrs.frozen(kw_only=True)
class AttributionModel(Definition):
    """A way to share conversions among channels: frozen settings with `attribute`, `bootstrap` and a stored form.

    `AttributionModel.from_json` reads the stored form of every model.

    Examples
    --------
    >>> from relmark.attribution import PositionBased
    >>> AttributionModel.from_json(PositionBased(.2, .2, .6).to_json())
    PositionBased(first=0.2, middle=0.2, last=0.6)
    """

    kind: ClassVar[str] = "attribution_model"
    storable: ClassVar[bool] = True
    """Whether the model has a stored form."""
    setting_shapes: ClassVar[Mapping[str, Shape]] = {
        "tuple[str, ...]": shapes.array(shapes.name()),
        "int | Literal['auto']": {"if": shapes.one_of("auto"), "then": True, "else": shapes.whole(low=1)},
        "Literal['conversions', 'rate'] | Callable[[frozenset[str]], float]": shapes.one_of("conversions", "rate"),
    }
    """The shapes of settings that do not follow from their annotations."""
    name: ClassVar[str] = ""

    def attribute(self, journeys: Journeys, *, per_journey: bool = False) -> Credit:
        """Return the credit of each channel.

        Parameters
        ----------
        journeys : Journeys
            The journeys whose conversions to share.
        per_journey : bool
            Whether to return the credit of each touch, too, as `per_journey` of the result.

        Returns
        -------
        Credit
            The channels' conversions and the unattributed ones, of journeys without touches, add up to all
            conversions.
        """
        checked(journeys)
        sums, extras = self._sums(journeys, journeys.totals())
        return credit_of(
            journeys, sums, model=self._label(), per_journey=self.touches(journeys) if per_journey else None, **extras
        )

    def touches(self, journeys: Journeys) -> TouchCredit:
        """Return the credit of each touch of each journey, as `attribute(..., per_journey=True)` does."""
        checked(journeys)
        weights = normalized(self._weights(journeys), journeys.offsets)
        conversions = weights * np.repeat(journeys.conversions, journeys.lengths)
        value = journeys.value
        return TouchCredit(
            journey=journey_of_touch(journeys.offsets),
            position=position_of_touch(journeys.offsets),
            channel=journeys.channels[journeys.codes],
            conversions=conversions,
            value=np.full(len(weights), np.nan) if value is None else weights * np.repeat(value, journeys.lengths),
        )

    def bootstrap(
        self, journeys: Journeys, n: int = 200, rng: np.random.Generator | int | None = 0, level: float = 0.95
    ) -> Credit:
        """Return the credit with percentile intervals from resampled journeys.

        Parameters
        ----------
        journeys : Journeys
            The journeys whose conversions to share.
        n : int
            The number of resamples.
        rng : Generator, int or None
            The random generator of the resamples, or its seed.
        level : float
            The confidence level of the intervals.

        Returns
        -------
        Credit
            The credit of the given journeys, with `conversions_low`, `conversions_high`, `value_low` and `value_high`.

        Notes
        -----
        This is a Poisson bootstrap: each conversion and each null of a row is drawn Poisson(1) times, so the new count
        of a row has a Poisson distribution with its old count as mean, and value follows conversions. The intervals
        show how much the credit depends on which people happened to be observed. They do not show the difference
        between credit and cause.

        References
        ----------
        Hanley and MacGibbon (2006), Creating non-parametric bootstrap samples using Poisson frequencies.
        """
        checked(journeys)
        n, level, rng = whole("n", n, low=2), fraction("level", level), generator(rng)
        best = self.attribute(journeys)
        fixed = self._fixed(journeys)
        worth = None if journeys.value is None else divided(journeys.value, journeys.conversions, otherwise=0.0)
        draws = np.empty((n, 2, len(journeys.channels)))
        for k in range(n):
            conversions = rng.poisson(journeys.conversions).astype(np.float64)
            nulls = rng.poisson(journeys.nulls).astype(np.float64)
            value = None if worth is None else worth * conversions
            credit = fixed.attribute(attrs.evolve(journeys, conversions=conversions, nulls=nulls, value=value))
            draws[k, 0], draws[k, 1] = credit.conversions, credit.value
        ends = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
        return attrs.evolve(
            best,
            conversions_low=ends[0, 0],
            conversions_high=ends[1, 0],
            value_low=None if worth is None else ends[0, 1],
            value_high=None if worth is None else ends[1, 1],
            level=level,
        )

    # for the models

    def _sums(
        self,
        journeys: Journeys,  # noqa: ARG002
        totals: FloatArray,  # noqa: ARG002
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Return each channel's part of the journeys' totals, shape (C, m), and further fields of the credit."""
        raise AssertionError(f"{type(self).__name__} shares nothing")

    def _weights(self, journeys: Any) -> FloatArray:  # noqa: ARG002
        """Return the weight of each touch within its journey, shape (T,)."""
        raise AssertionError(f"{type(self).__name__} has no weights")

    def _label(self) -> str:
        return self.name

    def _fixed(self, journeys: Journeys) -> AttributionModel:  # noqa: ARG002
        """Return the model with every setting fixed that it would choose from the data."""
        return self

    @classmethod
    def document_shape(cls, limits: Limits) -> dict[str, Any]:  # noqa: ARG003
        """Return the shape of the stored form, which depends on the model that the body names."""
        kinds = {kind.name: kind for kind in _kinds(AttributionModel) if issubclass(kind, cls) and kind.storable}
        shape: Shape = False
        for name, kind in sorted(kinds.items(), reverse=True):
            properties = {
                "model": {"const": name},
                **{field.name: shapes.of_annotation(str(field.type), kind.setting_shapes) for field in settings(kind)},
            }
            whole = obj({**envelope(cls.kind, cls.version), **properties}, ("relmark", "version", "model"))
            shape = {"if": {"properties": {"model": {"const": name}}}, "then": whole, "else": shape}
        known = {"properties": {"model": {"enum": sorted(kinds)}}, "required": ["model"]}
        return {"type": "object", **known, "if": known, "then": shape}

    def _body(self) -> dict[str, Any]:
        return {"model": self.name} | {field.name: _stored(self, field.name) for field in settings(type(self))}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        kinds = {kind.name: kind for kind in _kinds(AttributionModel)}
        name = body.get("model")
        if not isinstance(name, str) or name not in kinds:
            hint = did_you_mean(name, kinds) if isinstance(name, str) else ""
            raise DefinitionError(
                f"model is {shown(name)}: one of {', '.join(sorted(kinds))} is needed.",
                path="$.model",
                code="unknown_model",
                hint=hint.strip(),
            )
        kind = kinds[name]
        if not issubclass(kind, cls):
            raise DefinitionError(f"this is a {name!r}, not a {cls.name!r}.", path="$.model", code="wrong_kind")
        names = [field.name for field in settings(kind)]
        check_keys(body, required=("model",), optional=names, what=f"{name} model")
        values = {key: value for key, value in body.items() if key != "model"}
        if isinstance(values.get("half_life"), str):
            values["half_life"] = parse_duration(values["half_life"], "$.half_life")
        try:
            return kind(**values)
        except (InputError, TypeError) as error:
            raise definition_error(error, keys=values) from None


def _kinds(root: type[AttributionModel]) -> list[type[Any]]:
    found = []
    for kind in root.__subclasses__():
        if kind.name and attrs.has(kind):
            found.append(kind)
        found += _kinds(kind)
    return found


def _stored(model: AttributionModel, name: str) -> Any:
    value = getattr(model, name)
    if callable(value):
        raise DefinitionError(
            f"{type(model).__name__} has a function as {name}, which has no stored form.",
            code="not_storable",
            hint="Store what the function was made from, and make it again after reading.",
        )
    if isinstance(value, timedelta):
        return duration_text(value)
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def checked(journeys: Any) -> Journeys:
    """Return journeys, and raise for anything else."""
    if not isinstance(journeys, Journeys):
        raise InputError(
            f"journeys is {shown(journeys)}: make a Journeys with from_paths, from_events or from_columns.",
            argument="journeys",
            code="wrong_type",
        )
    return journeys


def credit_of(
    journeys: Journeys,
    sums: FloatArray,
    *,
    model: str,
    rest: tuple[float, ...] = (0.0, 0.0),
    notes: tuple[str, ...] = (),
    **extras: Any,
) -> Credit:
    """Return the credit from summed conversions and value (C, m), with the rest of journeys without touches."""
    untouched = journeys.lengths == 0
    has_value = journeys.value is not None
    notes = (*notes, *journeys.notes, *(() if has_value else (NO_VALUE,)))
    return Credit(
        channels=journeys.channels,
        conversions=np.ascontiguousarray(sums[:, 0]),
        value=np.ascontiguousarray(sums[:, 1]) if has_value else np.full(len(sums), np.nan),
        unattributed_conversions=float(journeys.conversions[untouched].sum()) + rest[0],
        unattributed_value=(
            float("nan") if journeys.value is None else float(journeys.value[untouched].sum()) + rest[1]
        ),
        model=model,
        notes=notes,
        **extras,
    )


def by_effects(journeys: Journeys, effects: list[FloatArray]) -> tuple[FloatArray, tuple[float, ...]]:
    """Return conversions and value of journeys with touches, shared in proportion to effects (C,), and the rest.

    There is a rest only if no channel has an effect.
    """
    touched = journeys.lengths > 0
    totals = journeys.totals()[touched].sum(axis=0)
    out = np.zeros((len(journeys.channels), len(totals)))
    rest = [0.0, 0.0]
    for k, total in enumerate(totals.tolist()):
        whole_effect = effects[k].sum()
        if whole_effect != 0.0:
            out[:, k] = balanced(effects[k] / whole_effect * total, total)
        else:
            rest[k] = total
    return out, tuple(rest)


def balanced(credit: FloatArray, total: float) -> FloatArray:
    """Return credit whose exact sum is the total, to the last bit of its smallest part.

    If credits of both signs are far larger than the total, their rounding errors are not small compared with it. The
    channel with the smallest credit takes the difference.
    """
    credit = credit.copy()
    at = int(np.argmin(np.where(credit == 0.0, np.inf, np.abs(credit))))
    for _ in range(3):
        credit[at] += total - math.fsum(credit.tolist())
    return credit


def effect_weights(journeys: Journeys, effects: FloatArray) -> FloatArray:
    """Return touch weights in proportion to effects; that of a channel is spread over its touches in a journey."""
    if (effects < 0.0).any():
        worst = journeys.channels[int(np.argmin(effects))]
        raise InputError(
            f"{str(worst)!r} has a negative effect, which cannot be shared within single journeys.",
            argument="journeys",
            code="wrong_value",
            hint="Ask for the credit without per_journey, or use Shapley() for credit by journey.",
        )
    weights = effects[journeys.codes] / times_met(journeys.codes, journeys.offsets, len(journeys.channels))
    touched = journeys.lengths > 0
    sums = np.ones(len(journeys))
    if touched.any():
        sums[touched] = np.add.reduceat(weights, journeys.offsets[:-1][touched])
    return np.where(np.repeat(sums == 0.0, journeys.lengths), 1.0, weights)
