"""Which customer is in which arm: the assignment of a list of customers, and the hash that makes it.

The hash is the one that GrowthBook's SDKs use, so that a website, a mail server and this library agree about every
customer. Each arm has a half-open range of the hash. A higher coverage extends each range at its end, and so never
moves anyone from one arm to another.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.assignment import Arms, check_arms, role_seed
from relmark.core.errors import InputError
from relmark.core.frozen import locked, owned
from relmark.core.hashing import BUCKETS, bucket_of, hash_buckets, hash_fraction, one_id
from relmark.core.ordering import stable_order
from relmark.core.results import ColumnarResult

__all__ = ["Assignment", "sha256_fraction", "stratified_assignment"]

HASHES = ("growthbook", "growthbook-1", "sha256")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Assignment(ColumnarResult):
    """The arm of each customer of a list.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        The customers, as they were given.
    arm : ndarray of str, shape (n,)
        The name of the arm; empty for customers outside the test.
    code : ndarray of int64, shape (n,)
        The position of the arm in `arms`; -1 for customers outside the test.
    reason : ndarray of str, shape (n,)
        Why a customer is outside the test, such as "no id", "holdout", "layer", "namespace" or "coverage"; empty for
        customers in an arm.
    arms : tuple of str
        The arms' names.
    shares : tuple of float
        The planned share of each arm among the customers in the test.
    stratified : bool
        Whether arms were drawn within strata, which the analysis should take into account.
    """

    customer_id: npt.NDArray[Any] = attrs.field(converter=owned)
    arm: npt.NDArray[np.str_] = attrs.field(converter=owned)
    code: npt.NDArray[np.int64] = attrs.field(converter=owned)
    reason: npt.NDArray[np.str_] = attrs.field(converter=owned)
    arms: tuple[str, ...]
    shares: tuple[float, ...]
    stratified: bool = False

    @classmethod
    def recorded(
        cls, customer_id: npt.ArrayLike, arm: npt.ArrayLike, arms: Mapping[str, float], *, stratified: bool = False
    ) -> Assignment:
        """Return the assignment that another tool made, with the shares that were planned.

        Parameters
        ----------
        customer_id : array_like, shape (n,)
            The customers.
        arm : array_like of str, shape (n,)
            The name of each customer's arm; empty for customers outside the test.
        arms : mapping of str to float
            The planned shares, which sum to 1.
        stratified : bool
            Whether arms were drawn within strata.

        Examples
        --------
        >>> Assignment.recorded([1, 2, 3], ["mail", "", "control"], {"control": .5, "mail": .5}).counts
        {'control': 1, 'mail': 1}
        """
        check_arms(arms)
        names = np.asarray(arm)
        checks.same_length("arm", names, np.size(customer_id))
        code = np.full(len(names), -1, dtype=np.int64)
        for position, one in enumerate(arms):
            code[names == one] = position
        strange = (code < 0) & (names != "")
        checks.refuse_rows("arm", strange, names, f"one of {', '.join(map(repr, arms))} or '' is needed")
        made = make_assignment(customer_id, code, np.where(code < 0, "not recorded", ""), arms)
        return attrs.evolve(made, stratified=stratified)

    @property
    def counts(self) -> dict[str, int]:
        """The number of customers in each arm."""
        found = np.bincount(self.code[self.code >= 0], minlength=len(self.arms))
        return {arm: int(n) for arm, n in zip(self.arms, found, strict=True)}

    @property
    def excluded(self) -> dict[str, int]:
        """The number of customers outside the test, by reason."""
        names, counts = np.unique(self.reason[self.code < 0], return_counts=True)
        return {str(name): int(n) for name, n in zip(names, counts, strict=True)}

    def leaving_out(self, reason: str, who: npt.NDArray[np.bool_]) -> Assignment:
        """Return the assignment with some of the customers (a mask of shape (n,)) moved outside, for a reason."""
        if not who.any():
            return self
        return attrs.evolve(
            self,
            code=locked(np.where(who, -1, self.code)),
            arm=locked(np.where(who, "", self.arm)),
            reason=locked(np.where(who, reason, self.reason)),
        )

    def aligned(self, ids: npt.ArrayLike) -> Assignment:
        """Return the assignment for a list of customers; those whom it does not have are outside.

        Raises
        ------
        InputError
            The assignment has a customer twice, or one who is not in the list.
        """
        wanted = plain_ids(ids)
        if len(wanted) == len(self.customer_id) and (wanted == self.customer_id).all():
            return self
        known, place = np.unique(self.customer_id, return_index=True)
        if len(known) < len(self.customer_id):
            raise InputError(
                "arms has a customer twice: one row per customer is needed.", argument="arms", code="duplicate"
            )
        missing = ~np.isin(known, wanted)
        if missing.any():
            raise InputError(
                f"arms has customer {checks.shown(known[int(np.argmax(missing))])}, whom the base does not have "
                f"({int(np.count_nonzero(missing)):,} in all): build the base with everyone who was assigned.",
                argument="arms",
                code="unknown_name",
            )
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        here = known[at] == wanted
        rows = place[at]
        return attrs.evolve(
            self,
            customer_id=wanted,
            code=locked(np.where(here, self.code[rows], -1)),
            arm=locked(np.where(here, self.arm[rows], "")),
            reason=locked(np.where(here, self.reason[rows], "not recorded")),
        )

    def members(self, arm: str) -> npt.NDArray[Any]:
        """Return the customers of one arm."""
        if arm not in self.arms:
            raise InputError(
                f"arm is {arm!r}: it must be one of {', '.join(map(repr, self.arms))}.",
                argument="arm",
                code="unknown_name",
            )
        return np.asarray(self.customer_id[self.code == self.arms.index(arm)])

    def _facts(self) -> dict[str, Any]:
        return {"customers": len(self.code), **self.counts, "outside": int((self.code < 0).sum())}

    def _table(self) -> dict[str, Any]:
        counts, outside = self.counts, self.excluded
        inside = max(sum(counts.values()), 1)
        return {
            "arm": [*counts, *(f"outside: {reason}" for reason in outside)],
            "people": [*counts.values(), *outside.values()],
            "share": [*(n / inside for n in counts.values()), *(math.nan for _ in outside)],
            "planned": [*self.shares, *(math.nan for _ in outside)],
        }


def make_assignment(
    ids: npt.ArrayLike, code: npt.NDArray[np.int64], reason: npt.NDArray[np.str_], arms: Mapping[str, float]
) -> Assignment:
    """Return the Assignment from codes, with the arms' names added."""
    names = np.array([*arms, ""])
    return Assignment(
        customer_id=np.atleast_1d(np.asarray(ids)),
        arm=locked(names[code]),
        code=locked(code),
        reason=locked(reason),
        arms=tuple(arms),
        shares=Arms(arms).planned,
    )


