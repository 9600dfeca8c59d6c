"""Lead scores over a base: points, decay, caps, bands, grades, history and comparison."""

import json
from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, hours, prop
from relmark.errors import DefinitionError, InputError, MissingColumnError
from relmark.scoring import (
    ByValue,
    Grade,
    Group,
    LeadScore,
    Rule,
    Tiers,
    half_life,
    linear_decay,
    presets,
    step_decay,
)

AS_OF = "2026-11-01"


def base_of(rows=(), tz="UTC", **fields):
    """Rows of (customer, type, time, value, page); fields by customer a, b, c."""
    events = None
    if rows:
        who, kind, when, value, page = zip(*rows, strict=True)
        events = EventLog.from_columns(
            customer_id=list(who), type=list(kind), time=list(when), value=list(value), properties={"page": list(page)}
        )
    table = CustomerTable.from_columns(customer_id=["a", "b", "c"], **fields) if fields else None
    return CustomerBase(customers=table, events=events, tz=tz)


def visit(who, when, page="home", value=None):
    return (who, "visit", when, value, page)


def score_of(*rules, **rest):
    return LeadScore(name="test", rules=rules, **rest)


def totals(rule, base, as_of=AS_OF, **rest):
    scores = score_of(rule, **rest).evaluate(base, as_of=as_of)
    return dict(zip(scores.customer_id.tolist(), scores.total.tolist(), strict=True))


VISITS = base_of(
    [
        visit("a", "2026-10-02T00:00Z"),
        visit("a", "2026-10-31T00:00Z", "pricing"),
        visit("a", "2026-10-31T12:00Z", "pricing"),
        visit("b", "2026-08-01T00:00Z", "docs"),
        visit("b", "2026-11-02T00:00Z"),
    ],
    age=[30, None, 50],
    city=["Omsk", None, "Kazan"],
)


# ---- points


def test_a_condition_counts_once_and_an_unknown_one_not_at_all():
    rule = Rule("adult", when=field("age") >= 18, points=8)
    assert totals(rule, VISITS) == {"a": 8.0, "b": 0.0, "c": 8.0}


def test_each_event_counts_and_none_after_as_of():
    assert totals(Rule("visit", each=event("visit"), points=3), VISITS) == {"a": 9.0, "b": 3.0, "c": 0.0}


def test_events_of_several_types_and_with_a_condition():
    base = base_of(
        [
            visit("a", "2026-10-02T00:00Z"),
            ("a", "video", "2026-10-01T00:00Z", None, None),
            visit("b", "2026-10-02T00:00Z"),
        ]
    )
    both = event("video", "visit")
    assert totals(Rule("any", each=both, points=5), base) == {"a": 10.0, "b": 5.0}
    assert totals(Rule("any", each=both, points=5, decay=half_life(days(1e4))), base)["a"] < 10.0
    pricing = event("visit", where=prop("page") == "pricing")
    assert totals(Rule("pricing", each=pricing, points=5), VISITS) == {"a": 10.0, "b": 0.0, "c": 0.0}


def test_an_event_type_that_the_log_does_not_have_gives_nothing():
    assert totals(Rule("x", each=event("webinar"), points=3), VISITS) == {"a": 0.0, "b": 0.0, "c": 0.0}


def test_points_may_be_a_property_times_a_factor():
    base = base_of([visit("a", "2026-10-02T00:00Z", value=12.5), visit("a", "2026-10-03T00:00Z", value=None)])
    assert totals(Rule("spent", each=event("visit"), points=prop("value") * 0.1), base) == {"a": 1.25}


def test_points_may_be_a_calculation_of_fields():
    rule = Rule("age", when=field("age") > 0, points=field("age") / 10)
    assert totals(rule, VISITS) == {"a": 3.0, "b": 0.0, "c": 5.0}


def test_points_may_be_a_table_by_value():
    table = ByValue("page", {"pricing": 10, "docs": 2}, otherwise=1)
    assert totals(Rule("page", each=event("visit"), points=table), VISITS) == {"a": 21.0, "b": 2.0, "c": 0.0}
    city = ByValue("city", {"Omsk": 4}, otherwise=1)
    everyone = Rule("city", when=field("age").is_null() | field("age").not_null(), points=city)
    assert totals(everyone, VISITS) == {"a": 4.0, "b": 1.0, "c": 1.0}


