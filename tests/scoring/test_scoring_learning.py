"""Points learned from outcomes."""

import math

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field, prop
from relmark.errors import InputError, NotEnoughDataError
from relmark.scoring import ByValue, Group, LeadScore, LearnedScore, Rule, Tiers, half_life, suggest_points

AS_OF = "2026-11-01"
N = 3_000


@pytest.fixture(scope="module")
def shop():
    rng = np.random.default_rng(5)
    who = rng.integers(0, N, 4 * N)
    log = EventLog.from_columns(
        customer_id=who,
        type=rng.choice(["visit", "gripe"], 4 * N, p=[0.8, 0.2]),
        time=np.datetime64("2026-08-01", "us") + rng.integers(0, 90 * 86_400, 4 * N).astype("m8[s]"),
        value=rng.integers(1, 50, 4 * N).astype(float),
    )
    vip = rng.random(N) < 0.2
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=np.arange(N), vip=vip, age=rng.integers(18, 80, N)), events=log
    )
    visits = base.measure({"v": event("visit").count(), "g": event("gripe").count()}, as_of=AS_OF)
    odds = -2.5 + 1.5 * vip + 0.3 * visits["v"] - 0.6 * visits["g"]
    return base, rng.random(N) < 1 / (1 + np.exp(-odds))


GIVEN = LeadScore(
    name="given",
    groups=[Group("site", cap=20)],
    bands={"hot": 10},
    rules=[
        Rule("vip", when=field("vip") == True, points=5),  # noqa: E712
        Rule("visit", each=event("visit"), points=2, cap=16, group="site"),
        Rule("gripe", each=event("gripe"), points=3, cap=30),
        Rule("nothing", when=field("age") > 200, points=4),
    ],
)


def test_learnt_points_stand_for_the_odds_that_made_the_data(shop):
    base, converted = shop
    learned = suggest_points(GIVEN, base, converted, as_of=AS_OF)
    found = dict(zip(learned.learning.rules, learned.learning.coefficient.tolist(), strict=True))
    assert found["vip"] == pytest.approx(1.5, abs=0.3)
    assert found["visit"] == pytest.approx(0.3, abs=0.08)
    assert found["gripe"] == pytest.approx(-0.6, abs=0.15)
    points = {rule.name: rule.points for rule in learned.rules}
    assert all(value == round(value) for value in points.values())
    assert points["gripe"] < 0 < points["visit"] < points["vip"]
    assert points["nothing"] == 0
    caps = {rule.name: rule.cap for rule in learned.rules}
    assert caps["visit"] == 16 * points["visit"] / 2
    assert caps["gripe"] is None
    assert {rule.group for rule in learned.rules} == {None}
    learning = learned.learning
    assert learning.auc.value > learning.auc_before
    assert learning.auc.value > learning.auc_unrounded - 0.01
    assert (learning.low <= learning.high).all()
    assert learning.calibration.auc == learning.auc.value
    assert any("nothing" in note for note in learning.notes)
    assert any("takes points away" in note for note in learning.notes)
    assert "coefficient" in str(learning)
    assert "auc_before" in repr(learning)


def test_a_learnt_score_is_a_score(shop):
    base, converted = shop
    learned = suggest_points(GIVEN, base, converted, as_of=AS_OF, largest=20)
    assert isinstance(learned, LearnedScore)
    assert isinstance(learned, LeadScore)
    assert max(abs(rule.points) for rule in learned.rules) == 20
    assert LeadScore.from_json(learned.to_json()) == learned.score
    assert type(learned.score) is LeadScore
    total = learned.evaluate(base, as_of=AS_OF).total
    assert np.array_equal(total, learned.score.evaluate(base, as_of=AS_OF).total)
    assert learned.explain(base, 0, as_of=AS_OF).total == total[0]


def test_only_those_who_could_convert_are_learnt_from(shop):
    base, converted = shop
    among = np.arange(N) % 2 == 0
    half = suggest_points(GIVEN, base, converted, as_of=AS_OF, among=among)
    assert half.learning.n == N / 2
    elsewhere = converted.copy()
    elsewhere[~among] = True
    assert suggest_points(GIVEN, base, elsewhere, as_of=AS_OF, among=among) == half


def test_the_same_seed_gives_the_same_points(shop):
    base, converted = shop
    a, b = (suggest_points(GIVEN, base, converted, as_of=AS_OF, rng=3) for _ in range(2))
    assert a.learning.to_json() == b.learning.to_json()


def test_points_that_are_not_one_number_are_multiplied(shop):
    base, converted = shop
    given = LeadScore(
        name="mixed",
        rules=[
            Rule("vip", when=field("vip") == True, points=1),  # noqa: E712
            Rule("spent", each=event("visit"), points=prop("value") * 0.1, decay=half_life(days(60))),
            Rule("tiers", each=event("visit"), points=Tiers({1: 1, 4: 2})),
            Rule(
                "table",
                each=event("gripe"),
                points=ByValue("value", {1: 2}, otherwise=1),
                cap=5,
                cap_per="day",
                cap_total=9,
            ),
        ],
    )
    learned = suggest_points(given, base, converted, as_of=AS_OF)
    assert any("multiplied" in note for note in learned.learning.notes)
    factor = dict(zip(learned.learning.rules, learned.learning.after.tolist(), strict=True))
    rules = {rule.name: rule for rule in learned.rules}
    assert rules["tiers"].points.steps == ((1.0, factor["tiers"]), (4.0, 2 * factor["tiers"]))
    assert rules["table"].points.otherwise == factor["table"]
    assert rules["table"].cap_per is None
    total = learned.evaluate(base, as_of=AS_OF).total
    units = given.evaluate(base, as_of=AS_OF)
    expected = units.by_rule[:, :3] @ learned.learning.after[:3]
    gripes = learned.evaluate(base, as_of=AS_OF).by_rule[:, 3]
    assert np.abs(total - expected - gripes).max() < 0.05 * abs(learned.learning.after).max()


