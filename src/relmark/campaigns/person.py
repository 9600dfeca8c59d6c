"""A policy for one person, in pure Python: the same answer as `everybody`, and when it changes if nothing happens.

Every check returns its result and an instant until which it certainly stays the same. The whole answer stays the same
until the earliest of these instants. There it is computed again, and the first answer that differs is the next change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from relmark.campaigns.campaign import Campaign, Chain, Entry
from relmark.campaigns.caps import Cap
from relmark.campaigns.contact_plan import ARMS, HELD
from relmark.campaigns.everybody import holdout_turn, moment_in
from relmark.campaigns.local_clock import LocalClock
from relmark.campaigns.passes import NONE, last_pass
from relmark.campaigns.sent import SENT, WITHHELD
from relmark.core.errors import InputError
from relmark.core.hashing import bucket_of
from relmark.core.time import aware
from relmark.expressions.next_change import horizon
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import EventsOf, Person, Program, events_of, program_of
from relmark.expressions.scalar_calendar import NEVER, Dated, Zone

if TYPE_CHECKING:
    from relmark.campaigns.policy import ContactPolicy

__all__ = ["Answer", "Hold", "Logged", "PolicyProgram", "Send", "logged_of"]

_BY = {name: code for code, name in enumerate(HELD)}


@attrs.frozen
class Logged:
    """One message of the log."""

    time: int
    campaign: int
    step: str | None
    channel: str | None
    category: str | None
    counted: bool
    name: str | None


@attrs.frozen
class Send:
    """A message that is due: positions in the policy."""

    entry: int
    step: int
    channel: str
    arm: int
    key: int
    limited: bool


@attrs.frozen
class Hold:
    """A message that is held."""

    entry: int
    step: int
    by: str
    until: int
    ahead: int


@attrs.frozen
class Answer:
    """A policy's answer for one person at an instant."""

    sends: tuple[Send, ...]
    holds: tuple[Hold, ...]


def _text(properties: Any, name: str) -> str | None:
    value = properties.get(name)
    return value if isinstance(value, str) else None


def logged_of(policy: ContactPolicy, person: Person) -> list[Logged]:
    """Return the messages of a person in order of time."""
    found = []
    for type_name in (SENT, WITHHELD):
        times, rows = person.events(type_name)
        for time, row in zip(times, rows, strict=True):
            name = _text(row.properties, "campaign")
            place = policy._places.get(name, -1)  # noqa: SLF001  (of this package)
            entry = policy.campaigns[place] if place >= 0 else None
            category = _text(row.properties, "category") or (None if entry is None else entry.category)
            found.append(
                Logged(time, place, _text(row.properties, "step"), _text(row.properties, "channel"), category,
                       entry is None or entry.counted, name)
            )  # fmt: skip
    found.sort(key=lambda one: one.time)
    return found


class _State:
    """The state of one answer: the clock, what the person has received, and what this answer plans."""

    __slots__ = ("at", "clock", "given", "here", "marks", "now", "sent", "who")

    def __init__(self, who: Person, sent: list[Logged], at: int, zone: Zone, *, marked: bool) -> None:
        self.who = who
        self.sent = sent
        self.at = at
        self.now = int(at)
        self.clock = LocalClock(self.now, zone)
        self.given: list[tuple[Entry, str]] = []
        self.here = [one for one in sent if one.time == self.now and one.counted]
        self.marks: list[int] | None = [] if marked else None

    def mark(self, until: int | None) -> None:
        """Note that what was just checked stays the same up to an instant; None means for ever."""
        if self.marks is not None and until is not None and until != NONE:
            self.marks.append(until)


class _Rule:
    """A rule or another expression, and until when its value stays the same."""

    __slots__ = ("program",)

    def __init__(self, expression: Expression, tz: str) -> None:
        self.program: Program = program_of(expression, tz)

    def holds(self, state: _State) -> bool:
        """Return whether the rule is true."""
        if state.marks is not None:
            state.mark(self.program.next_change(state.who, state.at))
        return self.program.verdict(state.who, state.at) is True

    def value(self, state: _State) -> Any:
        """Return the value."""
        if state.marks is not None:
            state.mark(self.program.changes().value(self.program.expression, state.who, state.at))
        return self.program.value(state.who, state.at)


class _Entry:
    """A campaign or chain, compiled for one zone."""

    def __init__(self, entry: Entry, place: int, tz: str) -> None:
        self.entry = entry
        self.place = place
        self.hour = None if entry.hour is None else _Rule(entry.hour, tz)
        self.control = None if entry.control is None else entry.arms_of(entry.control)
        self.bucket: Callable[[Any], int] = bucket_of(entry.salt or entry.name)
        if isinstance(entry, Chain):
            self.starts: EventsOf = events_of(entry.starts, tz=tz)
            self.until = None if entry.until is None else events_of(entry.until, tz=tz)
            self.whens = [None if step.when is None else _Rule(step.when, tz) for step in entry.steps]
            self.step_control = None if entry.step_control is None else entry.arms_of(entry.step_control)
            self.step_buckets = [bucket_of(entry.seed_of(step)) for step in entry.steps]
        else:
            self.who = None if entry.who is None else _Rule(entry.who, tz)
            self.trigger = None if entry.trigger is None else events_of(entry.trigger, tz=tz)

    def arm(self, customer_id: int | str, step: int) -> int:
        """Return the arm of a message, as a position in `ARMS`."""
        if self.control is not None and self.control.of_bucket(self.bucket(customer_id)) == "control":
            return ARMS.index("control")
        if isinstance(self.entry, Chain) and self.step_control is not None:
            drawn = self.step_control.of_bucket(self.step_buckets[step](customer_id))
            return ARMS.index("step control") if drawn == "control" else 0
        return 0


