"""A contact policy read slowly and in the obvious way: one person, one list of events, wall clocks of `zoneinfo`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from relmark.campaigns import Chain
from relmark.core.assignment import role_seed
from relmark.core.hashing import hash_fraction
from relmark.segmentation import Segment

MINUTE = timedelta(minutes=1)


def holds(rule, customer, events, at, tz):
    """A rule is true of a person: what a segment of it says."""
    return rule is None or Segment("x", rule).one(customer, events, as_of=at, tz=tz).member


def chosen(selection, events, at):
    """The times of a selection by type alone: the tests give selections no other condition."""
    return sorted(e.time for e in events if e.type in selection.types and e.time <= at)


def first_instant(wall, tz):
    """The first instant at which the clock shows a wall time, or a later one: by walking in quarters of an hour."""
    zone = ZoneInfo(tz)
    moment = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    while moment.astimezone(zone).replace(tzinfo=None) < wall:
        moment += 15 * MINUTE
    return moment


def quiet_until(quiet, at, tz):
    """The end of the quiet time that an instant is in; quiet times that touch are one."""
    day = at.astimezone(ZoneInfo(tz)).date()
    spans = []
    for k in range(-2, 10):
        begins = day + timedelta(days=k)
        if quiet.weekdays is not None and begins.isoweekday() not in quiet.weekdays:
            continue

        def wall(text, of):
            hour, minute = map(int, text.split(":"))
            return datetime(of.year, of.month, of.day) + timedelta(hours=hour, minutes=minute)

        ends = begins if wall(quiet.end, begins) > wall(quiet.start, begins) else begins + timedelta(days=1)
        spans.append((first_instant(wall(quiet.start, begins), tz), first_instant(wall(quiet.end, ends), tz)))
    until = at
    for begin, end in spans:
        if begin <= until < end:
            until = end
    return until if until > at else None


def local_period(at, unit, tz):
    """The day, week or month of an instant: whatever tells one from another."""
    day = at.astimezone(ZoneInfo(tz)).date()
    return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month)}[unit]


def moment(value, tz):
    if isinstance(value, date) and not isinstance(value, datetime):
        return first_instant(datetime(value.year, value.month, value.day), tz)
    return value


def logged(policy, events, at):
    """The messages up to an instant: time, campaign, step, channel, category, whether they count."""
    known = {one.name: one for one in policy.campaigns}
    found = []
    for e in events:
        if e.type in {"message_sent", "message_withheld"} and e.time <= at:
            p = e.properties
            one = known.get(p.get("campaign"))
            category = p.get("category") or (one.category if one else None)
            counts = one is None or not one.transactional or one.counts
            found.append((e.time, p.get("campaign"), p.get("step"), p.get("channel"), category, counts))
    return sorted(found, key=lambda m: m[0])


def pass_begin(chain, events, at):
    """The start of the pass under way, by going through starts and stops in the order of time."""
    starts, stops = chosen(chain.starts, events, at), [] if chain.until is None else chosen(chain.until, events, at)
    begin = None
    span = chain.steps[-1].after + (chain.late or timedelta(0))
    for start in starts:
        stopped = begin is not None and any(begin < stop <= start for stop in stops)
        if begin is None or chain.restart or stopped or (start >= begin + span and start > begin):
            begin = start
    if begin is None or any(stop > begin for stop in stops):
        return None
    return begin


def due(entry, policy, customer, events, at, tz, log, out):
    """The step that is due, or None; holds of the campaign itself go to `out`."""
    own = [m for m in log if m[1] == entry.name]
    if isinstance(entry, Chain):
        begin = pass_begin(entry, events, at)
        if begin is None:
            return None
        for step in entry.steps:
            if any(m[2] == step.name and m[0] >= begin for m in own):
                continue
            opens = begin + step.after
            if at < opens:
                return None
            if entry.late is not None and at >= opens + entry.late:
                held_out = policy.holdout is not None and policy.holdout.holds(customer.id, at=at)
                last = opens + entry.late - timedelta(microseconds=1)
                if at < opens + 2 * entry.late and not held_out and holds(step.when, customer, events, last, tz):
                    out.append((entry.name, step.name, "missed", None))
                continue
            if any(m[0] == at for m in own):
                return None
            return step.name if holds(step.when, customer, events, at, tz) else None
        return None
    if entry.start is not None and at < moment(entry.start, tz):
        return None
    if entry.end is not None and at >= moment(entry.end, tz):
        return None
    if not holds(entry.who, customer, events, at, tz):
        return None
    last = own[-1][0] if own else None
    if entry.trigger is not None:
        times = chosen(entry.trigger, events, at)
        if not times or (last is not None and times[-1] <= last):
            return None
    if entry.times is not None and len(own) >= entry.times:
        out.append((entry.name, "", "times", None))
        return None
    if entry.again is None and last is not None:
        out.append((entry.name, "", "again", None))
        return None
    if isinstance(entry.again, timedelta) and last is not None and at - last < entry.again:
        out.append((entry.name, "", "again", last + entry.again))
        return None
    return ""


def counts(cap, m):
    return all(
        want is None or want == got for want, got in ((cap.campaign, m[1]), (cap.category, m[4]), (cap.channel, m[3]))
    )


def inside(cap, m, at, tz):
    if cap.within is not None:
        return at - cap.within < m[0] <= at
    return local_period(m[0], cap.per, tz) == local_period(at, cap.per, tz)


def answer(policy, customer, events, at, tz):
    """Messages (campaign, step, channel, arm) and holds (campaign, step, by, until or ...) of one person."""
    log, given, sends, held = logged(policy, events, at), [], [], []
    known = {one.name for one in policy.campaigns}
    for entry in policy.campaigns:
        step = due(entry, policy, customer, events, at, tz, log, held)
        if step is None:
            continue
        if not entry.transactional:
            if policy.holdout is not None and policy.holdout.holds(customer.id, at=at):
                held.append((entry.name, step, "holdout", None))
                continue
            until = None if policy.quiet is None else quiet_until(policy.quiet, at, tz)
            if until is not None:
                held.append((entry.name, step, "quiet", until))
                continue
            if entry.hour is not None:
                own = customer.attributes.get("hour")
                if own is not None and 0 <= own < 24:
                    today = at.astimezone(ZoneInfo(tz)).date()
                    slots = [
                        first_instant(datetime(d.year, d.month, d.day) + timedelta(hours=int(own)), tz)
                        for d in (today + timedelta(days=k) for k in range(-1, 3))
                    ]
                    if not any(s <= at < s + timedelta(hours=1) for s in slots):
                        held.append((entry.name, step, "hour", min(s for s in slots if s > at)))
                        continue
            recent = [m[0] for m in log if m[5]]
            if policy.gap is not None and recent and at - recent[-1] < policy.gap:
                held.append((entry.name, step, "gap", recent[-1] + policy.gap))
                continue
            if len(given) + sum(m[5] and m[0] == at for m in log) >= policy.at_most:
                held.append((entry.name, step, "behind", None))
                continue
        channels = list(entry.channels)
        best = customer.attributes.get("best") if policy.prefer is not None else None
        if best in channels:
            channels = [best, *(c for c in channels if c != best)]
        found, any_open = None, False
        for channel in channels:
            rule = policy.channels[channel]
            if entry.transactional and channel in policy.transactional_channels:
                rule = policy.transactional_channels[channel]
            if not holds(rule, customer, events, at, tz):
                continue
            any_open = True
            room = True
            for cap in () if entry.transactional else policy.caps:
                mine = (at, entry.name, step, channel, entry.category, True)
                if counts(cap, mine):
                    n = sum(counts(cap, m) and inside(cap, m, at, tz) and m[5] for m in log)
                    n += sum(counts(cap, m) for m in given)
                    room &= n < cap.n
            if room:
                found = channel
                break
        if found is None:
            held.append((entry.name, step, "cap" if any_open else "no_channel", ... if any_open else None))
            continue
        arm = "sent"
        if isinstance(entry, Chain) and entry.step_control is not None:
            seed = role_seed("step", entry.salt or entry.name, step)
            arm = "step control" if hash_fraction([customer.id], seed)[0] < entry.step_control else arm
        if entry.control is not None and hash_fraction([customer.id], entry.salt or entry.name)[0] < entry.control:
            arm = "control"
        sends.append((entry.name, step, found, arm))
        if not entry.transactional or entry.counts:
            given.append((at, entry.name, step, found, entry.category, True))
    assert known
    return sends, held
