"""Who is left out of a campaign before its arms are drawn: a universal holdout, and layers of exclusive campaigns.

Both are ranges of a keyed hash of the customer's id, so that any backend in any language finds the same people, and a
campaign that grows keeps those that it already had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.hashing import BUCKETS, hash_fraction
from relmark.core.names import did_you_mean
from relmark.core.time import Instant, instant, instants, local_days
from relmark.experiments import _validators
from relmark.experiments._one import one_bucket

__all__ = ["Holdout", "Layer"]

_T = TypeVar("_T")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@attrs.frozen
class Holdout(Definition):
    """A share of customers to whom no campaign is sent, so that the whole programme can be judged.

    Parameters
    ----------
    share : float
        The share of customers held out at any time, between 0 and 1.
    salt : str
        The key of the hash. All campaigns of a programme share one.
    period : {"month", "quarter", "year"}, optional
        Let the holdout rotate: each calendar period holds out the next `share` of the hash, so that nobody is held
        out in two periods running, and everybody once in ``floor(1 / share)`` periods. Without it, membership is for
        good.
    tz : str
        The time zone of calendar periods.

    Examples
    --------
    >>> Holdout(.05, salt="q2").members(["c1", "c2", "c3"]).tolist()
    [False, False, False]
    >>> rotating = Holdout(.5, salt="u", period="quarter")
    >>> spring, summer = (rotating.members([1, 2, 3, 4], at=day) for day in ("2026-05-01", "2026-08-01"))
    >>> bool((spring == ~summer).all())
    True
    """

    kind: ClassVar[str] = "holdout"

    share: float = attrs.field(validator=_validators.share, converter=float)
    salt: str = attrs.field(validator=_validators.name, kw_only=True)
    period: str | None = attrs.field(
        default=None, validator=_validators.optional(_validators.one_of(*_MONTHS)), kw_only=True
    )
    tz: str = attrs.field(default="UTC", kw_only=True)

    def period_of(self, at: Any) -> npt.NDArray[np.int64]:
        """Return the number of the calendar period of each instant, counted from 1970, shape (n,) or (1,).

        Parameters
        ----------
        at : instant or array_like of instants
        """
        if self.period is None:
            raise InputError("this holdout has no period: it never rotates.")
        if isinstance(at, (np.ndarray, list, tuple)) and np.ndim(at):
            micros = instants("at", at)
        else:
            micros = np.array([instant(at, tz=self.tz, name="at")])
        months = local_days(micros, self.tz).astype("M8[D]").astype("M8[M]").astype(np.int64)
        return np.floor_divide(months, _MONTHS[self.period])

    def members(self, ids: npt.ArrayLike, *, at: Instant | npt.ArrayLike | None = None) -> npt.NDArray[np.bool_]:
        """Tell who is held out.

        Parameters
        ----------
        ids : array_like of int or str, shape (n,)
        at : instant, or one a customer
            When; needed where the holdout rotates.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        fraction = hash_fraction(ids, self.salt)
        low, high = self._ranges(at)
        return np.asarray((fraction >= low) & (fraction < high))

    def holds(self, customer_id: int | str, *, at: Instant | None = None) -> bool:
        """Tell whether one customer is held out: the same answer as `members`, in microseconds."""
        low, high = (float(np.asarray(end).reshape(-1)[0]) for end in self._ranges(at))
        return low <= one_bucket(customer_id, self.salt) / BUCKETS < high

    def _ranges(self, at: Any) -> tuple[Any, Any]:
        if self.period is None:
            return 0.0, self.share
        if at is None:
            raise InputError(
                f"at is None: a holdout that rotates by {self.period} needs to know when. Give an instant, such as "
                "at='2026-05-01', or one a customer."
            )
        # Whole buckets, so that neighbouring slices neither overlap nor leave a gap.
        width = max(round(self.share * BUCKETS), 1)
        slot = self.period_of(at) % max(BUCKETS // width, 1)
        return slot * width / BUCKETS, (slot + 1) * width / BUCKETS

    def _body(self) -> dict[str, Any]:
        return {"share": self.share, "salt": self.salt, "period": self.period, "tz": self.tz}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("share", "salt"), optional=("period", "tz"), what=cls.kind)
        return built(cls, body)


