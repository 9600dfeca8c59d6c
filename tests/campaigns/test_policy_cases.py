"""What users complain of elsewhere, one test each: caps unsaid, messages dropped, nights, orders that turn, bursts."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, event, field, hours
from relmark.campaigns import Campaign, Cap, Chain, ContactPolicy, Holdout, QuietHours, Step, presets
from relmark.errors import InputError, MissingColumnError
from relmark.experiments import TriggerChain

NEWS = Campaign("news", channels=["email"], again=hours(1))
MAIL = {"email": None}


def policy_of(*campaigns, **more):
    return ContactPolicy("p", **{"campaigns": list(campaigns), "channels": MAIL, "gap": None, **more})


def sent(who, time, campaign, **properties):
    given = {"campaign": campaign, "channel": "email", **properties}
    return Event(who, "message_sent", time, properties=given)


def reasons(one):
    return [(held.campaign, held.by) for held in one.held]


def test_a_calendar_day_and_the_last_24_hours_are_two_caps():
    log = [sent("a", "2026-05-04T20:00Z", "other")]
    at = "2026-05-05T08:00Z"
    assert policy_of(NEWS, caps=[Cap(1, per="day")]).one(Customer("a"), log, as_of=at).messages
    held = policy_of(NEWS, caps=[Cap(1, within=days(1))]).one(Customer("a"), log, as_of=at)
    assert reasons(held) == [("news", "cap")]
    assert held.held[0].until == datetime(2026, 5, 5, 20, tzinfo=UTC)
    # exactly a day later it is out of the window
    assert policy_of(NEWS, caps=[Cap(1, within=days(1))]).one(Customer("a"), log, as_of="2026-05-05T20:00Z").messages


def test_a_capped_message_waits_and_is_sent_where_its_condition_still_holds():
    lively = Campaign("lively", who=event("visit").exists(within=days(2)), channels=["email"], again=days(30))
    policy = policy_of(lively, caps=[Cap(1, per="day")])
    log = [sent("a", "2026-05-04T08:00Z", "other"), Event("a", "visit", "2026-05-04T07:00Z")]
    assert reasons(policy.one(Customer("a"), log, as_of="2026-05-04T10:00Z")) == [("lively", "cap")]
    assert policy.one(Customer("a"), log, as_of="2026-05-05T10:00Z").messages
    late = policy.one(Customer("a"), log, as_of="2026-05-06T10:00Z")  # the visit is too old now
    assert (late.messages, late.held) == ((), ())


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        (QuietHours("21:00", "09:00"), "2026-05-04T21:00", "2026-05-05T09:00"),
        (QuietHours("21:00", "09:00"), "2026-05-05T08:59", "2026-05-05T09:00"),
        (QuietHours("21:00", "09:00"), "2026-05-05T09:00", None),
        (QuietHours("21:00", "09:00"), "2026-05-05T20:59", None),
        (QuietHours("13:00", "24:00"), "2026-05-05T23:59", "2026-05-06T00:00"),
        (QuietHours("00:00", "06:00"), "2026-05-05T00:00", "2026-05-05T06:00"),
        # a night belongs to the day on which it begins: Monday's lasts into Tuesday, Tuesday's is not quiet
        (QuietHours("21:00", "09:00", weekdays=[1]), "2026-05-05T03:00", "2026-05-05T09:00"),
        (QuietHours("21:00", "09:00", weekdays=[1]), "2026-05-05T22:00", None),
        (QuietHours("00:00", "24:00", weekdays=[6, 7]), "2026-05-09T12:00", "2026-05-11T00:00"),
    ],
)
def test_quiet_hours_pass_midnight(quiet, at, until):
    found = policy_of(NEWS, quiet=quiet).one(Customer("a"), [], as_of=f"{at}Z")
    assert bool(found.messages) == (until is None)
    if until is not None:
        assert found.held[0].until == datetime.fromisoformat(f"{until}+00:00")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-29T00:30Z", "2026-03-29T01:00Z"),  # quiet to 02:30, which is skipped: the first instant after it
        ("2026-10-25T00:15Z", "2026-10-25T00:30Z"),  # 02:15 the first time: to the earlier 02:30
        ("2026-10-25T01:15Z", None),  # 02:15 the second time
    ],
)
def test_quiet_hours_end_once_when_clocks_change(at, until):
    policy = policy_of(NEWS, quiet=QuietHours("22:00", "02:30"))
    found = policy.one(Customer("a"), [], as_of=at, tz="Europe/Berlin")
    assert [held.until for held in found.held] == ([] if until is None else [datetime.fromisoformat(until)])


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("09:00", "09:00"), "never end"),
        (("24:00", "09:00"), "write '00:00'"),
        (("00:00", "24:00"), "nobody would ever"),
        (("9 pm", "09:00"), "local time from '00:00'"),
        (("21:00", "25:00"), "local time from '00:00'"),
        (("21:60", "09:00"), "local time from '00:00'"),
    ],
)
def test_quiet_hours_that_mean_nothing_are_refused(parts, said):
    with pytest.raises(InputError, match=said):
        QuietHours(*parts)


def test_the_end_of_quiet_hours_brings_no_burst_to_one_person():
    campaigns = [Campaign(f"c{k}", channels=["email"], again=days(30)) for k in range(5)]
    policy = policy_of(*campaigns, quiet=QuietHours("21:00", "09:00"), gap=hours(4))
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1, 2]))
    run = policy.replay(base, start="2026-05-04T22:00Z", end="2026-05-05T22:00Z", every=hours(1))
    for who in (1, 2):
        times = run.messages["time"][run.messages["customer_id"] == who]
        assert len(times) == 3  # at 9, 13 and 17 o'clock
        assert (np.diff(times) >= np.timedelta64(4, "h")).all()


def chain(**more):
    steps = [Step("one"), Step("two", after=days(2)), Step("three", after=days(4))]
    return Chain("chain", **{"starts": event("signup"), "steps": steps, "channels": ["email"], "late": days(1), **more})


def test_people_without_a_start_get_no_chain():
    policy = policy_of(chain())
    found = policy.one(
        Customer("imported"), [Event("imported", "visit", "2026-05-04T08:00Z")], as_of="2026-05-04T09:00Z"
    )
    assert (found.messages, found.held) == ((), ())
    old = policy.one(Customer("a"), [Event("a", "signup", "2025-05-04T08:00Z")], as_of="2026-05-04T09:00Z")
    assert (old.messages, old.held) == ((), ())


def test_a_step_held_too_long_is_missed_and_said_and_the_order_never_turns():
    policy = policy_of(chain(), caps=[Cap(1, within=days(3))])
    events = [Event("a", "signup", "2026-05-01T08:00Z"), sent("a", "2026-05-01T09:00Z", "chain", step="one"),
              sent("a", "2026-05-02T00:00Z", "other")]  # fmt: skip
    held = policy.one(Customer("a"), events, as_of="2026-05-03T10:00Z")
    assert [(one.step, one.by) for one in held.held] == [("two", "cap")]
    missed = policy.one(Customer("a"), events, as_of="2026-05-04T08:00Z")
    assert [(one.step, one.by) for one in missed.held] == [("two", "missed")]
    assert missed.messages == ()
    third = policy.one(Customer("a"), events, as_of="2026-05-05T08:00Z")
    assert [one.step for one in third.messages] == ["three"]
    waits = policy_of(chain(late=None), caps=[Cap(1, within=days(3))])
    later = waits.one(Customer("a"), events, as_of="2026-05-08T08:00Z")
    assert [one.step for one in later.messages] == ["two"]  # waited for good, and not overtaken


def test_a_step_whose_condition_is_false_all_along_is_skipped_in_silence():
    steps = [Step("one", when=field("vip") == True), Step("two", after=days(2))]  # noqa: E712
    policy = policy_of(chain(steps=steps))
    events = [Event("a", "signup", "2026-05-01T08:00Z")]
    found = policy.one(Customer("a", {"vip": False}), events, as_of="2026-05-03T08:00Z")
    assert ([one.step for one in found.messages], found.held) == (["two"], ())


def test_what_ends_a_pass_ends_it_and_a_new_start_begins_anew():
    policy = policy_of(chain(until=event("purchase")))
    events = [Event("a", "signup", "2026-05-01T08:00Z"), Event("a", "purchase", "2026-05-01T10:00Z", 5.0)]
    assert policy.one(Customer("a"), events, as_of="2026-05-01T11:00Z").messages == ()
    again = [*events, Event("a", "signup", "2026-05-01T12:00Z")]
    assert [one.step for one in policy.one(Customer("a"), again, as_of="2026-05-01T13:00Z").messages] == ["one"]
    ignored = [events[0], Event("a", "signup", "2026-05-02T07:00Z")]
    assert [one.by for one in policy.one(Customer("a"), ignored, as_of="2026-05-02T08:00Z").held] == ["missed"]
    anew = policy_of(chain(restart=True)).one(Customer("a"), ignored, as_of="2026-05-02T08:00Z")
    assert [one.step for one in anew.messages] == ["one"]


def test_a_weekly_job_does_not_slip_and_a_trigger_is_answered_once():
    weekly = policy_of(Campaign("w", channels=["email"], again=days(7)))
    log = [sent("a", "2026-05-04T10:00Z", "w")]
    assert weekly.one(Customer("a"), log, as_of="2026-05-11T10:00Z").messages
    triggered = policy_of(Campaign("t", trigger=event("cart"), channels=["email"]))
    events = [Event("a", "cart", "2026-05-04T10:00Z")]
    assert triggered.one(Customer("a"), events, as_of="2026-05-04T10:00Z").messages
    answered = [*events, sent("a", "2026-05-04T10:00Z", "t")]
    assert triggered.one(Customer("a"), answered, as_of="2026-05-05T10:00Z").messages == ()
    assert triggered.one(Customer("a"), [*answered, Event("a", "cart", "2026-05-05T09:00Z")],
                         as_of="2026-05-05T10:00Z").messages  # fmt: skip


def test_transactional_messages_pass_everything_and_do_not_count():
    receipt = Campaign("receipt", trigger=event("purchase"), channels=["email"], transactional=True)
    policy = policy_of(receipt, NEWS, caps=[Cap(1, per="day")], quiet=QuietHours("21:00", "09:00"), gap=hours(4),
                       holdout=Holdout(0.999, salt="h"), transactional_channels={"email": None},
                       channels={"email": field("consent") == True})  # noqa: E712  # fmt: skip
    found = policy.one(Customer("a", {"consent": False}), [Event("a", "purchase", "2026-05-04T22:00Z", 5.0)],
                       as_of="2026-05-04T22:00Z")  # fmt: skip
    assert [one.campaign for one in found.messages] == ["receipt"]
    open_ = policy_of(receipt, NEWS, caps=[Cap(1, per="day")])
    after = open_.one(Customer("a"), [sent("a", "2026-05-04T10:00Z", "receipt")], as_of="2026-05-04T12:00Z")
    assert [one.campaign for one in after.messages] == ["news"]


def test_a_limit_keeps_the_best_whatever_the_order_of_the_rows():
    policy = policy_of(Campaign("few", channels=["email"], again=None, limit=3, best_by=field("value")))
    ids, value = np.arange(8), np.array([5.0, np.nan, 7.0, 7.0, 1.0, 9.0, 7.0, 2.0])
    found = []
    for order in (ids, ids[::-1]):
        table = CustomerTable.from_columns(customer_id=ids[order], value=value[order])
        plan = policy.evaluate(CustomerBase(customers=table), as_of="2026-05-04T10:00Z")
        found.append(set(plan.customer_id.tolist()))
        assert plan.held.counts() == {"limit": 5}
    assert found[0] == found[1]
    assert 5 in found[0]
    assert found[0] <= {2, 3, 5, 6}
    log = EventLog.from_events([sent(k, "2026-05-01T10:00Z", "few") for k in (0, 1)])
    left = policy.evaluate(CustomerBase(customers=table, events=log), as_of="2026-05-04T10:00Z")
    assert left.customer_id.tolist() == [5]
    assert policy.one(Customer(0, {"value": 5.0}), [], as_of="2026-05-04T10:00Z").messages[0].limited


def test_a_date_counts_the_messages_of_its_very_midnight():
    policy = policy_of(Campaign("t", trigger=event("cart"), channels=["email"]), NEWS)
    base = CustomerBase(events=EventLog.from_events([Event("a", "cart", "2026-05-03T10:00Z")]))
    plan = policy.evaluate(base, as_of="2026-05-04")
    assert plan.campaign.tolist() == ["t"]
    again = policy.evaluate(base, as_of="2026-05-04", pending=plan.to_events())
    assert len(again) == 0


def test_the_draws_of_a_chain_are_those_of_a_trigger_chain():
    one = chain(control=0.2, step_control=0.3)
    ids = np.arange(500)
    log = EventLog.from_columns(
        customer_id=ids, type="signup", time=np.full(500, np.datetime64("2026-05-04T08:00", "us"))
    )
    plan = policy_of(one).evaluate(CustomerBase(events=log), as_of="2026-05-04T09:00Z")
    drawn = TriggerChain("chain", steps=["one", "two", "three"], chain_control=0.2, step_control=0.3).assign(ids)
    assert ((plan.arm == "control") == (drawn.chain.arm == "control")).all()
    assert ((plan.arm == "sent") == drawn.sends("one")).all()


def test_a_person_without_a_name_and_a_field_that_is_not_there():
    policy = policy_of(Campaign("news", who=field("age") > 3, channels=["email"], again=days(1), control=0.1))
    visit, people = Event("a", "x", "2026-05-04T10:00Z"), CustomerTable.from_columns(customer_id=[1], age=[4])
    with pytest.raises(InputError, match="needs the id of the person"):
        policy_of(Campaign("news", channels=["email"], again=days(1))).one(None, [], as_of="2026-05-04T10:00Z")
    with pytest.raises(MissingColumnError):
        policy.evaluate(CustomerBase(events=EventLog.from_events([visit])), as_of="2026-05-05")
    with pytest.raises(InputError, match="one instant for everybody"):
        policy.evaluate(CustomerBase(customers=people), as_of=["2026-05-05"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Campaign("x", channels=["email"]), "neither trigger"),
        (lambda: Campaign("x", channels=[], again=None), "channels is empty"),
        (lambda: Campaign("x", channels="email", again=None), "list of names"),
        (lambda: Campaign("x", channels=["email"], again=None, best_by=field("v")), "without limit"),
        (lambda: Campaign("x", channels=["email"], again=None, start="2026-05-02", end="2026-05-02"), "not after"),
        (lambda: Campaign("x", channels=["email"], again=None, start="2026-05-02T10:00"), "time zone"),
        (lambda: Campaign("x", channels=["email"], again=None, transactional=True, control=0.1), "everybody gets such"),
        (lambda: Campaign("x", channels=["email"], again=None, counts=True), "for transactional"),
        (lambda: Campaign("x", who=event("a"), channels=["email"], again=None), "rule"),
        (lambda: Chain("x", starts=event("s"), steps=[], channels=["email"], late=None), "at least one Step"),
        (lambda: chain(steps=[Step("b", after=days(2)), Step("a")]), "order of their times"),
        (lambda: chain(late=timedelta(0)), "above zero"),
        (lambda: Cap(1), "neither within"),
        (lambda: Cap(0, per="day"), "n is 0"),
        (lambda: Cap(1, per="day", within=days(1)), "both"),
        (lambda: policy_of(NEWS, NEWS), "twice"),
        (lambda: policy_of(Campaign("x", channels=["emial"], again=None)), "emial"),
        (lambda: policy_of(NEWS, caps=[Cap(1, per="day", campaign="nws")]), "nws"),
        (lambda: policy_of(Campaign("x", channels=["email"], again=None, control=0.1, salt="h"),
                           holdout=Holdout(0.1, salt="h")), "same salt"),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_refused(make, said):
    with pytest.raises(InputError, match=said) as raised:
        make()
    assert raised.value.code
    assert raised.value.argument


def test_the_starter_policy_writes_to_people():
    policy = presets.starter_policy("shop", replace={"browse": None})
    events = [Event("a", "cart", "2026-05-04T08:00Z")]
    one = policy.one(Customer("a", {"email": "a@b.c", "born": None}), events, as_of="2026-05-04T10:00Z")
    assert [message.campaign for message in one.messages] == ["basket"]
    assert "send basket" in str(one) or "withhold" in str(one)
    with pytest.raises(InputError, match="brows"):
        presets.starter_policy(replace={"brows": None})


def test_answers_travel_and_become_json():
    policy = policy_of(NEWS, chain(control=0.1), quiet=QuietHours("21:00", "09:00"))
    log = EventLog.from_events([Event("a", "signup", "2026-05-04T10:00Z"), Event("b", "visit", "2026-05-04T10:00Z")])
    base = CustomerBase(events=log)
    plan = policy.evaluate(base, as_of="2026-05-04T12:00Z")
    one = policy.explain(base, "a", as_of="2026-05-04T12:00Z")
    for given in (policy, plan, one, policy.replay(base, start="2026-05-04", end="2026-05-05", every=hours(6))):
        again = pickle.loads(pickle.dumps(given))
        assert str(again) == str(given)
        assert json.loads(json.dumps(given.to_dict())) == json.loads(json.dumps(copy.deepcopy(given).to_dict()))
    assert plan.to_dict()["held"]["by"] == ["behind"]
    assert one.to_dict()["next_change"] is not None


def test_a_base_without_anybody_and_columns_of_other_kinds():
    policy = policy_of(Campaign("x", channels=["email"], again=days(1), control=0.2, hour=field("h"), limit=5),
                       chain(control=0.2), caps=[Cap(1, per="month")], quiet=QuietHours("22:00", "05:00"),
                       holdout=Holdout(0.001, salt="h", period="month"))  # fmt: skip
    nobody = CustomerTable.from_columns(customer_id=np.empty(0, dtype=np.int64), h=np.empty(0))
    plan = policy.evaluate(CustomerBase(customers=nobody), as_of="2026-05-05T12:00Z")
    assert (len(plan), len(plan.held), len(plan.to_events())) == (0, 0, 0)
    numbers = EventLog.from_columns(customer_id=[1], type="message_sent", time=["2026-05-01T10:00Z"],
                                    properties={"campaign": [7]})  # fmt: skip
    table = CustomerTable.from_columns(customer_id=[1], h=[None])
    held = policy.evaluate(CustomerBase(customers=table, events=numbers), as_of="2026-05-05T12:00Z").held
    assert held.by.tolist() == ["cap"]
