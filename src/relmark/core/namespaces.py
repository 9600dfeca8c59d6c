"""Ranges of GrowthBook's namespaces: experiments with disjoint ranges never share a customer."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import shapes
from relmark.core.assignment import one_within, plain_text, within
from relmark.core.checks import number
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import InputError
from relmark.core.shapes import Shape

__all__ = ["Namespace"]


def _end(value: float) -> float:
    return number("an end of the range", value)


def _text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    plain_text(attribute.name, value)


@attrs.frozen
class Namespace(Definition):
    """A range of a GrowthBook namespace: experiments with disjoint ranges never share a customer.

    Its hash is that of the SDKs: version 1, with the seed "__" + name. Use it together with experiments that GrowthBook
    assigns. A `Layer` does the same with names instead of ranges, and with the finer hash.

    Parameters
    ----------
    name : str
        The name of the namespace, which is the key of the hash.
    low, high : float
        The half-open range, within 0 and 1.

    Examples
    --------
    >>> Namespace("namespace1", .4, 1).members(["1", "2"]).tolist()
    [True, True]
    """

    kind: ClassVar[str] = "namespace"

    name: str = attrs.field(validator=_text)
    low: float = attrs.field(converter=_end)
    high: float = attrs.field(converter=_end)

    def __attrs_post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.low < self.high <= 1:
            raise InputError(
                f"low and high are {self.low:g} and {self.high:g}: they must be a range within 0 and 1, with low below "
                "high.",
                argument="low",
                code="wrong_type",
            )

    @property
    def seed(self) -> str:
        """The seed of the hash."""
        return f"__{self.name}"

    def members(self, ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell who is within the range, shape (n,)."""
        return within(ids, self.seed, self.low, self.high, version=1)

    def has(self, customer_id: int | str) -> bool:
        """Tell whether one customer is within the range: the same answer as `members`, in microseconds."""
        return one_within(customer_id, self.seed, self.low, self.high, version=1)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            "name": shapes.name(limits.string),
            "low": shapes.number(low=0.0, high=1.0),
            "high": shapes.number(low=0.0, high=1.0),
        }, ("name", "low", "high")

    def _meaning(self) -> dict[str, Any]:
        return {"seed": self.name, "low": self.low, "high": self.high}  # the name is the key of the hash

    def _body(self) -> dict[str, Any]:
        return {"name": self.name, "low": self.low, "high": self.high}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("name", "low", "high"), what=cls.kind)
        return built(cls, body)
