"""Read from the log to whom a campaign sent its message, from whom it was withheld as control, and when.

A campaign's `message_sent` and `message_withheld` events carry `campaign`, `step` and `arm`. The first such event of a
customer is the decision: it begins their window in both arms, whatever was delivered later.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.experiments.starts import Starts

__all__ = ["CampaignNamed", "campaign_starts"]

CampaignNamed: TypeAlias = str | tuple[str, str]
"""A campaign or a chain by name, or a chain and one of its steps."""

_TYPES = ("message_sent", "message_withheld")
_LAST = np.iinfo(np.int64).max


def campaign_starts(
    base: CustomerBase, campaign: CampaignNamed, arms: tuple[str, ...], control: str
) -> tuple[Starts, npt.NDArray[np.str_]]:
    """Return when each customer's part in a campaign began, and their arm, which is "" for customers without one.

    Parameters
    ----------
    base : CustomerBase
        The base with the events.
    campaign : str, or pair of str
        The campaign's name, or the names of a chain and of its step.
    arms : tuple of str
        The arms of the experiment.
    control : str
        The arm whose messages are withheld.

    Notes
    -----
    Events may name an arm of the experiment; "control" for customers who get nothing of the campaign; or "step control"
    for customers who are left out at one step of a chain, and so are control at that step and part of the chain. A
    withheld message without an arm belongs to control, and a sent message without an arm to the other arm, if there are
    only two.
    """
    name, step = _names(campaign)
    n = len(base)
    time, code = np.full(n, _LAST), np.full(n, -1, dtype=np.int64)
    found: set[str] = set()
    for kind in _TYPES[::-1]:  # if one message is sent and another withheld at the same instant, the one sent counts
        part = base.events.partition(kind)
        if part is None:
            continue
        column = part.properties.get("campaign") or Column.empty(len(part))
        found.update(_words(column))
        chosen = _is(column, name)
        if step is not None:
            chosen &= _is(part.properties.get("step") or Column.empty(len(part)), step)
        places = np.flatnonzero(chosen)[::-1]  # backwards: a person's first event is written last
        rows = base.code_to_row[part.code[places]]
        own = _arms(
            part.properties.get("arm") or Column.empty(len(part)), kind, arms, control, of_step=step is not None
        )
        first = np.full(n, _LAST)
        first[rows] = part.time[places]
        arm = np.full(n, -1, dtype=np.int64)
        arm[rows] = own[places]
        earlier = first <= time
        time, code = np.where(earlier, first, time), np.where(earlier & (first < _LAST), arm, code)
    known = time < _LAST
    if not known.any():
        raise InputError(
            f"campaign is {shown(campaign)}: the log has no message_sent or message_withheld event of it.",
            argument="campaign",
            code="unknown_name",
            hint=did_you_mean(name, sorted(found)).strip(),
        )
    starts = Starts(np.where(known, time, 0), np.zeros(n, dtype=np.bool_), known, base.tz)
    return starts, np.array([*arms, ""])[code]


def _names(campaign: Any) -> tuple[str, str | None]:
    if isinstance(campaign, str) and campaign:
        return campaign, None
    if isinstance(campaign, (tuple, list)) and len(campaign) == 2 and all(isinstance(one, str) for one in campaign):
        return campaign[0], campaign[1]
    raise InputError(
        f"campaign is {shown(campaign)}: a name, or a pair of a chain and its step, is needed.",
        argument="campaign",
        code="wrong_type",
    )


def _words(column: Column) -> list[str]:
    return [] if column.categories is None or column.kind != "text" else [str(one) for one in column.categories]


def _is(column: Column, word: str) -> npt.NDArray[np.bool_]:
    """Return which texts of a column equal a word."""
    words = _words(column)
    return np.asarray(column.data == words.index(word)) if word in words else np.zeros(len(column), dtype=np.bool_)


def _arms(column: Column, kind: str, arms: tuple[str, ...], control: str, *, of_step: bool) -> IntArray:
    """Return the arm of each message as a position; -1 for messages that are no part of the comparison."""
    place = {arm: k for k, arm in enumerate(arms)}
    others = [arm for arm in arms if arm != control]
    treated = place[others[0]] if len(others) == 1 else -1
    meant = {
        "sent": treated,
        "control": -1 if of_step else place[control],
        "step control": place[control] if of_step else treated,
    }
    unsaid = place[control] if kind == "message_withheld" else treated
    # an experiment's own names come first, except for the words by which a chain distinguishes its control groups
    table = [meant[word] if word in meant else place.get(word, -1) for word in _words(column)]
    if len(others) > 1:
        table = [place.get(word, meant.get(word, -1)) for word in _words(column)]
    codes = column.data if column.kind == "text" else np.full(len(column), -1)
    return np.asarray(np.array([*table, unsaid], dtype=np.int64)[codes])
