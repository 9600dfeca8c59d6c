"""Stored definitions: the envelope, canonical text, and texts from outside that want to do harm."""

from __future__ import annotations

import json
import re
import sys
import time
from decimal import Decimal
from typing import ClassVar

import attrs
import numpy as np
import pytest

from relmark import Schema
from relmark.core.documents import (
    Definition,
    Limits,
    NumbersDefinition,
    canonical,
    check_keys,
    check_nodes,
    fingerprint,
    open_envelope,
    parse_json,
)
from relmark.errors import DefinitionError, InputError, LimitError

TRACED = sys.gettrace() is not None  # coverage slows Python down several times: times mean nothing then
SCHEMA = Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}})


@attrs.frozen(kw_only=True)
class Line(NumbersDefinition):
    kind: ClassVar[str] = "line"
    slope: float
    intercept: float
    note: str = attrs.field(default="", metadata={"stored": False})


def test_the_canonical_text_is_one_whatever_the_order_of_keys():
    assert canonical({"b": [1, None], "a": "ж"}) == '{"a":"ж","b":[1,null]}'
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert len(fingerprint({})) == 64
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": float("nan")})


def test_a_definition_comes_back_from_its_dict_and_its_json():
    assert SCHEMA.to_dict()["relmark"] == "schema"
    assert Schema.from_dict(SCHEMA.to_dict()) == SCHEMA
    assert Schema.from_json(SCHEMA.to_json().encode()) == SCHEMA
    assert Schema.from_json(SCHEMA.to_json()).fingerprint == SCHEMA.fingerprint


def test_a_model_of_numbers_is_stored_as_its_parameters():
    line = Line(slope=1, intercept=-0.5, note="kept out")
    assert line.to_dict() == {"relmark": "line", "version": 1, "slope": 1.0, "intercept": -0.5}
    assert Line.from_json(line.to_json()) == Line(slope=1, intercept=-0.5)
    with pytest.raises(DefinitionError, match=r"\$\.slope: True is not a number"):
        Line.from_dict({"relmark": "line", "version": 1, "slope": True, "intercept": 1})


def test_a_definition_that_does_not_say_its_body_cannot_be_stored():
    class Empty(Definition):
        kind: ClassVar[str] = "empty"

    with pytest.raises(AssertionError, match="Empty has no body"):
        Empty().to_dict()
    with pytest.raises(AssertionError, match="Empty has no reader"):
        Empty.from_dict({"relmark": "empty", "version": 1})


@pytest.mark.parametrize(
    ("document", "path", "code", "message"),
    [
        ([], "$", "not_object", "a schema must be a JSON object, not a list."),
        ({}, "$", "wrong_kind", "a stored schema is needed, but this has no key 'relmark'"),
        ({"relmark": "segment"}, "$.relmark", "wrong_kind", "a stored schema is needed, but this is a 'segment'"),
        ({"relmark": "schema"}, "$.version", "unknown_version", "version None of a schema is unknown"),
        ({"relmark": "schema", "version": True}, "$.version", "unknown_version", 'Write a whole number: "version": 1.'),
        ({"relmark": "schema", "version": 2}, "$.version", "unknown_version", "Update relmark"),
        ({"relmark": "schema", "version": 1, "events": {}}, "$", "missing_key", "the schema has no 'fields'"),
        ({"relmark": "schema", "version": 1, "fields": {}, "event": {}}, "$", "unknown_key", "Did you mean 'events'?"),
        ({"relmark": "schema", "version": 1, "fields": 3, "events": {}}, "$.fields", "not_object", "names and their"),
        ({"relmark": "schema", "version": 1, "fields": {}, "events": []}, "$.events", "not_object", "not a list"),
        (
            {"relmark": "schema", "version": 1, "fields": {}, "events": {"buy": {"sku": "txt"}}},
            "$.events.buy.sku",
            "unknown_name",
            "Did you mean 'text'?",
        ),
        (
            {"relmark": "schema", "version": 1, "fields": {"a": ["text"]}, "events": {}},
            "$.fields.a",
            "unknown_name",
            "['text'] is not a kind",
        ),
    ],
)
def test_what_is_not_understood_is_an_error_with_its_path(document, path, code, message):
    with pytest.raises(DefinitionError, match=re.escape(message)) as caught:
        Schema.from_dict(document)
    assert (caught.value.path, caught.value.code) == (path, code)


