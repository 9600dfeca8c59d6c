"""Rules: credit by where a touch stands in its journey.

Every rule gives each touch a weight and shares the journey's conversions in proportion. Rules need no other journeys
and no nulls, so they are quick, steady and easy to explain; what they say is decided before the data are seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import first_of_channel, last_where, shared_by_weight, summed_at
from relmark.attribution.journeys import Journeys
from relmark.attribution.model import AttributionModel
from relmark.core.checks import number, shown
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

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class _OneTouch(AttributionModel):
    """A rule under which one touch of a journey gets everything."""

    def _chosen(self, journeys: Journeys) -> IntArray:  # noqa: ARG002
        """Return the touch of each journey that has touches."""
        raise AssertionError

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        touched = journeys.lengths > 0
        if not touched.all():
            totals = totals[touched]
        return summed_at(journeys.codes[self._chosen(journeys)], totals, len(journeys.channels)), {}

    def _weights(self, journeys: Journeys) -> FloatArray:
        weights = np.zeros(len(journeys.codes))
        weights[self._chosen(journeys)] = 1.0
        return weights


class _Shared(AttributionModel):
    """A rule under which several touches share."""

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        weights = self._weights(journeys)
        return shared_by_weight(journeys.codes, journeys.offsets, weights, totals, len(journeys.channels)), {}


@attrs.frozen
class FirstTouch(_OneTouch):
    """Give everything to the first touch: what brings people in.

    Examples
    --------
    >>> FirstTouch().attribute(Journeys.from_paths(["mail > search"], [4])).conversions
    array([4., 0.])
    """

    name: ClassVar[str] = "first_touch"

    def _chosen(self, journeys: Journeys) -> IntArray:
        return journeys.offsets[:-1][journeys.lengths > 0]


@attrs.frozen
class LastTouch(_OneTouch):
    """Give everything to the last touch: what closes.

    Examples
    --------
    >>> LastTouch().attribute(Journeys.from_paths(["mail > search"], [4])).conversions
    array([0., 4.])
    """

    name: ClassVar[str] = "last_touch"

    def _chosen(self, journeys: Journeys) -> IntArray:
        return journeys.offsets[1:][journeys.lengths > 0] - 1


def _names(values: Any) -> tuple[str, ...]:
    names = (values,) if isinstance(values, str) else tuple(values)
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"ignored has {shown(name)}: names of channels are needed.")
    return names


@attrs.frozen
class LastNonDirect(_OneTouch):
    """Give everything to the last touch that is not of an ignored channel; where all are, to the last.

    Parameters
    ----------
    ignored : str or iterable of str
        Channels that nobody pays for, such as direct visits. Names that no journey has are fine.

    Examples
    --------
    >>> j = Journeys.from_paths(["mail > direct", "direct"], [4, 1])
    >>> LastNonDirect().attribute(j).conversions
    array([4., 1.])
    """

    name: ClassVar[str] = "last_non_direct"
    ignored: tuple[str, ...] = attrs.field(default=("direct",), converter=_names)

    def _chosen(self, journeys: Journeys) -> IntArray:
        ignored = np.isin(journeys.channels, self.ignored)
        found = last_where(~ignored[journeys.codes], journeys.offsets)
        return np.where(found < 0, journeys.offsets[1:] - 1, found)[journeys.lengths > 0]


@attrs.frozen
class Linear(_Shared):
    """Share equally among all touches, so that a channel that was met twice gets twice as much.

    Examples
    --------
    >>> Linear().attribute(Journeys.from_paths(["mail > mail > search"], [3])).conversions
    array([2., 1.])
    """

    name: ClassVar[str] = "linear"

    def _sums(self, journeys: Journeys, totals: FloatArray) -> tuple[FloatArray, dict[str, Any]]:
        return shared_by_weight(journeys.codes, journeys.offsets, None, totals, len(journeys.channels)), {}

    def _weights(self, journeys: Journeys) -> FloatArray:
        return np.ones(len(journeys.codes))


@attrs.frozen
class Participation(_Shared):
    """Share equally among the channels that took part, however often each was met.

    Parameters
    ----------
    full : bool
        Give every channel that took part the whole conversion. The figures then overlap and add up to more than there
        were conversions, which the credit notes.

    Notes
    -----
    Shared equally, this is the Shapley value of the game in which a coalition is worth the conversions of the journeys
    that need no other channel (see `Shapley`).

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

    def _weights(self, journeys: Journeys) -> FloatArray:
        return first_of_channel(journeys.codes, journeys.offsets, len(journeys.channels)).astype(np.float64)


def _part(_: Any, attribute: attrs.Attribute[float], value: Any) -> None:
    number(attribute.name, value, low=0.0, high=1.0)


