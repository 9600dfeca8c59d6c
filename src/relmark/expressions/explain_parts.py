"""The parts of an explanation: verdicts with their reasons, what is missing for another verdict, and when it changes.

Everything has a code in addition to its text, so that a user interface can show it in another language.
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
    """An event on which a verdict is based.

    Attributes
    ----------
    type : str
        The type of the event.
    time : datetime
        Its time, in UTC; it is printed in the time zone of the business.
    value : float or None
        Its value.
    properties : mapping of str to value
        The properties that the rule uses.
    """

    type: str
    time: datetime
    value: float | None = None
    properties: Mapping[str, Any] = attrs.field(factory=dict)
    _tz: str = "UTC"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Gap(Result):
    """What has to happen for a test to get the verdict that the rule needs.

    Attributes
    ----------
    code : str
        One of `GAPS`: more_events, more_values, more_days and more_periods (`amount` more of them are needed), more and
        less (a number has to grow or to shrink by `amount`), more_time (`amount` days have to pass), new_event (a newer
        event is needed), next_step (of a sequence), value (something is not known).
    amount : float or None
        How much; in days for more_time.
    of : str
        What is counted: a type of events, a property or a field.
    before : datetime or None
        Until when `amount` is enough, in UTC. From then on, an event has left the window and one more is needed.
    beyond : bool
        Whether more than `amount` is needed, as for ``>`` and ``<``.
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
        The time of the change, in UTC; it is printed in the time zone of the business.
    to : bool or None
        The verdict from then on.
    code : str
        One of `CHANGES`: event_leaves and event_enters (an event leaves or enters a window), time_passes (since an
        event), waited (long enough, or too long), period (another one begins), birthday, day and date (of a field).
    event : Happened or None
        The event that causes the change.
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
        The path of the node in the stored form, such as ``$.args[1]``.
    code : str
        The operator of the node in the stored form, such as ``ge`` or ``and``.
    rule : str
        The text of the node.
    verdict : bool or None
        Whether the node is true; None means unknown.
    actual : value
        The value found: a number, a text, a date, or the number of events or steps.
    needed : value
        The value with which it is compared.
    missing : tuple of str
        The fields and figures that are unknown.
    events : tuple of Happened
        The last events on which the verdict is based, at most three.
    n_events : int
        How many such events there are in all.
    gap : Gap or None
        What has to happen for the verdict that the whole rule needs; None if it is this one.
    change : Change or None
        When the verdict changes; None for never, and for nodes of logic, whose parts have their own changes.
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
        """Return the verdict as JSON-ready values, without empty ones."""
        body = {name: getattr(self, name) for name in self._field_names()}
        empty = [name for name, value in body.items() if name != "verdict" and (value is None or value == ())]
        empty += [] if self.events else ["n_events"]
        kept = {name: json_ready(value) for name, value in body.items() if name not in empty}
        return kept | {"words": str(self)}

    def __repr__(self) -> str:
        return f"Verdict({self.path}: {self})"

    def __str__(self) -> str:
        return verdict_line(self)
