"""A linear limit of an allocation, in addition to capacities, minimums and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy.typing as npt

from relmark.core.checks import number, text
from relmark.core.errors import InputError

__all__ = ["Constraint"]


def _named(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    text("name", value)


@attrs.frozen(eq=False)
class Constraint:
    """A limit on the total weight of all allocated offers.

    Parameters
    ----------
    name : str
        The name of the limit, for messages and prices.
    weight : mapping of offer to float or array_like, shape (n,), or array_like, shape (n, k)
        The weight of an offer to a customer. Offers that a mapping leaves out have weight 0.
    at_most, at_least : float, optional
        The bounds of the total weight; pass at least one.

    Examples
    --------
    >>> Constraint("calls", {"call": 1.0, "visit": 3.0}, at_most=100.0).at_most
    100.0
    """

    name: str = attrs.field(validator=_named)
    weight: Mapping[str, float | npt.ArrayLike] | npt.ArrayLike = attrs.field(repr=False)
    at_most: float | None = attrs.field(default=None, kw_only=True)
    at_least: float | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check the bounds."""
        if self.at_most is None and self.at_least is None:
            raise InputError(
                f"constraint {self.name!r} has neither at_most= nor at_least=: pass at least one bound.",
                argument="at_most",
                code="missing_argument",
            )
        for name in ("at_most", "at_least"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name))
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise InputError(
                f"constraint {self.name!r} has at_least={self.at_least:g} and at_most={self.at_most:g}: at_least must "
                "not be larger than at_most.",
                argument="at_least",
                code="wrong_value",
            )