def test_points_may_be_tiers_of_a_count():
    visits = Rule("visits", each=event("visit"), points=Tiers({1: 5, 3: 10}))
    assert totals(visits, VISITS) == {"a": 10.0, "b": 5.0, "c": 0.0}
    age = Rule("age", when=field("age") > 0, points=Tiers({40: 7}, of="age"))
    assert totals(age, VISITS) == {"a": 0.0, "b": 0.0, "c": 7.0}
    unknown = Rule(
        "age", when=field("city").is_null() | field("city").not_null(), points=Tiers({0: 7}, of=field("age"))
    )
    assert totals(unknown, VISITS)["b"] == 0.0


def test_tiers_forget_events_that_expired():
    rule = Rule("visits", each=event("visit"), points=Tiers({1: 5, 3: 10}), expires=days(10))
    assert totals(rule, VISITS) == {"a": 5.0, "b": 0.0, "c": 0.0}


def test_a_property_without_values_gives_the_other_points():
    base = CustomerBase(events=EventLog.from_columns(customer_id=["a"], type="visit", time=["2026-10-01T00:00Z"]))
    table = Rule("x", each=event("visit"), points=ByValue("page", {"home": 3}, otherwise=2))
    assert totals(table, base) == {"a": 2.0}
    assert totals(Rule("x", each=event("visit"), points=prop("value") * 2), base) == {"a": 0.0}


def test_points_beyond_a_million_are_refused_with_the_rule():
    base = base_of([visit("a", "2026-10-02T00:00Z", value=1e9)])
    with pytest.raises(InputError, match="'spent' gives 1e"):
        totals(Rule("spent", each=event("visit"), points=prop("value") * 1), base)


# ---- expiry and decay


def test_an_event_expires_at_its_age():
    rule = Rule("visit", each=event("visit"), points=3, expires=days(30))
    assert totals(rule, VISITS, as_of="2026-10-31T23:59Z")["a"] == 9.0
    assert totals(rule, VISITS, as_of="2026-11-01T00:00Z")["a"] == 6.0  # thirty days old: gone
    daily = Rule("visit", each=event("visit"), points=3, expires=hours(24))
    assert totals(daily, VISITS, as_of="2026-11-01T00:00Z")["a"] == 3.0
    assert totals(daily, VISITS, as_of="2026-11-01")["a"] == 6.0  # the day before a date is whole


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (half_life(days(30)), 3 * 0.5 ** (30 / 30) + 3 * 0.5 ** (1 / 30) + 3 * 0.5 ** (0.5 / 30)),
        (linear_decay(days(60)), 3 * (1 - 30 / 60) + 3 * (1 - 1 / 60) + 3 * (1 - 0.5 / 60)),
        (linear_decay(days(20)), 3 * (1 - 1 / 20) + 3 * (1 - 0.5 / 20)),
        (step_decay({days(1): 0.5, days(20): 0.1}), 3 * 0.1 + 3 * 0.5 + 3),
        (step_decay({days(30): 0}), 6),
    ],
)
def test_points_fade_with_the_age_of_the_event(decay, expected):
    found = totals(Rule("visit", each=event("visit"), points=3, decay=decay), VISITS)["a"]
    assert found == pytest.approx(expected, abs=0.0016)


def test_each_event_is_rounded_half_to_even_to_thousandths():
    base = base_of([visit("a", "2026-10-31T00:00Z")] * 3)
    for points, kept in ((0.001, 0.0), (0.003, 0.002), (0.005, 0.002)):
        rule = Rule("x", each=event("visit"), points=points, decay=half_life(days(1)))
        assert totals(rule, base)["a"] == pytest.approx(3 * kept, abs=1e-12)


def test_each_customer_may_have_an_instant_of_their_own():
    rule = Rule("visit", each=event("visit"), points=4, decay=half_life(days(30)), expires=days(90))
    scores = score_of(rule).evaluate(VISITS, as_of=["2026-10-02T00:00Z", "2026-08-31T00:00Z", "2026-01-01"])
    assert scores.total.tolist() == [4.0, 2.0, 0.0]
    assert scores.as_of.dtype == np.dtype("M8[us]")


