"""Kernel of message metrics: which response belongs to which message, and who did what with it.

A message to a recipient is a unit. Its key is the customer and the message_id or, without an id, the customer and the
campaign (and the channel, if a campaign used several). Units are coded as integers and sorted once, and responses find
their unit by searching the sorted keys. A response that finds no unit by its own key is joined to the latest message of
its campaign that the customer had been sent by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, shown, text
from relmark.core.columns import Column, joined
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.ordering import order_by, stable_order
from relmark.core.spans import Span
from relmark.expressions.event_rows import EventScope
from relmark.expressions.kinds import check_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.metrics.grouping import By, Groups, column_of, group_rows, truth_of
from relmark.metrics.windows import Stretch, is_about_events

__all__ = [
    "COUNTS",
    "EVENT_TYPES",
    "Messages",
    "Read",
    "count_messages",
    "join_messages",
    "read_events",
    "read_messages",
]

EVENT_TYPES = {
    "sent": "message_sent", "bounced": "message_bounced", "delivered": "message_delivered", "opened": "message_opened",
    "clicked": "message_clicked", "unsubscribed": "unsubscribe", "complained": "complaint", "read": "message_read",
    "replied": "message_replied", "blocked": "message_blocked",
}  # fmt: skip
COUNTS = (
    "sent", "delivered", "bounced", "hard_bounced", "soft_bounced", "opened", "clicked", "unsubscribed", "complained",
    "read", "replied", "blocked", "opens", "clicks", "tracked", "tracked_sent", "opens_squared", "clicks_squared",
)  # fmt: skip

_PROOF = ("delivered", "opened", "clicked", "read", "replied")  # each of these proves that the message arrived


class _Found(NamedTuple):
    """The events of one kind within the window."""

    customer: npt.NDArray[Any]
    time: IntArray
    scope: EventScope


class _Parts(NamedTuple):
    """What distinguishes the messages of one customer."""

    ids: dict[str, IntArray]
    n_ids: int
    campaigns: dict[str, IntArray]
    n_campaigns: int
    part: dict[str, IntArray]
    n_parts: int
    by_channel: bool


class Read(NamedTuple):
    """The events of messages within a window."""

    stretch: Stretch
    found: dict[str, _Found]
    notes: list[str]
    parts: _Parts


@attrs.frozen(eq=False)
class Messages:
    """The messages of a window and the reactions to them.

    Parameters
    ----------
    stretch : Stretch
    groups : Groups
        The groups of the units.
    customer, time : ndarray, shape (u,)
        The recipient of each unit, and when it was first sent.
    clicks : tuple of ndarray
        The customer, time and unit of each click.
    did : mapping of str to ndarray of bool, shape (u,)
        Which units were delivered, opened and so on.
    counts : mapping of str to ndarray, shape (k,)
    notes : tuple of str
    """

    stretch: Stretch
    groups: Groups
    customer: npt.NDArray[Any]
    time: IntArray
    clicks: tuple[npt.NDArray[Any], IntArray, IntArray]
    did: Mapping[str, npt.NDArray[np.bool_]]
    counts: Mapping[str, IntArray]
    notes: tuple[str, ...]


def read_messages(
    base: CustomerBase,
    as_of: AsOfGiven,
    within: Span | None,
    by: By,
    exclude: Expression | None,
    tracked: Expression | None,
    events: Mapping[str, str] | None,
) -> Messages:
    """Return the messages sent in a window, in groups, with counts of the reactions to them by as_of."""
    return join_messages(base, read_events(base, as_of, within, exclude, events), by, tracked)


def read_events(
    base: CustomerBase,
    as_of: AsOfGiven,
    within: Span | None,
    exclude: Expression | None,
    events: Mapping[str, str] | None,
) -> Read:
    """Return the events of messages within a window, without those that are excluded."""
    stretch = Stretch.of(base, as_of, within)
    types = _types(events)
    found = {kind: one for kind, name in types.items() if (one := _within(base, name, stretch)) is not None}
    notes: list[str] = []
    if "sent" not in found:
        notes.append(f"there is no {types['sent']!r} event in {stretch}")
    if exclude is not None:
        notes += _without(base, exclude, found, types)
    return Read(stretch, found, notes, _parts(found))


def join_messages(base: CustomerBase, read: Read, by: By, tracked: Expression | None) -> Messages:
    """Return the messages with the reactions to each."""
    stretch, found, notes = read.stretch, read.found, list(read.notes)
    keys, campaign = _keys(base, read)
    sent = found.get("sent")
    sent_key = keys.get("sent", np.empty(0, dtype=np.int64))
    order = stable_order(sent_key)
    ranked = sent_key[order]
    begins = np.ones(len(order), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=begins[1:])
    start = np.flatnonzero(begins)
    unit_key, first = ranked[start], order[start]
    unit_of_sent = np.empty(len(order), dtype=np.int64)
    unit_of_sent[order] = np.cumsum(begins) - 1
    n = len(first)
    customer = np.empty(0, dtype=np.int64) if sent is None else sent.customer[first]
    time = np.empty(0, dtype=np.int64) if sent is None else sent.time[first]

    did: dict[str, npt.NDArray[np.bool_]] = {}
    units: dict[str, IntArray] = {}
    lost = 0
    for kind, one in found.items():
        if kind == "sent":
            continue
        unit = _find(unit_key, keys[kind])
        alone = np.flatnonzero(unit < 0)
        if len(alone) and sent is not None:
            unit[alone] = _by_campaign(one, campaign[kind], alone, sent, campaign["sent"], unit_of_sent)
        lost += int(np.count_nonzero(unit < 0))
        units[kind] = unit
        did[kind] = np.zeros(n, dtype=np.bool_)
        did[kind][unit[unit >= 0]] = True
    if lost:
        notes.append(_without_message(lost, stretch))
    nobody = np.zeros(n, dtype=np.bool_)
    bounced = did.get("bounced", nobody)
    proved = nobody.copy()
    for kind in _PROOF:
        proved |= did.get(kind, nobody)
    contradicted = int(np.count_nonzero(bounced & proved))
    if contradicted:
        notes.append(_contradiction(contradicted))
        bounced = bounced & ~proved
    seen = None if tracked is None else _tracked(base, tracked, sent, first, stretch)
    groups = (
        group_rows(base, stretch.as_of, by, customer, time, _property(sent, first))
        if sent is not None
        else group_rows(base, stretch.as_of, by, customer, time, lambda _: Column.empty(0))
    )
    counts = _counted(found, did, units, bounced, seen, groups, n)
    clicked = units.get("clicked")
    none = np.empty(0, dtype=np.int64)
    clicks = (none, none, none)
    if clicked is not None:
        kept = clicked >= 0
        clicks = (found["clicked"].customer[kept], found["clicked"].time[kept], clicked[kept])
    return Messages(stretch, groups, customer, time, clicks, did, counts, tuple(notes))


def _contradiction(n: int) -> str:
    if n == 1:
        return "1 message bounced and was also delivered, opened or clicked: it counts as delivered"
    return f"{n:,} messages bounced and were also delivered, opened or clicked: they count as delivered"


def _without_message(n: int, stretch: Stretch) -> str:
    if n == 1:
        return f"1 response does not belong to any message sent in {stretch} and is not counted"
    return f"{n:,} responses do not belong to any message sent in {stretch} and are not counted"


def _types(events: Mapping[str, str] | None) -> dict[str, str]:
    given = {} if events is None else events
    if not isinstance(given, Mapping):
        raise InputError(
            f"events is {shown(given)}; it must be a mapping, such as {{'sent': 'email_sent'}}.",
            argument="events",
            code="wrong_type",
        )
    for kind, name in given.items():
        if kind not in EVENT_TYPES:
            raise InputError(
                f"events has the key {shown(kind)}; it must be one of {', '.join(map(repr, EVENT_TYPES))}."
                f"{did_you_mean(str(kind), EVENT_TYPES)}",
                argument="events",
                code="unknown_name",
            )
        text(f"events[{kind!r}]", name)
    return {**EVENT_TYPES, **given}


def _within(base: CustomerBase, name: str, stretch: Stretch) -> _Found | None:
    part = base.events.partition(name)
    if part is None:
        return None
    rows = stretch.rows(part.time)
    if rows.start == rows.stop:
        return None
    code = part.code[rows]
    customer = code if base.codes_are_rows else base.code_to_row[code]
    return _Found(customer, part.time[rows], EventScope(part, name, rows, rows.stop - rows.start, base.tz))


def _without(base: CustomerBase, exclude: Expression, found: dict[str, _Found], types: Mapping[str, str]) -> list[str]:
    """Remove the opens and clicks for which a rule is true, such as those made by machines, and return notes."""
    notes = []
    check_on_data(Selection((types["opened"], types["clicked"]), exclude).exists(), base)
    for kind in ("opened", "clicked", "read"):
        if kind not in found:
            continue
        customer, time, scope = found[kind]
        machine = scope.truth(exclude).true
        if machine.any():
            rows = np.flatnonzero(~machine)
            n = int(machine.sum())
            notes.append(f"{n:,} {types[kind]!r} event{' is' if n == 1 else 's are'} excluded")
            assert isinstance(scope.rows, slice)
            kept = EventScope(scope.part, scope.type_name, rows + scope.rows.start, len(rows), base.tz)
            found[kind] = _Found(customer[rows], time[rows], kept)
    return notes


def _property(sent: _Found | None, first: IntArray) -> Any:
    def find(name: str) -> Column | None:
        if sent is None or (name != "type" and name not in sent.scope.part.properties):
            return None
        return sent.scope.property(name).take(first)

    return find


def _tracked(
    base: CustomerBase, tracked: Expression, sent: _Found | None, first: IntArray, stretch: Stretch
) -> npt.NDArray[np.bool_]:
    if not isinstance(tracked, Expression):
        raise InputError(
            f"tracked is {shown(tracked)}; it must be a rule over field(...) or over prop(...).",
            argument="tracked",
            code="wrong_type",
        )
    if sent is None:
        return np.zeros(0, dtype=np.bool_)
    if is_about_events(tracked):
        check_on_data(Selection((sent.scope.type_name,), tracked).exists(), base)
        return np.asarray(sent.scope.truth(tracked).true[first])
    return np.asarray(truth_of(base, stretch.as_of, tracked, "tracked")[sent.customer[first]])


def _codes(found: Mapping[str, _Found], name: str) -> tuple[dict[str, IntArray], int]:
    """Return one coding of a property for all kinds of events, -1 where it is missing, and the number of values."""
    columns = {kind: one.scope.property(name) for kind, one in found.items()}
    if not columns or all(column.kind == "empty" for column in columns.values()):
        return {kind: np.full(len(one.time), -1, dtype=np.int64) for kind, one in found.items()}, 0
    words = [column for column in columns.values() if column.kind == "text"]
    if len(words) == len(columns) and len({_address(column) for column in words}) == 1:
        assert words[0].categories is not None
        return {kind: column.data for kind, column in columns.items()}, len(words[0].categories)
    whole = joined(f"property {name!r}", list(columns.values()))
    code, values = column_of(whole, name)
    code = np.where(whole.missing, -1, code)
    parts = np.split(code, np.cumsum([len(column) for column in columns.values()])[:-1])
    return dict(zip(columns, parts, strict=True)), len(values)


def _address(column: Column) -> tuple[int, int]:
    assert column.categories is not None
    return int(column.categories.__array_interface__["data"][0]), len(column.categories)


def _parts(found: Mapping[str, _Found]) -> _Parts:
    """Return what distinguishes the messages of one customer, in one coding for all kinds of events."""
    ids, n_ids = _codes(found, "message_id")
    campaigns, n_campaigns = _codes(found, "campaign")
    channels, n_channels = _codes(found, "channel")
    part = {kind: code + 1 for kind, code in campaigns.items()}
    n_parts, by_channel = n_campaigns + 1, False
    if n_channels and "sent" in found:
        plain = slice(None) if n_ids == 0 else ids["sent"] < 0
        both = part["sent"][plain].astype(np.int64) * (n_channels + 1) + channels["sent"][plain] + 1
        used = np.bincount(both, minlength=n_parts * (n_channels + 1)).reshape(n_parts, n_channels + 1) > 0
        by_channel = bool((used.sum(axis=1) > 1).any())
        if by_channel:  # a campaign that used several channels is several messages
            part = {kind: code.astype(np.int64) * (n_channels + 1) + channels[kind] + 1 for kind, code in part.items()}
            n_parts *= n_channels + 1
    return _Parts(ids, n_ids, campaigns, n_campaigns, part, n_parts, by_channel)


def _keys(base: CustomerBase, read: Read) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Return the key of the message of each event, and that of its campaign, for every kind of event."""
    p = read.parts
    width = p.n_ids + p.n_parts
    if len(base) * width >= 1 << 62:
        raise InputError(
            "there are too many messages and customers to code them in 63 bits: choose a shorter window.",
            argument="within",
            code="too_many",
        )
    keys, campaign = {}, {}
    for kind, one in read.found.items():
        customer = one.customer.astype(np.int64)
        place = p.part[kind] if p.n_ids == 0 else np.where(p.ids[kind] < 0, p.n_ids + p.part[kind], p.ids[kind])
        keys[kind] = customer * width + place
        named = 2 * (customer * (p.n_campaigns + 1) + p.campaigns[kind] + 1)
        campaign[kind] = named + (p.ids[kind] >= 0)
    return keys, campaign


