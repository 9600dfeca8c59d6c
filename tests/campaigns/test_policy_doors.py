"""What the doors of policies refuse, by argument and code, and what answers show."""

import json
from datetime import datetime

import numpy as np
import pytest

from relmark import (
    Customer,
    CustomerBase,
    CustomerHistory,
    CustomerTable,
    Event,
    EventLog,
    Schema,
    days,
    event,
    field,
    hours,
    prop,
)
from relmark.campaigns import Campaign, Cap, Chain, Constraint, ContactPolicy, QuietHours, Step, allocate
from relmark.errors import DefinitionError, InputError, LimitError

NEWS = Campaign("news", channels=["email"], again=days(7))


def policy_of(*campaigns, **more):
    return ContactPolicy("shop", campaigns=list(campaigns), **{"channels": {"email": None}, **more})


def history(*events):
    return CustomerHistory(Customer("a"), list(events))


VISIT = Event("a", "visit", "2026-05-04T10:00Z")


@pytest.mark.parametrize(
    ("make", "argument", "code"),
    [
        (lambda: Constraint("c", {"a": 1.0}), "at_most", "missing_argument"),
        (lambda: Constraint("c", {"a": 1.0}, at_most=1, at_least=2), "at_least", "wrong_value"),
        (lambda: QuietHours("21:00", "09:00", weekdays="mon"), "weekdays", "wrong_type"),
        (lambda: QuietHours("21:00", "09:00", weekdays=[]), "weekdays", "empty"),
        (lambda: Campaign("x", who=3, channels=["email"], again=None), "who", "wrong_type"),
        (lambda: Campaign("x", trigger=field("v") > 1, channels=["email"]), "trigger", "wrong_type"),
        (lambda: Campaign("x", channels=["email", "email"], again=None), "channels", "duplicate"),
        (lambda: Campaign("x", channels=["email"], again=None, start=datetime(2026, 5, 1)), "start", "no_time_zone"),
        (lambda: Campaign("x", who=prop("v") > 1, channels=["email"], again=None), "who", None),
        (lambda: Step("x", after=-days(1)), "after", "wrong_value"),
        (lambda: Chain("x", starts=event("s"), steps=[Step("a"), Step("a")], channels=["email"], late=None), "steps",
         "duplicate"),
        (lambda: ContactPolicy("x", campaigns="news", channels={}), "campaigns", "wrong_type"),
        (lambda: ContactPolicy("x", campaigns=["news"], channels={}), "campaigns", "wrong_type"),
        (lambda: policy_of(*[Campaign(f"c{k}", channels=["email"], again=None) for k in range(1_001)]), "campaigns",
         "too_many"),
        (lambda: policy_of(NEWS, channels=["email"]), "channels", "wrong_type"),
        (lambda: policy_of(NEWS, channels={"email": None, **{f"c{k}": None for k in range(1_000)}}), "channels",
         "too_many"),
        (lambda: policy_of(NEWS, quiet="21:00"), "quiet", "wrong_type"),
        (lambda: policy_of(NEWS, holdout=0.1), "holdout", "wrong_type"),
        (lambda: policy_of(NEWS).one(Customer("a"), as_of="2026-05-04T10:00Z"), "events", "missing_argument"),
        (lambda: policy_of(NEWS).one(history(), [], as_of="2026-05-04T10:00Z"), "events", "conflicting_arguments"),
        (lambda: policy_of(NEWS).experiment("nesw"), "campaign", "unknown_name"),
        (lambda: policy_of(NEWS).experiment("news"), "campaign", "missing_argument"),
        (lambda: policy_of(NEWS, prefer=field("age")).one(Customer("a", {"age": 3}), [], as_of="2026-05-04T10:00Z"),
         "prefer", "wrong_type"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_argument(make, argument, code):
    with pytest.raises(InputError) as raised:
        make()
    assert raised.value.argument == argument
    assert raised.value.code == code or (code is None and raised.value.code)


def test_a_preference_of_another_kind_is_refused_of_columns_too():
    people = CustomerTable.from_columns(customer_id=["a"], age=[3])
    with pytest.raises(InputError, match="prefer"):
        policy_of(NEWS, prefer=field("age")).evaluate(CustomerBase(customers=people), as_of="2026-05-04T10:00Z")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda body: body["channels"].append(["email", None]), "$.channels[1]"),
        (lambda body: body["channels"].append("email"), "$.channels[1]"),
        (lambda body: body["campaigns"][1].update(steps={}), "$.campaigns[1].steps"),
        (lambda body: body["campaigns"][1]["steps"][0].update(name=""), "$.campaigns[1].steps[0].name"),
        (lambda body: body["campaigns"][0].update(again="soon"), "$.campaigns[0].again"),
        (lambda body: body["campaigns"][0].update(channels=[]), "$.campaigns[0].channels"),
        (lambda body: body["quiet"].update(start="25:00"), "$.quiet.start"),
        (lambda body: body["caps"][0].update(n=0), "$.caps[0].n"),
    ],
)
def test_a_stored_policy_that_is_wrong_is_refused_by_path(change, path):
    chain = Chain("hello", starts=event("signup"), steps=[Step("one")], channels=["email"], late=days(1))
    policy = policy_of(NEWS, chain, quiet=QuietHours("21:00", "09:00"), caps=[Cap(1, per="day")])
    body = policy.to_dict()
    assert ContactPolicy.from_dict(body) == policy
    change(body)
    with pytest.raises(DefinitionError) as raised:
        ContactPolicy.from_dict(body)
    assert raised.value.path == path


