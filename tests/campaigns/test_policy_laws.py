"""What holds of every contact policy: columns, one person and a slow obvious reading agree, and so on."""

from __future__ import annotations

import itertools
import runpy
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, event, hours
from relmark.campaigns import Chain, ContactPolicy, Step

_NAIVE = runpy.run_path(str(Path(__file__).parent / "naive_policy.py"))
_MADE = runpy.run_path(str(Path(__file__).parent / "random_policies.py"))
answer, inside, logged = (_NAIVE[name] for name in ("answer", "inside", "logged"))
AROUND, ZONES, people, policies = (_MADE[name] for name in ("AROUND", "ZONES", "people", "policies"))
INSTANTS = st.integers(0, 4 * 24 * 3).map(lambda n: timedelta(minutes=15 * n))
FIELDS = ("age", "vip", "hour", "best", "zone")


def base_of(found, tz, *, zoned):
    columns = {name: [who.attributes[name] for who, _ in found.values()] for name in FIELDS}
    columns["vip"] = [None if value is None else bool(value) for value in columns["vip"]]
    events = [one for _, own in found.values() for one in own]
    table = CustomerTable.from_columns(customer_id=list(found), **columns)
    if all(value is None for value in columns["zone"]):
        zoned = False
    return CustomerBase(customers=table, events=EventLog.from_events(events), tz=tz, zone="zone" if zoned else None)


def zone_of(who, tz, *, zoned):
    return (who.attributes["zone"] or tz) if zoned else tz


def in_bulk(plan):
    sends, held = {}, {}
    for who, *rest in zip(plan.customer_id, plan.campaign, plan.step, plan.channel, plan.arm, strict=True):
        sends.setdefault(str(who), []).append(tuple(map(str, rest)))
    one = plan.held
    for who, campaign, step, by, until, words in zip(
        one.customer_id, one.campaign, one.step, one.by, one.until, one.words, strict=True
    ):
        held.setdefault(str(who), []).append((str(campaign), str(step), str(by), until.item(), str(words)))
    return sends, held


def of_one(one):
    sends = [(m.campaign, m.step, m.channel, m.arm) for m in one.messages]
    held = [
        (m.campaign, m.step, m.by, None if m.until is None else m.until.replace(tzinfo=None), m.words) for m in one.held
    ]
    return sends, held


def order_of(policy, held):
    """Holds in the order of priority: several of one chain may come before what it holds now."""
    place = {one.name: k for k, one in enumerate(policy.campaigns)}
    return sorted(held, key=lambda one: (place[one[0]], one[1], one[2]))


@st.composite
def worlds(draw, *, limits=False):
    around = draw(st.sampled_from(AROUND))
    return (draw(policies(limits=limits)), draw(people(around)), around + draw(INSTANTS), draw(st.sampled_from(ZONES)),
            draw(st.booleans()))  # fmt: skip


@given(worlds(), st.booleans())
def test_columns_and_one_person_and_the_slow_reading_agree(world, dated):
    policy, found, at, tz, zoned = world
    base = base_of(found, tz, zoned=zoned)
    zoned = base.zone is not None
    as_of = at.astimezone(ZoneInfo(tz)).date() if dated else at
    sends, held = in_bulk(policy.evaluate(base, as_of=as_of))
    for who, events in found.values():
        home = zone_of(who, tz, zoned=zoned)
        one = policy.one(who, events, as_of=as_of, tz=home)
        mine, waiting = of_one(one)
        assert sends.get(who.id, []) == mine
        assert order_of(policy, held.get(who.id, [])) == order_of(policy, waiting)
        assert of_one(policy.explain(base, who.id, as_of=as_of)) == (mine, waiting)
        if not dated:
            expected, holds = answer(policy, who, events, at, home)
            assert mine == expected
            assert [hold[:3] for hold in waiting] == [hold[:3] for hold in holds]
            for (*_, until, _), hold in zip(waiting, holds, strict=True):
                if hold[3] is not None and hold[3] is not ...:
                    assert until == hold[3].replace(tzinfo=None)


@given(worlds(limits=True))
def test_asked_again_after_the_events_were_appended_nothing_is_new(world):
    policy, found, at, tz, zoned = world
    base = base_of(found, tz, zoned=zoned)
    plan = policy.evaluate(base, as_of=at)
    again = policy.evaluate(base, as_of=at)
    assert in_bulk(again) == in_bulk(plan)
    assert again.to_events().to_columns().keys() == plan.to_events().to_columns().keys()
    later = policy.evaluate(base, as_of=at, pending=plan.to_events())
    marketing = {one.name for one in policy.campaigns}
    assert not set(later.campaign.tolist()) & marketing
    ids = plan.to_events().to_columns().get("message_id", [])
    assert len(set(ids)) == len(ids)


