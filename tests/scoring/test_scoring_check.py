"""A lead score from a user interface: every problem at once, and the JSON Schema that its form is checked by."""

from __future__ import annotations

import copy
import json
import random
import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relmark import Schema
from relmark.errors import InputError
from relmark.scoring import LeadScore, presets

LAWS = runpy.run_path(str(Path(__file__).parents[1] / "properties" / "test_scoring_laws.py"))
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
SCHEMA = Schema(fields={"country": str, "title": str, "email": str}, events={"visit": {"page": str}, "download": {}})


def scores(n=60):
    return [LAWS["some_score"](random.Random(seed), AS_OF) for seed in range(n)]


def test_every_stored_score_is_right_and_fits_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(LeadScore.json_schema())
    validator = jsonschema.Draft202012Validator(LeadScore.json_schema())
    for score in (*scores(), presets.b2b(territory=["RU"]), presets.ecommerce_engagement()):
        body = json.loads(score.to_json())
        assert list(validator.iter_errors(body)) == []
        checked = LeadScore.check(body)
        assert checked.problems == ()
        assert checked
        assert checked.score.fingerprint == LeadScore.from_json(score.to_json()).fingerprint
        assert str(checked) == "no problems"


def test_another_validator_agrees():
    fastjsonschema = pytest.importorskip("fastjsonschema")
    schema = json.loads(json.dumps(LeadScore.json_schema()))
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    valid = fastjsonschema.compile(schema, use_default=False)
    for score in scores(20):
        valid(json.loads(score.to_json()))
    body = json.loads(scores(1)[0].to_json())
    body["rules"][0]["pionts"] = 3
    with pytest.raises(fastjsonschema.JsonSchemaValueException):
        valid(body)


def document(*rules, **more):
    return {"relmark": "lead_score", "version": 1, "name": "s", "rules": list(rules), **more}


GOOD = {"name": "visits", "each": {"types": ["visit"]}, "points": 3}


def test_every_problem_is_found_at_once_with_its_place():
    body = document(
        {"name": "a", "when": {"op": "eq", "left": {"op": "field", "name": "contry"}, "right": "RU"}, "points": 8},
        {"name": "b", "when": {"op": "and", "args": [
            {"op": "exist", "events": {"types": ["visit"]}},
            {"op": "eq", "left": {"op": "field", "name": "title"}, "right": 5},
        ]}, "points": 1},
        {"name": "c", "each": {"types": ["vist"], "where": {"op": "eq", "left": {"op": "prop", "name": "pge"},
                                                             "right": "x"}}, "points": 1},
        {"name": "d", "each": {"types": ["visit"]}, "points": 2, "expires": "soon"},
        GOOD, groups=[{"name": "g", "cap": -1}],
    )  # fmt: skip
    found = LeadScore.check(json.dumps(body), SCHEMA)
    assert not found
    assert found.score is None
    places = {(problem.path, problem.code) for problem in found.problems}
    assert places >= {
        ("$.rules[0].when.left", "unknown_field"), ("$.rules[1].when.args[0].op", "unknown_operator"),
        ("$.rules[1].when.args[1].right", "wrong_type"), ("$.rules[2].each.types[0]", "unknown_event"),
    }  # fmt: skip
    assert any(problem.path.startswith("$.rules[3].expires") for problem in found.problems)
    assert any(problem.path.startswith("$.groups[0]") for problem in found.problems)
    assert len(found.problems) == len(set(found.problems))
    assert found.to_dict()["score"] is None
    assert "contry" in str(found)


def test_one_wrong_key_of_a_rule_does_not_hide_another():
    wrong = {"name": "c", "each": {"types": ["vist"]}, "points": "many", "cap": -1, "cap_per": "moon", "cap_total": 5,
             "expires": "9", "decay": "P30D", "floor": 3}  # fmt: skip
    found = LeadScore.check(document(GOOD, wrong), SCHEMA)
    assert {problem.path for problem in found.problems} == {
        "$.rules[1].each.types[0]", "$.rules[1].points", "$.rules[1].cap", "$.rules[1].cap_per", "$.rules[1].expires",
        "$.rules[1].decay", "$.rules[1].floor",
    }  # fmt: skip