# ---- caps


def test_a_cap_holds_a_rule_down():
    assert totals(Rule("visit", each=event("visit"), points=3, cap=5), VISITS) == {"a": 5.0, "b": 3.0, "c": 0.0}
    assert totals(Rule("adult", when=field("age") >= 18, points=8, cap=5), VISITS)["a"] == 5.0


def test_a_cap_per_period_counts_calendar_days_of_the_business():
    rows = [visit("a", f"2026-10-01T{hour:02d}:00Z") for hour in (1, 2, 3, 22, 23)]
    rule = Rule("visit", each=event("visit"), points=3, cap=5, cap_per=days(1))
    assert totals(rule, base_of(rows)) == {"a": 5.0}
    assert totals(rule, base_of(rows, tz="Europe/Moscow")) == {"a": 10.0}  # the last two are of the 2nd there
    total = Rule("visit", each=event("visit"), points=3, cap=5, cap_per=days(1), cap_total=8)
    assert totals(total, base_of(rows, tz="Europe/Moscow")) == {"a": 8.0}


@pytest.mark.parametrize(
    ("period", "expected"),
    [("day", 12.0), ("week", 9.0), ("month", 6.0), ("quarter", 6.0), ("year", 3.0), (hours(7), 12.0)],
)
def test_calendar_periods_begin_where_the_calendar_says(period, expected):
    # a Sunday, the Monday after it and the day after that; the next year
    times = ["2025-08-31T12:00Z", "2025-09-01T12:00Z", "2025-09-02T12:00Z", "2025-12-01T12:00Z"]
    if period == "year":
        expected = 3.0
    rule = Rule("visit", each=event("visit"), points=3, cap=3, cap_per=period)
    months = {"month": 9.0, "quarter": 6.0}
    assert totals(rule, base_of([visit("a", time) for time in times])) == {"a": months.get(period, expected)}


def test_periods_as_short_as_a_microsecond_do_not_overflow():
    base = base_of([visit(who, f"2026-10-0{day}T00:00Z") for who in "ab" for day in (1, 1, 2)])
    rule = Rule("visit", each=event("visit"), points=3, cap=4, cap_per=timedelta(microseconds=1))
    assert totals(rule, base) == {"a": 7.0, "b": 7.0}
    many = CustomerBase(
        events=EventLog.from_columns(
            customer_id=np.arange(200_000) % 100_000,
            type="visit",
            time=np.datetime64("1990-01-01", "us") + np.arange(200_000) * np.timedelta64(5_000, "s"),
        )
    )
    assert set(score_of(rule).evaluate(many, as_of=AS_OF).total.tolist()) == {6.0}


def test_groups_and_the_total_have_caps_of_their_own():
    score = score_of(
        Rule("visit", each=event("visit"), points=30, group="site"),
        Rule("adult", when=field("age") >= 18, points=40),
        Rule("young", when=field("age") < 40, points=5, group="fit"),
        groups=[Group("site", cap=50), Group("fit")],
        cap=80,
    )
    scores = score.evaluate(VISITS, as_of=AS_OF)
    assert scores.by_rule.tolist() == [[90.0, 40.0, 5.0], [30.0, 0.0, 0.0], [0.0, 40.0, 0.0]]
    assert scores.by_group.tolist() == [[50.0, 5.0], [30.0, 0.0], [0.0, 0.0]]
    assert scores.caps == ("cap of site", "cap of total")
    assert scores.by_cap.tolist() == [[-40.0, -15.0], [0.0, 0.0], [0.0, 0.0]]
    assert scores.total.tolist() == [80.0, 30.0, 40.0]
    assert np.array_equal(scores.by_rule.sum(axis=1) + scores.by_cap.sum(axis=1), scores.total)


def test_very_many_points_are_still_added_exactly(monkeypatch):
    from relmark.scoring import _columns

    values = np.array([1.0, 2.0, 3.0])
    codes = np.array([0, 1, 0])
    monkeypatch.setattr(_columns, "_EXACT", 4.0)
    assert _columns.whole_sums(codes, values, 2).tolist() == [4.0, 2.0]


