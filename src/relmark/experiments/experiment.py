"""The experiment: a campaign with its control group, from plan to decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import InputError
from relmark.core.time import Instant
from relmark.experiments.assignment import (
    HASHES,
    Assignment,
    check_arms,
    codes_of,
    fraction_of,
    make_assignment,
    plain_ids,
)
from relmark.experiments.layers import Holdout, Layer, _built, _pairs

__all__ = ["Experiment"]


def _name(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    checks.text(attribute.name, value)


def _arms(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    check_arms(value, attribute.name)


def _salt(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        checks.text(attribute.name, value)


def _coverage(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    checks.number(attribute.name, value, above=0.0, high=1.0)


def _hash(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    checks.one_of(attribute.name, value, HASHES)


@attrs.frozen
class Experiment(Definition):
    """A campaign with its control group.

    Parameters
    ----------
    name : str
        What the campaign is called.
    arms : mapping of str to float
        The arms' shares, which sum to 1, in this order along the hash.
    salt : str, optional
        The key of the hash; the name without it. Another salt draws other people: give each campaign its own.
    coverage : float
        The share of customers whom the test reaches at all. Raising it later adds people and moves nobody.
    holdout : Holdout, optional
        People to whom no campaign is sent.
    layer : Layer, optional
        Campaigns of which a customer gets at most one; this campaign's name is one of them.
    control : str, optional
        The arm that the others are compared with: "control" where there is such an arm, else the first.
    hash : {"growthbook", "sha256"}
        Which hash draws the arms.

    Examples
    --------
    >>> test = Experiment("spring", arms={"control": .1, "mail": .9}, salt="2026-spring")
    >>> test.assign(["c1", "c2", "c3"]).arm.tolist()
    ['mail', 'mail', 'mail']
    >>> test.arm_of("c1")
    'mail'
    """

    kind: ClassVar[str] = "experiment"

    name: str = attrs.field(validator=_name)
    arms: Mapping[str, float] = attrs.field(validator=_arms, kw_only=True)
    salt: str | None = attrs.field(default=None, validator=_salt, kw_only=True)
    coverage: float = attrs.field(default=1.0, validator=_coverage, kw_only=True)
    holdout: Holdout | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Holdout)), kw_only=True
    )
    layer: Layer | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Layer)), kw_only=True
    )
    control: str | None = attrs.field(default=None, kw_only=True)
    hash: str = attrs.field(default="growthbook", validator=_hash, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check what the fields must agree about."""
        if self.control is not None and self.control not in self.arms:
            raise InputError(f"control is {self.control!r}: the arms are {', '.join(map(repr, self.arms))}.")
        if self.layer is not None:
            self.layer.range_of(self.name)

    @property
    def control_arm(self) -> str:
        """The arm that the others are compared with."""
        if self.control is not None:
            return self.control
        return "control" if "control" in self.arms else next(iter(self.arms))

    def assign(self, ids: npt.ArrayLike, *, at: Instant | npt.ArrayLike | None = None) -> Assignment:
        """Return the arm of each customer.

        Parameters
        ----------
        ids : array_like of int or str, shape (n,)
        at : instant, or one a customer
            When the campaign runs; needed where the holdout rotates.

        Returns
        -------
        Assignment
            Who is in the holdout, in another campaign of the layer, or beyond the coverage has code -1 and a reason.

        Notes
        -----
        The same id gets the same arm in every process and language that has the hash. Cost: linear, no state.
        """
        array = plain_ids(ids)
        code = codes_of(fraction_of(array, self.salt or self.name, self.hash), self.arms, self.coverage)
        why = np.where(code < 0, 3, 0)
        if self.layer is not None:
            why[~self.layer.members(array, self.name)] = 2
        if self.holdout is not None:
            why[self.holdout.members(array, at=at)] = 1
        code = np.where(why > 0, -1, code)
        return make_assignment(array, code, np.array(["", "holdout", "layer", "coverage"])[why], self.arms)

    def arm_of(self, customer_id: int | str, *, at: Instant | None = None) -> str | None:
        """Return the arm of one customer, or None for who is outside."""
        return str(self.assign([customer_id], at=at).arm[0]) or None

    def _body(self) -> dict[str, Any]:
        return {
            # A list keeps the order of arms, which decides who gets which.
            "name": self.name,
            "arms": [[arm, share] for arm, share in self.arms.items()],
            "salt": self.salt,
            "coverage": self.coverage,
            "holdout": None if self.holdout is None else self.holdout.to_dict(),
            "layer": None if self.layer is None else self.layer.to_dict(),
            "control": self.control,
            "hash": self.hash,
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        optional = ("salt", "coverage", "holdout", "layer", "control", "hash")
        check_keys(body, required=("name", "arms"), optional=optional, what=cls.kind)
        parts = dict(body)
        parts["arms"] = _pairs(body["arms"], "$.arms")
        for key, of in (("holdout", Holdout), ("layer", Layer)):
            if parts.get(key) is not None:
                parts[key] = of.from_dict(parts[key], limits)  # type: ignore[attr-defined]
        built: Self = _built(cls, parts)
        return built
