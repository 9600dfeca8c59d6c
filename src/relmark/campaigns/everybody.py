"""Evaluate a policy for a whole base: campaign by campaign in order of priority, on the rows for which it is due.

What is the same for all people in a time zone (the day, quiet hours, windows) is one number per zone. What a person has
received is one count per cap, updated as this evaluation plans more messages. Only the rules run over all people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relmark.campaigns.campaign import Campaign, Chain, Entry
from relmark.campaigns.caps import Cap
from relmark.campaigns.contact_plan import HELD, Codes
from relmark.campaigns.local_clock import LocalClock
from relmark.campaigns.passes import NONE, last_passes
from relmark.campaigns.sent import SentLog
from relmark.core.as_of import AsOf
from relmark.core.assignment import role_seed
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, IntArray
from relmark.core.errors import InputError
from relmark.core.hashing import hash_buckets
from relmark.core.time import aware, read_instant
from relmark.expressions.aggregates import counts
from relmark.expressions.evaluate import base_scope
from relmark.expressions.event_rows import Bounds, chosen_events
from relmark.expressions.operators import Expression
from relmark.expressions.scalar_calendar import NEVER, Zone
from relmark.expressions.selection import Selection
from relmark.expressions.walk import repeated

if TYPE_CHECKING:
    from relmark.campaigns.policy import ContactPolicy

__all__ = ["evaluate_everybody"]

Rows = npt.NDArray[np.int64]
_BY = {name: code for code, name in enumerate(HELD)}


class _Collected:
    """Messages and holds as they are found, campaign by campaign."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []

    def add(self, row: Rows, entry: int, **columns: Any) -> None:
        if len(row):
            self.parts.append({"row": row, "entry": entry, **columns})

    def codes(self, time_of: Any) -> Codes:
        """Return all messages or holds by row, and by priority for each row."""
        dtypes = {"entry": np.int16, "step": np.int16, "channel": np.int16, "arm": np.int8, "by": np.int8,
                  "ahead": np.int16, "key": np.int64, "until": np.int64}  # fmt: skip
        row = np.concatenate([part["row"] for part in self.parts] or [np.empty(0, dtype=np.int64)])
        order = np.argsort(row, kind="stable")
        empty = {"key": -1, "until": NONE, "ahead": -1}
        found: dict[str, Any] = {"row": row[order], "time": time_of(row[order])}
        for name, dtype in dtypes.items():
            given = [
                np.broadcast_to(np.asarray(part.get(name, empty.get(name, 0)), dtype=dtype), len(part["row"]))
                for part in self.parts
            ]
            found[name] = np.concatenate(given or [np.empty(0, dtype=dtype)])[order]
        return Codes(**found)