@pytest.mark.long
@given(worlds(), st.lists(INSTANTS, min_size=8, max_size=8))
def test_before_the_next_change_the_answer_stays_and_there_it_is_another(world, probes):
    policy, found, at, tz, _ = world
    for who, events in list(found.values())[:2]:
        seen = [one for one in events if one.time <= at]
        one = policy.one(who, seen, as_of=at, tz=tz)
        first = of_one(one)
        change = one.next_change
        if change is not None:
            assert change > at
            assert of_one(policy.one(who, seen, as_of=change, tz=tz)) != first
            before = change - timedelta(microseconds=1)
            assert of_one(policy.one(who, seen, as_of=max(before, at), tz=tz)) == first
        for probe in probes:
            moment = at + probe / 3
            if change is None or moment < change:
                assert of_one(policy.one(who, seen, as_of=moment, tz=tz)) == first


@pytest.mark.long
@given(worlds(limits=True), st.sampled_from([1, 5, 12]))
def test_no_window_of_any_cap_ever_holds_more_and_no_gap_is_broken(world, hours):
    policy, found, at, tz, zoned = world
    found = {key: (who, [e for e in own if not e.type.startswith("message")]) for key, (who, own) in found.items()}
    base = base_of(found, tz, zoned=zoned)
    zoned = base.zone is not None
    replay = policy.replay(base, start=at, end=at + timedelta(days=2), every=timedelta(hours=hours))
    table = replay.messages
    known = {one.name: one for one in policy.campaigns}
    for who, _own in found.values():
        home = zone_of(who[0] if isinstance(who, tuple) else who, tz, zoned=zoned)
        mine = table["customer_id"] == who.id
        log = [
            (time.item().replace(tzinfo=ZoneInfo("UTC")), str(name), str(step), str(channel), known[str(name)].category,
             not known[str(name)].transactional or known[str(name)].counts)
            for time, name, step, channel in zip(*(table[key][mine] for key in ("time", "campaign", "step", "channel")),
                                                 strict=True)
        ]  # fmt: skip
        marketing = [m for m in log if not known[m[1]].transactional]
        for cap in policy.caps:
            for m in marketing:
                if all(
                    want is None or want == got
                    for want, got in ((cap.campaign, m[1]), (cap.category, m[4]), (cap.channel, m[3]))
                ):
                    here = [
                        x
                        for x in log
                        if x[5]
                        and x[0] <= m[0]
                        and inside(cap, x, m[0], home)
                        and all(
                            want is None or want == got
                            for want, got in ((cap.campaign, x[1]), (cap.category, x[4]), (cap.channel, x[3]))
                        )
                    ]
                    # transactional messages that count may come beside, and pass caps themselves
                    counted = [x for x in here if not known[x[1]].transactional or x[0] < m[0]]
                    transactional = sum(known[x[1]].transactional for x in counted)
                    assert len(counted) <= cap.n or transactional
        if policy.gap is not None:
            times = sorted({m[0] for m in marketing})
            assert all(b - a >= policy.gap for a, b in itertools.pairwise(times))
        for entry in policy.campaigns:
            if entry.limit is not None:
                assert (table["campaign"] == entry.name).sum() <= entry.limit
    assert logged(policy, [], at) == []


@given(policies(limits=True))
def test_a_policy_comes_back_from_json_as_it_was(policy):
    again = ContactPolicy.from_json(policy.to_json())
    assert again == policy
    assert again.fingerprint == policy.fingerprint
    assert again.to_json() == policy.to_json()
    checked = ContactPolicy.check(policy.to_json())
    assert checked.problems == ()
    assert checked.definition == policy


@given(worlds())
def test_what_a_policy_needs_is_enough(world):
    policy, found, at, tz, _ = world
    needs = policy.needs()
    for who, events in found.values():
        kept = needs.keep(events, at, tz=tz)
        fewer = type(who)(who.id, {key: value for key, value in who.attributes.items() if key in needs.fields})
        assert of_one(policy.one(fewer, kept, as_of=at, tz=tz)) == of_one(policy.one(who, events, as_of=at, tz=tz))


def test_a_missed_step_is_judged_by_what_was_seen_before_it_was_too_late():
    chain = Chain("c", starts=event("signup"), channels=["email"], late=hours(37),
                  steps=[Step("s", when=event("visit").exists(within=hours(30)))])  # fmt: skip
    policy = ContactPolicy("p", channels={"email": None}, campaigns=[chain])
    events = [Event("a", "signup", "2026-03-25T00:00Z"), Event("a", "visit", "2026-03-25T07:00Z")]
    at = "2026-03-27T12:00Z"  # over at 13:00 the day before; the visit is 53 hours ago
    assert policy.needs().horizon_of("visit") == hours(67)
    kept = policy.needs().keep(events, at)
    assert len(kept) == 2
    for known in (events, kept):
        assert [held.by for held in policy.one(Customer("a"), known, as_of=at).held] == ["missed"]