def test_a_number_that_a_form_sent_as_text_is_answered_with_how_json_writes_it():
    sent = document({**GOOD, "points": "2"}, bands={"hot": "40"}, floor="low")
    found = {problem.path: problem.hint for problem in LeadScore.check(sent, SCHEMA).problems}
    assert found == {
        "$.rules[0].points": "Write 2 without quotes.", "$.bands.hot": "Write 40 without quotes.", "$.floor": "",
    }  # fmt: skip


def test_a_group_that_is_not_there_is_told_at_the_rule_that_names_it():
    lost = {**GOOD, "name": "lost", "group": "engagment"}
    groups = [{"name": "engagement"}]
    (alone,) = LeadScore.check(document(GOOD, lost, groups=groups), SCHEMA).problems
    assert (alone.path, alone.code, alone.hint) == ("$.rules[1].group", "unknown_name", "Did you mean 'engagement'?")
    broken = {"name": "broken", "each": {"types": ["visit"]}, "points": 1, "expires": "soon", "group": "gone"}
    both = LeadScore.check(document(broken, GOOD, lost, groups=groups), SCHEMA).problems
    assert [one.path for one in both] == ["$.rules[0].expires", "$.rules[0].group", "$.rules[2].group"]
    assert len(LeadScore.check(document(lost, groups=[{"nam": 1}]), SCHEMA).problems) == 2  # groups alone
    with pytest.raises(InputError, match="names the group 'engagment'") as caught:
        LeadScore.from_dict(document(GOOD, lost, groups=groups))
    assert caught.value.path == "$.rules[1].group"


def test_without_a_schema_only_the_form_and_the_kinds_are_checked():
    body = document(
        {"name": "a", "when": {"op": "eq", "left": {"op": "field", "name": "any"}, "right": 1}, "points": 8}
    )
    assert LeadScore.check(body)
    assert [one.code for one in LeadScore.check(body, SCHEMA).problems] == ["unknown_field"]
    assert LeadScore.check(body, SCHEMA).problems[0].path == "$.rules[0].when.left"


@pytest.mark.parametrize(
    "bad",
    [
        "{", "[]", 5, None, {}, {"relmark": "segment", "version": 1}, document(), document(5), document(GOOD, rules2=1),
        document(GOOD, grades={"order": [1], "marks": {"g": {"A": 0}}}), document(GOOD, grades={"order": [["a"]],
                                                                                          "marks": {"a": {"A": 0}}}),
        document({**GOOD, "points": {"tiers": [[["a"], 1]]}}), document({**GOOD, "decay": {"steps": 3}}),
        document({**GOOD, "when": {"op": "everyone"}}), document({"name": "x", "points": 3}), document(GOOD, GOOD),
        document({**GOOD, "group": "nowhere"}), {**document(GOOD), "rules": {"a": 1}},
    ],
)  # fmt: skip
def test_nothing_makes_it_raise(bad):
    found = LeadScore.check(bad)
    assert found.score is None
    assert found.problems


def test_random_damage_is_found_and_never_raises():
    rng = random.Random(5)
    for score in scores(40):
        body = json.loads(score.to_json())
        where, key = rng.choice(places_of(body))
        damaged = copy.deepcopy(body)
        target = damaged
        for step in where:
            target = target[step]
        target[key] = rng.choice([None, [], {}, -(10**400), {"op": "nothing"}, [["a"]], "\ud800"])
        LeadScore.check(damaged, SCHEMA)


def places_of(body, path=()):
    found = []
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        found += [(path, key), *places_of(value, (*path, key))]
    return found


def test_what_is_no_schema_is_refused():
    with pytest.raises(InputError, match="schema is 5"):
        LeadScore.check(document(GOOD), 5)