@attrs.frozen
class PositionBased(_Shared):
    """Give the first and the last touch fixed parts and share the rest among those between.

    Parameters
    ----------
    first, middle, last : float
        Parts that add up to 1: .4, .2, .4 is the U shape; .2, .2, .6 the J shape. Of two touches each gets half, a
        single one gets everything.

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
        """Check that the parts add up."""
        if not math.isclose(self.first + self.middle + self.last, 1.0, rel_tol=1e-9):
            raise InputError(
                f"first, middle and last are {self.first:g}, {self.middle:g} and {self.last:g}: they must add up to 1."
            )
        if self.first + self.last == 0.0:
            raise InputError("first and last are both 0: use Linear, or give one of them a part.")

    def _weights(self, journeys: Journeys) -> FloatArray:
        lengths = journeys.lengths
        weights = np.repeat(self.middle / np.maximum(lengths - 2, 1), lengths)
        several, two, touched = lengths > 2, lengths == 2, lengths > 0
        starts, ends = journeys.offsets[:-1], journeys.offsets[1:] - 1
        weights[starts[touched]] = np.where(several, self.first, np.where(two, 0.5, 1.0))[touched]
        last = several | two
        weights[ends[last]] = np.where(several, self.last, 0.5)[last]
        return weights


def _half_life(_: Any, __: Any, value: Any) -> None:
    duration("half_life", value)


@attrs.frozen
class TimeDecay(_Shared):
    """Give later touches more: the weight of a touch halves with every half-life before the journey's end.

    Parameters
    ----------
    half_life : timedelta
        Seven days by default.

    Notes
    -----
    The journeys need times. Weights are taken relative to the journey's last touch, which changes no share and keeps
    old journeys from vanishing in rounding.

    Examples
    --------
    >>> j = Journeys.from_columns(journey=[1, 1], channel=["mail", "search"], conversions=[0, 3],
    ...     time=["2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z"])
    >>> TimeDecay(days(7)).attribute(j).conversions
    array([1., 2.])
    """

    name: ClassVar[str] = "time_decay"
    half_life: timedelta = attrs.field(default=days(7), validator=_half_life)

    def _weights(self, journeys: Journeys) -> FloatArray:
        times = journeys.times
        if times is None:
            raise InputError(
                "TimeDecay needs the time of each touch, and these journeys have none: make them with from_events, or "
                "with from_columns(time=...). PositionBased needs no times."
            )
        touched = journeys.lengths > 0
        latest = np.zeros(len(journeys), dtype=np.int64)
        latest[touched] = times[journeys.offsets[1:][touched] - 1]
        age = np.repeat(latest, journeys.lengths) - times
        return np.exp2(age / -float(duration("half_life", self.half_life)))


def _function(_: Any, __: Any, value: Any) -> None:
    if not callable(value):
        raise InputError(f"weights is {shown(value)}: a function of the number of touches is needed.")


@attrs.frozen
class CustomRule(_Shared):
    """Share by weights of your own, by position and, if you like, by channel.

    Parameters
    ----------
    weights : callable
        Takes the number of touches n and returns n weights of at least 0, first touch first. It is called once for
        each length that occurs.
    channel_weights : mapping of channel to float
        Multiplies the weights of a channel's touches: a view that counts a tenth of a click. 1 by default.
    label : str
        What to call it in the credit.

    Examples
    --------
    >>> rising = CustomRule(lambda n: range(1, n + 1))
    >>> rising.attribute(Journeys.from_paths(["mail > search > shop"], [6])).conversions
    array([1., 2., 3.])
    """

    name: ClassVar[str] = "custom_rule"
    weights: Callable[[int], Any] = attrs.field(validator=_function)
    channel_weights: Mapping[str, float] = attrs.field(factory=dict)
    label: str = "custom_rule"

    def __attrs_post_init__(self) -> None:
        """Check the channels' weights."""
        for name, weight in self.channel_weights.items():
            number(f"channel_weights[{name!r}]", weight, low=0.0)

    def _label(self) -> str:
        return self.label

    def _weights(self, journeys: Journeys) -> FloatArray:
        out = np.zeros(len(journeys.codes))
        lengths = journeys.lengths
        order = np.argsort(lengths, kind="stable")
        found, first = np.unique(lengths[order], return_index=True)
        for length, low, high in zip(found.tolist(), first, np.append(first[1:], len(order)), strict=True):
            if length:
                out[journeys.offsets[order[low:high], None] + np.arange(length)] = self._of_length(length)
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
                f"all touches of the journey in row {row}, {shown(journeys.path_texts([row])[0])}, have weight 0: "
                "give at least one of them more."
            )
        return out

    def _of_length(self, length: int) -> FloatArray:
        given = self.weights(length)
        found = np.asarray(list(given) if not isinstance(given, np.ndarray) else given, dtype=np.float64)
        if found.shape != (length,) or not np.isfinite(found).all() or (found < 0.0).any():
            raise InputError(
                f"weights({length}) returned {shown(found.tolist())}: {length} finite numbers of 0 or more are needed."
            )
        return found