# ---- bands, grades, results


def test_bands_are_the_highest_whose_score_is_reached():
    scores = score_of(Rule("visit", each=event("visit"), points=3), bands={"low": 3, "high": 9}).evaluate(
        VISITS, as_of=AS_OF
    )
    assert scores.band.tolist() == ["high", "low", ""]
    assert scores.bands == ("high", "low")
    assert scores.counts() == {"high": 1, "low": 1, "": 1}
    assert scores.top(2)["customer_id"].tolist() == ["a", "b"]


def test_grades_join_the_marks_of_groups():
    score = score_of(
        Rule("visit", each=event("visit"), points=3, group="site"),
        Rule("adult", when=field("age") >= 18, points=8, group="fit"),
        Rule("city", when=field("city") == "Kazan", points=-9, group="fit"),
        groups=[Group("fit"), Group("site")],
        grades=Grade(fit={"A": 8, "B": 0}, site={1: 9, 2: 0}),
    )
    scores = score.evaluate(VISITS, as_of=AS_OF)
    assert scores.grade.tolist() == ["A1", "B2", ""]


def test_scores_become_columns_and_print():
    score = score_of(
        Rule("visit", each=event("visit"), points=3, group="site"), groups=[Group("site", cap=5)], bands={"warm": 3}
    )
    scores = score.evaluate(VISITS, as_of=AS_OF)
    columns = scores.to_columns()
    assert list(columns) == ["customer_id", "total", "band", "grade", "group.site", "rule.visit", "cap.cap of site"]
    joined = VISITS.with_columns(scores, names=["total", "band"])
    assert joined.column("band").values().tolist() == ["warm", "warm", ""]
    assert "people=3" in repr(scores)
    assert "group.site" in str(scores)
    assert len(scores) == 3
    assert json.loads(scores.to_json())["total"] == [5.0, 3.0, 0.0]


def test_an_empty_base_has_no_scores():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[], age=[]))
    scores = score_of(Rule("visit", each=event("visit"), points=3), bands={"warm": 3}).evaluate(base, as_of=AS_OF)
    assert len(scores) == 0
    assert "people=0" in repr(scores)


def test_history_is_the_score_at_each_instant():
    score = score_of(Rule("visit", each=event("visit"), points=3, expires=days(30)), bands={"warm": 3})
    times = ["2026-08-10", "2026-10-10", "2026-11-02T00:00Z"]
    found = score.history(VISITS, times)
    assert found.total.tolist() == [[0.0, 3.0, 6.0], [3.0, 0.0, 3.0], [0.0, 0.0, 0.0]]
    assert found.counts()["warm"].tolist() == [1, 1, 2]
    assert found.times.astype(str).tolist()[0] == "2026-08-10T00:00:00.000000"
    assert "mean total" in str(found)
    assert "times=3" in repr(found)
    with pytest.raises(InputError, match="times is empty"):
        score.history(VISITS, [])


def test_two_versions_of_a_score_are_compared_by_bands():
    old = score_of(Rule("visit", each=event("visit"), points=3), bands={"hot": 9, "warm": 3})
    new = score_of(Rule("visit", each=event("visit"), points=1), bands={"warm": 1})
    moves = old.compare(new, VISITS, as_of=AS_OF)
    assert moves.bands == ("warm", "hot", "")
    assert moves.counts.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert moves.moved == 1
    assert moves.change.tolist() == [-6.0, -2.0, 0.0]
    assert moves.left("hot").tolist() == ["a"]
    assert moves.entered("warm").tolist() == ["a"]
    assert "moved=1" in repr(moves)
    assert "(none)" in str(moves)


def test_who_has_just_become_hot():
    score = score_of(Rule("visit", each=event("visit"), points=3), bands={"hot": 9})
    moves = score.crossed(VISITS, since="2026-10-31T06:00Z", as_of=AS_OF)
    assert moves.entered("hot").tolist() == ["a"]


