"""How many messages were sent, delivered, opened and clicked, by group: the counts behind a report of messages.

`MessageCounts` are made from the events of a base or from the table of an e-mail service, and add up with ``+``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, numbers, refuse_rows, same_length, shown, text
from relmark.core.columns import Column, ColumnLike
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.spans import Span
from relmark.expressions.operators import Expression
from relmark.metrics._labels import joined
from relmark.metrics._messages import COUNTS, count_messages, join_messages, read_events
from relmark.metrics.grouping import By
from relmark.metrics.windows import base_given

__all__ = ["MessageCounts"]

_KNOWN = tuple(COUNTS)


def _given(value: npt.ArrayLike | None) -> IntArray | None:
    """Take counts as they are given; they are checked together later."""
    return cast("IntArray | None", value)


def _column(value: npt.ArrayLike | None) -> IntArray:
    """Take counts that may be missing here and are filled in later."""
    return cast("IntArray", value)


def _labels_given(value: Mapping[str, ColumnLike]) -> Mapping[str, npt.NDArray[Any]]:
    """Take the names of groups as they are given."""
    return cast("Mapping[str, npt.NDArray[Any]]", value)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MessageCounts(ColumnarResult):
    """Counts of messages by group; there is one row without groups.

    A message counts once per recipient, however often they open or click it: `opened` counts recipients who opened it,
    and `opens` counts all opens. Counts that you leave out are not known, and figures that need them are undefined.
    Counts of parts of the data add up with ``+`` if all events of a message to a recipient are in one part, for example
    if the data is split by customer.

    Parameters
    ----------
    by : mapping of str to array_like, shape (k,)
        The name of each row's group.
    sent, delivered, bounced : array_like of int, shape (k,)
        Delivered messages are those sent and not bounced. Pass one of `delivered` and `bounced`, or neither if nothing
        bounced.
    hard_bounced, soft_bounced : array_like of int, optional
    opened, clicked, unsubscribed, complained, read, replied, blocked : array_like of int, optional
        Numbers of recipients. A click without a recorded open counts as an open.
    opens, clicks : array_like of int, optional
        Numbers of opens and clicks, repeats included.
    tracked, tracked_sent : array_like of int, optional
        Messages delivered and sent to recipients whose opens and clicks can be recorded. `opened` and `clicked` then
        count only these recipients.
    opens_squared, clicks_squared : array_like of int, optional
        The sums over recipients of the squared numbers of opens and clicks, which the intervals of `opens_per_open` and
        `clicks_per_click` need.
    notes : tuple of str
        What was left out, or joined in a way that you may not expect.

    Examples
    --------
    >>> a = MessageCounts(sent=600, bounced=60, opened=110, clicked=12)
    >>> b = MessageCounts(sent=400, bounced=40, opened=90, clicked=8)
    >>> (a + b).delivered.tolist(), (a + b).opened.tolist()
    ([900], [200])
    """

    by: Mapping[str, npt.NDArray[Any]] = attrs.field(factory=dict, converter=_labels_given)
    sent: IntArray = attrs.field(default=0, converter=_column)
    delivered: IntArray = attrs.field(default=None, converter=_column)
    bounced: IntArray = attrs.field(default=None, converter=_column)
    hard_bounced: IntArray | None = attrs.field(default=None, converter=_given)
    soft_bounced: IntArray | None = attrs.field(default=None, converter=_given)
    opened: IntArray | None = attrs.field(default=None, converter=_given)
    clicked: IntArray | None = attrs.field(default=None, converter=_given)
    unsubscribed: IntArray | None = attrs.field(default=None, converter=_given)
    complained: IntArray | None = attrs.field(default=None, converter=_given)
    read: IntArray | None = attrs.field(default=None, converter=_given)
    replied: IntArray | None = attrs.field(default=None, converter=_given)
    blocked: IntArray | None = attrs.field(default=None, converter=_given)
    opens: IntArray | None = attrs.field(default=None, converter=_given)
    clicks: IntArray | None = attrs.field(default=None, converter=_given)
    tracked: IntArray | None = attrs.field(default=None, converter=_given)
    tracked_sent: IntArray | None = attrs.field(default=None, converter=_given)
    opens_squared: IntArray | None = attrs.field(default=None, converter=_given)
    clicks_squared: IntArray | None = attrs.field(default=None, converter=_given)
    notes: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Check the counts, and compute those that follow from others."""
        found = {name: getattr(self, name) for name in _KNOWN}
        made = {name: None if value is None else _count(name, value) for name, value in found.items()}
        sent = made["sent"]
        assert sent is not None
        k = len(sent)
        if not isinstance(self.by, Mapping):
            raise InputError(
                f"by is {shown(self.by)}; it must be a mapping of names to columns.", argument="by", code="wrong_type"
            )
        labels = {}
        for name, column in self.by.items():
            if text("the name of a group", name) in _KNOWN:
                raise InputError(
                    f"by has the name {shown(name)}, which is the name of a count: choose another name.",
                    argument="by",
                    code="wrong_type",
                )
            labels[name] = Column.of(f"by[{name!r}]", column).values()
            same_length(f"by[{name!r}]", labels[name], k)
        for name, value in made.items():
            if value is not None:
                same_length(name, value, k)
        delivered, bounced = made["delivered"], made["bounced"]
        if delivered is None:
            bounced = np.zeros(k, dtype=np.int64) if bounced is None else bounced
            delivered = sent - bounced
            refuse_rows("bounced", delivered < 0, bounced, "it cannot be more than sent")
        elif bounced is None:
            bounced = sent - delivered
            refuse_rows("delivered", bounced < 0, delivered, "it cannot be more than sent")
        else:
            refuse_rows("delivered", delivered + bounced != sent, delivered, "with bounced it must add up to sent")
        made |= {"delivered": delivered, "bounced": bounced}
        notes = list(self.notes)
        if made["opened"] is not None and made["clicked"] is not None:
            more = made["clicked"] > made["opened"]
            if more.any():
                made["opened"] = np.maximum(made["opened"], made["clicked"])
                rows = "one row has" if more.sum() == 1 else f"{int(more.sum()):,} rows have"
                notes.append(f"{rows} more clickers than openers: a click counts as an open")
        for name, value in made.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "by", labels)
        object.__setattr__(self, "notes", tuple(notes))
        ColumnarResult.__attrs_post_init__(self)

    @classmethod
    def of(
        cls,
        base: CustomerBase,
        *,
        as_of: AsOfGiven,
        within: Span | None = None,
        by: By = None,
        exclude: Expression | None = None,
        tracked: Expression | None = None,
        events: Mapping[str, str] | None = None,
    ) -> Self:
        """Count the messages sent in a window and the reactions to them by `as_of`; see `message_metrics`."""
        read = read_events(base_given(base), as_of, within, exclude, events)
        made = None if tracked is not None else count_messages(base, read, by)
        if made is not None:
            counts, labels, notes = made
            return cls(by=labels, notes=notes, **counts)
        found = join_messages(base, read, by, tracked)
        return cls(by=dict(found.groups.labels), notes=found.notes, **found.counts)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the groups and the known counts as columns."""
        known = {name: getattr(self, name) for name in _KNOWN if getattr(self, name) is not None}
        return {**self.by, **{name: value for name, value in known.items() if not name.endswith("squared")}}

    def _lines(self) -> list[str]:
        return list(self.notes)

    def __add__(self, other: MessageCounts) -> MessageCounts:
        if not isinstance(other, MessageCounts):
            return NotImplemented
        if list(self.by) != list(other.by):
            raise InputError(
                f"counts by {', '.join(self.by) or 'nothing'} and by {', '.join(other.by) or 'nothing'} do not add up: "
                "group both by the same keys.",
                argument="other",
                code="wrong_type",
            )
        by, places = joined([self.by, other.by], [len(self.sent), len(other.sent)])
        code = np.concatenate(places)
        k = int(code.max(initial=-1)) + 1
        counts: dict[str, Any] = {}
        for name in _KNOWN:
            a, b = getattr(self, name), getattr(other, name)
            if a is None or b is None:
                counts[name] = None
            else:
                total = np.zeros(k, dtype=np.int64)
                np.add.at(total, code, np.concatenate([a, b]))
                counts[name] = total
        return MessageCounts(by=by, notes=tuple(dict.fromkeys([*self.notes, *other.notes])), **counts)


def _count(name: str, value: Any) -> npt.NDArray[np.int64]:
    found: FloatArray = numbers(name, value, low=0.0)
    refuse_rows(name, found != np.floor(found), found, "counts must be whole numbers")
    refuse_rows(name, found > 2.0**53, found, "counts must not be larger than 2**53")
    return found.astype(np.int64)
