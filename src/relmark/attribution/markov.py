"""Markov attribution: how many conversions would be lost if a channel's touches led nowhere.

Journeys are paths through states, where a state is the last k channels. The removal effect of a channel is the share of
conversions whose paths touch it, computed exactly from the chain, without simulation. Conversions are shared in
proportion to removal effects, and value in proportion to removal effects on value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._chain import Chain, chain_of, solve
from relmark.attribution._touches import weighted
from relmark.attribution._walks import walk
from relmark.attribution.credit import Credit
from relmark.attribution.journeys import Journeys
from relmark.attribution.model import AttributionModel, by_effects, checked, credit_of, effect_weights
from relmark.attribution.order_selection import order_selection
from relmark.attribution.transitions import TransitionCounts
from relmark.core import shapes
from relmark.core.checks import FloatArray, IntArray, generator, numbers, shown, whole
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.frozen import owned
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult, Result
from relmark.core.shapes import Shape

__all__ = ["Markov", "MarkovModel", "TransitionMatrix"]


CONVERSION, NULL = "(conversion)", "(null)"


def _order(_: Any, __: Any, value: Any) -> None:
    if value != "auto":
        whole("order", value, low=1)


@attrs.frozen
class Markov(AttributionModel):
    """Share conversions in proportion to what would be lost without each channel.

    Parameters
    ----------
    order : int or "auto"
        How many of the last channels determine what comes next. "auto" chooses the order, up to `max_order`, with the
        best held-out likelihood (see `order_selection`).
    max_order : int
        The highest order that "auto" tries.

    Notes
    -----
    Let Q be the transition probabilities between states, N = (I - Q)^-1, and r the chance to convert directly after a
    state. The chance that a journey converts is h_0 of h = N r. At order 1 the removal effect of channel c is
    ``(N[0, c] / N[c, c]) h_c / h_0``: the chance to meet c times the chance to convert from there, as a share of all
    conversions (Kemeny and Snell 1960, theorem 3.5.7). It is not a difference of two conversion rates, so small effects
    keep all their digits. Give the journeys that do not convert, too. Without them every journey converts, and the
    order of touches is less informative.

    References
    ----------
    Anderl, Becker, von Wangenheim and Schumann (2016), Mapping the customer journey, Int. J. of Research in Marketing.

    Examples
    --------
    >>> j = Journeys.from_paths(["C1 > C2 > C3", "C1", "C2 > C3"], conversions=[1, 0, 0], nulls=[0, 1, 1])
    >>> model = Markov(order=1).fit(j)
    >>> [round(effect, 12) for effect in model.removal_effects.tolist()]
    [0.5, 1.0, 1.0]
    >>> [round(credit, 12) for credit in Markov().attribute(j).conversions.tolist()]
    [0.2, 0.4, 0.4]
    """

    name: ClassVar[str] = "markov"
    order: int | Literal["auto"] = attrs.field(default=1, validator=_order)
    max_order: int = attrs.field(default=4, validator=lambda _, __, value: whole("max_order", value, low=1) and None)

    def fit(self, journeys: Journeys) -> MarkovModel:
        """Fit the model to journeys: removal effects, transitions, and the chance to convert."""
        settled = self._fixed(checked(journeys))
        return MarkovModel.from_counts(TransitionCounts.of(journeys, int(settled.order)))

    def attribute(self, journeys: Journeys, *, per_journey: bool = False) -> Credit:
        """Return the credit of each channel: the same as `fit` followed by `MarkovModel.attribute`."""
        return self.fit(journeys).attribute(journeys, per_journey=per_journey)

    def _weights(self, journeys: Journeys) -> FloatArray:
        return effect_weights(journeys, self.fit(journeys).effects_for(journeys)[0])

    def _fixed(self, journeys: Journeys) -> Markov:
        if self.order != "auto":
            return self
        return Markov(order=order_selection(journeys, range(1, self.max_order + 1)).best)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TransitionMatrix(ColumnarResult):
    """The transition probabilities between named states, with one row per pair that occurs.

    Parameters
    ----------
    source, target : ndarray of str, shape (M,)
        The names of both states.
    source_state, target_state : ndarray of int64, shape (M,)
        The places of both in `states`. Names alone can be ambiguous, for example if a channel is called "a > b".
    probability : ndarray of float64, shape (M,)
        The probability of the transition; those of one source add up to 1.
    states : tuple of str
        All states: the start, the states of touches, then "(conversion)" and "(null)", which end a journey.
    """

    source: npt.NDArray[np.str_]
    target: npt.NDArray[np.str_]
    source_state: IntArray
    target_state: IntArray
    probability: FloatArray
    states: tuple[str, ...]

    def to_array(self) -> FloatArray:
        """Return the matrix with rows and columns in the order of `states`; the last two states lead to themselves."""
        out = np.zeros((len(self.states), len(self.states)))
        out[self.source_state, self.target_state] = self.probability
        out[-2, -2] = out[-1, -1] = 1.0
        return out

    def _table(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "probability": self.probability}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the result of `to_array`, so that numpy functions accept the matrix."""
        return np.array(self.to_array(), dtype=dtype) if copy is not False else np.asarray(self.to_array(), dtype)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MarkovModel(Definition, Result):
    """A fitted Markov model of journeys.

    Parameters
    ----------
    order : int
        The number of last channels that a state remembers.
    channels : ndarray of str, shape (C,)
        The names of the channels.
    removal_effects : ndarray of float64, shape (C,)
        The share of conversions that would be lost without the channel, 0 to 1; NaN if no journey converts.
    value_removal_effects : ndarray of float64, shape (C,), optional
        The same for value.
    conversion_probability : float
        The probability that a journey with touches converts.
    value_per_journey : float
        The expected value of a journey; NaN if the journeys had no value.
    counts : TransitionCounts
        The counts from which the model was computed; they are also its stored form.
    """

    kind: ClassVar[str] = "markov_model"

    order: int
    channels: npt.NDArray[np.str_] = attrs.field(converter=owned)
    removal_effects: FloatArray = attrs.field(converter=owned)
    value_removal_effects: FloatArray | None = attrs.field(converter=attrs.converters.optional(owned))
    conversion_probability: float
    value_per_journey: float
    counts: TransitionCounts

    @classmethod
    def from_counts(cls, counts: TransitionCounts) -> Self:
        """Return the model for transition counts, which may be the sum of the counts of several parts."""
        chain = _chain(counts)
        label = counts.grams[:, -1].astype(np.int64)
        h, lost = _solved(chain, label, len(counts.channels))
        with_value = counts.value is not None
        return cls(
            order=counts.order,
            channels=counts.channels,
            removal_effects=_share(lost[:, 0], h[0]),
            value_removal_effects=_share(lost[:, 1], h[1]) if with_value else None,
            conversion_probability=float(h[0]),
            value_per_journey=float(h[1]) if with_value else math.nan,
            counts=counts,
        )

    def attribute(self, journeys: Journeys, *, per_journey: bool = False) -> Credit:
        """Return the credit of each channel of journeys, in proportion to the removal effects of the model.

        Parameters
        ----------
        journeys : Journeys
            The journeys of the fit, or others with channels that the model knows.
        per_journey : bool
            Whether to return the credit of each touch, too. Each journey is then shared among its channels in
            proportion to removal effects. These figures add up to all conversions, but not to the channels' credit,
            which shares all journeys together.
        """
        effects = self.effects_for(checked(journeys))
        extras: dict[str, Any] = {}
        if per_journey:
            extras["per_journey"] = _FixedEffects(effects[0]).touches(journeys)
        sums, rest = by_effects(journeys, effects)
        return credit_of(journeys, sums, model=f"markov_{self.order}", rest=rest, **extras)

    def effects_for(self, journeys: Journeys) -> list[FloatArray]:
        """Return the removal effects on conversions and on value, aligned with the channels of journeys."""
        known = {name: place for place, name in enumerate(self.channels.tolist())}
        for name in journeys.channels.tolist():
            if name not in known:
                raise InputError(
                    f"journeys has the channel {name!r}, but the model was fitted without it: fit it again.",
                    argument="journeys",
                    code="unknown_name",
                )
        places = [known[name] for name in journeys.channels.tolist()]
        conversions = np.nan_to_num(self.removal_effects)[places]
        worth = self.value_removal_effects
        return [conversions, conversions if worth is None else np.nan_to_num(worth)[places]]

    def removal_of(self, channels: str | Iterable[str]) -> float:
        """Return the share of conversions that would be lost without several channels together.

        Parameters
        ----------
        channels : str or iterable of str
            The channels to remove.

        Returns
        -------
        float
            At least the largest effect of a single one of the channels, at most their sum; NaN if no journey converts.

        Examples
        --------
        >>> j = Journeys.from_paths(["a > b", "b > c", "c"], conversions=[1, 1, 1])
        >>> round(Markov().fit(j).removal_of({"a", "c"}), 6)
        0.833333
        """
        names = [channels] if isinstance(channels, str) else list(channels)
        known = {name: place for place, name in enumerate(self.channels.tolist())}
        removed = np.zeros(len(known) + 1, dtype=np.bool_)
        for name in names:
            if name not in known:
                hint = did_you_mean(str(name), known)
                raise InputError(
                    f"channels names {shown(name)}, which is not a channel of the model.",
                    argument="channels",
                    code="unknown_name",
                    hint=hint,
                )
            removed[known[name]] = True
        label = np.where(removed[self.counts.grams[:, -1]], 0, -1)
        h, lost = _solved(_chain(self.counts), label, 1)
        return float(_share(lost[:, 0], h[0])[0])

    def transition_matrix(self, *, self_loops: bool = True) -> TransitionMatrix:
        """Return the transition probabilities between named states.

        Parameters
        ----------
        self_loops : bool
            Whether to include transitions from a state to itself. Without them, probabilities refer to leaving for
            another state; removal effects are the same.
        """
        counts = self.counts
        names = np.array([*counts.names, CONVERSION, NULL], dtype=np.str_)
        n = len(counts.grams)
        ends = np.arange(n)
        source = np.concatenate([counts.source, ends, ends])
        target = np.concatenate([counts.target, np.full(n, n), np.full(n, n + 1)])
        weight = np.concatenate([counts.weight, counts.conversions, counts.nulls])
        keep = weight > 0.0
        if not self_loops:
            keep &= source != target
        source, target, weight = source[keep], target[keep], weight[keep]
        order = np.argsort(source * (n + 2) + target, kind="stable")
        source, target, weight = source[order], target[order], weight[order]
        return TransitionMatrix(
            source=names[source],
            target=names[target],
            source_state=source,
            target_state=target,
            probability=weight / weighted(source, weight, n)[source],
            states=tuple(names.tolist()),
        )

    def simulate(self, n: int, rng: np.random.Generator | int | None = 0, *, max_touches: int = 10_000) -> Journeys:
        """Return n journeys drawn from the model; equal paths are merged.

        Parameters
        ----------
        n : int
            The number of journeys.
        rng : Generator, int or None
            The random generator, or its seed.
        max_touches : int
            The greatest length: longer journeys are cut there and count as journeys without a conversion.
        """
        n, most = whole("n", n, low=1), whole("max_touches", max_touches, low=1)
        return walk(self.counts, n, generator(rng), most)

    # stored form

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        places, weights = shapes.array(shapes.whole()), shapes.array(shapes.number(low=0.0))
        names = shapes.array(shapes.name(limits.string))
        found: dict[str, Shape] = {"order": shapes.whole(low=1), "channels": names, "grams": places, "source": places}
        found |= {"target": places, "weight": weights, "conversions": weights, "nulls": weights}
        found["value"] = shapes.maybe(weights)
        return found, tuple(found)

    def _body(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "order": counts.order,
            "channels": counts.channels.tolist(),
            "grams": counts.grams.reshape(-1).tolist(),
            "source": counts.source.tolist(),
            "target": counts.target.tolist(),
            "weight": counts.weight.tolist(),
            "conversions": counts.conversions.tolist(),
            "nulls": counts.nulls.tolist(),
            "value": None if counts.value is None else counts.value.tolist(),
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        names = ("order", "channels", "grams", "source", "target", "weight", "conversions", "nulls", "value")
        check_keys(body, required=names, what="markov_model")
        try:
            return cls.from_counts(_stored_counts(body))
        except (InputError, TypeError, OverflowError, ValueError) as error:
            raise DefinitionError(f"these are not transition counts: {error}", code="wrong_value") from None

    def _facts(self) -> dict[str, Any]:
        return {
            "order": self.order,
            "channels": len(self.channels),
            "states": len(self.counts.grams),
            "conversion_probability": self.conversion_probability,
        }

    def _table(self) -> dict[str, Any]:
        columns: dict[str, Any] = {"channel": self.channels, "removal_effect": self.removal_effects}
        if self.value_removal_effects is not None:
            columns["value_removal_effect"] = self.value_removal_effects
        return columns


@attrs.frozen
class _FixedEffects(AttributionModel):
    effects: FloatArray

    def _weights(self, journeys: Journeys) -> FloatArray:
        return effect_weights(journeys, self.effects)


def _chain(counts: TransitionCounts) -> Chain:
    rewards = [counts.conversions] if counts.value is None else [counts.conversions, counts.value]
    return chain_of(
        counts.source, counts.target, counts.weight, counts.conversions + counts.nulls, np.stack(rewards, axis=1)
    )


def _solved(chain: Chain, label: IntArray, n_labels: int) -> tuple[FloatArray, FloatArray]:
    """Return the expected reward of a journey (m,), and how much of it each removal loses (n_labels, m)."""
    if not chain.rewards.any():
        m = chain.rewards.shape[1]
        return np.zeros(m), np.zeros((n_labels, m))
    h, phi = solve(chain, label, n_labels)
    S = np.flatnonzero(label >= 0)
    lost = [weighted(label[S], phi[S] * h[S, k], n_labels) for k in range(chain.rewards.shape[1])]
    return h[0], np.stack(lost, axis=1)


def _share(lost: FloatArray, whole_: float) -> FloatArray:
    return np.minimum(lost / whole_, 1.0) if whole_ > 0.0 else np.full(len(lost), np.nan)


def _stored_counts(body: Mapping[str, Any]) -> TransitionCounts:
    k = whole("order", body["order"], low=1)
    channels = np.array([str(name) for name in body["channels"]], dtype=np.str_)
    grams = np.asarray(body["grams"], dtype=np.int32).reshape(-1, k)
    n = len(grams)
    if n == 0 or (grams[0] != -1).any() or (grams < -1).any() or (grams >= len(channels)).any():
        raise InputError(
            "grams must be places of channels, and the first row must be the start, -1.",
            argument="grams",
            code="wrong_value",
        )
    if n > 1 and (grams[1:, -1] < 0).any():
        raise InputError(
            "grams has a state without a latest channel: only the start may have none.",
            argument="grams",
            code="wrong_value",
        )
    weight = numbers("weight", np.asarray(body["weight"], dtype=np.float64), low=0.0)
    ends = {
        name: numbers(name, np.asarray(body[name], dtype=np.float64), length=n, low=0.0)
        for name in ("conversions", "nulls", "value")
        if name != "value" or body[name] is not None
    }
    places = [np.asarray(body[name], dtype=np.int64) for name in ("source", "target")]
    for place in places:
        if place.shape != weight.shape or (place < 0).any() or (place >= n).any():
            raise InputError(
                "source and target must be places of states, one pair per weight.",
                argument="source",
                code="wrong_value",
            )
    return TransitionCounts(
        order=k,
        channels=channels,
        grams=grams,
        source=places[0],
        target=places[1],
        weight=weight,
        conversions=ends["conversions"],
        nulls=ends["nulls"],
        value=ends.get("value"),
    )
