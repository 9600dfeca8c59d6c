"""Every stored definition: its JSON Schema, all problems at once with their paths, what people note, fingerprints."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import random
import runpy
from pathlib import Path

import attrs
import pytest

from relmark import Schema
from relmark.core.documents import Definition
from relmark.errors import CODES, DefinitionError, InputError, LimitError

fastjsonschema = pytest.importorskip("fastjsonschema")
jsonschema = pytest.importorskip("jsonschema")

_MADE = runpy.run_path(str(Path(__file__).parent / "definitions.py"))
DEFINITIONS, called = _MADE["DEFINITIONS"], _MADE["called"]
EACH = pytest.mark.parametrize("one", DEFINITIONS, ids=called)
WRONG = [None, True, -7.5, 2**40, "", "nonsense", [], [[]], {}, {"x": 1}, [None, 3], "P1D", ["a", "a"]]


def validators(kind):
    schema = kind.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    older = kind.json_schema(draft="07")
    jsonschema.Draft7Validator.check_schema(older)
    return jsonschema.Draft202012Validator(schema), fastjsonschema.compile(older)


def place(path):
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def storable(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from storable(sub)


def test_no_definition_is_forgotten_here():
    for room in ("segmentation", "scoring", "ltv", "recommend", "attribution", "experiments", "campaigns"):
        importlib.import_module(f"relmark.{room}")
    known = {kind for kind in storable(Definition) if attrs.has(kind) and kind.__module__.startswith("relmark.")}
    public = {kind for kind in known if "_" not in kind.__name__ and getattr(kind, "storable", True)}
    bases = {kind for kind in public if any(sub in known for sub in kind.__subclasses__())}
    named = {kind.__name__ for kind in public - bases if "kind" in vars(kind) or getattr(kind, "name", "")}
    assert named - set(map(called, DEFINITIONS)) <= {
        "Factors",
        "LearnedScore",
        "NumbersDefinition",
        "_Metric",
    }  # fitted elsewhere; stored as its LeadScore


@pytest.mark.long
@EACH
def test_the_stored_form_is_valid_in_two_validators_and_read_back(one):
    strict, fast = validators(type(one))
    assert [place(error.absolute_path) for error in strict.iter_errors(one.to_dict())] == []
    fast(one.to_dict())
    for body in (one.to_json(), one.to_dict()):
        found = type(one).check(body)
        assert found, str(found)
        assert found.problems == ()
        assert found.to_dict()["problems"] == []
    assert type(one).from_json(one.to_json()).to_json() == one.to_json()
    assert type(one).from_json(one.to_json()).fingerprint == one.fingerprint


@EACH
def test_two_faults_are_told_at_once_with_their_paths(one):
    body = {**one.to_dict(), "nme": 1, "version": 99}
    found = type(one).check({**body, "version": 1})
    assert not found
    assert any(problem.code == "unknown_key" and problem.path == "$" for problem in found.problems)
    keys = [key for key in one.to_dict() if key not in {"relmark", "version", "model"}]
    two = {**one.to_dict(), **{key: {"no": [{}]} for key in keys[:2]}, "zzz": 0}
    told = type(one).check(two)
    paths = {problem.path for problem in told.problems}
    for key in keys[:2]:
        assert any(path.startswith(f"$.{key}") for path in paths), (key, paths)
    assert "$" in paths
    assert type(one).check(body).problems[0].path == "$.version"


@EACH
def test_a_missing_key_a_wrong_kind_and_no_object_are_told(one):
    kind = type(one)
    assert kind.check("[]").problems[0].code == "not_object"
    assert kind.check({**one.to_dict(), "relmark": "other"}).problems[0].path == "$.relmark"
    for key in kind.json_schema().get("required", ()):
        body = one.to_dict()
        del body[key]
        assert kind.check(body).problems[0].code in {"missing_key", "wrong_kind", "unknown_version"}, key


@pytest.mark.long
@EACH
def test_whatever_stands_under_a_key_check_tells_and_the_validators_agree(one):
    kind = type(one)
    strict, fast = validators(kind)
    for key in one.to_dict():
        for wrong in WRONG:
            body = {**copy.deepcopy(one.to_dict()), key: wrong}
            found = kind.check(body)
            assert bool(found) == (found.problems == ())
            for problem in found.problems:
                assert problem.code in CODES
                assert problem.message
            errors = list(strict.iter_errors(body))
            if errors:  # what the schema refuses, check refuses, in the same place
                assert not found, (key, wrong)
                where = place(errors[0].absolute_path)
                paths = [problem.path for problem in found.problems]
                assert any(where.startswith(path) or path.startswith(where) for path in paths), (where, paths)
                with pytest.raises(fastjsonschema.JsonSchemaException):
                    fast(body)
            else:
                fast(body)
            if found:
                assert errors == [], (key, wrong, errors[0].message)
                assert kind.from_dict(body).to_dict()["relmark"] == one.kind
            else:
                with pytest.raises(InputError):
                    kind.from_dict(body)


@EACH
def test_deep_damage_is_told_and_never_raises(one):
    kind, rng = type(one), random.Random(7)
    for _ in range(60):
        body = copy.deepcopy(one.to_dict())
        part = body
        for _ in range(rng.randint(0, 4)):
            inner = list(part.values()) if isinstance(part, dict) else list(part)
            nested = [item for item in inner if isinstance(item, (dict, list)) and item]
            if not nested:
                break
            part = rng.choice(nested)
        key = rng.choice(list(part) if isinstance(part, dict) else range(len(part)))
        part[key] = rng.choice(WRONG)
        found = kind.check(body)
        assert all(problem.path.startswith("$") and problem.code in CODES for problem in found.problems)
        if found:
            kind.from_dict(body)


@pytest.mark.long
@EACH
def test_what_people_note_is_stored_and_means_nothing(one):
    noted = type(one).from_dict({**one.to_dict(), "meta": {"owner": "crm", "tags": ["a", {"b": None}]}})
    assert noted.fingerprint == one.fingerprint
    assert noted == one or type(one).__eq__ is object.__eq__
    again = type(one).from_json(noted.to_json())
    assert again.meta == noted.meta == {"owner": "crm", "tags": ["a", {"b": None}]}
    assert pickle.loads(pickle.dumps(noted)).meta == noted.meta
    assert "meta" not in one.to_dict()
    strict, fast = validators(type(one))
    strict.validate(noted.to_dict())
    fast(noted.to_dict())
    assert type(one).check(noted.to_dict())
    for wrong in ([1], "x"):
        with pytest.raises(DefinitionError):
            type(one).from_dict({**one.to_dict(), "meta": wrong})
        assert [problem.path for problem in type(one).check({**one.to_dict(), "meta": wrong}).problems] == ["$.meta"]


def test_a_note_is_bounded_and_plain_json():
    for wrong, code in (
        ({"a": "x" * 17_000}, "too_large"), ({"a": {1, 2}}, "not_storable"), ({1: 2}, "not_storable"),
        ({"a": float("nan")}, "not_storable"), ("x", "wrong_type"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            Schema(meta=wrong)
        assert (caught.value.code, caught.value.argument) == (code, "meta")
    mine = {"a": [1]}
    kept = Schema(meta=mine)
    mine["a"].append(2)
    assert kept.meta == {"a": [1]}
    with pytest.raises(LimitError):
        Schema.from_json(json.dumps({**Schema().to_dict(), "meta": {"a": "x" * 2_000}}))


def renamed(body, names):
    """Return a stored form with other names where they are labels alone."""
    if isinstance(body, dict):
        return {key: renamed(item, names) for key, item in body.items()}
    if isinstance(body, list):
        return [renamed(item, names) for item in body]
    return names.get(body, body) if isinstance(body, str) else body


def test_names_are_never_in_a_fingerprint():
    by = {called(one): one for one in DEFINITIONS}
    segment, score, several = by["Segment"], by["LeadScore"], by["SegmentSet"]
    assert attrs.evolve(segment, name="other", description="").fingerprint == segment.fingerprint
    body = renamed(score.to_dict(), {"leads": "x", "grown": "y", "visits": "z", "fit": "w"})
    body["grades"]["marks"] = {"w": body["grades"]["marks"]["fit"]}
    assert type(score).from_dict(body).fingerprint == score.fingerprint
    changed = {**score.to_dict(), "cap": 7}
    assert type(score).from_dict(changed).fingerprint != score.fingerprint
    body = renamed(several.to_dict(), {"buyers": "x", "grown": "y"})
    assert type(several).from_dict(body).fingerprint == several.fingerprint
    ratio = by["Ratio"]
    assert attrs.evolve(ratio, name="basket").fingerprint == ratio.fingerprint


def test_a_name_that_is_the_key_of_a_hash_counts_as_that_key():
    by = {called(one): one for one in DEFINITIONS}
    experiment = attrs.evolve(by["Experiment"], layer=None)
    assert attrs.evolve(experiment, name="autumn").fingerprint != experiment.fingerprint
    salted = attrs.evolve(experiment, salt="spring")
    assert salted.fingerprint == experiment.fingerprint
    assert attrs.evolve(salted, name="autumn").fingerprint == experiment.fingerprint
    layer = by["Layer"]
    assert attrs.evolve(layer, salt=layer.seed, name="x").fingerprint == layer.fingerprint or layer.salt is None


def test_a_rule_inside_a_definition_is_checked_against_a_schema_beside_structural_faults():
    by = {called(one): one for one in DEFINITIONS}
    schema = Schema(fields={"age": float}, events={"visit": {}})
    body = by["Mean"].to_dict()
    body["of"] = {"op": "sum", "events": {"types": ["purchas"]}, "of": "value"}
    body["cap"] = "much"
    found = type(by["Mean"]).check(body, Schema(events={"purchase": {}}))
    assert {(one.path, one.code) for one in found.problems} == {
        ("$.cap", "wrong_type"), ("$.of.events.types[0]", "unknown_event"),
    }  # fmt: skip
    told = {(one.path, one.code) for one in type(by["SegmentSet"]).check(by["SegmentSet"].to_dict(), schema).problems}
    assert told == {("$.segments[0].rule.args[1].left.events.types[0]", "unknown_event")}
    assert "Did you mean 'purchase'?" in found.problems[-1].hint or "purchase" in str(found)
