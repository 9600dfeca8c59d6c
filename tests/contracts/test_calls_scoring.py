"""The calls of scoring on which users rely."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Purchase, days, event, field
from relmark.errors import NotEnoughDataError
from relmark.scoring import Grade, Group, LeadScore, Rule, calibrate, half_life, presets, suggest_points

AS_OF = "2026-11-01"
SCORE = LeadScore(
    name="shop",
    groups=[Group("fit", cap=10), Group("engagement", cap=12)],
    rules=[
        Rule("in Omsk", when=field("city") == "Omsk", points=8, group="fit"),
        Rule("adult", when=field("age") >= 18, points=5, group="fit"),
        Rule("purchase", each=event("purchase"), points=4, group="engagement"),
        Rule("visit", each=event("visit"), points=2, group="engagement", decay=half_life(days(30))),
    ],
    bands={"hot": 20, "warm": 10},
    grades=Grade(fit={"A": 5, "C": 0}, engagement={1: 10, 3: 0}),
)


def test_scores_of_a_base(base):
    r = SCORE.evaluate(base, as_of=AS_OF)
    assert r.customer_id.tolist() == ["c1", "c2", "c3", "c4", "c5"]
    assert r.by_rule.shape == (5, 4)
    assert r.by_group[:, 0].tolist() == [10.0, 5.0, 0.0, 8.0, 5.0]
    assert r.by_group[:2, 1].tolist() == [12.0, 12.0]
    assert r.total[:2].tolist() == [22.0, 17.0]
    assert r.band.tolist()[:2] == ["hot", "warm"]
    assert r.grade[0] == "A1"


def test_points_of_one_person_add_up(base):
    told = SCORE.explain(base, "c1", as_of=AS_OF)
    assert told.total == 22.0
    assert sum(line.points for line in told.lines) == pytest.approx(told.total)
    assert {line.rule: line.lost_to_cap for line in told.lines}["purchase"] >= 0
    one = SCORE.one(Customer("x", {"city": "Omsk", "age": 20}), [Purchase("x", "2026-10-30T10:00Z", 5.0)], as_of=AS_OF)
    assert (one.total, one.band) == (14.0, "warm")
    assert one.crossed(since="2026-10-01") is not None
    assert one.next_change is None  # nothing of it decays
    stranger = SCORE.one(None, [], as_of=AS_OF)
    assert (stranger.total, stranger.band) == (0.0, "")


def test_a_score_is_stored_checked_and_calibrated(base):
    assert LeadScore.from_json(SCORE.to_json()).fingerprint == SCORE.fingerprint
    assert LeadScore.check(SCORE.to_dict(), base.schema()).problems == ()
    assert LeadScore.check({"relmark": "lead_score"}).problems
    assert LeadScore.json_schema()["type"] == "object"
    total = np.repeat([0.0, 10.0, 20.0, 30.0], 25)
    converted = np.arange(100) >= 50
    c = calibrate(total, converted)
    assert (c.auc, c.ks) == (1.0, 1.0)
    assert c.threshold_for(precision=0.9) == 20.0
    assert c.threshold_for_capacity(25) == 30.0
    assert len(c.deciles) <= 10


def test_points_learnt_from_outcomes(base):
    rng = np.random.default_rng(0)
    n = 400
    city = np.where(rng.random(n) < 0.5, "Omsk", "Kazan")
    people = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(n), city=city))
    converted = rng.random(n) < np.where(city == "Omsk", 0.6, 0.2)
    flat = LeadScore(name="flat", rules=[Rule("in Omsk", when=field("city") == "Omsk", points=1)])
    learned = suggest_points(flat, people, converted, as_of=AS_OF)
    assert isinstance(learned, LeadScore)
    assert learned.rules[0].points > 0
    with pytest.raises(NotEnoughDataError, match="3 of 5 converted"):
        suggest_points(SCORE, base, np.array([True, True, False, True, False]), as_of=AS_OF)
    assert presets.__all__
