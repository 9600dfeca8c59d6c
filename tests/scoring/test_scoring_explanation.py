"""One lead: lines that add up, caps that keep the newest events, what is missing, and when the answer changes."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, days, event, field, prop
from relmark.errors import InputError
from relmark.scoring import (
    ByValue,
    Grade,
    Group,
    LeadScore,
    Points,
    Rule,
    Tiers,
    half_life,
    linear_decay,
    step_decay,
)

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
US = timedelta(microseconds=1)


def seen(age, kind="visit", value=None, **properties):
    return Event("a", kind, AS_OF - age, value, properties)


def one(*rules, events=(), customer=None, as_of=AS_OF, tz="UTC", **rest):
    return LeadScore(name="test", rules=rules, **rest).one(customer, events, as_of=as_of, tz=tz)


# ---- points that add up


def test_points_add_up_where_floats_do_not():
    points = [Points(0.1)] * 3
    assert sum(points) == 0.3
    assert sum([0.1] * 3) != 0.3
    assert Points(0.3) - Points(0.1) == 0.2
    assert 1 - Points(0.9) == 0.1
    assert isinstance(2 + Points(0.1), Points)
    assert -Points(0.1) == -0.1
    assert Points(0.1) + 0.25 == 0.35
    assert Points(0.5) - 0.25 == 0.25
    assert 0.75 - Points(0.5) == 0.25
    assert pickle.loads(pickle.dumps(Points(0.1))) == 0.1
    assert json.dumps(Points(1.5)) == "1.5"
    assert Points(2.345).thousandths == 2345


def test_lines_of_rules_and_caps_add_up_to_the_total():
    found = one(
        Rule("visit", each=event("visit"), points=3, group="site", decay=half_life(days(30)), cap=7),
        Rule("video", each=event("video"), points=5, group="site"),
        Rule("other", each=event("other"), points=2),
        events=[seen(days(n)) for n in range(9)] + [seen(days(1), "video")] * 2 + [seen(days(1), "other")] * 3,
        groups=[Group("site", cap=12)],
        cap=16,
        bands={"warm": 10, "hot": 20},
    )
    assert found.total == 16
    assert sum(line.points for line in found.lines) == found.total
    assert [line.rule for line in found.lines] == ["visit", "video", "other", "cap of site", "cap of total"]
    assert [float(line.points) for line in found.lines] == [7, 10, 6, -5, -2]
    assert [line.kind for line in found.lines] == ["rule"] * 3 + ["cap"] * 2
    visit = found.lines[0]
    assert visit.raw == 27
    assert visit.lost_to_cap == visit.after_decay - 7
    assert sum(event.points for event in visit.events) == visit.points
    assert found.by_group == {"site": 12}
    assert found.band == "warm"
    assert found.next_band == ("hot", 4.0)
    assert "cap of site" in str(found)


def test_caps_keep_the_newest_events():
    found = one(Rule("visit", each=event("visit"), points=3, cap=7), events=[seen(days(n)) for n in range(4)])
    assert [float(event.points) for event in found.lines[0].events] == [0, 1, 3, 3]
    per = Rule("visit", each=event("visit"), points=3, cap=4, cap_per=days(1), cap_total=9)
    times = [timedelta(hours=h) for h in (1, 2, 30, 31, 60)]
    found = one(per, events=[seen(age) for age in times])
    assert [float(event.points) for event in found.lines[0].events] == [1, 1, 3, 1, 3]
    assert found.total == 9


def test_a_cap_takes_from_events_that_give_and_not_from_those_that_take():
    table = ByValue("page", {"good": 4, "bad": -1})
    events = [seen(days(3), page="good"), seen(days(2), page="bad"), seen(days(1), page="good")]
    found = one(Rule("page", each=event("visit"), points=table, cap=2), events=events)
    assert [float(event.points) for event in found.lines[0].events] == [0, -1, 3] or found.total == 2
    assert sum(event.points for event in found.lines[0].events) == 2


def test_events_of_tiers_have_no_points_of_their_own():
    found = one(Rule("often", each=event("visit"), points=Tiers({2: 5}), cap=4), events=[seen(days(1))] * 2)
    assert found.total == 4
    assert found.lines[0].raw == 5
    assert [float(event.points) for event in found.lines[0].events] == [0, 0]


def test_explaining_says_what_is_missing():
    found = one(
        Rule("adult", when=(field("age") >= 18) & (event("visit").days_since_last() < 3), points=5),
        Rule("age", when=event("visit").count() == 0, points=Tiers({1: 3}, of="age")),
        Rule("paid", each=event("order"), points=prop("value") * 2),
        Rule("page", each=event("order"), points=ByValue("page", {"x": 1}, otherwise=3)),
        Rule("known", when=field("city").not_null(), points=5),
        customer=Customer("a", {"age": None}),
        events=[seen(days(1), "order"), seen(days(2), "order", 4.0, page="y")],
    )
    missing = {line.rule: line.missing for line in found.lines}
    assert missing["adult"] == ("field 'age'", 'event("visit").days_since_last()')
    assert missing["age"] == ("field 'age'",)
    assert missing["paid"] == ('prop("value") * 2 of 1 event',)
    assert missing["page"] == ('prop("page") of 1 event',)
    assert missing["known"] == ()
    assert found.total == 8 + 6
    assert "unknown" in str(found)


def test_what_is_missing_of_a_last_event_is_said_whole():
    rule = Rule("x", when=event("visit").last_event(prop("page") == "a"), points=5)
    assert one(rule).lines[0].missing == ('event("visit").last_event(where=prop("page") == "a")',)


def test_values_of_another_kind_are_refused_for_one_lead_too():
    with pytest.raises(InputError, match="'y'"):
        one(Rule("x", each=event("visit"), points=prop("page") * 1), events=[seen(days(1), page="y")])
    with pytest.raises(InputError, match="float values"):
        one(Rule("x", each=event("visit"), points=ByValue("page", {1: 3})), events=[seen(days(1), page="y")])
    with pytest.raises(InputError, match="need a number"):
        one(Rule("x", when=field("a").not_null(), points=Tiers({1: 3}, of="a")), customer=Customer("a", {"a": "y"}))
    with pytest.raises(InputError, match="gives 1e"):
        one(Rule("x", each=event("visit"), points=prop("value") * 1), events=[seen(days(1), value=1e9)])
    with pytest.raises(InputError, match="among those"):
        one(Rule("x", each=event("visit"), points=1), events=[seen(days(1)), Event("b", "visit", AS_OF)])


def test_one_and_explain_agree_with_the_base():
    score = LeadScore(
        name="test",
        groups=[Group("fit", cap=9), Group("site")],
        rules=[
            Rule("adult", when=field("age") >= 18, points=8, group="fit"),
            Rule("tier", when=field("age") > 0, points=Tiers({18: 5, 65: 1}, of="age"), group="fit"),
            Rule("city", when=field("age") > 0, points=ByValue("city", {"Omsk": 4}, otherwise=1)),
            Rule("age", when=field("age") > 0, points=field("age") * 0.01),
            Rule("visit", each=event("visit"), points=3, decay=half_life(days(3)), group="site"),
            Rule("paid", each=event("visit"), points=prop("value") * 0.1, cap=5, cap_per="week"),
        ],
        bands={"warm": 10},
        grades=Grade(fit={"A": 9, "B": 0}, site={1: 5, 2: 0}),
    )
    events = [seen(days(n), value=12.5) for n in (1, 2, 9)]
    fields = {"age": 30, "city": "Omsk"}
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=["b", "a"], age=[None, 30], city=[None, "Omsk"]),
        events=EventLog.from_events(events),
        tz="Europe/Moscow",
    )
    scores = score.evaluate(base, as_of=AS_OF)
    explained = score.explain(base, "a", as_of=AS_OF)
    single = score.one(Customer("a", fields), events, as_of=AS_OF, tz="Europe/Moscow")
    assert explained.to_dict() == single.to_dict()
    assert single.total == scores.total[1]
    assert single.band == scores.band[1]
    assert single.grade == scores.grade[1] == "A2"
    assert [line.points for line in single.lines if line.kind == "rule"] == scores.by_rule[1].tolist()
    with pytest.raises(InputError, match="does not have"):
        score.explain(base, "zz", as_of=AS_OF)


def test_an_explanation_becomes_json_and_prints():
    found = one(
        Rule("visit", each=event("visit"), points=3, decay=linear_decay(days(10))),
        events=[seen(days(5), value=2.0)],
        bands={"warm": 1},
    )
    body = json.loads(found.to_json())
    assert body["total"] == 1.5
    assert body["lines"][0]["events"][0]["points"] == 1.5
    assert body["lines"][0]["events"][0]["value"] == 2.0
    assert body["next_band_change"].startswith("2026-11-02T16:")
    assert body["next_band"] is None
    assert "total=1.5" in repr(found)
    assert "band warm" in str(found)
    assert "points=1.5" in repr(found.lines[0])


def test_nobody_at_all_has_a_score_too():
    assert one(Rule("visit", each=event("visit"), points=3)).total == 0


# ---- when it changes


def test_an_expiry_is_the_next_change():
    found = one(Rule("visit", each=event("visit"), points=3, expires=days(30)), events=[seen(days(10)), seen(days(29))])
    assert found.next_change == AS_OF + days(1)


def test_a_condition_that_ends_is_the_next_change():
    rule = Rule("lately", when=event("visit").exists(within=days(7)), points=3)
    assert one(rule, events=[seen(days(2))]).next_change == AS_OF + days(5)
    assert one(rule).next_change is None


def test_a_step_of_the_decay_is_the_next_change():
    rule = Rule("visit", each=event("visit"), points=3, decay=step_decay({days(7): 0.5, days(9): 0.5, days(30): 0}))
    assert one(rule, events=[seen(days(8))]).next_change == AS_OF + days(22)


def test_a_cap_that_binds_hides_changes_below_it():
    rule = Rule("visit", each=event("visit"), points=10, cap=10, expires=days(30))
    assert one(rule, events=[seen(days(29)), seen(days(10))]).next_change == AS_OF + days(20)
    fading = Rule("visit", each=event("visit"), points=10, cap=10, decay=linear_decay(days(100)))
    found = one(fading, events=[seen(days(0))] * 4)
    # 4 events of 10 (1 - t / 100) are 10 at t = 75; the total falls below by a thousandth soon after
    assert AS_OF + days(75) < found.next_change < AS_OF + days(75.1)


def test_half_lives_change_by_a_thousandth_first_and_a_band_later():
    rule = Rule("visit", each=event("visit"), points=3, decay=half_life(days(30)))
    found = one(rule, events=[seen(days(0))], bands={"warm": 1.5})
    # 3 * 2 ** -(t / 30) < 2.9995 and < 1.4995
    assert abs(found.next_change - AS_OF - days(30 * 0.00024047)) < timedelta(seconds=10)
    assert abs(found.next_band_change - AS_OF - days(30.01443)) < timedelta(seconds=60)
    score = LeadScore(name="x", rules=[rule], bands={"warm": 1.5})
    assert score.one(None, [seen(days(0))], as_of=found.next_band_change - US).band == "warm"


def test_points_that_fade_from_below_and_above_are_followed_both():
    rules = [
        Rule("good", each=event("good"), points=10, decay=half_life(days(10))),
        Rule("bad", each=event("bad"), points=-10, decay=half_life(days(5))),
    ]
    found = one(*rules, events=[seen(days(0), "good"), seen(days(0), "bad")], bands={"warm": 2.4})
    # 10 (2 ** -(t / 10) - 2 ** -(t / 5)) rises to 2.5 at t = 10: it reaches 2.4 before
    assert found.band == ""
    moment = found.next_band_change
    assert AS_OF < moment < AS_OF + days(10)
    score = LeadScore(name="x", rules=rules, bands={"warm": 2.4})
    events = [seen(days(0), "good"), seen(days(0), "bad")]
    assert score.one(None, events, as_of=moment).band == "warm"
    assert score.one(None, events, as_of=moment - US).band == ""


def test_tables_and_tiers_of_figures_change_with_them():
    tiers = Rule("age", when=event("visit").exists(), points=Tiers({0: 5, 10: 1}, of=event("visit").days_since_last()))
    assert one(tiers, events=[seen(days(4))]).next_change == AS_OF + days(6)
    table = Rule("n", when=event("visit").exists(), points=ByValue(event("visit").count(within=days(9)), {1: 5, 2: 9}))
    assert one(table, events=[seen(days(4)), seen(days(1))]).next_change == AS_OF + days(5)
    with pytest.raises(InputError, match="every moment"):
        Rule("d", when=event("visit").exists(), points=event("visit").days_since_last() * 0.1)
    spent = Rule("s", when=event("visit").exists(), points=event("visit").sum(within=days(9)) * 0.1)
    assert one(spent, events=[seen(days(4), value=3.0), seen(days(1), value=2.0)]).next_change == AS_OF + days(5)
    unknown = Rule("m", when=field("x").is_null(), points=event("visit").mean(within=days(9)))
    assert one(unknown).next_change is None
    assert one(unknown, events=[seen(days(4), value=3.0)]).next_change == AS_OF + days(5)


def test_the_highest_band_has_no_next():
    found = one(Rule("visit", each=event("visit"), points=3), events=[seen(days(1))], bands={"warm": 1})
    assert found.next_band is None
    assert found.next_band_change is None


def test_bands_that_were_entered_since_an_instant_have_been_crossed():
    score = LeadScore(
        name="x", rules=[Rule("visit", each=event("visit"), points=3)], bands={"warm": 3, "hot": 6, "boiling": 12}
    )
    found = score.one(None, [seen(days(n)) for n in (1, 2, 3)], as_of=AS_OF)
    assert found.crossed(since=AS_OF - days(2.5)) == ("hot",)
    assert found.crossed(since=AS_OF - days(9)) == ("warm", "hot")
    assert found.crossed(since=AS_OF) == ()


@pytest.mark.parametrize(
    ("when", "missing"),
    [
        (field("age").between(18, 65), ("field 'age'",)),
        ((field("age").fill(18) >= 18) & (field("income") > 1), ("field 'income'",)),
        (
            field("age").is_null() & (field("income").fill(2) / field("zero") > 1),
            ('field("income").fill(2) / field("zero")',),
        ),
        ((field("age") > 1) | (field("income") > 1), ("field 'age'", "field 'income'")),
    ],
)
def test_an_unknown_condition_gives_nothing_and_says_what_is_missing(when, missing):
    one = LeadScore(name="x", rules=[Rule("r", when=when, points=5)]).one(
        Customer("c1", {"zero": 0}), [], as_of="2026-11-01"
    )
    assert one.total == 0
    assert one.lines[0].missing == missing
    assert one.to_dict()["lines"][0]["missing"] == list(missing)


def test_an_explanation_of_conditions_on_properties_pickles_and_copies_with_all_it_answers():
    score = LeadScore(
        name="s",
        rules=[
            Rule("fades", each=event("visit", where=prop("page") == "price"), points=4, decay=half_life(days(7))),
            Rule("lately", when=event("visit").count(within=days(3)) >= 1, points=5),
        ],
    )
    events = [Event("c", "visit", "2026-01-01T09:00Z", properties={"page": "price"})]
    base = CustomerBase(events=EventLog.from_events(events))
    for found in (
        score.one(Customer("c"), events, as_of="2026-01-02T00:00Z"),
        score.explain(base, "c", as_of="2026-01-02T00:00Z"),
    ):
        for back in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
            assert back.to_dict() == found.to_dict()
            assert str(back) == str(found)
            assert back.next_change == found.next_change
            assert back.crossed(since="2025-12-31T00:00Z") == found.crossed(since="2025-12-31T00:00Z")