def copied(value: Any) -> Any:
    """Return a mapping of one's own, so that what the caller does to theirs changes nothing."""
    return dict(value) if isinstance(value, Mapping) else value


def built(cls: type[_T], body: Mapping[str, Any]) -> _T:
    """Return the object of a stored body; what its validators refuse becomes a DefinitionError."""
    try:
        return cls(**body)
    except DefinitionError:
        raise
    except (InputError, TypeError, ValueError) as error:
        raise DefinitionError(str(error), code="wrong_value") from None


def _shares(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Mapping) or not value:
        raise InputError(f"{attribute.name} is {checks.shown(value)}: a mapping of campaign names to shares is needed.")
    for name, share in value.items():
        checks.text("a campaign's name", name)
        checks.number(f"{attribute.name}[{name!r}]", share, above=0.0, high=1.0)
    total = math.fsum(value.values())
    if total > 1 + 1e-9:
        raise InputError(f"{attribute.name} sum to {total:g}: exclusive campaigns can have 1 together. Lower some.")


@attrs.frozen
class Layer(Definition):
    """Campaigns that exclude each other: a customer can be in at most one of them.

    Parameters
    ----------
    name : str
        What the layer is called, such as "mailings".
    shares : mapping of str to float
        Which share of customers each campaign may have, in this order along the hash. Shares sum to 1 or less; to add
        a campaign later, append it, and nobody moves.
    salt : str, optional
        The key of the hash; the layer's name without it.

    Examples
    --------
    >>> layer = Layer("mailings", shares={"spring": .5, "survey": .3})
    >>> layer.range_of("survey")
    (0.5, 0.8)
    >>> layer.members([1, 2, 3, 4], "spring").tolist()
    [False, False, False, True]
    """

    kind: ClassVar[str] = "layer"

    name: str = attrs.field(validator=_validators.name)
    shares: Mapping[str, float] = attrs.field(converter=copied, validator=_shares, kw_only=True)
    salt: str | None = attrs.field(default=None, kw_only=True)

    def range_of(self, campaign: str) -> tuple[float, float]:
        """Return the half-open range of the hash that belongs to a campaign."""
        low = 0.0
        for name, share in self.shares.items():
            if name == campaign:
                return low, low + share
            low += share
        raise InputError(
            f"layer {self.name!r} has no campaign {campaign!r}: it has {', '.join(map(repr, self.shares))}."
            + did_you_mean(campaign, self.shares)
        )

    def members(self, ids: npt.ArrayLike, campaign: str) -> npt.NDArray[np.bool_]:
        """Tell who may be in a campaign, shape (n,)."""
        low, high = self.range_of(campaign)
        fraction = hash_fraction(ids, self.salt or self.name)
        return (fraction >= low) & (fraction < high)

    def has(self, customer_id: int | str, campaign: str) -> bool:
        """Tell whether one customer may be in a campaign: the same answer as `members`, in microseconds."""
        low, high = self.range_of(campaign)
        return low <= one_bucket(customer_id, self.salt or self.name) / BUCKETS < high

    def _body(self) -> dict[str, Any]:
        # A list keeps the order of campaigns, which canonical JSON would sort away.
        return {"name": self.name, "shares": [[name, share] for name, share in self.shares.items()], "salt": self.salt}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("name", "shares"), optional=("salt",), what=cls.kind)
        shares = pairs_of(body["shares"], "$.shares")
        name = {key: value for key, value in body.items() if key != "shares"}
        return built(cls, {**name, "shares": shares})


def pairs_of(value: Any, path: str) -> dict[str, Any]:
    """Return a stored list of [name, number] as a mapping in its order."""
    good = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
    )
    if not good:
        raise DefinitionError("a list of [name, share] pairs is needed.", path=path, code="wrong_type")
    pairs: dict[str, Any] = dict(value)
    if len(pairs) < len(value):
        raise DefinitionError("a name stands twice.", path=path, code="duplicate_key")
    return pairs