def test_bands_of_nobody_move_nowhere():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[], age=[]))
    score = score_of(Rule("visit", each=event("visit"), points=3), bands={"hot": 9})
    assert score.compare(score, base, as_of=AS_OF).moved == 0


# ---- checks


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Rule("", each=event("visit"), points=3), "name"),
        (lambda: Rule("x", points=3), "exactly one"),
        (lambda: Rule("x", when=field("a") > 1, each=event("visit"), points=3), "exactly one"),
        (lambda: Rule("x", when=event("visit"), points=3), r"\.exists\(\)"),
        (lambda: Rule("x", when=True, points=3), "condition"),
        (lambda: Rule("x", each=event("visit").exists(), points=3), "events are needed"),
        (lambda: Rule("x", each=event("visit"), points="3"), "points"),
        (lambda: Rule("x", each=event("visit"), points=float("nan")), "points"),
        (lambda: Rule("x", each=event("visit"), points=1e7), "points"),
        (lambda: Rule("x", each=event("visit"), points=3, cap=-1), "cap"),
        (lambda: Rule("x", each=event("visit"), points=3, group=""), "group"),
        (lambda: Rule("x", each=event("visit"), points=3, expires=days(0)), "expires"),
        (lambda: Rule("x", each=event("visit"), points=3, decay=days(3)), "half_life"),
        (lambda: Rule("x", each=event("visit"), points=3, cap_per=days(1)), "needs cap="),
        (lambda: Rule("x", each=event("visit"), points=3, cap=1, cap_per="fortnight"), "cap_per"),
        (lambda: Rule("x", each=event("visit"), points=3, cap=1, cap_per=3), "cap_per"),
        (lambda: Rule("x", each=event("visit"), points=3, cap_total=3), "cap_per="),
        (lambda: Rule("x", when=field("a") > 1, points=3, decay=half_life(days(1))), "decay="),
        (lambda: Rule("x", when=field("a") > 1, points=Tiers({1: 2})), "of="),
        (lambda: Rule("x", each=event("visit"), points=Tiers({1: 2}, of="a")), "count the events"),
        (lambda: Rule("x", each=event("visit"), points=Tiers({1: 2}), decay=half_life(days(1))), "do not fit"),
        (lambda: ByValue("", {"a": 1}), "of"),
        (lambda: ByValue("a", {}), "empty"),
        (lambda: ByValue("a", [1]), "mapping"),
        (lambda: ByValue("a", {"a": 1, 2: 1}), "kind"),
        (lambda: Tiers({}), "steps"),
        (lambda: Tiers({"a": 1}), "steps"),
        (lambda: Tiers({1: 1}, of=3), "of is 3"),
        (lambda: Group(""), "name"),
        (Grade, "no groups"),
        (lambda: Grade(fit={}), "fit"),
        (lambda: Grade(fit={1: 3, "1": 4}), "same text"),
        (lambda: Grade(fit={"A": 3, "B": 3}), "same lowest"),
        (lambda: LeadScore(name="x", rules=[]), "empty"),
        (lambda: LeadScore(name="", rules=[Rule("x", each=event("v"), points=1)]), "name"),
        (lambda: LeadScore(name="x", rules=Rule("x", each=event("v"), points=1)), "list of Rule"),
        (lambda: LeadScore(name="x", rules=["x"]), "list of Rule"),
        (lambda: LeadScore(name="x", rules=3), "list of Rule"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), Rule("x", each=event("v"), points=1)), "twice"),
        (lambda: score_of(Rule("x", each=event("v"), points=1, group="fitt"), groups=[Group("fit")]), "'fit'"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), grades=Grade(fit={"A": 1})), "grades names"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), grades="A"), "Grade"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), groups=[3]), "list of Group"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), bands=[3]), "mapping"),
        (lambda: score_of(Rule("x", each=event("v"), points=1), bands={"a": 3, "b": 3}), "two names"),
        (lambda: step_decay([]), "mapping"),
        (lambda: step_decay({}), "no steps"),
        (lambda: step_decay({days(2): 0.5, days(1): 0.2}), "ascend"),
        (lambda: step_decay({days(1): 0.5, days(2): 0.7}), "rises"),
        (lambda: step_decay({days(1): 1.5}), "at most 1"),
        (lambda: half_life(3), "timedelta"),
        (lambda: linear_decay(days(0)), "above zero"),
        (lambda: score_of(Rule("x", each=event("v"), points=1)).evaluate([], as_of=AS_OF), "CustomerBase"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(call, words):
    with pytest.raises((InputError, TypeError), match=words):
        call()


def test_rules_that_do_not_fit_the_data_are_refused_with_their_path():
    with pytest.raises(MissingColumnError, match="agee"):
        totals(Rule("x", when=field("agee") > 1, points=1), VISITS)
    with pytest.raises(DefinitionError, match=r"rules\[0\].when"):
        totals(Rule("x", when=field("city") > 1, points=1), VISITS)
    with pytest.raises(DefinitionError, match=r"rules\[0\].points"):
        totals(Rule("x", each=event("visit"), points=prop("page") * 2), VISITS)
    with pytest.raises(DefinitionError, match=r"rules\[0\].when"):
        totals(Rule("x", when=field("age") + 1, points=1), VISITS)


def test_a_schema_tells_the_problems_before_there_are_data():
    score = score_of(
        Rule("x", when=field("agee") > 1, points=1),
        Rule("y", each=event("visit"), points=ByValue("paeg", {"a": 1})),
    )
    found = {problem.path.split(".")[1]: problem.hint for problem in score.problems(VISITS.schema())}
    assert found == {"rules[0]": "Did you mean 'age'?", "rules[1]": "Did you mean 'page'?"}
    assert score_of(Rule("visit", each=event("visit"), points=3)).problems(VISITS.schema()) == ()


# ---- the stored form


def everything():
    return LeadScore(
        name="all",
        groups=[Group("fit", cap=100), Group("site")],
        rules=[
            Rule("a", when=field("age") >= 18, points=2.5, group="fit", cap=9),
            Rule("b", each=event("visit", where=prop("page") == "x"), points=-3, decay=half_life(days(30))),
            Rule("c", each=event("visit", "video"), points=prop("value") * 0.1, cap=3, cap_per=days(1), cap_total=9),
            Rule("d", each=event("visit"), points=ByValue("page", {"x": 1, "y": 2.5}, 0.5), cap=3, cap_per="week"),
            Rule("e", each=event("visit"), points=Tiers({1: 5, 3: 10}), expires=days(90)),
            Rule("f", when=field("age") > 1, points=Tiers({18: 5}, of=field("age"))),
            Rule("g", when=field("age") > 1, points=ByValue(field("vip"), {True: 5})),
            Rule("h", each=event("visit"), points=1, decay=linear_decay(days(9))),
            Rule("i", each=event("visit"), points=1, decay=step_decay({days(9): 0.5, days(20): 0})),
            Rule("j", when=field("age") > 1, points=Tiers({18: 5}, of="age")),
        ],
        bands={"warm": 3, "hot": 9.5},
        grades=Grade(site={1: 40, 2: 0}, fit={"A": 25, "B": 0}),
        cap=200,
    )


def test_a_score_goes_to_json_and_back():
    score = everything()
    back = LeadScore.from_json(score.to_json())
    assert back == score
    assert back.to_json() == score.to_json()
    assert back.fingerprint == score.fingerprint
    assert hash(back) == hash(score)
    assert list(back.grades.groups) == ["site", "fit"]
    assert back != score_of(Rule("visit", each=event("visit"), points=3))
    assert repr(back.rules[3].points) == "ByValue('page', {'x': 1, 'y': 2.5}, otherwise=0.5)"
    assert repr(back.rules[5].points) == 'Tiers({18: 5}, of=field("age"))'
    assert repr(back.grades) == "Grade(site={'1': 40, '2': 0}, fit={'A': 25, 'B': 0})"


def changed(path, value):
    body = everything().to_dict()
    place = body
    *keys, last = path
    for key in keys:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (changed(["version"], 2), r"\$\.version"),
        (changed(["color"], 2), "color"),
        (changed(["rules"], ...), "rules"),
        (changed(["rules"], {}), r"\$\.rules"),
        (changed(["groups"], 3), r"\$\.groups"),
        (changed(["rules", 0], 3), r"\$\.rules\[0\]"),
        (changed(["rules", 0, "wen"], 3), "wen"),
        (changed(["rules", 0, "when", "op"], "gte"), r"\$\.rules\[0\]\.when"),
        (changed(["rules", 0, "points"], "8"), r"\$\.rules\[0\]\.points"),
        (changed(["rules", 0, "points"], {"expression": {"op": "no"}}), r"\$\.rules\[0\]\.points\.expression"),
        (changed(["rules", 0, "cap"], -2), r"\$\.rules\[0\]"),
        (changed(["rules", 1, "each", "types"], []), r"\$\.rules\[1\]\.each"),
        (changed(["rules", 1, "each", "where", "op"], "equals"), r"\$\.rules\[1\]\.each\.where"),
        (changed(["rules", 1, "decay"], {"half_life": "30 days"}), r"\$\.rules\[1\]\.decay\.half_life"),
        (changed(["rules", 1, "decay"], {"half_life": "P1D", "linear": "P1D"}), r"\$\.rules\[1\]\.decay"),
        (changed(["rules", 1, "decay"], {"half_life": "PT0S"}), r"\$\.rules\[1\]\.decay"),
        (changed(["rules", 8, "decay", "steps"], [["P1D"]]), r"\.steps"),
        (changed(["rules", 8, "decay", "steps"], [["P1D", 2]]), r"\.decay"),
        (changed(["rules", 2, "cap_per"], "fortnight"), r"\.cap_per"),
        (changed(["rules", 3, "points", "table"], {"x": 1}), r"\.table"),
        (changed(["rules", 3, "points", "table"], [["x", 1], ["x", 2]]), "twice"),
        (changed(["rules", 3, "points", "table"], [[["x"], 1]]), "a text, a number or a boolean"),
        (changed(["rules", 3, "points", "of"], {"op": "nope"}), r"\.points\.of"),
        (changed(["rules", 4, "points", "tiers"], [["x", 1]]), r"\.points"),
        (changed(["rules", 4, "points", "more"], 1), "more"),
        (changed(["rules", 4, "expires"], "90"), r"\.expires"),
        (changed(["groups", 0, "cap"], "x"), r"\$\.groups\[0\]"),
        (changed(["groups", 0, "limit"], 3), "limit"),
        (changed(["bands"], [1]), "bands"),
        (changed(["grades", "order"], ["fit"]), r"\$\.grades\.order"),
        (changed(["grades", "marks", "fit"], {}), r"\$\.grades"),
        (changed(["name"], ""), "name"),
        (changed(["rules", 1, "name"], "a"), "twice"),
    ],
)
def test_a_stored_score_that_is_wrong_is_refused_with_its_path(body, words):
    with pytest.raises(DefinitionError, match=words):
        LeadScore.from_dict(body)