def control_among(arms: Mapping[str, float], control: str | None) -> str:
    """Return the control arm: the one named, otherwise "control" if there is one, otherwise the first."""
    if control is not None:
        return control
    return "control" if "control" in arms else next(iter(arms))


def sha256_fraction(ids: npt.ArrayLike, seed: str) -> npt.NDArray[np.float64]:
    """Return for each id a stable fraction in [0, 1) that any SQL engine with sha256 can reproduce.

    It is the number in the first eight hexadecimal digits of ``sha256(seed + ":" + id)``, modulo 10,000, divided by
    10,000. It is slower than `hash_fraction` by an order of magnitude: use it if a warehouse must find the same arms.

    Parameters
    ----------
    ids : array_like of int or str, shape (n,)
        The customers.
    seed : str
        The key of the hash.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> sha256_fraction(["a", "b"], seed="seed").tolist()
    [0.053, 0.384]
    """
    return _sha256_buckets(ids, seed) / float(BUCKETS)


def _sha256_buckets(ids: npt.ArrayLike, seed: str) -> npt.NDArray[np.int64]:
    checks.text("seed", seed, empty=True)
    return np.array([_sha256_bucket(seed, value) for value in np.atleast_1d(np.asarray(ids)).tolist()], dtype=np.int64)


def _sha256_bucket(seed: str, customer_id: int | str) -> int:
    try:
        digest = hashlib.sha256(f"{seed}:{one_id(customer_id)}".encode()).digest()
    except UnicodeEncodeError:
        raise InputError(
            f"{checks.shown(customer_id)} contains half a surrogate pair, so it is not valid text.",
            argument="customer_id",
            code="bad_text",
        ) from None
    return int.from_bytes(digest[:4], "big") % BUCKETS


