"""The settings of a recommender before it has seen data: frozen, stored as JSON, with the method `fit`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Self

import attrs
import numpy as np

from relmark.core import shapes
from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.documents import Definition, Limits, check_keys, settings
from relmark.core.errors import InputError, definition_error
from relmark.core.shapes import Shape
from relmark.core.time import duration, duration_text, parse_duration
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import WEIGHTS, History, history_of
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import Interactions, PurchaseSource, Weight, interactions_of
from relmark.recommend.kinds import SPECS, read_spec
from relmark.recommend.rules import Category, category_shape

__all__ = ["Spec", "spec_from_dict"]


class Spec(Definition):
    """The settings of a recommender, such as `Popular` or `Ease`: the method `fit`, and a stored form."""

    __slots__ = ()

    kind: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under the name of its stored form."""
        super().__init_subclass__(**kwargs)
        if "kind" in vars(cls):
            SPECS[cls.kind] = cls

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> Fitted:
        """Fit the recommender and return the fitted model.

        Parameters
        ----------
        interactions : Interactions, CustomerBase or Purchases
            The purchases. A base stands for its purchases, which need the property 'item'.
        as_of : date or instant, optional
            Up to when the model may look, and from when ages are counted: a date includes lines before its local
            midnight, an instant those at or before it. By default it is the `as_of` with which the interactions were
            read, else the time of the last line.
        """
        raise AssertionError(f"{type(self).__name__} cannot fit {interactions!r} as of {as_of}")

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        known = {"Weight": shapes.one_of(*WEIGHTS), "Category": category_shape(limits), **_NESTED}
        found = {field.name: shapes.of_annotation(str(field.type), known) for field in settings(cls)}
        return found, tuple(field.name for field in settings(cls) if field.default is attrs.NOTHING)

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        if not any(str(field.type) in _NESTED for field in settings(cls)):
            return {}
        kinds = dict(SPECS)
        shape: Shape = False
        for kind, spec in sorted(kinds.items(), reverse=True):
            chosen = {"properties": {"relmark": {"const": kind}}}
            shape = {"if": chosen, "then": spec.document_shape(limits), "else": shape}
        known = {"properties": {"relmark": {"enum": sorted(kinds)}}, "required": ["relmark"]}
        return {"spec": {"type": "object", **known, "if": known, "then": shape}}

    def _body(self) -> dict[str, Any]:
        return {attribute.name: _stored(getattr(self, attribute.name)) for attribute in settings(type(self))}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        fields = {attribute.name: attribute for attribute in settings(cls)}
        check_keys(body, required=(), optional=fields, what=cls.kind)
        try:
            return cls(**{name: _read(value, f"$.{name}") for name, value in body.items()})
        except (InputError, TypeError) as error:
            raise definition_error(error, keys=body) from None


def spec_from_dict(document: Mapping[str, Any], limits: Limits | None = None) -> Spec:
    """Return the settings of a recommender from a stored form of any kind.

    Examples
    --------
    >>> from relmark.recommend import Ease
    >>> spec_from_dict(Ease(regularization=100.0).to_dict()) == Ease(regularization=100.0)
    True
    """
    spec: Spec = read_spec(document, limits)
    return spec


def seen_until(interactions: PurchaseSource, as_of: AsOfGiven | None) -> tuple[Interactions, AsOf | None]:
    """Return the interactions up to a date or an instant, and the moment from which ages count (None without times)."""
    seen = interactions_of(interactions, as_of)
    return seen, seen.known_by


def remembered(
    interactions: PurchaseSource, as_of: AsOfGiven | None, weight: Weight, half_life: timedelta | None
) -> tuple[Interactions, History, AsOf | None]:
    """Return the data of a fit: the lines, the history with its weights, and up to when they were read."""
    seen, now = seen_until(interactions, as_of)
    return seen, history_of(seen.lines, weight=weight, half_life=half_life, now=seen.clock), now


def shared_fields(spec: Spec, seen: Interactions, past: History, now: AsOf | None) -> dict[str, Any]:
    """Return the fields that every fitted model has."""
    bought = past.of_bought
    buyers = int(np.count_nonzero(bought.lengths))
    return {
        "spec": spec,
        "item": seen.item,
        "customer_id": seen.customer_id,
        "history": past,
        "popularity": (np.bincount(bought.item, minlength=seen.n_items) / max(buyers, 1)).astype(np.float32),
        "now": None if now is None else int(now.clock),
        "dated": now is not None and bool(now.dated),
        "tz": seen.tz,
        "catalog": Catalog(seen.item, seen.catalog, seen.tz),
    }


def check_half_life(instance: Any, attribute: Any, value: Any) -> None:  # noqa: ARG001
    """Validate an optional duration of an attrs class."""
    if value is not None:
        duration(attribute.name, value)


def _stored(value: Any) -> Any:
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, (Definition, Category)):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_stored(item) for item in value]
    return value


def _read(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return Category.from_dict(value, path) if "relmark" not in value else read_spec(value)
    if isinstance(value, list):
        return tuple(_read(item, f"{path}[{k}]") for k, item in enumerate(value))
    if isinstance(value, str) and value.startswith("P") and path.endswith(_DURATIONS):
        return parse_duration(value, path)
    return value


_SPEC: Shape = {"$ref": "#/$defs/spec"}
_NESTED: dict[str, Shape] = {
    "tuple[Spec, ...]": shapes.array(_SPEC, least=1),
    "tuple[tuple[Spec, float], ...]": shapes.array(shapes.pair(_SPEC, shapes.number(above=0.0)), least=1),
}
"""Settings that hold other recommenders."""

_DURATIONS = ("half_life", "min_gap", "launched_within")
