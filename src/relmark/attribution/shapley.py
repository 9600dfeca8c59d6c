"""Shapley attribution: each channel gets its mean marginal contribution over all orders in which channels may join.

In the standard game a coalition of channels is worth the conversions of the journeys that need no other channel. Its
Shapley value has a closed form (Zhao, Mahboobi and Bagheri 2018): the conversions of a journey are shared equally among
its distinct channels. Other games are computed exactly over all coalitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._coalitions import shapley_values, subset_sums
from relmark.attribution._touches import (
    divided,
    first_of_channel,
    journey_of_touch,
    normalized,
    position_of_touch,
    shared_by_weight,
    times_met,
    weighted,
)
from relmark.attribution.journeys import Journeys
from relmark.attribution.model import AttributionModel, by_effects, effect_weights
from relmark.core.checks import FloatArray, number, one_of
from relmark.core.errors import InputError

__all__ = ["Shapley"]


MOST_CHANNELS = 22
_MOST_CELLS = 1 << 26


def _by(_: Any, __: Any, value: Any) -> None:
    one_of("by", value, ("set", "order"))


def _game(_: Any, __: Any, value: Any) -> None:
    if not callable(value):
        one_of("game", value, ("conversions", "rate"))


@attrs.frozen
class Shapley(AttributionModel):
    """Share conversions by mean marginal contribution.

    Parameters
    ----------
    by : {"set", "order"}
        "order" also distinguishes positions: a channel's share of a journey is spread over its touches there, and
        `by_position` of the credit shows the credit by position. The totals of channels are those of "set".
    game : {"conversions", "rate"} or callable
        The worth of a coalition of channels. "conversions" is the number of conversions of the journeys that need no
        other channel. "rate" is the share of these journeys that convert, so that journeys without a conversion count,
        and a channel that lowers the rate gets negative credit. A function takes a frozenset of channel names and
        returns a number; its Shapley values are scaled to the conversions, so that credit balances. Games other than
        "conversions" are computed over all coalitions, for at most 22 channels.

    Notes
    -----
    In the standard game ``credit_c = sum over sets R with c of conversions(R) / |R|`` (Zhao et al. 2018, equation 8),
    which takes time linear in the number of touches for any number of channels. In general
    ``phi_c = sum over S without c of (v(S + c) - v(S)) / (n binom(n - 1, |S|))`` (Shapley 1953).

    References
    ----------
    Zhao, Mahboobi and Bagheri (2018), Shapley value methods for attribution modeling in online advertising,
    arXiv:1804.05327. Shapley (1953), A value for n-person games.

    Examples
    --------
    >>> j = Journeys.from_paths(["mail", "mail > search", "search"], conversions=[1, 4, 0], nulls=[3, 4, 2])
    >>> Shapley().attribute(j).conversions
    array([3., 2.])
    >>> Shapley(game="rate").attribute(j).conversions.round(6)
    array([4.25, 0.75])
    """

    name: ClassVar[str] = "shapley"
    by: Literal["set", "order"] = attrs.field(default="set", validator=_by, kw_only=True)
    game: Literal["conversions", "rate"] | Callable[[frozenset[str]], float] = attrs.field(
        default="conversions", validator=_game, kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        """Check that `by` and `game` fit together."""
        if self.by == "order" and self.game != "conversions":
            raise InputError(
                "by='order' needs game='conversions': leave by or game at its default.",
                argument="by",
                code="conflicting_arguments",
            )

    def _label(self) -> str:
        if self.game == "conversions":
            return "shapley" if self.by == "set" else "shapley_order"
        return "shapley_rate" if self.game == "rate" else "shapley_game"

    def _weights(self, journeys: Journeys) -> FloatArray:
        codes, offsets, n = journeys.codes, journeys.offsets, len(journeys.channels)
        if self.game != "conversions":
            return effect_weights(journeys, self._effects(journeys)[0])
        if self.by == "set":
            return first_of_channel(codes, offsets, n).astype(np.float64)
        return 1.0 / times_met(codes, offsets, n)

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        if self.game != "conversions":
            sums, rest = by_effects(journeys, self._effects(journeys))
            return sums, {"rest": rest}
        weights = self._weights(journeys)
        sums = shared_by_weight(journeys.codes, journeys.offsets, weights, totals, len(journeys.channels))
        return sums, {"by_position": _by_position(journeys, weights)} if self.by == "order" else {}

    def _effects(self, journeys: Journeys) -> list[FloatArray]:
        """Return the Shapley values of all channels for conversions and for value; 0 for channels without touches."""
        players = np.unique(journeys.codes)
        n = len(players)
        if n > MOST_CHANNELS:
            raise InputError(
                f"the journeys have {n} channels: a game over all coalitions takes {MOST_CHANNELS} at most.",
                argument="journeys",
                code="too_large",
                hint="Join channels with journeys.replace, or use game='conversions', which takes any number.",
            )
        if callable(self.game):
            worths = [self._called(self.game, journeys.channels[players].tolist())] * 2
        else:
            worths = _rates(journeys, players)
        effects = []
        for worth, total in zip(worths, journeys.totals()[journeys.lengths > 0].sum(axis=0), strict=False):
            effect = np.zeros(len(journeys.channels))
            if n:
                effect[players] = shapley_values(worth)
            if callable(self.game) and total > 0.0 and abs(effect.sum()) <= 1e-12 * np.abs(effect).max():
                raise InputError(
                    "all channels together are worth no more than none: conversions cannot be shared in proportion.",
                    argument="game",
                    code="wrong_value",
                    hint="Give a game that returns more for all channels than for the empty set.",
                )
            effects.append(effect)
        return effects

    @staticmethod
    def _called(game: Callable[[frozenset[str]], float], names: list[str]) -> FloatArray:
        worth = np.empty(1 << len(names))
        for mask in range(len(worth)):
            coalition = frozenset(name for k, name in enumerate(names) if mask >> k & 1)
            worth[mask] = number(f"game({sorted(coalition)})", game(coalition))
        return worth


def _rates(journeys: Journeys, players: npt.NDArray[np.int32]) -> list[FloatArray]:
    """Return the conversions, and the value, per journey that needs no other channel, for each coalition."""
    n = len(players)
    bit = np.zeros(len(journeys.channels), dtype=np.int64)
    bit[players] = np.int64(1) << np.arange(n)
    touched = journeys.lengths > 0
    mask = np.bitwise_or.reduceat(bit[journeys.codes], journeys.offsets[:-1][touched]) if n else np.empty(0, np.int64)
    totals = journeys.totals()[touched]
    weight = (journeys.conversions + journeys.nulls)[touched]

    def of_subsets(column: FloatArray) -> FloatArray:
        return subset_sums(weighted(mask, column, 1 << n))

    people = of_subsets(weight)
    return [divided(of_subsets(totals[:, k]), people, otherwise=0.0) for k in range(totals.shape[1])]


def _by_position(journeys: Journeys, weights: FloatArray) -> FloatArray:
    longest = int(journeys.lengths.max(initial=0))
    cells = len(journeys.channels) * longest
    if cells > _MOST_CELLS:
        raise InputError(
            f"{len(journeys.channels)} channels by {longest:,} positions are too many: "
            "shorten journeys with last_n first.",
            argument="journeys",
            code="too_large",
        )
    share = normalized(weights, journeys.offsets) * journeys.conversions[journey_of_touch(journeys.offsets)]
    cell = journeys.codes * np.int64(longest) + position_of_touch(journeys.offsets)
    return weighted(cell, share, cells).reshape(len(journeys.channels), longest)
