"""How the points of an event fade with its age: by half-life, in a straight line, or in steps.

A decay turns an age in microseconds into a factor from 1 down to 0. Columns and single leads use the same few
multiplications and additions, so that both give the same factor to the last bit on every machine. Library functions
such as ``exp2`` do not promise that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import numpy as np

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import check_keys
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.time import duration, duration_text, parse_duration
from relmark.expressions.lengths import LONGEST

__all__ = ["Decay", "HalfLife", "LinearDecay", "StepDecay", "half_life", "linear_decay", "step_decay"]

_US = timedelta(microseconds=1)
_BLOCK = 1 << 15

# 2**-r = exp(-r ln 2) for r in [-1/2, 1/2], as its Taylor polynomial (-ln 2)**k / k!. The first term left out, k = 15,
# is 4e-19 at the ends: below half a unit in the last place.
_POWERS = (
    1.0,
    -0.6931471805599453,
    0.24022650695910072,
    -0.05550410866482158,
    0.009618129107628477,
    -0.0013333558146428443,
    0.0001540353039338161,
    -1.5252733804059841e-05,
    1.321548679014431e-06,
    -1.01780860092397e-07,
    7.054911620801123e-09,
    -4.4455382718708116e-10,
    2.5678435993488206e-11,
    -1.3691488853904128e-12,
    6.778726354822545e-14,
)
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8, _P9, _P10, _P11, _P12, _P13, _P14 = (
    _POWERS  # for Horner's scheme, written out for one age
)
_OLDEST = 1_100  # half-lives after which nothing is left in float64
_HALVES = np.ldexp(1.0, -np.arange(_OLDEST + 1))
_HALVES_LIST: list[float] = _HALVES.tolist()


def _check_length(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    duration(attribute.name, value)


@attrs.frozen
class HalfLife:
    """A decay by which points halve with every `length` of age; make one with `half_life`.

    Parameters
    ----------
    length : timedelta
        The length of the decay; above zero.
    """

    length: timedelta = attrs.field(validator=_check_length)
    micros: float = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Keep the length in microseconds."""
        object.__setattr__(self, "micros", float(self.length // _US))

    def factors(self, age: IntArray) -> FloatArray:
        """Return ``2 ** -(age / length)`` for ages in microseconds."""
        h = self.micros
        out = np.empty(len(age))
        for low in range(0, len(age), _BLOCK):
            x = age[low : low + _BLOCK] / h
            np.minimum(x, _OLDEST, out=x)
            q = np.rint(x)
            x -= q
            f = np.full(len(x), _POWERS[-1])
            for c in _POWERS[-2::-1]:
                f *= x
                f += c
            f *= _HALVES[q.astype(np.intp)]
            out[low : low + _BLOCK] = f
        return out

    def factor(self, age: int) -> float:
        """Return the factor of one age in microseconds, equal to that of `factors` to the last bit."""
        x = age / self.micros
        if x > _OLDEST:
            x = float(_OLDEST)
        q = round(x)
        r = x - q
        f = _P14 * r + _P13
        f = (((((f * r + _P12) * r + _P11) * r + _P10) * r + _P9) * r + _P8) * r + _P7
        f = ((((((f * r + _P6) * r + _P5) * r + _P4) * r + _P3) * r + _P2) * r + _P1) * r + _P0
        return f * _HALVES_LIST[q]

    def edges(self) -> tuple[int, ...]:
        """Return the ages at which the factor jumps: none."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Return the decay as JSON-ready values."""
        return {"half_life": duration_text(self.length)}


@attrs.frozen
class LinearDecay:
    """A decay by which points fall in a straight line to 0 at the age of `length`; make one with `linear_decay`.

    Parameters
    ----------
    length : timedelta
        The length of the decay; above zero.
    """

    length: timedelta = attrs.field(validator=_check_length)
    micros: float = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Keep the length in microseconds."""
        object.__setattr__(self, "micros", float(self.length // _US))

    def factors(self, age: IntArray) -> FloatArray:
        """Return ``max(1 - age / length, 0)`` for ages in microseconds."""
        return np.maximum(1.0 - age / self.micros, 0.0)

    def factor(self, age: int) -> float:
        """Return the factor of one age in microseconds, equal to that of `factors` to the last bit."""
        return max(1.0 - age / self.micros, 0.0)

    def edges(self) -> tuple[int, ...]:
        """Return the ages at which the factor jumps: none."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Return the decay as JSON-ready values."""
        return {"linear": duration_text(self.length)}


def _read_steps(
    steps: Mapping[timedelta, float] | Iterable[tuple[timedelta, float]],
) -> tuple[tuple[timedelta, float], ...]:
    pairs: Iterable[Any] = steps.items() if isinstance(steps, Mapping) else steps
    return tuple((length, checks.number("the factor of a step", factor, low=0, high=1)) for length, factor in pairs)


@attrs.frozen
class StepDecay:
    """A decay in steps: points are whole until the first age, and each factor holds until the next age.

    Make one with `step_decay`.

    Parameters
    ----------
    steps : sequence of (timedelta, float)
        Ages in ascending order, each with its factor. Factors are from 1 to 0 and never rise.
    """

    steps: tuple[tuple[timedelta, float], ...] = attrs.field(converter=_read_steps)
    _edges: tuple[int, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Check that ages ascend and that factors never rise."""
        if not self.steps:
            raise InputError(
                "step_decay has no steps: give at least one age with its factor.", argument="steps", code="empty"
            )
        before, left = 0, 1.0
        for length, factor in self.steps:
            age = duration("the age of a step", length)
            if age <= before:
                raise InputError(
                    f"step_decay has the age {length} after a greater or equal one: ages must ascend.",
                    argument="steps",
                    code="wrong_value",
                )
            if factor > left:
                raise InputError(
                    f"step_decay rises from {left:g} to {factor:g} at {length}: factors must never rise.",
                    argument="steps",
                    code="wrong_value",
                )
            before, left = age, factor
        object.__setattr__(self, "_edges", tuple(min(length // _US, LONGEST) for length, _ in self.steps))

    def edges(self) -> tuple[int, ...]:
        """Return the ages at which the factor jumps, in microseconds."""
        return self._edges

    def factors(self, age: IntArray) -> FloatArray:
        """Return the factor that holds at each age in microseconds."""
        table = np.array([1.0, *(factor for _, factor in self.steps)])
        return table[np.searchsorted(np.array(self._edges), age, side="right")]

    def factor(self, age: int) -> float:
        """Return the factor of one age in microseconds, equal to that of `factors`."""
        place = bisect_right(self._edges, age)
        return self.steps[place - 1][1] if place else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the decay as JSON-ready values."""
        return {"steps": [[duration_text(length), factor] for length, factor in self.steps]}


Decay: TypeAlias = HalfLife | LinearDecay | StepDecay
"""How points fade with the age of an event."""


def half_life(length: timedelta) -> HalfLife:
    """Return the decay that halves the points of an event with every `length` of age.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> half_life(days(30)).factor(days(60) // timedelta(microseconds=1))
    0.25
    """
    return HalfLife(length)


def linear_decay(length: timedelta) -> LinearDecay:
    """Return the decay that lets the points of an event fall in a straight line to 0 at the age of `length`.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> linear_decay(days(90)).factor(days(45) // timedelta(microseconds=1))
    0.5
    """
    return LinearDecay(length)


def step_decay(steps: Mapping[timedelta, float]) -> StepDecay:
    """Return the decay in steps: from each age on, the points of an event are multiplied by its factor.

    Parameters
    ----------
    steps : dict of timedelta to float
        Ages in ascending order, each with its factor. Factors are from 1 to 0 and never rise. Before the first age the
        points are whole.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> decay = step_decay({days(7): .5, days(30): 0})
    >>> [decay.factor(days(n) // timedelta(microseconds=1)) for n in (0, 6, 7, 29, 30)]
    [1.0, 1.0, 0.5, 0.5, 0.0]
    """
    if not isinstance(steps, Mapping):
        raise InputError(
            f"steps is {checks.shown(steps)}: a mapping of ages to factors is needed.",
            argument="steps",
            code="wrong_type",
        )
    return StepDecay(steps)


def read_decay(body: Any, path: str) -> Decay:
    """Return the decay of a stored definition."""
    body = check_keys(body, required=(), optional=("half_life", "linear", "steps"), path=path, what="decay")
    if len(body) != 1:
        raise DefinitionError(
            "a decay must have exactly one of the keys half_life, linear and steps.", path=path, code="wrong_value"
        )
    ((name, value),) = body.items()
    try:
        if name != "steps":
            length = parse_duration(value, f"{path}.{name}")
            return HalfLife(length) if name == "half_life" else LinearDecay(length)
        _check_pairs(value, f"{path}.steps")
        return StepDecay([(parse_duration(age, f"{path}.steps[{k}][0]"), part) for k, (age, part) in enumerate(value)])
    except InputError as error:
        raise definition_error(error, path, body) from None


def _check_pairs(value: Any, path: str) -> None:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise DefinitionError("pairs of an age and a factor are needed.", path=path, code="wrong_type")


def check_decay(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    """Refuse a value that is neither None nor a decay."""
    if value is not None and not isinstance(value, (HalfLife, LinearDecay, StepDecay)):
        raise InputError(
            f"{attribute.name} is {checks.shown(value)}: half_life(...), linear_decay(...) or step_decay(...) is "
            "needed.",
            argument=attribute.name,
            code="wrong_value",
        )