class _Evaluation:
    """One evaluation of a policy on a base."""

    def __init__(self, policy: ContactPolicy, base: CustomerBase, moment: AsOf) -> None:
        self.policy = policy
        self.base = base
        self.n = len(base)
        self.moment = moment
        rules = [expression for _, expression, _ in policy._tests()]  # noqa: SLF001
        self.shared: dict[Any, Any] = {}
        self.keep = repeated(rules)
        self.scope = base_scope(base, moment, shared=self.shared, keep=self.keep)
        self.blocks = base.by_zone
        at = [moment.in_zone(own.tz) for _, own in self.blocks]
        self.seen = [int(one.seen) for one in at]
        self.clocks = [LocalClock(int(one.clock), Zone(own.tz)) for one, (_, own) in zip(at, self.blocks, strict=True)]
        self.zone_of = np.zeros(self.n, dtype=np.int64)
        for number, (rows, _) in enumerate(self.blocks):
            if number:
                self.zone_of[rows] = number
        self.now = self.by_zone([clock.at for clock in self.clocks])
        names = [one.name for one in policy.campaigns]
        self.sent = SentLog.of(base, self.now if len(self.clocks) > 1 else self.clocks[0].at if self.clocks else 0,
                               names, [not one.counted for one in policy.campaigns])  # fmt: skip
        self.categories = [one.category for one in policy.campaigns]
        self.windows = [self._window(cap) for cap in policy.caps]
        self.count = [self._counted(cap, window) for cap, window in zip(policy.caps, self.windows, strict=True)]
        self.given = np.zeros(self.n, dtype=np.int16)
        self.first = np.full(self.n, -1, dtype=np.int16)
        self._at_this_instant()
        self.last_counted = self._last_counted()
        self.open: dict[tuple[str, bool], BoolArray] = {}
        self.preferred = self._preferred()
        self.held_out = self._holdout()
        self.messages, self.held = _Collected(), _Collected()

    # What belongs to zones

    def by_zone(self, values: Sequence[int]) -> Any:
        """Turn one number per zone into one number for all rows, or one per row."""
        if len(values) == 1:
            return values[0]
        return np.array(values, dtype=np.int64)[self.zone_of] if values else np.zeros(self.n, dtype=np.int64)

    @staticmethod
    def at(values: Any, rows: Rows) -> Any:
        """Return the values of some rows, from one value for all rows or one per row."""
        return values[rows] if isinstance(values, np.ndarray) else values

    def time_of(self, rows: Rows) -> IntArray:
        """Return the current instant of some rows."""
        return np.array(np.broadcast_to(np.asarray(self.at(self.now, rows), dtype=np.int64), len(rows)))

    # What was sent

    def _window(self, cap: Cap) -> Any:
        """Return the instant after which messages count, for all or for each row."""
        if cap.per is not None:
            return self.by_zone([clock.period_start(cap.per) - 1 for clock in self.clocks])
        assert cap.size is not None
        return self.by_zone([clock.at - cap.size for clock in self.clocks])

    def _slice(self, low: Any) -> slice:
        """Return the messages after the earliest of some instants."""
        first = int(np.min(low)) if np.size(low) else 0
        return slice(int(np.searchsorted(self.sent.time, first, side="right")), len(self.sent.time))

    def _inside(self, cap: Cap, low: Any) -> Rows:
        """Return the positions of the messages that a cap counts."""
        part = self._slice(low)
        places = np.arange(part.start, part.stop)
        chosen = self.sent.chosen(cap, self.categories)
        mask = None if chosen is None else chosen[part]
        if isinstance(low, np.ndarray):
            later = self.sent.time[part] > low[self.sent.row[part]]
            mask = later if mask is None else mask & later
        return places if mask is None else places[mask]

    def _counted(self, cap: Cap, low: Any) -> IntArray:
        return counts(self.sent.row[self._inside(cap, low)], self.n).astype(np.int32)

    def _at_this_instant(self) -> None:
        """Count the messages that the log has at this very instant as already given."""
        low = self.by_zone([clock.at - 1 for clock in self.clocks])
        part = self._slice(low)
        places = np.arange(part.start, part.stop)
        here = self.sent.counted[part]
        if isinstance(low, np.ndarray):
            here = here & (self.sent.time[part] > low[self.sent.row[part]])
        places = places[here]
        np.add.at(self.given, self.sent.row[places], 1)
        code = self.sent.campaign[places].astype(np.int16)
        code = np.where(code < 0, np.int16(len(self.policy.campaigns)), code)
        order = np.argsort(-code, kind="stable")  # the first by priority is written last, and stays
        self.first[self.sent.row[places[order]]] = code[order]

    def _last_counted(self) -> IntArray | None:
        """Return each person's last message within the gap that counts, or `NONE`."""
        if self.policy.gap is None:
            return None
        part = self._slice(self.by_zone([clock.at - self.policy.gap_size for clock in self.clocks]))
        places = np.arange(part.start, part.stop)[self.sent.counted[part]]
        return self.sent.last_of(places, self.n)

    # Rules

    def truth(self, rule: Expression | None) -> BoolArray | None:
        """Return for whom a rule is true; None means everybody."""
        return None if rule is None else np.asarray(self.scope.truth(rule).true)

    def latest(self, events: Selection) -> IntArray:
        """Return the time of each person's latest event of a selection, or `NONE`."""
        found = np.full(self.n, NONE)
        for who, when in self._events(events):
            found[who] = when
        return found

    def _events(self, events: Selection) -> list[tuple[Rows, IntArray]]:
        """Return the rows and times of the selected events, in order of time, zone by zone."""
        found = []
        for (rows, own), seen in zip(self.blocks, self.seen, strict=True):
            chosen = chosen_events(own.events, events, Bounds(None, seen), own.tz)
            who = chosen.codes.astype(np.int64, copy=False)
            if not own.codes_are_rows:
                who = own.code_to_row[who]
            found.append((who if own is self.base else rows[who], chosen.times))
        return found

    def _preferred(self) -> npt.NDArray[np.int16] | None:
        """Return each person's preferred channel as a position in the policy, -1 for none."""
        if self.policy.prefer is None:
            return None
        column = self.scope.column(self.policy.prefer)
        if column.kind == "empty":
            return None
        if column.kind != "text" or column.categories is None:
            raise InputError(
                f"prefer gives values of kind {column.kind!r}; it must give the name of a channel.",
                argument="prefer",
                code="wrong_type",
            )
        place = {name: k for k, name in enumerate(self.policy.channels)}
        table = np.array([*(place.get(word, -1) for word in column.categories.tolist()), -1], dtype=np.int16)
        return np.asarray(table[column.data])

    def _holdout(self) -> BoolArray | None:
        holdout = self.policy.holdout
        if holdout is None or not self.n:
            return None
        if holdout.period is None:
            return holdout.members(self.base.customer_id)
        found = np.zeros(self.n, dtype=np.bool_)
        for (rows, _), clock in zip(self.blocks, self.clocks, strict=True):
            found[rows] = holdout.members(self.base.customer_id[rows], at=aware(clock.at))
        return found

    # Campaign by campaign

    def run(self) -> tuple[Codes, Codes]:
        """Return the messages and the holds."""
        for place, entry in enumerate(self.policy.campaigns):
            rows, step, key = self._due(place, entry)
            if entry.transactional:
                rows, step, key, channel = self._reachable(place, entry, rows, step, key, capped=False)
            else:
                rows, step, key = self._let_through(place, entry, rows, step, key)
                rows, step, key, channel = self._reachable(place, entry, rows, step, key, capped=True)
                rows, step, key, channel = self._limited(place, entry, rows, step, key, channel)
            self._give(place, entry, rows, step, key, channel)
        return self.messages.codes(self.time_of), self.held.codes(self.time_of)

    def _hold(self, place: int, rows: Rows, by: str, step: Any = 0, **more: Any) -> None:
        self.held.add(rows, place, by=_BY[by], step=step, **more)

    def _due(self, place: int, entry: Entry) -> tuple[Rows, Any, IntArray]:
        if isinstance(entry, Chain):
            return self._due_step(place, entry)
        due = self._in_time(entry)
        if due is not None and not due.any():
            return np.empty(0, dtype=np.int64), 0, np.empty(0, dtype=np.int64)
        who = self.truth(entry.who)
        due = who if due is None else due if who is None else due & who
        messages = self.sent.of_campaign(place)
        last = self.sent.last_of(messages, self.n)
        key = np.where(last == NONE, -1, last)
        if entry.trigger is not None:
            trigger = self.latest(entry.trigger)
            fresh = (trigger > last) & (trigger != NONE)
            due = fresh if due is None else due & fresh
            key = trigger
        rows = np.arange(self.n) if due is None else np.flatnonzero(due)
        if entry.times is not None:
            spent = np.bincount(self.sent.row[messages], minlength=self.n)[rows] >= entry.times
            self._hold(place, rows[spent], "times")
            rows = rows[~spent]
        if entry.once:
            had = last[rows] != NONE
            self._hold(place, rows[had], "again")
            rows = rows[~had]
        elif entry.wait is not None:
            had = last[rows] != NONE
            until = np.where(had, last[rows] + entry.wait, NONE)
            early = had & (until > self.at(self.now, rows))
            self._hold(place, rows[early], "again", until=until[early])
            rows = rows[~early]
        return rows, 0, key[rows]

    def _in_time(self, entry: Campaign) -> BoolArray | None:
        """Return for whom the campaign runs; None means everybody."""
        if entry.start is None and entry.end is None:
            return None
        runs = []
        for clock in self.clocks:
            start, end = (moment_in(one, clock.zone) for one in (entry.start, entry.end))
            runs.append((start is None or start <= clock.at) and (end is None or clock.at < end))
        if len(runs) == 1:
            return None if runs[0] else np.zeros(self.n, dtype=np.bool_)
        return np.array(runs, dtype=np.bool_)[self.zone_of] if runs else None

    def _due_step(self, place: int, chain: Chain) -> tuple[Rows, Any, IntArray]:
        begin = self._pass(chain)
        rows = np.flatnonzero(begin != NONE)
        begin, now = begin[rows], self.time_of(rows)
        messages = self.sent.of_campaign(place)
        which = self.sent.is_text("step", [step.name for step in chain.steps], messages)
        waiting = np.ones(len(rows), dtype=np.bool_)  # no step before is open
        chosen = np.full(len(rows), -1, dtype=np.int16)
        late = chain.lateness
        for number, (step, after) in enumerate(zip(chain.steps, chain.afters, strict=True)):
            logged = self.sent.last_of(messages[which == number], self.n)[rows] >= begin
            opens = begin + after
            over = np.full(len(rows), NEVER) if late is None else opens + late
            waiting &= logged | (now >= opens)
            missed = waiting & ~logged & (now >= over)
            if late is not None:
                self._missed(place, number, step.when, rows, missed & (now < over + late), over)
            inside = waiting & ~logged & (now < over)
            if inside.any():
                when = self.truth(step.when)
                chosen[inside if when is None else inside & when[rows]] = number
                waiting &= ~inside
        # one step of a chain at an instant, so that a second evaluation finds nothing new
        due = (chosen >= 0) & (self.sent.last_of(messages, self.n)[rows] != now)
        return rows[due], chosen[due], begin[due]

    def _pass(self, chain: Chain) -> IntArray:
        """Return the start of each person's pass that no `until` event has ended, or `NONE`."""
        starts = self._events(chain.starts)
        none = np.empty(0, dtype=np.int64)
        stops = [(none, none)] * len(starts) if chain.until is None else self._events(chain.until)
        begin = np.full(self.n, NONE)
        for (who, when), (stopped, until) in zip(starts, stops, strict=True):
            found = last_passes(who, when, stopped, until, self.n, chain.span, restart=chain.restart)
            last = np.full(self.n, NONE)
            last[stopped] = until
            found[(last > found) & (last != NONE)] = NONE
            begin = np.where(found != NONE, found, begin)
        return begin

    def _missed(
        self, place: int, number: int, when: Expression | None, rows: Rows, listed: BoolArray, over: IntArray
    ) -> None:
        """List the steps that were missed, but not those whose `when` was false when their time ended."""
        if self.held_out is not None:
            listed = listed & ~self.held_out[rows]
        if not listed.any():
            return
        chosen = rows[listed]
        if when is not None:
            clock = np.array(np.broadcast_to(np.asarray(self.now, dtype=np.int64), self.n))
            clock[chosen] = over[listed] - 1
            then = AsOf(clock, np.zeros(self.n, dtype=np.bool_), self.base.tz)
            chosen = chosen[base_scope(self.base, then, shared={}).truth(when).true[chosen]]
        self._hold(place, chosen, "missed", step=number)

    # What holds them

    def _let_through(
        self, place: int, entry: Entry, rows: Rows, step: Any, key: IntArray
    ) -> tuple[Rows, Any, IntArray]:
        """Return the people who are not held by the holdout, the hours, the gap or a campaign with priority."""
        policy = self.policy

        def drop(out: BoolArray, by: str, **more: Any) -> None:
            nonlocal rows, step, key
            if out.any():
                picked = {name: value[out] if isinstance(value, np.ndarray) else value for name, value in more.items()}
                self._hold(place, rows[out], by, step=_part(step, out), **picked)
                rows, step, key = rows[~out], _part(step, ~out), key[~out]

        if self.held_out is not None:
            until = np.array(np.broadcast_to(self.by_zone_holdout(rows), len(rows)))
            drop(self.held_out[rows], "holdout", until=until)
        if policy.quiet is not None:
            ends = self.by_zone([clock.quiet_until(policy.quiet) or NONE for clock in self.clocks])
            until = np.array(np.broadcast_to(np.asarray(self.at(ends, rows)), len(rows)))
            drop(until != NONE, "quiet", until=until)
        if entry.hour is not None and len(rows):
            until = self._hours(entry.hour, rows)
            drop(until != NONE, "hour", until=until)
        if self.last_counted is not None:
            until = self.last_counted[rows] + policy.gap_size
            early = (self.last_counted[rows] != NONE) & (until > self.at(self.now, rows))
            drop(early, "gap", until=until)
        behind = self.given[rows] >= policy.at_most
        drop(behind, "behind", ahead=self.first[rows])
        return rows, step, key

    def by_zone_holdout(self, rows: Rows) -> Any:
        """Return when the holdout ends: at the start of its next period, or never."""
        holdout = self.policy.holdout
        assert holdout is not None
        return self.at(self.by_zone([holdout_turn(holdout, clock.at) for clock in self.clocks]), rows)

    def _hours(self, hour: Expression, rows: Rows) -> IntArray:
        """Return when the hour of each person comes; `NONE` if it is now or they have none."""
        own = self.scope.column(hour).numbers()[rows]
        good = np.isfinite(own) & (own >= 0) & (own < 24)
        number = np.where(good, own, 0).astype(np.int64)
        table = np.array([[clock.hour_begins(k) or NONE for k in range(24)] for clock in self.clocks], dtype=np.int64)
        return np.where(good, table[self.zone_of[rows], number], NONE)

    def _reachable(
        self, place: int, entry: Entry, rows: Rows, step: Any, key: IntArray, *, capped: bool
    ) -> tuple[Rows, Any, IntArray, npt.NDArray[np.int16]]:
        """Return the people for whom a channel is open and below its caps, and which channel it is."""
        chosen = np.full(len(rows), -1, dtype=np.int16)
        any_open = np.zeros(len(rows), dtype=np.bool_)
        places = {name: k for k, name in enumerate(self.policy.channels)}
        rooms: list[tuple[str, BoolArray, BoolArray]] = []
        for name in entry.channels if len(rows) else ():
            is_open = self._is_open(name, transactional=entry.transactional)[rows]
            any_open |= is_open
            room = is_open.copy()
            for cap, count in zip(self.policy.caps, self.count, strict=True) if capped else ():
                if cap.holds(entry.name, entry.category, name):
                    room &= count[rows] < cap.n
            rooms.append((name, is_open, room))
        if self.preferred is not None:
            for name, _, room in rooms:
                chosen[room & (self.preferred[rows] == places[name])] = places[name]
        for name, _, room in rooms:
            chosen[room & (chosen < 0)] = places[name]
        shut = ~any_open
        self._hold(place, rows[shut], "no_channel", step=_part(step, shut))
        full = any_open & (chosen < 0)
        if full.any():
            until = self._room_again(entry, rows[full], [(name, is_open[full]) for name, is_open, _ in rooms])
            self._hold(place, rows[full], "cap", step=_part(step, full), until=until)
        found = chosen >= 0
        return rows[found], _part(step, found), key[found], chosen[found]

    def _is_open(self, name: str, *, transactional: bool) -> BoolArray:
        found = self.open.get((name, transactional))
        if found is None:
            rule = self.policy.condition(name, transactional=transactional)
            true = self.truth(rule)
            found = self.open[name, transactional] = np.ones(self.n, dtype=np.bool_) if true is None else true
        return found

    def _room_again(self, entry: Entry, rows: Rows, opens: list[tuple[str, BoolArray]]) -> IntArray:
        """Return when the first open channel of each person falls below its caps again."""
        best = np.full(len(rows), NEVER)
        known: dict[int, IntArray] = {}
        for name, is_open in opens:
            until = np.full(len(rows), NONE)
            for number, cap in enumerate(self.policy.caps):
                if cap.holds(entry.name, entry.category, name):
                    if number not in known:
                        known[number] = self._room_of(number, cap, rows)
                    until = np.maximum(until, known[number])
            best = np.where(is_open, np.minimum(best, until), best)
        return best

    def _room_of(self, number: int, cap: Cap, rows: Rows) -> IntArray:
        """Return when a cap allows messages to some people again; `NONE` if it does now."""
        extra = self.count[number][rows] - cap.n  # the place of the message that has to leave first
        blocked = extra >= 0
        if cap.per is not None:
            ends = self.by_zone([clock.period_end(cap.per) for clock in self.clocks])
            return np.where(blocked, self.at(ends, rows), NONE)
        assert cap.size is not None
        inside = self._inside(cap, self.windows[number])
        wanted = np.zeros(self.n, dtype=np.bool_)
        wanted[rows] = True
        inside = inside[wanted[self.sent.row[inside]]]
        order = np.argsort(self.sent.row[inside], kind="stable")
        who, when = self.sent.row[inside][order], self.sent.time[inside][order]
        first, stop = np.searchsorted(who, rows), np.searchsorted(who, rows, side="right")
        place = first + np.maximum(extra, 0)
        logged = place < stop
        time = np.where(logged, np.append(when, 0)[np.where(logged, place, len(when))], self.at(self.now, rows))
        return np.where(blocked, time + cap.size, NONE)

    def _limited(
        self, place: int, entry: Entry, rows: Rows, step: Any, key: IntArray, channel: npt.NDArray[np.int16]
    ) -> tuple[Rows, Any, IntArray, npt.NDArray[np.int16]]:
        """Return the best people, as many as a limit still allows."""
        if entry.limit is None:
            return rows, step, key, channel
        left = max(entry.limit - len(self.sent.of_campaign(place)), 0)
        if len(rows) <= left:
            return rows, step, key, channel
        ids = self.base.customer_id[rows]
        value = np.zeros(len(rows)) if entry.best_by is None else self.scope.column(entry.best_by).numbers()[rows]
        bucket = hash_buckets(ids, role_seed("sample", f"{self.policy.name}/{entry.name}"))
        order = np.lexsort((ids, bucket, -np.where(np.isnan(value), -np.inf, value)))
        kept = np.zeros(len(rows), dtype=np.bool_)
        kept[order[:left]] = True
        self._hold(place, rows[~kept], "limit", step=_part(step, ~kept))
        return rows[kept], _part(step, kept), key[kept], channel[kept]

    def _give(
        self, place: int, entry: Entry, rows: Rows, step: Any, key: IntArray, channel: npt.NDArray[np.int16]
    ) -> None:
        arm = self._arms(entry, rows, step)
        self.messages.add(rows, place, step=step, channel=channel, arm=arm, key=key)
        if not entry.counted:
            return
        self.given[rows] += 1
        first = rows[self.first[rows] < 0]
        self.first[first] = place
        for cap, count in zip(self.policy.caps, self.count, strict=True):
            for name in entry.channels:
                if cap.holds(entry.name, entry.category, name):
                    on = channel == list(self.policy.channels).index(name)
                    count[rows[on]] += 1

    def _arms(self, entry: Entry, rows: Rows, step: Any) -> npt.NDArray[np.int8]:
        """Return the arm of each message; control and step control are drawn by hashes of the id."""
        arm = np.zeros(len(rows), dtype=np.int8)
        ids = self.base.customer_id[rows]
        if not len(rows):
            return arm
        if isinstance(entry, Chain) and entry.step_control is not None:
            drawn = entry.arms_of(entry.step_control)
            for number, one in enumerate(entry.steps):
                here = np.flatnonzero(step == number)
                if len(here):
                    out = drawn.codes(hash_buckets(ids[here], entry.seed_of(one))) == 0
                    arm[here[out]] = 2
        if entry.control is not None:
            drawn = entry.arms_of(entry.control)
            arm[drawn.codes(hash_buckets(ids, entry.salt or entry.name)) == 0] = 1
        return arm


def _part(step: Any, mask: BoolArray) -> Any:
    return step[mask] if isinstance(step, np.ndarray) else step


def moment_in(moment: Any, zone: Zone) -> int | None:
    """Return a start or an end as an instant; a date begins at midnight in the zone."""
    if moment is None:
        return None
    return int(read_instant(moment, tz=zone.name)[0])


def holdout_turn(holdout: Any, at: int) -> int:
    """Return when a holdout changes its members; `NONE` if it never does."""
    if holdout.period is None:
        return NONE
    return LocalClock(at, Zone(holdout.tz)).period_end(holdout.period)


def evaluate_everybody(policy: ContactPolicy, base: CustomerBase, moment: AsOf) -> tuple[Codes, Codes]:
    """Return the messages and the holds of a policy for a base."""
    return _Evaluation(policy, base, moment).run()