def _find(unit_key: IntArray, keys: IntArray) -> IntArray:
    """Return the unit of each key, -1 for none; the keys are sorted first, because that is faster."""
    if not len(unit_key):
        return np.full(len(keys), -1, dtype=np.int64)
    order = stable_order(keys)
    ranked = keys[order]
    place = np.searchsorted(unit_key, ranked)
    np.minimum(place, len(unit_key) - 1, out=place)
    place[unit_key[place] != ranked] = -1
    unit = np.empty(len(keys), dtype=np.int64)
    unit[order] = place
    return unit


def _by_campaign(
    one: _Found, campaign: IntArray, alone: IntArray, sent: _Found, sent_campaign: IntArray, unit: IntArray
) -> IntArray:
    """Return the latest message of the same campaign that the customer had been sent by then, -1 for none.

    A response with a message_id is not joined to a message with another id.
    """
    has_id = campaign[alone] & 1
    out = np.full(len(alone), -1, dtype=np.int64)
    for named in (0, 1):
        rows = np.flatnonzero(has_id == named)
        held = np.flatnonzero((sent_campaign & 1) == 0) if named else np.arange(len(sent_campaign))
        if not len(rows) or not len(held):
            continue
        key = np.concatenate([sent_campaign[held] >> 1, campaign[alone[rows]] >> 1])
        time = np.concatenate([sent.time[held], one.time[alone[rows]]])
        is_response = np.arange(len(key)) >= len(held)
        order = order_by(key, time, is_response.astype(np.int64))
        position = np.arange(len(order))
        latest = np.maximum.accumulate(np.where(is_response[order], -1, position))
        fits = (latest >= 0) & (key[order[latest]] == key[order])
        answered = np.flatnonzero(is_response[order] & fits)
        out[rows[order[answered] - len(held)]] = unit[held[order[latest[answered]]]]
    return out