def test_text_where_an_object_is_needed_and_the_reverse_name_the_other_reader():
    schema = Schema(fields={f"field {k}": float for k in range(100)})  # longer than one string of a definition may be
    with pytest.raises(DefinitionError, match="a schema must be a JSON object, not a string") as caught:
        Schema.from_dict(schema.to_json())
    assert (caught.value.code, caught.value.hint) == ("not_object", "Read JSON text with from_json.")
    with pytest.raises(DefinitionError, match="a definition must be JSON text, not dict") as caught:
        Schema.from_json(schema.to_dict())
    assert (caught.value.code, caught.value.hint) == ("not_text", "Read the parsed value of JSON text with from_dict.")
    with pytest.raises(DefinitionError, match="version 7 of an experiment is unknown"):
        open_envelope({"relmark": "experiment", "version": 7}, "experiment", 1)


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (list, "A list of texts, such as tags, is frozenset."),
        (set[str], "A list of texts, such as tags, is frozenset."),
        (Decimal, "An amount is float."),
        (str | None, "Any value may be missing: write the type alone."),
        (dict, ""),
        (np.arange(3), ""),
    ],
)
def test_a_type_that_is_not_a_kind_is_refused_with_the_one_that_is_meant(kind, hint):
    with pytest.raises(InputError, match=r"fields\['tags'\] is .*: write bool, int,") as caught:
        Schema(fields={"tags": kind})
    assert (caught.value.code, caught.value.hint) == ("unknown_name", hint)


def test_an_envelope_gives_its_body_without_its_two_keys():
    assert open_envelope({"relmark": "x", "version": 2, "a": 1}, "x", 3) == {"a": 1}


def test_keys_are_checked_by_name():
    assert check_keys({"a": 1}, required=["a"], optional=["b"]) == {"a": 1}
    with pytest.raises(DefinitionError, match=r"\$\.rule: a rule must be a JSON object, not a number"):
        check_keys(3, required=(), path="$.rule", what="rule")


