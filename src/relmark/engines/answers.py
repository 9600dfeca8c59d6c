"""The results of definitions for a base as columns: one interface for segments, scores, models and functions.

A definition is a function of one customer's rows, so its result for a customer does not depend on other customers. For
each kind of definition this module knows how to evaluate it, what it needs, and its name in messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, NamedTuple

import attrs
import numpy as np

from relmark.core.base import CustomerBase
from relmark.core.checks import shown, whole
from relmark.core.documents import Definition
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.frames import columns_of
from relmark.core.schema import Schema
from relmark.core.time import Instant
from relmark.experiments import Experiment
from relmark.expressions import Expression
from relmark.expressions.kinds import kind_of, problems, rule_problems
from relmark.expressions.needs import Needs
from relmark.ltv import GammaGamma, lifetime_value, purchase_summary
from relmark.ltv.purchase_model import PurchaseModel
from relmark.recommend import Fitted, Rules
from relmark.segmentation import RfmModel, Segment

__all__ = ["Answer", "Lists", "Ragged", "Values", "arrow", "read_definition"]

_BOUGHT = Needs(events={"purchase": ("item", "order", "quantity")}, horizon=None)
_TYPES = {"number": "double", "boolean": "bool", "text": "string", "date": "date", "instant": "instant"}


def arrow() -> Any:
    """Return pyarrow, or raise an error that says how to install it."""
    try:
        return import_module("pyarrow")
    except ImportError:
        raise InputError(
            "the rows of customers are passed as Arrow tables, which need pyarrow.",
            argument="events",
            code="not_installed",
            hint="pip install pyarrow.",
        ) from None


class Ragged(NamedTuple):
    """One list per row: row i has ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


@attrs.frozen(kw_only=True)
class Values:
    """Lifetime value as a definition for `apply`: a fitted model of purchases, and a model of spend per purchase.

    Parameters
    ----------
    model : BgNbd, MbgNbd, ParetoNbd or Nbd
        The model of how often customers buy.
    spend : GammaGamma or float
        What customers spend on a purchase: a model, or one amount for everybody.
    horizon : timedelta
        The time over which value is counted.
    annual_rate, margin : float
        As in `relmark.ltv.lifetime_value`.
    unit : str
        The time unit of the model, if the model does not store it.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> from relmark.ltv import BgNbd
    >>> value = Values(model=BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week"), spend=35.0, horizon=days(365))
    >>> value.needs().events
    {'purchase': ('item', 'order', 'quantity')}
    """

    model: PurchaseModel
    spend: GammaGamma | float
    horizon: timedelta = timedelta(days=365)
    annual_rate: float = 0.0
    margin: float = 1.0
    unit: str = "week"

    def __attrs_post_init__(self) -> None:
        """Raise an error if `model` is not a model of purchases."""
        if not isinstance(self.model, PurchaseModel):
            raise InputError(
                f"model is {shown(self.model)}; it must be a model of purchases, such as BgNbd.fit(summary).",
                argument="model",
                code="wrong_type",
            )

    def needs(self) -> Needs:
        """Return what values need: all purchases ever."""
        return _BOUGHT

    def columns(self, base: CustomerBase, as_of: Instant) -> dict[str, Any]:
        """Return customer_id, p_alive, purchases, spend and value for every customer with a purchase."""
        try:
            summary = purchase_summary(base, as_of=as_of, unit=self.model.unit or self.unit)
        except NotEnoughDataError:
            return {"customer_id": base.customer_id[:0], **{name: np.empty(0) for name in _VALUED}}
        spend = self.spend if isinstance(self.spend, GammaGamma) else np.full(len(summary), float(self.spend))
        found = lifetime_value(
            self.model, spend, summary, horizon=self.horizon, annual_rate=self.annual_rate, margin=self.margin
        )
        return {"customer_id": found.customer_id, **{name: getattr(found, name) for name in _VALUED}}


_VALUED = ("p_alive", "purchases", "spend", "value")


@attrs.frozen(kw_only=True)
class Lists:
    """The lists of a fitted recommender as a definition for `apply`.

    Parameters
    ----------
    model : a fitted recommender
        Such as ``Ease().fit(interactions)``. What customers bought is read from the events.
    k : int
        The largest number of items in a list.
    rules : Rules, optional
        Rules that exclude or move items.

    Examples
    --------
    >>> from relmark.recommend import Interactions, Popular
    >>> model = Popular().fit(Interactions.from_columns(customer_id=["a", "b"], item=["x", "x"]))
    >>> Lists(model=model, k=3).k
    3
    """

    model: Fitted
    k: int = 10
    rules: Rules | None = None

    def __attrs_post_init__(self) -> None:
        """Raise an error if `model` is not a fitted recommender."""
        if not isinstance(self.model, Fitted):
            raise InputError(
                f"model is {shown(self.model)}; it must be a fitted recommender, such as Ease().fit(interactions).",
                argument="model",
                code="wrong_type",
            )
        whole("k", self.k, low=1)

    def needs(self) -> Needs:
        """Return what lists need: all purchases ever."""
        return _BOUGHT

    def columns(self, base: CustomerBase, as_of: Instant) -> dict[str, Any]:
        """Return customer_id, and the items, scores and sources as one list per customer."""
        bought = base.events.partition("purchase") is not None
        ids = base.customer_id
        if len(ids) == 0:
            none = np.zeros(1, dtype=np.int64)
            empty = {"item": self.model.item[:0], "score": np.empty(0), "source": np.empty(0, dtype="<U1")}
            return {"customer_id": ids, **{name: Ragged(none, values) for name, values in empty.items()}}
        history = base if bought else _nothing_bought(base)
        found = self.model.recommend(ids, self.k, rules=self.rules, as_of=as_of, history=history)
        named = {name: getattr(found, name) for name in ("item", "score", "source")}
        return {"customer_id": found.customer_id, **{name: Ragged(found.offsets, held) for name, held in named.items()}}


