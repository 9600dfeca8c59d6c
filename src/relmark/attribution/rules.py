"""Rules: credit by the position of a touch in its journey.

Every rule gives each touch a weight and shares the conversions of the journey in proportion. Rules need no other
journeys and no journeys without a conversion, so they are quick, stable and easy to explain. But the way they share is
chosen before the data are seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np

from relmark.attribution._touches import (
    Block,
    blocks,
    first_of_channel,
    last_where,
    shared_by_weight,
    spread,
    summed_at,
)
from relmark.attribution.journeys import Journeys
from relmark.attribution.model import AttributionModel
from relmark.core.checks import FloatArray, IntArray, number, shown
from relmark.core.errors import InputError
from relmark.core.time import days, duration

__all__ = [
    "CustomRule",
    "FirstTouch",
    "LastNonDirect",
    "LastTouch",
    "Linear",
    "Participation",
    "PositionBased",
    "TimeDecay",
]


Some = Journeys | Block  # a block of journeys has all fields that rules read


class _Rule(AttributionModel):
    """A model that shares each journey separately, so that journeys can be handled in blocks."""

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        some = np.asarray(totals.any(axis=1))
        if 5 * np.count_nonzero(some) < len(some):  # few have something to share: copying them is cheaper
            journeys, totals = journeys.take(some), totals[some]
        parts = [self._block(block) for block in blocks(journeys, totals)]
        return np.sum([np.zeros((len(journeys.channels), totals.shape[1])), *parts], axis=0), {}

    def _block(self, block: Block) -> FloatArray:
        """Return each channel's part of a block's totals, shape (C, m)."""
        weights = self._weights(block)
        return shared_by_weight(block.codes, block.offsets, weights, block.totals, len(block.channels))


class _OneTouch(_Rule):
    """A rule that gives everything to one touch of a journey."""

    def _chosen(self, journeys: Some) -> IntArray:  # noqa: ARG002
        """Return the chosen touch of each journey; any number for a journey without touches."""
        raise AssertionError

    def _block(self, block: Block) -> FloatArray:
        chosen, totals = _of_touched(block, self._chosen(block), block.totals)
        return summed_at(block.codes[chosen], totals, len(block.channels))

    def _weights(self, journeys: Some) -> FloatArray:
        weights = np.zeros(len(journeys.codes))
        weights[self._chosen(journeys)[journeys.lengths > 0]] = 1.0
        return weights


def _of_touched(block: Block, *columns: Any) -> tuple[Any, ...]:
    """Return the rows of journeys with touches."""
    touched = block.lengths > 0
    return columns if touched.all() else tuple(column[touched] for column in columns)


@attrs.frozen
class FirstTouch(_OneTouch):
    """Give all credit to the first touch, which brings people in.

    Examples
    --------
    >>> FirstTouch().attribute(Journeys.from_paths(["mail > search"], [4])).conversions
    array([4., 0.])
    """

    name: ClassVar[str] = "first_touch"

    def _chosen(self, journeys: Some) -> IntArray:
        return journeys.offsets[:-1]


@attrs.frozen
class LastTouch(_OneTouch):
    """Give all credit to the last touch, which closes.

    Examples
    --------
    >>> LastTouch().attribute(Journeys.from_paths(["mail > search"], [4])).conversions
    array([0., 4.])
    """

    name: ClassVar[str] = "last_touch"

    def _chosen(self, journeys: Some) -> IntArray:
        return journeys.offsets[1:] - 1


def _names(values: str | Iterable[str]) -> tuple[str, ...]:
    names: tuple[Any, ...] = (values,) if isinstance(values, str) else tuple(values)
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(
                f"ignored has {shown(name)}: names of channels are needed.", argument="ignored", code="wrong_type"
            )
    return names


DIRECT = ("direct", "(direct)", "(direct) / (none)", "(direct)/(none)", "(none)")


@attrs.frozen
class LastNonDirect(_OneTouch):
    """Give all credit to the last touch that is not of an ignored channel; if all are, to the last touch.

    Parameters
    ----------
    ignored : str or iterable of str
        Channels to ignore, such as direct visits, compared without regard to case; by default the names that analytics
        tools give to direct visits. Names that no journey has are allowed.

    Examples
    --------
    >>> j = Journeys.from_paths(["mail > direct", "direct"], [4, 1])
    >>> LastNonDirect().attribute(j).conversions
    array([4., 1.])
    """

    name: ClassVar[str] = "last_non_direct"
    ignored: tuple[str, ...] = attrs.field(default=DIRECT, converter=_names)

    def _chosen(self, journeys: Some) -> IntArray:
        names = {name.strip().casefold() for name in self.ignored}
        ignored = np.array([name.casefold() in names for name in journeys.channels.tolist()], dtype=np.bool_)
        return last_where(~ignored, journeys.codes, journeys.offsets)


@attrs.frozen
class Linear(_Rule):
    """Share equally among all touches, so that a channel with two touches gets twice as much.

    Examples
    --------
    >>> Linear().attribute(Journeys.from_paths(["mail > mail > search"], [3])).conversions
    array([2., 1.])
    """

    name: ClassVar[str] = "linear"

    def _block(self, block: Block) -> FloatArray:
        each = block.totals / np.maximum(block.lengths, 1)[:, None]
        return spread(block.codes, block.offsets, each, len(block.channels), block.ones)

    def _weights(self, journeys: Some) -> FloatArray:
        return np.ones(len(journeys.codes))


@attrs.frozen
class Participation(_Rule):
    """Share equally among the channels that took part, however many touches each has.

    Parameters
    ----------
    full : bool
        Whether to give every channel that took part the whole conversion. The figures then overlap and add up to more
        than all conversions, as a note of the credit says.

    Notes
    -----
    With ``full=False`` this is the Shapley value of the game in which a coalition is worth the conversions of the
    journeys that need no other channel (see `Shapley`).

    Examples
    --------
    >>> j = Journeys.from_paths(["mail > mail > search"], [3])
    >>> Participation().attribute(j).conversions, Participation(full=True).attribute(j).conversions
    (array([1.5, 1.5]), array([3., 3.]))
    """

    name: ClassVar[str] = "participation"
    full: bool = attrs.field(default=False, validator=attrs.validators.instance_of(bool))

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        if not self.full:
            return super()._sums(journeys, totals)
        first = self._weights(journeys) > 0.0
        each = np.repeat(totals, journeys.lengths, axis=0)[first]
        note = "a conversion counts once for each channel that took part: figures overlap and add up to more than all"
        return summed_at(journeys.codes[first], each, len(journeys.channels)), {"notes": (note,)}

    def _weights(self, journeys: Some) -> FloatArray:
        return first_of_channel(journeys.codes, journeys.offsets, len(journeys.channels)).astype(np.float64)


def _part(_: Any, attribute: attrs.Attribute[float], value: Any) -> None:
    number(attribute.name, value, low=0.0, high=1.0)


@attrs.frozen
class PositionBased(_Rule):
    """Give fixed parts to the first and the last touch, and share the rest among the touches between them.

    Parameters
    ----------
    first, middle, last : float
        The parts, which must add up to 1: .4, .2, .4 is the U shape, and .2, .2, .6 the J shape. With two touches, the
        middle part goes to both ends in proportion (.2, .2, .6 gives a quarter and three quarters). A single touch gets
        everything.

    Examples
    --------
    >>> PositionBased(.4, .2, .4).attribute(Journeys.from_paths(["mail > search > shop"], [10])).conversions
    array([4., 2., 4.])
    """

    name: ClassVar[str] = "position_based"
    first: float = attrs.field(default=0.4, validator=_part)
    middle: float = attrs.field(default=0.2, validator=_part)
    last: float = attrs.field(default=0.4, validator=_part)

    def __attrs_post_init__(self) -> None:
        """Check that the parts add up to 1."""
        if not math.isclose(self.first + self.middle + self.last, 1.0, rel_tol=1e-9):
            raise InputError(
                f"first, middle and last are {self.first:g}, {self.middle:g} and {self.last:g}: they must add up to 1.",
                argument="first",
                code="wrong_value",
            )
        if self.first + self.last == 0.0:
            raise InputError(
                "first and last are both 0: use Linear, or give one of them a part.",
                argument="first",
                code="wrong_value",
            )

    def _block(self, block: Block) -> FloatArray:
        codes, totals, lengths, n = block.codes, block.totals, block.lengths, len(block.channels)
        starts, ends = block.offsets[:-1], block.offsets[1:]
        kind = np.minimum(lengths, 3)
        # Two stretches per journey: the touches between first and last, and those up to the next such, which get 0.
        bounds = np.zeros(2 * len(starts) + 2, dtype=np.int64)
        bounds[1::2][:-1] = np.minimum(starts + 1, ends)
        bounds[2::2] = np.maximum(ends - 1, bounds[1::2][:-1])
        bounds[-1] = len(codes)
        each = np.zeros((2 * len(starts) + 1, totals.shape[1]))
        each[1::2] = self.middle * totals / np.maximum(lengths - 2, 1)[:, None]
        of_two = self.first / (self.first + self.last)
        first = totals * np.array([0.0, 1.0, of_two, self.first])[kind][:, None]
        last = totals * np.array([0.0, 0.0, 1.0 - of_two, self.last])[kind][:, None]
        starts, ends, first, last = _of_touched(block, starts, ends, first, last)
        return (
            spread(codes, bounds, each, n, block.ones)
            + summed_at(codes[starts], first, n)
            + summed_at(codes[ends - 1], last, n)
        )

    def _weights(self, journeys: Some) -> FloatArray:
        lengths = journeys.lengths
        weights = np.repeat(self.middle / np.maximum(lengths - 2, 1), lengths)
        of_two = self.first / (self.first + self.last)
        several, two, touched = lengths > 2, lengths == 2, lengths > 0
        starts, ends = journeys.offsets[:-1], journeys.offsets[1:] - 1
        weights[starts[touched]] = np.where(several, self.first, np.where(two, of_two, 1.0))[touched]
        last = several | two
        weights[ends[last]] = np.where(several, self.last, 1.0 - of_two)[last]
        return weights


def _half_life(_: Any, __: Any, value: Any) -> None:
    duration("half_life", value)


@attrs.frozen
class TimeDecay(_Rule):
    """Give more to later touches: the weight of a touch halves with every half-life before the journey's end.

    Parameters
    ----------
    half_life : timedelta
        The half-life; seven days by default.

    Notes
    -----
    The journeys need times. Weights are relative to the journey's last touch. This changes no share, and keeps the
    weights of touches long before the end of a journey from being rounded to 0.

    Examples
    --------
    >>> j = Journeys.from_columns(journey=[1, 1], channel=["mail", "search"], conversions=[0, 3],
    ...     time=["2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z"])
    >>> TimeDecay(days(7)).attribute(j).conversions
    array([1., 2.])
    """

    name: ClassVar[str] = "time_decay"
    half_life: timedelta = attrs.field(default=days(7), validator=_half_life)

    def _weights(self, journeys: Some) -> FloatArray:
        times = journeys.times
        if times is None:
            raise InputError(
                "TimeDecay needs the time of each touch, but these journeys have none: make them with from_events, or "
                "with from_columns(time=...).",
                argument="journeys",
                code="missing_argument",
                hint="PositionBased needs no times.",
            )
        touched = journeys.lengths > 0
        latest = np.zeros(len(touched), dtype=np.int64)
        latest[touched] = times[journeys.offsets[1:][touched] - 1]
        age = np.repeat(latest, journeys.lengths) - times
        return np.exp2(age / -float(duration("half_life", self.half_life)))


def _path(journeys: Some, row: int) -> str:
    return " > ".join(journeys.channels[journeys.codes[journeys.offsets[row] : journeys.offsets[row + 1]]].tolist())


def _function(_: Any, __: Any, value: Any) -> None:
    if not callable(value):
        raise InputError(
            f"weights is {shown(value)}: a function of the number of touches is needed.",
            argument="weights",
            code="wrong_type",
        )


def _weights_by_channel(value: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"channel_weights is {shown(value)}: a mapping of channels to numbers is needed.",
            argument="channel_weights",
            code="wrong_type",
        )
    return {name: number(f"channel_weights[{name!r}]", weight, low=0.0) for name, weight in value.items()}


@attrs.frozen
class CustomRule(_Rule):
    """Share by your own weights, by position and optionally by channel.

    Parameters
    ----------
    weights : callable
        A function that takes the number of touches n and returns n weights of 0 or more, for the first touch first. It
        is called once for each length that occurs.
    channel_weights : mapping of channel to float
        Factors for the weights of a channel's touches, for example if a view counts as a tenth of a click; 1 by
        default.
    label : str
        The name of the model in the credit.

    Examples
    --------
    >>> rising = CustomRule(lambda n: range(1, n + 1))
    >>> rising.attribute(Journeys.from_paths(["mail > search > shop"], [6])).conversions
    array([1., 2., 3.])
    """

    name: ClassVar[str] = "custom_rule"
    storable: ClassVar[bool] = False
    weights: Callable[[int], Any] = attrs.field(validator=_function)
    channel_weights: Mapping[str, float] = attrs.field(factory=dict, converter=_weights_by_channel, hash=False)
    label: str = "custom_rule"

    def _label(self) -> str:
        return self.label

    def _weights(self, journeys: Some) -> FloatArray:
        out = np.zeros(len(journeys.codes))
        lengths = journeys.lengths
        order = np.argsort(lengths, kind="stable")
        found = np.unique(lengths[lengths > 0])
        low = np.searchsorted(lengths[order], found, side="left")
        high = np.searchsorted(lengths[order], found, side="right")
        for k, length in enumerate(found.tolist()):
            starts = journeys.offsets[order[low[k] : high[k]], None]
            out[starts + np.arange(length)] = self._of_length(length)
        factors = np.array([float(self.channel_weights.get(name, 1.0)) for name in journeys.channels.tolist()])
        if self.channel_weights:
            out *= factors[journeys.codes]
        touched = lengths > 0
        sums = np.ones(len(journeys))
        if touched.any():
            sums[touched] = np.add.reduceat(out, journeys.offsets[:-1][touched])
        if (sums == 0.0).any():
            row = int(np.argmax(sums == 0.0))
            raise InputError(
                f"all touches of the journey in row {row}, {shown(_path(journeys, row))}, have weight 0: "
                "give at least one of them a weight above 0.",
                argument="journeys",
                row=row,
                code="wrong_value",
            )
        return out

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        # All journeys at once, so that the function is called once per length and errors name the right row.
        weights = self._weights(journeys)
        return shared_by_weight(journeys.codes, journeys.offsets, weights, totals, len(journeys.channels)), {}

    def _of_length(self, length: int) -> FloatArray:
        given = self.weights(length)
        found = np.asarray(list(given) if not isinstance(given, np.ndarray) else given, dtype=np.float64)
        if found.shape != (length,) or not np.isfinite(found).all() or (found < 0.0).any():
            raise InputError(
                f"weights({length}) returned {shown(found.tolist())}: {length} finite numbers of 0 or more are needed.",
                argument="weights",
                code="not_finite",
            )
        return found
