"""Who gets a message now, and who does not and why: a policy's answer for a whole base."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.campaigns.passes import NONE
from relmark.campaigns.sent import SENT, WITHHELD
from relmark.core.columns import Column
from relmark.core.documents import canonical
from relmark.core.log import EventLog
from relmark.core.results import ColumnarResult
from relmark.core.time import UtcTimes

__all__ = ["ARMS", "HELD", "ContactPlan", "Held", "message_id", "words_of_held"]

HELD = (
    "holdout", "quiet", "hour", "gap", "behind", "no_channel", "cap", "limit", "again", "times", "missed",
)  # fmt: skip
"""What can hold a message, in the order of the checks; the last three come from the campaign itself."""

ARMS = ("sent", "control", "step control")
TextArray = npt.NDArray[np.str_]

_WORDS = {
    "holdout": "in the holdout, which gets no campaign",
    "quiet": "quiet hours",
    "hour": "not the person's hour of the day",
    "gap": "another message is too recent",
    "no_channel": "no channel of the campaign is open",
    "cap": "a cap is reached on every open channel",
    "limit": "the campaign's limit is reached",
    "again": "the campaign reached the person before and is not due again yet",
    "times": "the campaign has reached the person as often as it may",
    "missed": "held for longer than the step may be late",
}


def words_of_held(by: str, ahead: str = "") -> str:
    """Return a reason in words; `ahead` is the campaign with priority."""
    return f"behind {ahead}" if by == "behind" else _WORDS[by]


def message_id(prefix: str, customer_id: int | str, key: int) -> str:
    """Return the id of a message; it is the same for the same policy, campaign, step, person and trigger."""
    return blake2b(f"{prefix}{key}/{customer_id}".encode(), digest_size=16).hexdigest()


def message_prefix(policy: str, campaign: str, step: str) -> str:
    """Return the part of the ids that all messages of one campaign or step share."""
    return canonical([policy, campaign, step])


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Held(ColumnarResult):
    """Messages that were due and are held.

    Attributes
    ----------
    customer_id : ndarray, shape (h,)
    campaign, step : ndarray of str, shape (h,)
    by : ndarray of str, shape (h,)
        What holds it: holdout, quiet, hour, gap, behind, no_channel, cap, limit, again, times or missed.
    until : ndarray of datetime64[us], shape (h,)
        When the hold ends if nothing happens; NaT if it can only end by an event, a rule or a later evaluation.
    words : ndarray of str, shape (h,)
        The reason in words.
    """

    customer_id: npt.NDArray[Any]
    campaign: TextArray
    step: TextArray
    by: TextArray
    until: npt.NDArray[np.datetime64]
    words: TextArray

    def counts(self) -> dict[str, int]:
        """Return how many messages each reason holds."""
        names, found = np.unique(self.by, return_counts=True)
        return dict(zip(names.tolist(), found.tolist(), strict=True))

    def _facts(self) -> dict[str, Any]:
        return {"held": len(self), **self.counts()}


@attrs.frozen(kw_only=True, eq=False)
class Codes:
    """Messages or holds coded as integers: rows of the base, and positions in the policy."""

    row: npt.NDArray[np.int64]
    entry: npt.NDArray[np.int16]
    step: npt.NDArray[np.int16]
    channel: npt.NDArray[np.int16]
    arm: npt.NDArray[np.int8]
    by: npt.NDArray[np.int8]
    ahead: npt.NDArray[np.int16]
    key: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]

    def take(self, places: npt.NDArray[Any]) -> Codes:
        """Return the messages or holds at some places."""
        return Codes(**{name: getattr(self, name)[places] for name in attrs.fields_dict(Codes)})


@attrs.frozen(kw_only=True)
class Names:
    """The names of the positions in a policy."""

    policy: str
    entries: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    channels: tuple[str, ...]
    categories: tuple[str | None, ...]
    reasons: tuple[str, ...]

    @property
    def first_step(self) -> npt.NDArray[np.int64]:
        """The position in `all_steps` of the first step of each entry."""
        return np.concatenate([[0], np.cumsum([max(len(steps), 1) for steps in self.steps])]).astype(np.int64)

    @property
    def all_steps(self) -> list[str]:
        """The steps of all entries; a campaign has one step with an empty name."""
        return [step for steps in self.steps for step in (steps or ("",))]

    def steps_of(self, codes: Codes) -> npt.NDArray[np.int64]:
        """Return the position in `all_steps` of each message."""
        return self.first_step[codes.entry] + codes.step


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ContactPlan(ColumnarResult):
    """Who gets a message now, by which campaign and on which channel; one row per message.

    Attributes
    ----------
    customer_id : ndarray, shape (m,)
        The recipients in the order of the base; several messages of one person are in order of priority.
    campaign, step, channel, category : ndarray of str, shape (m,)
        `step` is "" for a campaign, and `category` is "" if there is none.
    arm : ndarray of str, shape (m,)
        "sent"; "control" if the message is withheld so that its effect can be measured; "step control" if the person is
        left out at this step of a chain.
    reason : ndarray of str, shape (m,)
        What made the message due.
    trigger : ndarray of datetime64[us], shape (m,)
        The time of the event that made it due; NaT if there is none.
    time : ndarray of datetime64[us], shape (m,)
        The instant of the evaluation, in UTC.
    name : str
        The name of the policy.
    as_of : datetime64
    held : Held
        Messages that were due and are held, with the reasons.
    """

    customer_id: npt.NDArray[Any]
    campaign: TextArray
    step: TextArray
    channel: TextArray
    category: TextArray
    arm: TextArray
    reason: TextArray
    trigger: npt.NDArray[np.datetime64]
    time: npt.NDArray[np.datetime64]
    name: str
    as_of: np.datetime64
    _codes: Codes
    _held: Codes
    _names: Names
    _everyone: npt.NDArray[Any]

    _shown_by: ClassVar[str] = ""

    @cached_property
    def held(self) -> Held:
        """Messages that were due and are held, with the reasons, in the order of the base."""
        codes, names = self._held, self._names
        by = np.array(HELD)[codes.by]
        words = np.array([words_of_held(one) if one != "behind" else "" for one in HELD], dtype="<U96")[codes.by]
        behind = codes.by == HELD.index("behind")
        if behind.any():
            ahead = [words_of_held("behind", name) for name in (*names.entries, "another message")]
            words[behind] = np.array(ahead)[codes.ahead[behind]]
        return Held(
            customer_id=self._everyone[codes.row],
            campaign=np.array(names.entries)[codes.entry],
            step=np.array(names.all_steps)[names.steps_of(codes)],
            by=by,
            until=codes.until.view("M8[us]"),
            words=words,
        )

    def to_events(self) -> EventLog:
        """Return the messages as events; append them to the log before you evaluate the policy again.

        Returns
        -------
        EventLog
            Events of the types message_sent and message_withheld, with the properties campaign, step, category,
            channel, arm and message_id. The same message always has the same message_id, so that a sender can refuse to
            send it twice.
        """
        codes, names = self._codes, self._names
        prefixes = [
            message_prefix(names.policy, name, step)
            for name, steps in zip(names.entries, names.steps, strict=True)
            for step in (steps or ("",))
        ]
        given = zip(names.steps_of(codes).tolist(), self.customer_id.tolist(), codes.key.tolist(), strict=True)
        ids = [message_id(prefixes[step], one, key) for step, one, key in given]
        return EventLog.from_columns(
            customer_id=self.customer_id,
            type=np.where(codes.arm == 0, SENT, WITHHELD),
            time=UtcTimes(self.time),
            properties={
                "campaign": _column(codes.entry, names.entries),
                "step": _column(names.steps_of(codes), names.all_steps),
                "category": _column(codes.entry, names.categories),
                "channel": _column(codes.channel, names.channels),
                "arm": _column(codes.arm, ARMS),
                "message_id": Column.of("message_id", np.array(ids, dtype="<U32")),
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the messages and the holds as JSON-ready values."""
        return {**super().to_dict(), "held": self.held.to_dict()}

    def counts(self) -> dict[str, int]:
        """Return how many messages each campaign sends, without control groups, in order of priority."""
        found = np.bincount(self._codes.entry[self._codes.arm == 0], minlength=len(self._names.entries))
        return dict(zip(self._names.entries, found.tolist(), strict=True))

    def _facts(self) -> dict[str, Any]:
        sent = int(np.count_nonzero(self._codes.arm == 0))
        return {"name": self.name, "as_of": self.as_of, "sent": sent, "control": len(self) - sent,
                "held": len(self._held.row)}  # fmt: skip

    def __len__(self) -> int:
        """Return the number of messages, including withheld ones."""
        return len(self.customer_id)