def test_few_conversions_are_said():
    everyone = np.arange(400)
    base = CustomerBase(
        customers=CustomerTable.from_columns(customer_id=everyone, odd=everyone % 2 == 1, first=everyone < 100)
    )
    rules = [Rule(name, when=field(name) == True, points=1) for name in ("odd", "first")]  # noqa: E712
    learning = suggest_points(LeadScore(name="x", rules=rules), base, everyone < 12, as_of=AS_OF).learning
    assert learning.notes[0].startswith("few conversions: 12")
    # Six of the twelve are odd, so that each fold leaves another sign.
    assert learning.notes[1] == "the sign differs between folds: odd"


def test_a_strong_ridge_leaves_nothing(shop):
    base, converted = shop
    learned = suggest_points(GIVEN, base, converted, as_of=AS_OF, penalty=1e12)
    assert np.abs(learned.learning.coefficient).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"penalty": -1}, "penalty"),
        ({"folds": 1}, "folds"),
        ({"largest": 0}, "largest"),
        ({"among": [1, 2]}, "among"),
        ({"rng": -1}, "rng"),
    ],
)
def test_wrong_settings_are_refused_by_name(shop, change, words):
    base, converted = shop
    with pytest.raises(InputError, match=words):
        suggest_points(GIVEN, base, converted, as_of=AS_OF, **change)


def test_what_cannot_be_learnt_is_said(shop):
    base, converted = shop
    with pytest.raises(NotEnoughDataError, match="nobody"):
        suggest_points(GIVEN, base, np.zeros(N), as_of=AS_OF)
    few = np.arange(N) < 3
    with pytest.raises(NotEnoughDataError, match="one of each per fold"):
        suggest_points(GIVEN, base, few, as_of=AS_OF)
    still = LeadScore(name="x", rules=[GIVEN.rules[3]])
    with pytest.raises(NotEnoughDataError, match="tells people apart"):
        suggest_points(still, base, converted, as_of=AS_OF)
    empty = LeadScore(name="x", rules=[Rule("vip", when=field("vip") == True, points=0)])  # noqa: E712
    with pytest.raises(InputError, match="counts nothing"):
        suggest_points(empty, base, converted, as_of=AS_OF)


def test_a_perfect_rule_has_no_interval():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(40), hit=np.arange(40) < 20))
    score = LeadScore(name="x", rules=[Rule("hit", when=field("hit") == True, points=1)])  # noqa: E712
    learning = suggest_points(score, base, np.arange(40) < 20, as_of=AS_OF, penalty=0.5).learning
    assert learning.auc.value == 1.0
    assert math.isnan(learning.auc.low)
    assert "perfect" in learning.auc.reason


def test_a_fold_in_which_a_rule_is_the_same_for_everyone_gives_it_nothing():
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(60), only=np.arange(60) == 7))
    score = LeadScore(name="x", rules=[Rule("only", when=field("only") == True, points=1)])  # noqa: E712
    learning = suggest_points(score, base, np.arange(60) < 20, as_of=AS_OF).learning
    assert learning.low[0] == 0.0 < learning.high[0]


def test_a_score_pickles_and_copies_after_it_was_used(shop):
    import copy
    import pickle

    base, converted = shop
    GIVEN.explain(base, 0, as_of=AS_OF)
    learned = suggest_points(GIVEN, base, converted, as_of=AS_OF)
    for score in (GIVEN, learned):
        back = pickle.loads(pickle.dumps(score))
        assert back == score
        assert back.explain(base, 3, as_of=AS_OF).total == score.explain(base, 3, as_of=AS_OF).total
        assert copy.deepcopy(score) == score


@pytest.mark.parametrize("outcome_sign", [1, -1])
def test_learnt_points_are_bounded_where_the_given_points_were(shop, outcome_sign):
    base, _ = shop
    given = LeadScore(name="bounded", rules=[
        Rule("visit", each=event("visit"), points=2, cap=6, cap_per="month", cap_total=10) if outcome_sign > 0
        else Rule("visit", each=event("visit"), points=2, cap=6),
        Rule("gripe", each=event("gripe"), points=-1, floor=-2),
    ])  # fmt: skip
    scores = given.evaluate(base, as_of=AS_OF)
    counts = scores.by_rule / np.array([2.0, -1.0])
    odds = outcome_sign * (0.5 * counts[:, 0] - 0.8 * counts[:, 1]) - 0.5
    converted = np.random.default_rng(4).random(N) < 1 / (1 + np.exp(-odds))
    learned = suggest_points(given, base, converted, as_of=AS_OF)
    factor = learned.learning.after / np.array([2.0, -1.0])
    assert (np.sign(factor) == outcome_sign).all()
    found = learned.evaluate(base, as_of=AS_OF).by_rule
    assert np.allclose(found, scores.by_rule * factor, atol=0.002)