def _nothing_bought(base: CustomerBase) -> Any:
    return base.purchases()


@attrs.frozen(kw_only=True)
class Answer:
    """How to evaluate a definition for a base.

    Parameters
    ----------
    name : str
        The name of the definition in messages.
    needs : Needs or None
        What the definition needs; None if it may look at everything.
    ask : callable
        Takes a base and `as_of`, and returns a mapping of names to columns, including customer_id.
    check : callable, optional
        Takes a schema and returns the problems of the definition with it.
    kinds : callable, optional
        Takes a schema and returns the types of columns.
    """

    name: str
    needs: Needs | None
    ask: Callable[[CustomerBase, Any], Mapping[str, Any]]
    check: Callable[[Schema], Any] | None = None
    kinds: Callable[[Schema], Mapping[str, str]] | None = None


def read_definition(definition: object) -> Answer:
    """Return how to evaluate a definition, or raise an error if it is not a definition."""
    match definition:
        case Answer():
            return definition
        case Segment():
            return _segment(definition)
        case Expression():
            return attrs.evolve(_segment(Segment("rule", definition)), name="the rule")
        case RfmModel():
            return Answer(
                name="RfmModel",
                needs=definition.needs(),
                ask=lambda base, as_of: definition.score(base, as_of=as_of).to_columns(),
            )
        case Experiment():
            return Answer(
                name=f"Experiment {definition.name!r}",
                needs=Needs(),
                ask=lambda base, as_of: _assigned(definition, base, as_of),
            )
        case Values() | Lists():
            return Answer(name=type(definition).__name__, needs=definition.needs(), ask=definition.columns)
        case Fitted():
            return read_definition(Lists(model=definition))
        case Mapping() if definition:
            return _measures(definition)
    if isinstance(definition, PurchaseModel):
        raise InputError(
            f"definition is {shown(definition)}, a model without spend and horizon.",
            argument="definition",
            code="wrong_type",
            hint="Pass both with the model: engines.Values(model=..., spend=..., horizon=days(365)).",
        )
    if hasattr(definition, "evaluate"):
        name = getattr(definition, "name", "")
        return Answer(
            name=type(definition).__name__ + (f" {name!r}" if isinstance(name, str) and name else ""),
            needs=definition.needs() if hasattr(definition, "needs") else None,
            ask=lambda base, as_of: columns_from(definition.evaluate(base, as_of=as_of)),
            check=getattr(definition, "problems", None),
        )
    if callable(definition) and not isinstance(definition, (type, Definition)):
        named = getattr(definition, "__name__", type(definition).__name__)
        return Answer(name=named, needs=None, ask=lambda base, as_of: columns_from(definition(base)))  # noqa: ARG005
    raise InputError(
        f"definition is {shown(definition)}; it must be a segment, a set of segments, a score, a model, an experiment, "
        "a mapping of names to expressions, or a function of a CustomerBase.",
        argument="definition",
        code="wrong_type",
    )


def columns_from(result: Any) -> dict[str, Any]:
    """Return the columns of a result, a mapping or a frame, which must include customer_id."""
    if isinstance(result, Mapping):
        columns = dict(result)
    else:
        columns = dict(result.to_columns()) if hasattr(result, "to_columns") else columns_of(result)
    if "customer_id" not in columns:
        raise InputError(
            f"the result has no column 'customer_id': it has {', '.join(map(repr, columns)) or 'no columns'}.",
            argument="definition",
            code="missing_column",
        )
    return columns


def _segment(segment: Segment) -> Answer:
    def ask(base: CustomerBase, as_of: Any) -> dict[str, Any]:
        found = segment.evaluate(base, as_of=as_of)
        return {"customer_id": found.customer_id, "member": found.mask, "unknown": found.unknown_mask}

    return Answer(
        name=f"Segment {segment.name!r}",
        needs=segment.needs(),
        ask=ask,
        check=lambda schema: rule_problems(segment.rule, schema, path="$.rule"),
    )


def _assigned(experiment: Experiment, base: CustomerBase, as_of: Any) -> dict[str, Any]:
    rotates = experiment.holdout is not None and experiment.holdout.period is not None
    found = experiment.assign(base.customer_id, at=as_of if rotates else None)
    return {name: getattr(found, name) for name in ("customer_id", "arm", "code", "reason")}


def _measures(expressions: Mapping[str, Any]) -> Answer:
    for name, expression in expressions.items():
        if not isinstance(expression, Expression) or not isinstance(name, str):
            raise InputError(
                f"definition[{name!r}] is {shown(expression)}; it must be an expression, such as field(...).",
                argument="definition",
                code="wrong_type",
            )
    needs = Needs()
    for expression in expressions.values():
        needs = needs + expression.needs()
    return Answer(
        name="measures",
        needs=needs,
        ask=lambda base, as_of: dict(base.measure(expressions, as_of=as_of).items()),
        check=lambda schema: [
            one for name, each in expressions.items() for one in problems(each, schema, path=f"$.{name}")
        ],
        kinds=lambda schema: {
            name: _TYPES.get(kind_of(each, schema) or "number", "double") for name, each in expressions.items()
        },
    )
