"""Random assignment of customers: arms, holdouts, layers and namespaces as ranges of keyed hashes of customers' ids.

Several draws may apply to one customer: a sample, a holdout, a layer, an experiment and the steps of a chain. Draws
with the same seed would give the same result: a campaign inside a layer of its own name would have one arm only.
Therefore every role but the experiment itself, whose hash equals GrowthBook's to the bit, hashes with its own prefix
(`role_seed`), and equal salts in one chain of roles are refused (`refuse_equal_salts`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import AsOfGiven, read_as_of
from relmark.core.documents import Definition, Limits, built, check_keys, pairs_of
from relmark.core.errors import InputError
from relmark.core.frozen import read_only
from relmark.core.hashing import BUCKETS, bucket_of, hash_buckets
from relmark.core.names import did_you_mean
from relmark.core.shapes import Shape
from relmark.core.time import Instant, local_days, time_zone

__all__ = ["Arms", "Holdout", "Layer", "bucket_ranges", "refuse_equal_salts", "role_seed"]

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
ROLES = ("layer", "holdout", "step", "sample", "strata", "bootstrap")


def role_seed(role: str, salt: str, *parts: str) -> str:
    """Return the seed of the hash of a role: its prefix, the salt, and further parts.

    Parameters
    ----------
    role : {"layer", "holdout", "step", "sample", "strata", "bootstrap"}
        What the draw is for.
    salt : str
        The key of the hash.
    *parts : str
        Further parts, such as the name of a step. Slashes within salt and parts are escaped, so that different parts
        always give different seeds.

    Examples
    --------
    >>> role_seed("layer", "spring"), role_seed("step", "welcome", "tips")
    ('layer:spring', 'step:welcome/tips')
    """
    checks.one_of("role", role, ROLES)
    if not parts:
        return f"{role}:{salt}"
    return f"{role}:" + "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in (salt, *parts))


def refuse_equal_salts(**salts: str | None) -> None:
    """Raise if two roles of one chain have the same salt; None stands for a role without its own salt."""
    seen: dict[str, str] = {}
    for role, salt in salts.items():
        if salt is None:
            continue
        if salt in seen:
            raise InputError(
                f"{seen[salt]} and {role} have the same salt {salt!r}: draws that apply to the same customers need "
                "different salts.",
                argument="salt",
                code="duplicate",
                hint=f"Give {role} another salt.",
            )
        seen[salt] = role


def bucket_ranges(
    count: int, *, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[tuple[float, float]]:
    """Return the half-open range of the hash of each variation, with invalid input corrected as in GrowthBook's SDKs.

    Parameters
    ----------
    count : int
        The number of variations.
    coverage : float
        The share of each range that is used; it is clipped to between 0 and 1.
    weights : sequence of float, optional
        The share of each variation. Equal shares are used if it is not given, if the number of weights is not `count`,
        or if they sum to less than .99 or more than 1.01.

    Examples
    --------
    >>> bucket_ranges(2, coverage=.5)
    [(0.0, 0.25), (0.5, 0.75)]
    >>> bucket_ranges(2, weights=[.7, .6])
    [(0.0, 0.5), (0.5, 1.0)]
    """
    reached = min(max(float(coverage), 0.0), 1.0)
    shares = [] if weights is None else [float(weight) for weight in weights]
    if len(shares) != count or not 0.99 <= sum(shares) <= 1.01:
        shares = [1 / count] * count if count > 0 else []
    ranges, start = [], 0.0
    for share in shares:
        ranges.append((start, start + reached * share))
        start += share
    return ranges


@lru_cache(maxsize=256)
def _arm_of_bucket(ranges: tuple[tuple[float, float], ...]) -> npt.NDArray[np.int64]:
    """Return the position of the range of each of the 10,000 buckets; it is kept for further calls."""
    grid = np.arange(BUCKETS) / float(BUCKETS)
    table = np.full(BUCKETS, -1, dtype=np.int64)
    for code, (low, high) in reversed(list(enumerate(ranges))):  # the first range that holds a bucket has it
        table[(grid >= low) & (grid < high)] = code
    return read_only(table)


def _arm_shares(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    check_arms(value, attribute.name)


def check_arms(arms: Any, name: str = "arms") -> None:
    """Raise if arms are not at least two names with shares that sum to 1, to within .01 as in GrowthBook's SDKs."""
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise InputError(
            f"{name} is {checks.shown(arms)}: a mapping of at least two arms to shares is needed, "
            "such as {'control': .1, 'mail': .9}.",
            argument=name,
            code="wrong_type",
        )
    for arm, share in arms.items():
        checks.text("an arm's name", arm)
        checks.number(f"{name}[{arm!r}]", share, above=0.0, below=1.0)
    total = math.fsum(arms.values())
    if not 0.99 <= total <= 1.01:
        raise InputError(
            f"{name} sum to {total:g}: shares must sum to 1.",
            argument=name,
            code="wrong_value",
            hint="Use coverage= to include only a part of the customers.",
        )