def _counted(
    found: Mapping[str, _Found],
    did: Mapping[str, npt.NDArray[np.bool_]],
    units: Mapping[str, IntArray],
    bounced: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_] | None,
    groups: Groups,
    n: int,
) -> dict[str, IntArray]:
    """Return the counts of each group."""
    nobody = np.zeros(n, dtype=np.bool_)

    def count(mask: npt.NDArray[np.bool_]) -> IntArray:
        return np.bincount(groups.code[groups.chosen(mask)], minlength=groups.k)

    visible = np.ones(n, dtype=np.bool_) if seen is None else seen
    clicked = did.get("clicked", nobody) & visible
    opened = (did.get("opened", nobody) & visible) | clicked
    counts = {
        "sent": np.bincount(groups.code, minlength=groups.k),
        "bounced": count(bounced),
        "opened": count(opened),
        "clicked": count(clicked),
    }
    counts |= {kind: count(did.get(kind, nobody)) for kind in ("unsubscribed", "complained")}
    counts |= {kind: count(did[kind]) for kind in ("read", "replied", "blocked") if kind in did}
    if "bounced" in found and "bounce_type" in found["bounced"].scope.part.properties:
        kinds = found["bounced"].scope.property("bounce_type")
        if kinds.kind == "text":
            assert kinds.categories is not None
            hard = nobody.copy()
            is_hard = np.append(kinds.categories == "hard", False)[kinds.data]
            unit = units["bounced"]
            hard[unit[is_hard & (unit >= 0)]] = True  # a hard bounce after a soft one is hard
            soft = nobody.copy()
            is_soft = np.append(kinds.categories == "soft", False)[kinds.data]
            soft[unit[is_soft & (unit >= 0)]] = True
            counts |= {"hard_bounced": count(bounced & hard), "soft_bounced": count(bounced & soft & ~hard)}
    for name, kind in (("opens", "opened"), ("clicks", "clicked")):
        unit = units.get(kind, np.empty(0, dtype=np.int64))
        unit = unit[unit >= 0]
        often = np.bincount(unit[visible[unit]], minlength=n)
        if kind == "opened":
            often = np.where(opened & (often == 0), 1, often)  # a recipient who clicked has opened at least once
        each = groups.chosen(often).astype(np.float64)
        counts[name] = np.bincount(groups.code, weights=each, minlength=groups.k).astype(np.int64)
        squares = np.bincount(groups.code, weights=each * each, minlength=groups.k)
        counts[f"{name}_squared"] = squares.astype(np.int64)
    if seen is not None:
        counts |= {"tracked": count(seen & ~bounced), "tracked_sent": count(seen)}
    return counts


