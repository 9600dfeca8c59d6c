"""A policy's answer for one person: the messages that are due, those that are held, and when to ask again."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from relmark.campaigns.contact_plan import ARMS, message_id, message_prefix, words_of_held
from relmark.campaigns.passes import NONE
from relmark.campaigns.person import Logged, PolicyProgram
from relmark.campaigns.sent import SENT, WITHHELD
from relmark.core.events import Event
from relmark.core.results import Result
from relmark.core.time import aware
from relmark.expressions.explain_words import when
from relmark.expressions.scalar import Person
from relmark.expressions.scalar_calendar import Dated
from relmark.expressions.scalar_person import given_time

if TYPE_CHECKING:
    from relmark.campaigns.policy import ContactPolicy

__all__ = ["HeldMessage", "PersonPlan", "PlannedMessage", "plan_of_person"]


@attrs.frozen(kw_only=True)
class PlannedMessage:
    """A message that is due now.

    Attributes
    ----------
    campaign, step, channel, category : str
        `step` is "" for a campaign, and `category` is "" if there is none.
    arm : {"sent", "control", "step control"}
        Whether to send the message, or to withhold it for the control group of the campaign or of this step.
    reason : str
        What made the message due.
    trigger : datetime or None
        The time of the event that made it due; None if there is none.
    message_id : str
        The id of the message; it is the same whenever the same message is planned again.
    limited : bool
        Whether the campaign has a limit, which ranks people and may leave this person out.
    """

    campaign: str
    step: str
    channel: str
    category: str
    arm: str
    reason: str
    trigger: datetime | None
    message_id: str
    limited: bool


@attrs.frozen(kw_only=True)
class HeldMessage:
    """A message that is due and held.

    Attributes
    ----------
    campaign, step : str
        `step` is "" for a campaign.
    by : str
        What holds the message, as in `Held`.
    until : datetime or None
        When the hold ends if nothing happens; None if it can only end by an event, a rule or a later evaluation.
    words : str
        The reason in words.
    """

    campaign: str
    step: str
    by: str
    until: datetime | None
    words: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PersonPlan(Result):
    """A policy's answer for one person.

    Attributes
    ----------
    customer_id : int or str
    messages : tuple of PlannedMessage
        The messages that are due, in order of priority.
    held : tuple of HeldMessage
        The messages that were due and are held.
    next_change : datetime or None
        When `messages` or `held` change if nothing else happens; None for never.
    as_of : datetime64
    name : str
        The name of the policy.
    """

    customer_id: int | str
    messages: tuple[PlannedMessage, ...]
    held: tuple[HeldMessage, ...]
    as_of: np.datetime64
    name: str
    _program: PolicyProgram
    _person: Person
    _sent: list[Logged]

    @cached_property
    def next_change(self) -> datetime | None:
        """When the answer changes if nothing else happens; None for never. It is computed on first use."""
        found = self._program.next_change(self._person, self._sent, self._person.as_of)
        return None if found is None else aware(found)

    def to_events(self) -> list[Event]:
        """Return the messages as events; add them to the person's history before you ask the policy again."""
        return [
            Event(
                self.customer_id,
                SENT if one.arm == "sent" else WITHHELD,
                aware(int(self._person.as_of)),
                properties={
                    "campaign": one.campaign,
                    **({"step": one.step} if one.step else {}),
                    **({"category": one.category} if one.category else {}),
                    "channel": one.channel,
                    "arm": one.arm,
                    "message_id": one.message_id,
                },
            )
            for one in self.messages
        ]

    def to_dict(self, *, changes: bool = True) -> dict[str, Any]:
        """Return the answer as JSON-ready values; with ``changes=False`` the next change is not computed."""
        body = super().to_dict()
        if not changes:
            return body
        change = self.next_change
        return {**body, "next_change": None if change is None else change.isoformat()}

    def _facts(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id, "messages": len(self.messages), "held": len(self.held)}

    def __str__(self) -> str:
        asked = self._person.as_of
        now = str(self.as_of) if asked.__class__ is Dated else self._said(aware(int(asked)))
        lines = [f"{self.name}, as of {now} ({self._program.zone.name}): customer {self.customer_id}"]
        for one in self.messages:
            what = f"{one.campaign}, {one.step}" if one.step else one.campaign
            verb = {"sent": "send", "control": "withhold (control)", "step control": "withhold (step control)"}[one.arm]
            more = ", unless the campaign's limit leaves them out" if one.limited else ""
            lines.append(f"  {verb} {what} by {one.channel}: {one.reason}{more}")
        for held in self.held:
            what = f"{held.campaign}, {held.step}" if held.step else held.campaign
            until = "" if held.until is None else f", until {self._said(held.until)}"
            lines.append(f"  hold {what}: {held.words}{until}")
        if not self.messages and not self.held:
            lines.append("  nothing is due")
        change = self.next_change
        lines.append("  only an event changes this" if change is None else f"  ask again at {self._said(change)}")
        return "\n".join(lines)

    def _said(self, at: datetime) -> str:
        return when(at, self._program.zone.name)


def plan_of_person(policy: ContactPolicy, program: PolicyProgram, who: Person, sent: list[Logged]) -> PersonPlan:
    """Return a policy's answer for one person."""
    answer, _ = program.answer(who, sent, who.as_of)
    names = policy._names  # noqa: SLF001  (of this package)
    customer: Any = who.id
    messages = []
    for one in answer.sends:
        entry = policy.campaigns[one.entry]
        step = names.steps[one.entry][one.step] if entry.steps else ""
        reason = f"step {one.step + 1} of {len(entry.steps)}" if entry.steps else names.reasons[one.entry]
        messages.append(
            PlannedMessage(
                campaign=entry.name,
                step=step,
                channel=one.channel,
                category=entry.category or "",
                arm=ARMS[one.arm],
                reason=reason,
                trigger=None if names.reasons[one.entry] == "who" else aware(one.key),
                message_id=message_id(message_prefix(policy.name, entry.name, step), customer, one.key),
                limited=one.limited,
            )
        )
    held = tuple(
        HeldMessage(
            campaign=policy.campaigns[one.entry].name,
            step=names.steps[one.entry][one.step] if policy.campaigns[one.entry].steps else "",
            by=one.by,
            until=None if one.until == NONE else aware(one.until),
            words=words_of_held(one.by, (*names.entries, "another message")[one.ahead]),
        )
        for one in answer.holds
    )
    return PersonPlan(
        customer_id=customer,
        messages=tuple(messages),
        held=held,
        as_of=given_time(who.as_of, program.zone),
        name=policy.name,
        program=program,
        person=who,
        sent=sent,
    )
