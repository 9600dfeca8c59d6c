"""Run a policy repeatedly over a period of the past: what it would have sent, and what it would have held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.campaigns.contact_plan import ContactPlan
from relmark.campaigns.sent import SENT, WITHHELD
from relmark.core.as_of import AsOf
from relmark.core.base import CustomerBase
from relmark.core.errors import InputError, LimitError
from relmark.core.log import EventLog
from relmark.core.results import Result, Rows
from relmark.core.time import Instant, duration, local_days

__all__ = ["Replay", "replayed"]

_MOST = 100_000


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Replay(Result):
    """What a policy would have sent.

    Attributes
    ----------
    messages : Rows
        One row per message, with the columns time, customer_id, campaign, step, channel and arm.
    by_day : Rows
        The columns day, campaign, channel, sent and control; days are local days of the base.
    contacts : Rows
        The columns contacts and people: how many people would have been sent that many messages, including 0.
    held : Rows
        The columns campaign, by, people and times: how many people were held, and how often over all runs.
    runs : int
        How often the policy was evaluated.
    name : str
        The name of the policy.
    """

    messages: Rows
    by_day: Rows
    contacts: Rows
    held: Rows
    runs: int
    name: str

    def _facts(self) -> dict[str, Any]:
        arm = self.messages["arm"]
        sent = int(np.count_nonzero(arm == "sent"))
        return {"name": self.name, "runs": self.runs, "sent": sent, "control": len(arm) - sent}

    def _lines(self) -> list[str]:
        return ["a forecast of the number of messages, not of their effect: purchases and visits are those of the log"]


def replayed(
    ask: Callable[[CustomerBase, AsOf], ContactPlan],
    base: CustomerBase,
    *,
    start: Instant,
    end: Instant,
    every: timedelta,
    name: str,
) -> Replay:
    """Return what a policy would have sent, evaluated at start, start + every, and so on, before end."""
    step = duration("every", every)
    first, last = int(base.as_of(start).clock), int(base.as_of(end).clock)
    if first >= last:
        raise InputError(
            f"end {end} is not after start {start}: there is nothing to replay.", argument="end", code="wrong_value"
        )
    runs = -(-(last - first) // step)
    if runs > _MOST:
        raise LimitError(
            f"every is {every}, which makes {runs:,} runs; at most {_MOST:,} are allowed.",
            argument="every",
            code="too_many",
        )
    log = _before(base.events, first)
    found: list[dict[str, npt.NDArray[Any]]] = []
    held: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]] = []
    whole = base
    for number in range(runs):
        at = first + number * step
        whole = attrs.evolve(base, events=log)
        plan = ask(whole, AsOf(at, dated=False, tz=base.tz))
        if len(plan):
            log = log.append(plan.to_events())
            found.append({key: plan[key] for key in ("time", "customer_id", "campaign", "step", "channel", "arm")})
        if len(plan.held):
            held.append((plan.held.customer_id, plan.held.campaign, plan.held.by))
    messages = _stacked(found, whole)
    return Replay(
        messages=Rows(columns=messages, name="Messages"),
        by_day=_by_day(messages, base.tz),
        contacts=_contacts(messages, len(whole)),
        held=_holds(held),
        runs=runs,
        name=name,
    )


def _before(log: EventLog, first: int) -> EventLog:
    """Return the log without the messages from an instant on."""
    columns = [part.time < first if name in {SENT, WITHHELD} else np.ones(len(part), dtype=np.bool_)
               for name in log.types if (part := log.partition(name)) is not None]  # fmt: skip
    if all(column.all() for column in columns):
        return log
    table = log.to_columns()
    later = np.isin(table["type"], (SENT, WITHHELD)) & (table["time"].view(np.int64) >= first)
    return log.take(~later)


def _stacked(found: list[dict[str, npt.NDArray[Any]]], base: CustomerBase) -> dict[str, npt.NDArray[Any]]:
    if found:
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    none = np.empty(0, dtype="<U1")
    return {
        "time": np.empty(0, dtype="M8[us]"), "customer_id": base.customer_id[:0], "campaign": none, "step": none,
        "channel": none, "arm": none,
    }  # fmt: skip


def _by_day(messages: dict[str, npt.NDArray[Any]], tz: str) -> Rows:
    day = local_days(messages["time"].view(np.int64), tz).astype("M8[D]")
    keys, place = _grouped([day, messages["campaign"], messages["channel"]])
    sent = messages["arm"] == "sent"
    n = len(keys[0])
    return Rows(
        columns={
            "day": keys[0],
            "campaign": keys[1],
            "channel": keys[2],
            "sent": np.bincount(place[sent], minlength=n),
            "control": np.bincount(place[~sent], minlength=n),
        },
        name="Load",
    )


def _contacts(messages: dict[str, npt.NDArray[Any]], people: int) -> Rows:
    _, counts = np.unique(messages["customer_id"][messages["arm"] == "sent"], return_counts=True)
    number, found = np.unique(
        np.concatenate([counts, np.zeros(people - len(counts), dtype=np.int64)]), return_counts=True
    )
    return Rows(columns={"contacts": number, "people": found}, name="Contacts")


def _holds(held: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]) -> Rows:
    none = np.empty(0, dtype="<U1")
    who, campaign, by = (np.concatenate(parts) for parts in zip(*held, strict=True)) if held else (none, none, none)
    keys, place = _grouped([campaign, by])
    times = np.bincount(place, minlength=len(keys[0]))
    ids = np.unique(who, return_inverse=True)[1] if len(who) else np.empty(0, dtype=np.int64)
    pairs = np.unique(np.stack([place, ids]), axis=1)[0] if len(who) else np.empty(0, dtype=np.int64)
    people = np.bincount(pairs, minlength=len(keys[0]))
    return Rows(columns={"campaign": keys[0], "by": keys[1], "people": people, "times": times}, name="Held")


def _grouped(columns: list[npt.NDArray[Any]]) -> tuple[list[npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """Return the distinct rows of some columns in ascending order, and which of them each row is."""
    code = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        words, own = np.unique(column, return_inverse=True)
        code = code * max(len(words), 1) + own
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    return [column[first] for column in columns], place