_MANY = 1 << 14  # up to so many, ids are those of mailings, not of single messages
_BITS = {kind: bit for bit, kind in enumerate([*EVENT_TYPES, "hard", "soft"])}


def count_messages(base: CustomerBase, read: Read, by: By) -> tuple[dict[str, IntArray], Any, tuple[str, ...]] | None:
    """Return counts, labels and notes of messages by campaign or in total, None if joined messages are needed.

    If the campaign distinguishes the messages of a customer, each event is coded as one integer of campaign, customer
    and kind. These are sorted once; a message is then a run, and a campaign is a run of messages (for 10 million events
    this takes 0.2 s of CPU time, where joining each response to its message takes 0.8 s).
    """
    sent = read.found.get("sent")
    if sent is None or not (by is None or (isinstance(by, str) and by == "campaign")):
        return None
    column = sent.scope.part.properties.get("campaign")
    if by is not None and (column is None or column.kind != "text"):
        return None
    mailings = _mailings(read)
    if mailings is None:
        return None
    part, k, campaign_of = mailings
    n = len(base)
    if n * k >= 1 << 58:
        return None
    packed = _packed(read, part, n, np.uint32 if n * k << 4 < 1 << 32 else np.uint64)
    unit = packed >> 4
    start = np.flatnonzero(np.concatenate(([True], unit[1:] != unit[:-1])))
    kind = (packed & 15).astype(np.uint8)
    flags = np.bitwise_or.reduceat(np.left_shift(np.uint16(1), kind, dtype=np.uint16), start)
    whose = unit[start]
    bounds = np.searchsorted(whose, np.arange(k + 1, dtype=np.uint64) * n)  # where each campaign begins among messages
    was_sent = (flags & 1) != 0
    notes = list(read.notes)
    lost = 0
    if not was_sent.all():
        size = np.diff(start, append=len(unit))
        lost = int(size[~was_sent].sum())
        notes.append(_without_message(lost, read.stretch))
        kept = np.repeat(was_sent, size)
        packed, unit, kind = packed[kept], unit[kept], kind[kept]
        whose, flags = whose[was_sent], flags[was_sent]
        bounds = np.searchsorted(whose, np.arange(k + 1, dtype=np.uint64) * n)
    rows = np.searchsorted(unit, np.arange(k + 1, dtype=np.uint64) * n)
    spans = [slice(low, high) for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]

    def count(mask: npt.NDArray[np.bool_], cut: list[slice] = spans) -> IntArray:
        return np.array([np.count_nonzero(mask[one]) for one in cut], dtype=np.int64)

    def did(*names: str) -> npt.NDArray[np.bool_]:
        wanted = np.uint16(sum(1 << _BITS[name] for name in names))
        return np.asarray((flags & wanted) != 0)

    proved, bounced = did(*_PROOF), did("bounced", "hard", "soft")
    contradicted = int(np.count_nonzero(bounced & proved))
    if contradicted:
        notes.append(_contradiction(contradicted))
        bounced &= ~proved
    counts = {"sent": np.diff(bounds).astype(np.int64), "bounced": count(bounced)}
    counts |= {"opened": count(did("opened", "clicked")), "clicked": count(did("clicked"))}
    counts |= {name: count(did(name)) for name in ("unsubscribed", "complained")}
    counts |= {name: count(did(name)) for name in ("read", "replied", "blocked") if name in read.found}
    if _typed(read.found):
        hard = did("hard")
        counts |= {"hard_bounced": count(bounced & hard), "soft_bounced": count(bounced & did("soft") & ~hard)}
    cut = [slice(low, high) for low, high in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True)]
    unopened = count(did("clicked") & ~did("opened"))
    again = np.flatnonzero(packed[1:] == packed[:-1]) + 1  # a second event of one kind for one message, a third, ...
    begins = np.concatenate(([True], np.diff(again) > 1)) if len(again) else np.zeros(0, dtype=np.bool_)
    rank = np.arange(len(again)) - np.maximum.accumulate(np.where(begins, np.arange(len(again)), 0)) + 1
    for name, which in (("opens", "opened"), ("clicks", "clicked")):
        total = count(kind == _BITS[which], cut)
        mine = kind[again] == _BITS[which]
        place = np.searchsorted(rows, again[mine], side="right") - 1
        # the sum of squares of runs: each event adds 2 (its rank in the run) + 1, ranks from 0
        more = 2 * np.bincount(place, weights=rank[mine], minlength=k).astype(np.int64)
        extra = unopened if which == "opened" else np.zeros(k, dtype=np.int64)
        counts |= {name: total + extra, f"{name}_squared": total + more + extra}
    if by is None:
        return {name: one.sum(keepdims=True) for name, one in counts.items()}, {}, tuple(notes)
    assert column is not None
    assert column.categories is not None
    width = int(campaign_of.max(initial=0)) + 1
    counts = {
        name: np.bincount(campaign_of, weights=one.astype(np.float64), minlength=width).astype(np.int64)
        for name, one in counts.items()
    }
    used = np.flatnonzero(counts["sent"])
    order = np.concatenate([used[used > 0], used[used == 0]])  # campaigns ascending, those without a name last
    labels = Column("text", (order - 1).astype(np.int32), _words_of(read, column)).values()
    return {name: one[order] for name, one in counts.items()}, {"campaign": labels}, tuple(notes)