def test_a_score_from_outside_is_bounded():
    with pytest.raises(DefinitionError, match="bytes"):
        LeadScore.from_json(json.dumps(changed(["name"], "x" * 300_000)))


# ---- presets


def test_presets_are_scores_that_can_be_stored_and_evaluated():
    base = base_of(
        [
            ("a", "purchase", "2026-10-31T00:00Z", 30.0, None),
            ("a", "message_clicked", "2026-10-30T00:00Z", None, None),
            ("b", "complaint", "2026-10-30T00:00Z", None, None),
        ],
        country=["RU", None, "US"],
        email=["x", "y", None],
        title=["President and CEO", None, "clerk"],
    )
    shop = presets.ecommerce_engagement()
    assert LeadScore.from_json(shop.to_json()) == shop
    scores = shop.evaluate(base, as_of=AS_OF)
    assert scores.total[1] == -60.0
    assert 20 < scores.total[0] < 24
    b2b = presets.b2b(["RU"]).evaluate(base, as_of=AS_OF)
    assert b2b.total.tolist() == [38.0, 7.0, 8.0]
    own = presets.b2b(field("country") != "US").evaluate(base, as_of=AS_OF)
    assert own.by_rule[:, 0].tolist() == [8.0, 0.0, 0.0]
    with pytest.raises(InputError, match="territory"):
        presets.b2b("RU")