def _column(codes: npt.NDArray[Any], names: Sequence[str | None]) -> Column:
    """Return a column of texts from positions among names; empty names are missing values."""
    words = sorted({name for name in names if name})
    place = {word: k for k, word in enumerate(words)}
    table = np.array([place.get(name or "", -1) for name in names], dtype=np.int32)
    if not words:
        return Column.empty(len(codes))
    return Column("text", table[codes], np.array(words, dtype=np.str_))


def plan_of(codes: Codes, held: Codes, names: Names, everyone: npt.NDArray[Any], as_of: Any) -> ContactPlan:
    """Return the plan made of the messages and holds that were found."""
    step = names.steps_of(codes)
    trigger = np.where(codes.key == -1, NONE, codes.key).view("M8[us]")
    triggered = np.array([reason != "who" for reason in names.reasons])
    trigger = np.where(triggered[codes.entry], trigger, np.datetime64("NaT", "us"))
    reasons = [
        f"step {k + 1} of {len(steps)}" if steps else reason
        for reason, steps in zip(names.reasons, names.steps, strict=True)
        for k in range(max(len(steps), 1))
    ]
    return ContactPlan(
        customer_id=everyone[codes.row],
        campaign=np.array(names.entries)[codes.entry],
        step=np.array(names.all_steps)[step],
        channel=np.array(names.channels)[codes.channel],
        category=np.array([one or "" for one in names.categories])[codes.entry],
        arm=np.array(ARMS)[codes.arm],
        reason=np.array(reasons)[step],
        trigger=trigger,
        time=codes.time.view("M8[us]"),
        name=names.policy,
        as_of=as_of,
        codes=codes,
        held=held,
        names=names,
        everyone=everyone,
    )
