"""Caps: how many messages one person gets at most in a period."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs

from relmark.core import shapes
from relmark.core.checks import one_of, text, whole
from relmark.core.documents import Limits, check_keys
from relmark.core.errors import InputError, definition_error
from relmark.core.shapes import Shape
from relmark.core.spans import length
from relmark.core.time import duration, duration_text, parse_duration
from relmark.expressions.literals import plain_text

__all__ = ["Cap", "optional_word"]

PERIODS = ("day", "week", "month")
_NAMED = ("channel", "category", "campaign")


def optional_word(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    """Raise an error if a value is neither None nor a non-empty string."""
    if value is not None:
        plain_text(attribute.name, text(attribute.name, value))


@attrs.frozen
class Cap:
    """The largest number of marketing messages for one person in a period.

    Parameters
    ----------
    n : int
        The number of messages, 1 or more.
    within : timedelta, optional
        A rolling window: messages of ``(now - within, now]`` count.
    per : {"day", "week", "month"}, optional
        A calendar period by the person's local clock: messages of the current day, week (from Monday) or month count.
        Pass either `within` or `per`.
    channel, category, campaign : str, optional
        Count and hold only messages on this channel, of this category, or of this campaign.

    Examples
    --------
    >>> from relmark import days
    >>> Cap(3, within=days(7)), Cap(1, per="day", channel="sms")
    (Cap(3, within=7 days), Cap(1, per='day', channel='sms'))
    """

    n: int = attrs.field()
    within: timedelta | None = attrs.field(default=None, kw_only=True)
    per: str | None = attrs.field(default=None, kw_only=True)
    channel: str | None = attrs.field(default=None, kw_only=True, validator=optional_word)
    category: str | None = attrs.field(default=None, kw_only=True, validator=optional_word)
    campaign: str | None = attrs.field(default=None, kw_only=True, validator=optional_word)

    def __attrs_post_init__(self) -> None:
        """Check the number, and that exactly one period is given."""
        whole("n", self.n, low=1)
        if self.within is None and self.per is None:
            raise InputError(
                "a cap has neither within= nor per=: pass one, such as Cap(3, within=days(7)) or Cap(1, per='day').",
                argument="within",
                code="missing_argument",
            )
        if self.within is not None and self.per is not None:
            raise InputError(
                "a cap has both within= and per=: pass one of them, or make two caps.",
                argument="within",
                code="conflicting_arguments",
            )
        if self.within is not None:
            duration("within", self.within)
        if self.per is not None:
            one_of("per", self.per, PERIODS)

    def __repr__(self) -> str:
        named = "".join(f", {name}={getattr(self, name)!r}" for name in _NAMED if getattr(self, name) is not None)
        return f"Cap({self.n}, {self._stretch()}{named})"

    def _stretch(self) -> str:
        if self.within is None:
            return f"per={self.per!r}"
        whole_days = self.within.seconds == self.within.microseconds == 0
        days = self.within.days
        return f"within={days} day{'' if days == 1 else 's'}" if whole_days else f"within={self.within}"

    @property
    def size(self) -> int | None:
        """The length of the rolling window in microseconds; None for a calendar period."""
        return None if self.within is None else length(self.within)

    def holds(self, campaign: str, category: str | None, channel: str | None) -> bool:
        """Return whether a message of a campaign on a channel counts toward the cap."""
        asked = ((self.campaign, campaign), (self.category, category), (self.channel, channel))
        return all(wanted is None or wanted == given for wanted, given in asked)

    def to_dict(self) -> dict[str, Any]:
        """Return the cap as JSON-ready values."""
        body: dict[str, Any] = {"n": self.n}
        if self.within is not None:
            body["within"] = duration_text(self.within)
        named = {name: getattr(self, name) for name in ("per", *_NAMED)}
        return body | {name: value for name, value in named.items() if value is not None}

    @staticmethod
    def _shape(limits: Limits) -> Shape:
        named: dict[str, Shape] = {name: shapes.name(limits.string) for name in _NAMED}
        more: dict[str, Shape] = {"within": shapes.DURATION, "per": shapes.one_of(*PERIODS), **named}
        return shapes.obj({"n": shapes.whole(low=1), **more}, ["n"])

    @classmethod
    def _read(cls, body: Any, path: str) -> Cap:
        body = dict(check_keys(body, required=("n",), optional=("within", "per", *_NAMED), path=path, what="cap"))
        if "within" in body:
            body["within"] = parse_duration(body["within"], f"{path}.within")
        try:
            return cls(**body)
        except InputError as error:
            raise definition_error(error, path, body) from None
