"""What was sent before: the `message_sent` and `message_withheld` events as columns for a policy to count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.campaigns.caps import Cap
from relmark.campaigns.passes import NONE
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, IntArray
from relmark.core.columns import Column
from relmark.core.ordering import stable_order

__all__ = ["SENT", "WITHHELD", "SentLog"]

SENT, WITHHELD = "message_sent", "message_withheld"


@attrs.frozen(eq=False)
class SentLog:
    """Every message up to now, in order of time.

    Attributes
    ----------
    row : ndarray of int64, shape (m,)
        The row of the person in the base.
    time : ndarray of int64, shape (m,)
    campaign : ndarray of int16, shape (m,)
        The position of the campaign in the policy, -1 for a campaign that the policy does not have.
    counted : ndarray of bool, shape (m,)
        False for transactional messages that do not count toward caps and gaps.
    texts : mapping of str to Column
        Properties by name: step, channel, category, campaign.
    """

    row: IntArray
    time: IntArray
    campaign: npt.NDArray[np.int16]
    counted: BoolArray
    texts: dict[str, Column]
    _order: IntArray
    _starts: IntArray

    @classmethod
    def of(
        cls,
        base: CustomerBase,
        until: int | IntArray,
        names: Sequence[str],
        uncounted: Sequence[bool],
    ) -> SentLog:
        """Return the messages of a base up to one instant for all rows, or up to one instant per row."""
        parts = [part for part in (base.events.partition(SENT), base.events.partition(WITHHELD)) if part is not None]
        row = _joined([part.code.astype(np.int64, copy=False) for part in parts])
        time = _joined([part.time for part in parts])
        if not base.codes_are_rows:
            row = base.code_to_row[row]
        keep = np.flatnonzero(time <= (until[row] if isinstance(until, np.ndarray) else until))
        if len(parts) > 1:
            keep = keep[stable_order(time[keep])]
        whole = len(keep) == len(time) and len(parts) == 1
        if not whole:
            row, time = row[keep], time[keep]
        campaign_parts = [_codes_of(part.properties.get("campaign"), names, len(part)) for part in parts]
        campaign = _joined(campaign_parts, np.int16)
        campaign = campaign if whole else campaign[keep]
        quiet = np.array([*uncounted, False], dtype=np.bool_)
        order, counts = _by_campaign(campaign, len(names))
        texts = _Texts(parts, None if whole else keep)
        return cls(
            row=row, time=time, campaign=campaign, counted=~quiet[campaign], texts=texts, order=order,
            starts=np.concatenate([[0], np.cumsum(counts)]),
        )  # fmt: skip

    def of_campaign(self, place: int) -> IntArray:
        """Return the positions of a campaign's messages, in order of time."""
        return self._order[self._starts[place] : self._starts[place + 1]]

    def last_of(self, places: IntArray | slice, n: int) -> IntArray:
        """Return the time of each person's last message among some messages, or `NONE`."""
        found = np.full(n, NONE)
        found[self.row[places]] = self.time[places]  # in order of time, so that the last one stays
        return found

    def is_text(self, name: str, words: Sequence[str], places: IntArray | slice) -> npt.NDArray[np.int64]:
        """Return which of some words each value of a property is, -1 for none, in the shape of `places`."""
        column = self.texts[name]
        return _codes_of(column, words, len(self.row), np.int64)[places]

    def chosen(self, cap: Cap, categories: Sequence[str | None]) -> BoolArray | None:
        """Return which messages a cap counts; None if it counts all of them."""
        found = None if self.counted.all() else self.counted
        if cap.campaign is not None:
            found = _both(found, self.is_text("campaign", [cap.campaign], slice(None)) == 0)
        if cap.channel is not None:
            found = _both(found, self.is_text("channel", [cap.channel], slice(None)) == 0)
        if cap.category is not None:
            said = self.texts["category"]
            own = self.is_text("category", [cap.category], slice(None)) == 0
            of_campaign = np.array([*(one == cap.category for one in categories), False], dtype=np.bool_)
            unsaid = _unsaid(said)
            found = _both(found, own | (unsaid & of_campaign[self.campaign]))
        return found


class _Texts(dict[str, Column]):
    """Properties of the messages, joined on first use."""

    def __init__(self, parts: Sequence[Any], keep: IntArray | None) -> None:
        super().__init__()
        self._parts = parts
        self._keep = keep

    def __missing__(self, name: str) -> Column:
        from_parts = [part.properties.get(name) or Column.empty(len(part)) for part in self._parts]
        words = sorted(
            {word for column in from_parts if column.categories is not None for word in column.categories.tolist()}
        )
        codes = _joined([_codes_of(column, words, len(column)) for column in from_parts], np.int64)
        if self._keep is not None:
            codes = codes[self._keep]
        self[name] = found = Column("text", codes.astype(np.int32), np.array(words, dtype=np.str_))
        return found


def _joined(parts: list[npt.NDArray[Any]], dtype: Any = np.int64) -> npt.NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def _both(found: BoolArray | None, more: BoolArray) -> BoolArray:
    return more if found is None else found & more


def _unsaid(column: Column) -> BoolArray:
    return np.asarray(column.data < 0)


def _codes_of(column: Column | None, words: Sequence[str], n: int, dtype: Any = np.int16) -> npt.NDArray[Any]:
    """Return the position of each value of a column among some words, -1 if it is none of them."""
    if column is None or column.kind != "text" or column.categories is None:
        return np.full(n, -1, dtype=dtype)
    place = {word: k for k, word in enumerate(words)}
    table = np.array([*(place.get(word, -1) for word in column.categories.tolist()), -1], dtype=dtype)
    return np.asarray(table[column.data])


def _by_campaign(campaign: npt.NDArray[np.int16], n: int) -> tuple[IntArray, IntArray]:
    """Return the positions of the messages of known campaigns, campaign by campaign, and their numbers."""
    known = np.flatnonzero(campaign >= 0)
    codes = campaign[known]
    return known[np.argsort(codes, kind="stable")], np.bincount(codes, minlength=n)  # radix sort of 16 bits