def buckets_of(ids: npt.ArrayLike, salt: str, hash: str) -> npt.NDArray[np.int64]:
    """Return the bucket of each id by the named hash, 0 to 9,999."""
    if hash == "sha256":
        return _sha256_buckets(ids, salt)
    return hash_buckets(ids, salt, version=1 if hash == "growthbook-1" else 2)


def one_bucket(salt: str, hash: str) -> Callable[[int | str], int]:
    """Return a function that gives the bucket of one id, as `buckets_of` does."""
    if hash == "sha256":
        return lambda customer_id: _sha256_bucket(salt, customer_id)
    return bucket_of(salt, version=1 if hash == "growthbook-1" else 2)


def stratified_assignment(
    ids: npt.ArrayLike, strata: npt.ArrayLike, *, arms: Mapping[str, float], salt: str
) -> Assignment:
    """Assign the customers of a closed list to arms so that every stratum is split as planned.

    Within a stratum customers are put in the order of their hash and divided by the shares. Remainders are drawn by
    systematic sampling, so that everybody has exactly the planned chance of each arm, and an arm differs from the plan
    by less than one person per stratum. The result depends on the whole list: for customers who arrive one by one, use
    `Experiment.assign`.

    Parameters
    ----------
    ids : array_like of int or str, shape (n,)
        The customers.
    strata : array_like, shape (n,)
        The group of each customer: a value of one column, or of several joined.
    arms : mapping of str to float
        Shares that sum to 1.
    salt : str
        The key of the hash.

    Returns
    -------
    Assignment

    Examples
    --------
    >>> a = stratified_assignment(range(100), ["big"] * 20 + ["small"] * 80, arms={"control": .5, "mail": .5}, salt="s")
    >>> a.counts, int((a.arm[:20] == "mail").sum())
    ({'control': 50, 'mail': 50}, 10)
    """
    check_arms(arms)
    checks.text("salt", salt)
    array = np.atleast_1d(np.asarray(list(ids) if isinstance(ids, range) else ids))
    labels = np.atleast_1d(np.asarray(strata))
    checks.same_length("strata", labels, len(array))
    _, stratum = np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)
    # Two hashes together order people finely enough that ties, which keep the list's order, hardly matter.
    fine = hash_buckets(array, role_seed("strata", salt)) * BUCKETS + hash_buckets(array, _strata(salt, "fine"))
    order = stable_order(fine)
    order = order[stable_order(stratum.reshape(-1).astype(np.int64)[order])]
    sizes = np.bincount(stratum.reshape(-1))
    shares = np.array(Arms(arms).planned)
    draws = hash_fraction(np.arange(len(sizes)), _strata(salt, "remainders"))
    code = np.empty(len(array), dtype=np.int64)
    position = 0
    for size, draw in zip(sizes.tolist(), draws.tolist(), strict=True):
        dealt = _dealt(shares * size, size, draw)
        code[order[position : position + size]] = np.repeat(np.arange(len(shares)), dealt)
        position += size
    return attrs.evolve(make_assignment(array, code, np.full(len(array), ""), arms), stratified=True)


def _strata(salt: str, part: str) -> str:
    return role_seed("strata", salt, part)


def _dealt(wanted: npt.NDArray[np.float64], size: int, draw: float) -> npt.NDArray[np.int64]:
    """Return whole numbers that sum to `size`, each within one of the wanted number, which is its mean over `draw`."""
    # Madow's systematic sampling: the whole numbers between neighboring cumulative sums, shifted by the draw.
    edges = np.floor(np.concatenate(([0.0], np.cumsum(wanted)[:-1], [float(size)])) + draw)
    return np.diff(edges).astype(np.int64)


def plain_ids(ids: Sequence[Any] | npt.ArrayLike) -> npt.NDArray[Any]:
    """Return ids as an array of shape (n,)."""
    array = np.atleast_1d(checks.array_of("ids", ids))
    if array.ndim != 1:
        raise InputError(
            f"ids have shape {array.shape}: one column of int or str is needed.", argument="ids", code="wrong_shape"
        )
    return array