class PolicyProgram:
    """A policy compiled for the people of one time zone."""

    def __init__(self, policy: ContactPolicy, tz: str) -> None:
        self.policy = policy
        self.zone = Zone(tz)
        self.entries = [_Entry(entry, place, tz) for place, entry in enumerate(policy.campaigns)]
        self.prefer = None if policy.prefer is None else _Rule(policy.prefer, tz)
        self.conditions: dict[tuple[str, bool], _Rule | None] = {}
        for name in policy.channels:
            for transactional in (False, True):
                rule = policy.condition(name, transactional=transactional)
                self.conditions[name, transactional] = None if rule is None else _Rule(rule, tz)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the policy, and compile it again when it is unpickled."""
        return PolicyProgram, (self.policy, self.zone.name)

    def answer(self, who: Person, sent: list[Logged], at: int, *, marked: bool = False) -> tuple[Answer, int]:
        """Return the answer at an instant and, if `marked`, until when everything it depends on stays the same."""
        state = _State(who, sent, at, self.zone, marked=marked)
        sends: list[Send] = []
        holds: list[Hold] = []
        held_out = self._holdout(state)
        for compiled in self.entries:
            found = self._step_due(compiled, state, holds, held_out) if compiled.entry.steps else self._due(
                compiled, state, holds)  # fmt: skip
            if found is None:
                continue
            step, key = found
            self._ask(compiled, step, key, state, sends, holds, held_out)
        marks = state.marks or []
        return Answer(tuple(sends), tuple(holds)), min((one for one in marks if one > state.now), default=NEVER)

    def next_change(self, who: Person, sent: list[Logged], at: int) -> int | None:
        """Return when the answer changes if nothing happens; None for never."""
        first, until = self.answer(who, sent, at, marked=True)
        start = int(at)
        if at.__class__ is Dated:
            again, until = self.answer(who, sent, start, marked=True)
            if again != first:
                return start
        end = horizon(start)
        while until < end:
            other, following = self.answer(who, sent, until, marked=True)
            if other != first:
                return until
            until = following
        return None

    def _holdout(self, state: _State) -> bool:
        holdout = self.policy.holdout
        if holdout is None:
            return False
        at = None if holdout.period is None else aware(state.now)
        return holdout.holds(_id(state.who), at=at)

    # When it is due

    def _due(self, compiled: _Entry, state: _State, holds: list[Hold]) -> tuple[int, int] | None:
        entry = compiled.entry
        assert isinstance(entry, Campaign)
        start, end = (moment_in(one, self.zone) for one in (entry.start, entry.end))
        if start is not None and state.now < start:
            state.mark(start)
            return None
        if end is not None:
            if state.now >= end:
                return None
            state.mark(end)
        if compiled.who is not None and not compiled.who.holds(state):
            return None
        own = [one.time for one in state.sent if one.campaign == compiled.place]
        last = own[-1] if own else None
        key = -1 if last is None else last
        if compiled.trigger is not None:
            times, _ = compiled.trigger.columns(state.who, state.at)
            if not times or (last is not None and times[-1] <= last):
                return None
            key = times[-1]
        hold: Hold | None = None
        if entry.times is not None and len(own) >= entry.times:
            hold = Hold(compiled.place, 0, "times", NONE, -1)
        elif entry.once and last is not None:
            hold = Hold(compiled.place, 0, "again", NONE, -1)
        elif entry.wait is not None and last is not None and last + entry.wait > state.now:
            hold = Hold(compiled.place, 0, "again", last + entry.wait, -1)
            state.mark(last + entry.wait)
        if hold is not None:
            holds.append(hold)
            return None
        return 0, key

    def _step_due(
        self,
        compiled: _Entry,
        state: _State,
        holds: list[Hold],
        held_out: bool,
    ) -> tuple[int, int] | None:
        chain = compiled.entry
        assert isinstance(chain, Chain)
        starts, _ = compiled.starts.columns(state.who, state.at)
        until: list[int] = [] if compiled.until is None else compiled.until.columns(state.who, state.at)[0]
        begin = last_pass(starts, until, chain.span, restart=chain.restart)
        if begin is None or (until and until[-1] > begin):
            return None
        own = [one for one in state.sent if one.campaign == compiled.place]
        done = {one.step for one in own if one.time >= begin}
        late = chain.lateness
        for number, (step, after) in enumerate(zip(chain.steps, chain.afters, strict=True)):
            if step.name in done:
                continue
            opens = begin + after
            over = NEVER if late is None else opens + late
            if state.now < opens:
                state.mark(opens)
                return None
            when = compiled.whens[number]
            if state.now >= over:
                if late is not None and state.now < over + late and not held_out:
                    state.mark(over + late)
                    if when is None or when.program.verdict(state.who, over - 1) is True:
                        holds.append(Hold(compiled.place, number, "missed", NONE, -1))
                continue
            if any(one.time == state.now for one in own):
                state.mark(state.now + 1)  # one step at an instant, so that asking again finds nothing new
                return None
            state.mark(over)
            return (number, begin) if when is None or when.holds(state) else None
        return None

    # What holds it

    def _ask(
        self, compiled: _Entry, step: int, key: int, state: _State, sends: list[Send], holds: list[Hold],
        held_out: bool,
    ) -> None:  # fmt: skip
        entry = compiled.entry

        def hold(by: str, until: int = NONE, ahead: int = -1) -> None:
            holds.append(Hold(compiled.place, step, by, until, ahead))

        if not entry.transactional:
            found = self._let_through(compiled, state, held_out)
            if found is not None:
                hold(*found)
                return
        channel, by, until = self._channel(entry, state)
        if channel is None:
            hold(by, until)
            return
        arm = compiled.arm(_id(state.who), step)
        sends.append(Send(compiled.place, step, channel, arm, key, entry.limit is not None))
        if entry.counted:
            state.given.append((entry, channel))

    def _let_through(self, compiled: _Entry, state: _State, held_out: bool) -> tuple[Any, ...] | None:
        policy = self.policy
        if policy.holdout is not None:
            turn = holdout_turn(policy.holdout, state.now)
            state.mark(turn)
            if held_out:
                return "holdout", turn
        if policy.quiet is not None:
            quiet = state.clock.quiet_until(policy.quiet)
            if quiet is not None:
                state.mark(quiet)
                return "quiet", quiet
            if state.marks is not None:
                state.mark(state.clock.quiet_next(policy.quiet))
        if compiled.hour is not None:
            own = compiled.hour.value(state)
            if isinstance(own, (int, float)) and not isinstance(own, bool) and 0 <= own < 24:
                comes = state.clock.hour_begins(int(own))
                if comes is not None:
                    state.mark(comes)
                    return "hour", comes
                if state.marks is not None:
                    state.mark(state.clock.hour_ends(int(own)))
        if policy.gap is not None:
            last = max((one.time for one in state.sent if one.counted), default=None)
            if last is not None and last + policy.gap_size > state.now:
                state.mark(last + policy.gap_size)
                return "gap", last + policy.gap_size
        if len(state.given) + len(state.here) >= policy.at_most:
            return "behind", NONE, self._ahead(state)
        return None

    def _ahead(self, state: _State) -> int:
        if state.here:
            codes = [one.campaign if one.campaign >= 0 else len(self.policy.campaigns) for one in state.here]
            return min(codes)
        return self.policy._places[state.given[0][0].name]  # noqa: SLF001  (of this package)

    def _channel(self, entry: Entry, state: _State) -> tuple[str | None, str, int]:
        """Return the channel that reaches the person, or None with what holds the message and until when."""
        names = list(entry.channels)
        if self.prefer is not None:
            own = self.prefer.value(state)
            if own is not None and not isinstance(own, str):
                raise InputError(
                    f"prefer gives {own!r}; it must give the name of a channel.", argument="prefer", code="wrong_type"
                )
            names.sort(key=lambda name: name != own)
        best, any_open = NEVER, False
        for name in names:
            rule = self.conditions[name, entry.transactional]
            if rule is not None and not rule.holds(state):
                continue
            any_open = True
            until = NONE
            for cap in () if entry.transactional else self.policy.caps:
                if cap.holds(entry.name, entry.category, name):
                    until = max(until, self._room_again(cap, state))
            if until == NONE:
                return name, "", NONE
            state.mark(until)
            best = min(best, until)
        return (None, "cap", best) if any_open else (None, "no_channel", NONE)

    def _room_again(self, cap: Cap, state: _State) -> int:
        """Return when a cap allows a message again; `NONE` if it does now."""
        low = state.now - cap.size if cap.size is not None else state.clock.period_start(str(cap.per)) - 1
        inside = [
            one.time
            for one in state.sent
            if one.time > low and one.counted and cap.holds(one.name or "", one.category, one.channel)
        ]
        given = sum(cap.holds(entry.name, entry.category, channel) for entry, channel in state.given)
        extra = len(inside) + given - cap.n
        if extra < 0:
            return NONE
        if cap.size is None:
            return state.clock.period_end(str(cap.per))
        return (inside[extra] if extra < len(inside) else state.now) + cap.size


def _id(who: Person) -> int | str:
    if who.id is None:
        raise InputError(
            "a policy needs the id of the person, but neither a customer nor an event is given: pass one of them.",
            argument="customer",
            code="missing_argument",
        )
    return who.id