def copied(value: Mapping[str, float]) -> Any:
    """Return a copy of a mapping, so that later changes to the original have no effect."""
    given: object = value
    return dict(given) if isinstance(given, Mapping) else given


@attrs.frozen
class Arms:
    """Named shares along the hash: which bucket belongs to which arm.

    Parameters
    ----------
    shares : mapping of str to float
        The share of each arm, in this order along the hash. They sum to 1 within .01: as in GrowthBook's SDKs, a
        remainder of up to .01 belongs to no arm.
    coverage : float
        The share of each arm's range that is used. Raising it adds customers and moves nobody to another arm.

    Examples
    --------
    >>> Arms({"control": .1, "mail": .9}).of_bucket(505)
    'control'
    """

    shares: Mapping[str, float] = attrs.field(converter=copied, validator=_arm_shares)
    coverage: float = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """The arms' names."""
        return tuple(self.shares)

    @property
    def planned(self) -> tuple[float, ...]:
        """The planned share of each arm among the customers who are in an arm; they sum to 1."""
        total = math.fsum(self.shares.values())
        exact = abs(total - 1) <= 1e-9
        return tuple(float(share) if exact else share / total for share in self.shares.values())

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """The half-open range of the hash of each arm, in the float arithmetic of GrowthBook's SDKs."""
        return bucket_ranges(len(self.shares), coverage=self.coverage, weights=tuple(self.shares.values()))

    def codes(self, buckets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the position of the arm of each bucket, -1 for a bucket without an arm."""
        return _arm_of_bucket(tuple(self.ranges))[buckets]

    def of_bucket(self, bucket: int) -> str | None:
        """Return the arm of one bucket, None if it has none."""
        code = int(_arm_of_bucket(tuple(self.ranges))[bucket])
        return None if code < 0 else self.names[code]


def known_ids(ids: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Tell which ids are not empty, shape (n,); an empty id is in no draw."""
    array = np.atleast_1d(np.asarray(ids))
    if array.dtype.kind in "iu":
        return np.ones(len(array), dtype=np.bool_)
    return np.asarray(array != "", dtype=np.bool_)


def within(ids: npt.ArrayLike, seed: str, low: Any, high: Any, version: int = 2) -> npt.NDArray[np.bool_]:
    fraction = hash_buckets(ids, seed, version=version) / float(BUCKETS)
    return np.asarray((fraction >= low) & (fraction < high) & known_ids(ids))


def one_within(customer_id: int | str, seed: str, low: float, high: float, version: int = 2) -> bool:
    return customer_id != "" and low <= bucket_of(seed, version=version)(customer_id) / BUCKETS < high


def _text(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    plain_text(attribute.name, value)


def plain_text(name: str, value: Any) -> str:
    """Return a text that is not empty and does not end in a null character, which numpy would drop."""
    checks.text(name, value)
    if value.endswith("\0"):
        raise InputError(
            f"{name} is {checks.shown(value)}, which ends in a null character: remove it.",
            argument=name,
            code="bad_text",
        )
    return str(value)


def _share(value: float) -> float:
    return checks.fraction("share", value)


def _period(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        checks.one_of(attribute.name, value, _MONTHS)


def _zone(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    time_zone(value)


@attrs.frozen
class Holdout(Definition):
    """A share of customers to whom no campaign is sent, so that the whole program can be judged.

    Parameters
    ----------
    share : float
        The share of customers held out at any time, between 0 and 1.
    salt : str
        The key of the hash, which is drawn with the prefix "holdout:". All campaigns of a program share one.
    period : {"month", "quarter", "year"}, optional
        Let the holdout rotate: each calendar period holds out the next `share` of the hash, so that nobody is held
        out in two consecutive periods, and everybody once in ``floor(1 / share)`` periods. Without it, membership
        never changes.
    tz : str
        The time zone of calendar periods, and of dates and times without a zone.

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

    share: float = attrs.field(converter=_share)
    salt: str = attrs.field(validator=_text, kw_only=True)
    period: str | None = attrs.field(default=None, validator=_period, kw_only=True)
    tz: str = attrs.field(default="UTC", validator=_zone, kw_only=True)

    @property
    def seed(self) -> str:
        """The seed of the hash: the salt with its prefix."""
        return role_seed("holdout", self.salt)

    def period_of(self, at: AsOfGiven) -> npt.NDArray[np.int64]:
        """Return the number of the calendar period of each instant, counted from 1970, shape (n,) or (1,).

        Parameters
        ----------
        at : date or instant, or array_like of them
            A time without a zone is local time of the holdout's `tz`.
        """
        if self.period is None:
            raise InputError(
                "this holdout has no period: it never rotates.", argument="period", code="missing_argument"
            )
        many = isinstance(at, (np.ndarray, list, tuple)) and np.ndim(at) > 0
        moment = read_as_of(at, tz=self.tz, name="at", n=np.size(at) if many else None)  # type: ignore[arg-type]
        micros = np.atleast_1d(np.asarray(moment.clock, dtype=np.int64))
        months = local_days(micros, self.tz).astype("M8[D]").astype("M8[M]").astype(np.int64)
        return np.floor_divide(months, _MONTHS[self.period])

    def members(self, ids: npt.ArrayLike, *, at: AsOfGiven | None = None) -> npt.NDArray[np.bool_]:
        """Tell who is held out.

        Parameters
        ----------
        ids : array_like of int or str, shape (n,)
            The customers.
        at : instant, or one per customer
            The time; needed only if the holdout rotates.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        return within(ids, self.seed, *self._ranges(at))

    def holds(self, customer_id: int | str, *, at: Instant | None = None) -> bool:
        """Tell whether one customer is held out: the same answer as `members`, in microseconds."""
        low, high = (float(np.asarray(end).reshape(-1)[0]) for end in self._ranges(at))
        return one_within(customer_id, self.seed, low, high)

    def _ranges(self, at: Any) -> tuple[Any, Any]:
        if self.period is None:
            return 0.0, self.share
        if at is None:
            raise InputError(
                f"at is None: the members of a holdout that rotates by {self.period} depend on the time.",
                argument="at",
                code="missing_value",
                hint="Give an instant, such as at='2026-05-01', or one per customer.",
            )
        # Whole buckets, so that neighboring slices neither overlap nor leave a gap.
        width = max(round(self.share * BUCKETS), 1)
        slot = self.period_of(at) % max(BUCKETS // width, 1)
        return slot * width / BUCKETS, (slot + 1) * width / BUCKETS

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            "share": shapes.number(above=0.0, below=1.0),
            "salt": shapes.name(limits.string),
            "period": shapes.maybe(shapes.one_of(*_MONTHS)),
            "tz": shapes.name(limits.string),
        }, ("share", "salt")

    def _body(self) -> dict[str, Any]:
        return {"share": self.share, "salt": self.salt, "period": self.period, "tz": self.tz}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("share", "salt"), optional=("period", "tz"), what=cls.kind)
        return built(cls, body)


def _layer_shares(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Mapping) or not value:
        raise InputError(
            f"{attribute.name} is {checks.shown(value)}: a mapping of campaign names to shares is needed.",
            argument=attribute.name,
            code="wrong_type",
        )
    for name, share in value.items():
        checks.text("a campaign's name", name)
        checks.number(f"{attribute.name}[{name!r}]", share, above=0.0, high=1.0)
    total = math.fsum(value.values())
    if total > 1 + 1e-9:
        raise InputError(
            f"{attribute.name} sum to {total:g}: the shares of exclusive campaigns must sum to at most 1.",
            argument=attribute.name,
            code="wrong_value",
            hint="Lower some of them.",
        )


@attrs.frozen
class Layer(Definition):
    """Campaigns that exclude each other: a customer can be in at most one of them.

    Parameters
    ----------
    name : str
        The name of the layer, such as "mailings".
    shares : mapping of str to float
        The share of customers that each campaign may have, in this order along the hash. Shares sum to 1 or less. A
        campaign that is appended later moves nobody.
    salt : str, optional
        The key of the hash, which is drawn with the prefix "layer:"; by default the layer's name.

    Examples
    --------
    >>> layer = Layer("mailings", shares={"spring": .5, "survey": .3})
    >>> layer.range_of("survey")
    (0.5, 0.8)
    >>> layer.members([1, 2, 3, 4], "spring").tolist()
    [False, True, False, False]
    """

    kind: ClassVar[str] = "layer"

    name: str = attrs.field(validator=_text)
    shares: Mapping[str, float] = attrs.field(converter=copied, validator=_layer_shares, kw_only=True)
    salt: str | None = attrs.field(default=None, validator=attrs.validators.optional(_text), kw_only=True)

    @property
    def seed(self) -> str:
        """The seed of the hash: the salt, or the name, with its prefix."""
        return role_seed("layer", self.salt or self.name)

    def range_of(self, campaign: str) -> tuple[float, float]:
        """Return the half-open range of the hash that belongs to a campaign."""
        low = 0.0
        for name, share in self.shares.items():
            if name == campaign:
                return low, low + share
            low += share
        raise InputError(
            f"layer {self.name!r} has no campaign {campaign!r}: it has {', '.join(map(repr, self.shares))}.",
            argument="campaign",
            code="unknown_name",
            hint=did_you_mean(campaign, self.shares),
        )

    def members(self, ids: npt.ArrayLike, campaign: str) -> npt.NDArray[np.bool_]:
        """Tell who may be in a campaign, shape (n,)."""
        return within(ids, self.seed, *self.range_of(campaign))

    def has(self, customer_id: int | str, campaign: str) -> bool:
        """Tell whether one customer may be in a campaign: the same answer as `members`, in microseconds."""
        return one_within(customer_id, self.seed, *self.range_of(campaign))

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            "name": shapes.name(limits.string),
            "shares": shapes.array(
                shapes.pair(shapes.name(limits.string), shapes.number(above=0.0, high=1.0)), least=1
            ),
            "salt": shapes.maybe(shapes.name(limits.string)),
        }, ("name", "shares")

    def _meaning(self) -> dict[str, Any]:
        # Without a salt, the name is the seed.
        return {"seed": self.seed, "shares": self._body()["shares"]}

    def _body(self) -> dict[str, Any]:
        # A list keeps the order of campaigns; canonical JSON would sort the keys of an object.
        return {"name": self.name, "shares": [[name, share] for name, share in self.shares.items()], "salt": self.salt}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("name", "shares"), optional=("salt",), what=cls.kind)
        shares = pairs_of(body["shares"], "$.shares")
        name = {key: value for key, value in body.items() if key != "shares"}
        return built(cls, {**name, "shares": shares})