def _mailings(read: Read) -> tuple[Mapping[str, IntArray], int, IntArray] | None:
    """Return what distinguishes the messages of a customer, its number of values, and the campaign of each (0: none).

    These are campaigns, or ids if every event has one and all messages with an id are of one campaign; otherwise None.
    """
    parts = read.parts
    if parts.n_ids == 0:
        return None if parts.by_channel else (parts.part, parts.n_parts, np.arange(parts.n_parts))
    if parts.n_ids > _MANY or any(len(one) and int(one.min()) < 0 for one in parts.ids.values()):
        return None
    ids, campaign = parts.ids["sent"], parts.campaigns["sent"]
    of_id = np.full(parts.n_ids, -1, dtype=np.int64)
    of_id[ids] = campaign
    if (of_id[ids] != campaign).any():
        return None
    return parts.ids, parts.n_ids, of_id + 1


def _packed(read: Read, part: Mapping[str, IntArray], n: int, kind_of: Any) -> npt.NDArray[Any]:
    """Return campaign, customer and kind of each event in one integer, sorted."""
    total = sum(len(one.time) for one in read.found.values())
    packed = np.empty(total, dtype=kind_of)
    low = 0
    typed = _typed(read.found)
    for kind, one in read.found.items():
        here = packed[low : low + len(one.time)]
        low += len(one.time)
        np.multiply(part[kind], n, out=here, dtype=kind_of, casting="unsafe")
        np.add(here, one.customer, out=here, dtype=kind_of, casting="unsafe")
        here <<= kind_of(4)
        here |= kind_of(_BITS[kind])
        if kind == "bounced" and typed:
            words = one.scope.property("bounce_type")
            assert words.categories is not None
            for word in ("hard", "soft"):
                rows = np.append(words.categories == word, False)[words.data]
                here[rows] = (here[rows] & ~kind_of(15)) | kind_of(_BITS[word])
    packed.sort()
    return packed


def _typed(found: Mapping[str, _Found]) -> bool:
    """Return whether bounces have a type."""
    one = found.get("bounced")
    return (
        one is not None
        and "bounce_type" in one.scope.part.properties
        and (one.scope.property("bounce_type").kind == "text")
    )


def _words_of(read: Read, column: Column) -> Any:
    """Return the names of the campaigns that are coded in all kinds of events."""
    columns = [one.scope.property("campaign") for one in read.found.values()]
    known = [one for one in columns if one.categories is not None]
    if len(known) == len(columns) and len({_address(one) for one in known}) == 1:
        return column.categories
    joined_words = joined("property 'campaign'", columns)
    return column_of(joined_words.take(np.flatnonzero(~joined_words.missing)), "campaign")[1]