NESTED = "[" * 40 + "]" * 40
HOSTILE = {
    "brackets without end": ("[" * 200_000, LimitError, "too_deep"),
    "too deep": (NESTED, LimitError, "too_deep"),
    "deep objects": ('{"a":' * 40 + "1" + "}" * 40, LimitError, "too_deep"),
    "megabytes": ("x" * 10_000_000, LimitError, "too_large"),
    "many values": ("[" + "0," * 110_000 + "0]", LimitError, "too_many"),
    "many lists": ("[" + "[]," * 80_000 + "[]]", LimitError, "too_many_nodes"),
    "many objects": ("[" + "{}," * 80_000 + "{}]", LimitError, "too_many_nodes"),
    "objects in objects": ('{"a":[' + ",".join(['{"b":{}}'] * 900) + "]}", LimitError, "too_many_nodes"),
    "a long string": ('"' + "a" * 200_000 + '"', LimitError, "too_long"),
    "a long key": ('{"' + "a" * 2_000 + '":1}', LimitError, "too_long"),
    "backslashes": ('"' + "\\\\" * 130_000 + '"', LimitError, "too_long"),
    "escaped quotes": ('"' + '\\"' * 130_000 + '"', LimitError, "too_long"),
    "half a surrogate": ('{"a":"\\ud800"}', DefinitionError, "not_text"),
    "half a surrogate as a key": ('{"\\ud800":1}', DefinitionError, "not_text"),
    "a surrogate itself": ('"\ud800"', DefinitionError, "not_text"),
    "infinity": ("1e999", DefinitionError, "not_finite"),
    "NaN": ('{"a":NaN}', DefinitionError, "not_finite"),
    "digits": ("1" * 262_000, DefinitionError, "too_large_number"),
    "beyond 64 bits": ("9223372036854775808", DefinitionError, "too_large_number"),
    "a key twice": ('{"a":1,"a":2}', DefinitionError, "duplicate_key"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), DefinitionError, "not_json"),
    "no UTF-8": (b"\xff\xfe", DefinitionError, "not_json"),
    "nothing": ("", DefinitionError, "not_json"),
    "half": ('{"a":', DefinitionError, "not_json"),
    "a number": (3, DefinitionError, "not_text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_in_no_time(name):
    text, kind, code = HOSTILE[name]
    spent = []
    for _ in range(5):  # other programs share the machine: the quickest of five
        start = time.process_time()
        with pytest.raises(kind) as caught:
            parse_json(text)
        spent.append(time.process_time() - start)
        assert caught.value.code == code
        assert len(str(caught.value)) < 400
    assert min(spent) < 0.05 or TRACED


@pytest.mark.parametrize(
    "body",
    [
        [0] * 99_000,
        {"ids": list(range(30_000))},
        {"fields": {f"k{i}": "number" for i in range(12_000)}},
        ["é" * 5] * 16_000,
        {"a": [[1, 2], [3]], "b": '[[[{{{"\\', "c": [None, True, 1.5, -(2**63)]},
    ],
)
def test_the_largest_bodies_that_are_allowed_pass_in_no_time(body):
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    spent = []
    for _ in range(5):
        start = time.process_time()
        assert parse_json(text) == body
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05 or TRACED


def test_brackets_in_strings_are_no_nesting():
    text = json.dumps({"a": "[" * 500, "b": '\\"[[' * 100})
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    "body",
    [
        *({"a": 10**30}, {"a": float("inf")}, {"a": ["x" * 2_000]}, {"a": [[[[[1]]]]]}, {3: "x" * 2_000}),
        *([[]] * 9, [[1]] * 3 + [[[2]], [[3]], [[4]], [[5]]], 10**30, [{}] * 9, {"a": {"b": {"c": {"d": {"e": {}}}}}}),
    ],
)
def test_a_dict_from_outside_is_bounded_like_a_text(body):
    with pytest.raises(DefinitionError):
        check_nodes(body, Limits(depth=4, nodes=8))


def test_limits_are_positive_whole_numbers():
    for name in ("bytes", "depth", "nodes", "members", "string", "steps", "years"):
        with pytest.raises(InputError, match=rf"Limits\.{name} is 0: a whole number of at least 1 is needed"):
            Limits(**{name: 0})
    assert parse_json(NESTED, Limits(depth=40)) is not None


def test_a_text_deeper_than_python_can_go_is_refused_even_where_limits_allow_it():
    deep = Limits(bytes=10**7, depth=10**7, nodes=10**7)
    with pytest.raises(DefinitionError) as caught:
        parse_json("[" * 200_000 + "]" * 200_000, deep)
    assert caught.value.code == "not_json"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (5, "a number"),
        ("a", "a string"),
        ((), "a list"),
        ({1}, "set"),
    ],
)
def test_what_stands_for_an_object_is_named_as_json_names_it(value, said):
    with pytest.raises(DefinitionError, match=f"a schema must be a JSON object, not {said}"):
        Schema.from_dict(value)


@pytest.mark.parametrize("version", ["1", 1.0, None, 0])
def test_a_version_that_is_no_whole_number_above_zero_is_not_taken_for_a_newer_one(version):
    with pytest.raises(DefinitionError, match="this relmark reads version 1") as caught:
        Schema.from_dict({"relmark": "schema", "version": version, "fields": {}, "events": {}})
    assert caught.value.hint == 'Write a whole number: "version": 1.'