def test_problems_of_a_policy_name_the_place_of_each():
    schema = Schema(fields={"age": float}, events={"visit": {}})
    policy = policy_of(
        Campaign("grown", who=field("agee") >= 18, channels=["email"], again=days(1)),
        channels={"email": event("visitt").exists()}, prefer=field("best"),
    )  # fmt: skip
    found = policy.problems(schema)
    assert [(one.path.rsplit(".", 1)[0][:13], one.code) for one in found]
    assert {one.path.split(".")[1].split("[")[0] for one in found} == {"campaigns", "channels", "prefer"}
    assert policy_of(NEWS).problems(schema) == ()


def test_the_text_of_an_answer_has_times_of_the_clock_of_the_person_and_names_the_zone():
    policy = policy_of(NEWS, quiet=QuietHours("21:00", "09:00"))
    berlin = CustomerHistory(Customer("a"), [], tz="Europe/Berlin")
    assert str(policy.one(berlin, as_of="2026-05-04T20:30Z")).splitlines() == [
        "shop, as of 2026-05-04 22:30 (Europe/Berlin): customer a",
        "  hold news: quiet hours, until 2026-05-05 09:00",
        "  ask again at 2026-05-05 09:00",
    ]
    first, *_ = str(policy.one(berlin, as_of="2026-05-04")).splitlines()
    assert first == "shop, as of 2026-05-04 (Europe/Berlin): customer a"
    assert str(policy.one(history(), as_of="2026-05-04T20:30:30Z")).splitlines() == [
        "shop, as of 2026-05-04 20:30 (UTC): customer a",
        "  send news by email: who",
        "  ask again at 2026-05-04 21:00",
    ]


def test_a_schema_that_would_lose_the_campaign_of_a_sent_message_is_a_problem_of_the_policy():
    logged = {
        "customer_id": "a",
        "type": "message_sent",
        "time": "2026-05-04T10:00Z",
        "campaign": "news",
        "step": "one",
    }
    full = {"campaign": str, "step": str, "channel": str}

    def asked(properties):
        schema = Schema(events={"visit": {}, "message_sent": properties})
        rows = CustomerHistory.from_rows(schema, {"customer_id": "a"}, [logged])
        return schema, policy_of(NEWS).one(rows, as_of="2026-05-05T10:00Z").messages

    schema, messages = asked({"campaign": str})
    assert (ContactPolicy.check(policy_of(NEWS).to_dict(), schema).problems, messages) == ((), ())
    schema, messages = asked({})  # the rows lose the campaign, and the news would go out again
    assert [one.campaign for one in messages] == ["news"]
    checked = ContactPolicy.check(policy_of(NEWS).to_json(), schema)
    assert not checked
    assert [(one.path, one.code) for one in checked.problems] == [("$", "unknown_property")]
    assert "the policy reads the text 'campaign' of 'message_sent' events" in str(checked)
    assert policy_of(NEWS).problems(schema) == checked.problems
    chain = Chain("hello", starts=event("visit"), channels=["email"], steps=[Step("one")], late=days(1))
    more = policy_of(NEWS, chain, caps=[Cap(1, per="day", channel="email")])
    for name, kind in (("campaign", float), ("step", None), ("channel", None)):
        given = {other: one for other, one in {**full, name: kind}.items() if one is not None}
        short = Schema(events={"visit": {}, "message_sent": full, "message_withheld": given})
        (problem,) = more.problems(short)
        assert f"{name!r} of 'message_withheld'" in problem.message
    assert more.problems(Schema(events={"visit": {}, "message_sent": full, "message_withheld": full})) == ()
    assert more.problems(Schema(events={"visit": {}})) == ()


def test_replay_refuses_what_has_no_end():
    base = CustomerBase(events=EventLog.from_events([VISIT]))
    policy = policy_of(NEWS)
    with pytest.raises(InputError, match="is not after start"):
        policy.replay(base, start="2026-05-05", end="2026-05-05", every=hours(1))
    with pytest.raises(LimitError, match="runs"):
        policy.replay(base, start="2020-01-01", end="2026-05-05", every=hours(1) / 3_600)


