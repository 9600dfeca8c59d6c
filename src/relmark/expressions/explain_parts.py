"""The parts of an explanation: a verdict with its reasons, what is missing to the other one, and when it comes.

Everything has a code beside its words, so that a user interface can say it in another language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from relmark.core.results import Result, json_ready
from relmark.expressions.explain_words import verdict_line

__all__ = ["CHANGES", "GAPS", "Change", "Gap", "Happened", "Verdict"]

GAPS = (
    "less", "more", "more_days", "more_events", "more_periods", "more_time", "more_values", "new_event", "next_step",
    "value",
)  # fmt: skip
CHANGES = ("birthday", "date", "day", "event_enters", "event_leaves", "period", "time_passes", "waited")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Happened(Result):
    """An event that a verdict rests on.

    Attributes
    ----------
    type : str
    time : datetime
        In UTC; printed in the time zone of the business.
    value : float or None
    properties : mapping of str to value
        Those that the rule asks for.
    """

    type: str
    time: datetime
    value: float | None = None
    properties: Mapping[str, Any] = attrs.field(factory=dict)
    _tz: str = "UTC"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Gap(Result):
    """What is missing to a verdict that does not hold.

    Attributes
    ----------
    code : str
        One of `GAPS`: more_events, more_values, more_days and more_periods (so many more), more and less (a number has
        to grow or to shrink by so much), more_time (so many days have to pass), new_event (a newer event is needed),
        next_step (of a sequence), value (something is not known).
    amount : float or None
        How much; days for more_time.
    of : str
        Of what: a type of events, a property, a field.
    before : datetime or None
        Until when that is enough, in UTC; after it an event has fallen out of the window and one more is needed.
    beyond : bool
        Whether the amount itself is not enough, and anything beyond it is: of ``>`` and ``<``.
    """

    code: str
    amount: float | None = None
    of: str = ""
    before: datetime | None = None
    beyond: bool = False
    _tz: str = "UTC"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Change(Result):
    """When a verdict changes if nothing else happens, and why.

    Attributes
    ----------
    at : datetime
        In UTC; printed in the time zone of the business.
    to : bool or None
        The verdict from then on.
    code : str
        One of `CHANGES`: event_leaves and event_enters (a window), time_passes (since an event), waited (long enough,
        or too long), period (another one begins), birthday, day and date (of a field).
    event : Happened or None
        The event whose time it is.
    """

    at: datetime
    to: bool | None
    code: str
    event: Happened | None = None
    _tz: str = "UTC"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Verdict(Result):
    """One node of a rule with its verdict for one person.

    Attributes
    ----------
    path : str
        Its place in the stored form, such as ``$.args[1]``.
    code : str
        Its operator in the stored form, such as ``ge`` or ``and``.
    rule : str
        Its text.
    verdict : bool or None
        None is unknown.
    actual : value
        What was found: a number, a text, a date, how many events or steps.
    needed : value
        What it is held against.
    missing : tuple of str
        The fields and figures that are unknown.
    events : tuple of Happened
        The last few of the events it rests on, at most three.
    n_events : int
        How many there are in all.
    gap : Gap or None
        What is missing to what the whole rule wants of it.
    change : Change or None
        When it changes; None for never, and for the nodes of logic, whose parts say it.
    args : tuple of Verdict
        The parts of a node of logic.
    """

    path: str
    code: str
    rule: str
    verdict: bool | None
    actual: object = None
    needed: object = None
    missing: tuple[str, ...] = ()
    events: tuple[Happened, ...] = ()
    n_events: int = 0
    gap: Gap | None = None
    change: Change | None = None
    args: tuple[Verdict, ...] = ()
    _tz: str = "UTC"

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as JSON-ready values; what is empty is left out."""
        body = {name: getattr(self, name) for name in self._field_names()}
        empty = [name for name, value in body.items() if name != "verdict" and (value is None or value == ())]
        empty += [] if self.events else ["n_events"]
        kept = {name: json_ready(value) for name, value in body.items() if name not in empty}
        return kept | {"words": str(self)}

    def __repr__(self) -> str:
        return f"Verdict({self.path}: {self})"

    def __str__(self) -> str:
        return verdict_line(self)