def test_replay_forgets_messages_of_its_own_time():
    sent = [Event("a", "message_sent", at, properties={"campaign": "news", "channel": "email"})
            for at in ("2026-05-01T10:00Z", "2026-05-06T10:00Z")]  # fmt: skip
    base = CustomerBase(events=EventLog.from_events([VISIT, *sent]))
    run = policy_of(NEWS).replay(base, start="2026-05-05", end="2026-05-12", every=days(1))
    assert run.messages["time"].astype("M8[D]").astype(str).tolist() == [
        "2026-05-09"
    ]  # the first midnight a week after that of May 1


def test_a_plan_counts_and_shows_what_it_holds():
    base = CustomerBase(events=EventLog.from_events([VISIT, Event("b", "visit", "2026-05-04T10:00Z")]))
    policy = policy_of(NEWS, Campaign("promo", channels=["email"], again=days(7)))
    plan = policy.evaluate(base, as_of="2026-05-04T12:00Z")
    assert plan.counts() == {"news": 2, "promo": 0}
    assert plan.held.counts() == {"behind": 2}
    assert "behind" in str(plan.held)
    assert json.loads(json.dumps(plan.held.to_dict()))["by"] == ["behind", "behind"]
    with pytest.raises(InputError):
        policy.explain(base, "c", as_of="2026-05-04T12:00Z")


def test_one_person_is_told_when_to_ask_again():
    hour = policy_of(Campaign("x", channels=["email"], again=None, hour=field("best")), prefer=field("channel"))
    asked = "2026-05-04T10:30Z"
    for best, begins in ((10, None), (12, "2026-05-04T12:00:00+00:00"), (9, "2026-05-05T09:00:00+00:00")):
        one = hour.one(Customer("a", {"best": best, "channel": "email"}), [], as_of=asked)
        assert [held.until and held.until.isoformat() for held in one.held] == ([] if begins is None else [begins])
        assert (one.to_dict()["next_change"] == begins) or begins is None
        assert "next_change" not in one.to_dict(changes=False)
        assert ("until" in str(one)) == (begins is not None)
    nothing = policy_of(Campaign("x", who=event("cart").exists(), channels=["email"], again=None))
    assert "nothing is due" in str(nothing.one(Customer("a"), [], as_of=asked))
    assert "only an event changes this" in str(nothing.one(Customer("a"), [], as_of=asked))


def test_an_allocation_shows_its_offers_prices_and_what_minimums_cost():
    found = allocate(
        {"customer_id": ["x", "y", "z"], "mail": [1.0, 2.0, 3.0], "call": [-3.0, -1.0, np.nan]},
        capacity={"mail": 2}, minimum={"call": 1}, cost={"mail": 1.0, "call": 2.0}, budget=10.0, at_most=2,
    )  # fmt: skip
    assert found.given("call").tolist() == [False, True, False]
    assert found.offers_of(1) == ("mail", "call")
    assert "1 offers of negative value were given to reach minimums" in str(found)
    assert "one more unit of the budget is worth" in str(found)
    assert "Allocation(customers=3" in repr(found)
    plain = allocate([[1.0, 2.0]])
    assert "without customer_id, ties are decided by row number" in str(plain)
    assert plain.gap == 0
    nobody = allocate(np.full((2, 1), np.nan), minimum=0)
    assert (nobody.value, nobody.gap) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"constraints": [Constraint("c", {"mial": 1.0}, at_most=1)]}, "mial"),
        ({"constraints": Constraint("c", {"mail": 1.0}, at_most=1)}, "a list of Constraints"),
        ({"budget": 1.0}, "pass the costs of the offers"),
        ({"allowed": {"mail": [True]}}, "allowed"),
        ({"minimum": {"call": 2}}, "at most 1 customers can get it"),
        ({"minimum": {"mail": 2, "call": 1}, "at_most": 1, "allowed": {"call": [True, False]}}, "add up to"),
    ],
)
def test_what_an_allocation_refuses(more, said):
    with pytest.raises(InputError, match=said):
        allocate({"mail": [1.0, 2.0], "call": [3.0, np.nan]}, **more)


def test_channels_that_came_as_an_object_are_answered_with_pairs():
    policy = {
        "relmark": "contact_policy", "version": 1, "name": "shop", "channels": {"email": {"op": "everyone"}},
        "campaigns": [{"name": "news", "who": {"op": "everyone"}, "channels": ["email"], "again": "P7D"}],
    }  # fmt: skip
    (problem,) = ContactPolicy.check(policy).problems
    assert (problem.path, problem.code) == ("$.channels", "wrong_type")
    assert problem.hint == 'Write a list of pairs, such as [["name", ...]]: their order counts.'
    assert ContactPolicy.check({**policy, "channels": [["email", {"op": "everyone"}]]})
